"""GovernedView: default deny, masks, grouping, and that a list shows exactly what the detail path shows (I10)."""

import random
from dataclasses import replace
from decimal import Decimal

from governance.decide import Request, Resource, decide
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.view import GovernedView
from kg.model import Entity
from kg.values import Money
from kg.view import View
from tests.governance import generated
from tests.governance.world import agent, book, ontology, user

READ = '@id("read") permit(principal, action == Action::"read", resource) when { !(resource is Label) };'
PII = '@id("pii") permit(principal in Role::"support", action == Action::"read", resource == Label::"pii");'
CUSTOMER = Entity("c1", "Customer", 2, {"region": "N", "phone": "030 123", "margin": Decimal(3), "token": "t"}, 5)


def view(rules: RuleBook, principal: Principal) -> View:
    return GovernedView(principal, rules, ontology())


def test_nothing_is_seen_without_a_permit() -> None:
    assert view(book(), user("anna")).see([CUSTOMER]) == [None]
    assert view(book(), user("anna")).classes(["Customer", "Order"]) == []
    assert view(book(READ), user("anna")).principal == 'User::"anna"'


def test_labelled_properties_are_removed_and_named_whether_or_not_the_row_has_them() -> None:
    (seen,) = view(book(READ), user("anna")).see([CUSTOMER])
    assert seen is not None
    assert seen.properties == {"region": "N"}
    assert seen.masked == {"phone", "margin", "token"}
    (bare,) = view(book(READ), user("anna")).see([Entity("c2", "Customer", 1, {}, 6)])
    assert bare is not None
    assert bare.masked == {"phone", "margin", "token"}


def test_each_label_is_a_decision_of_its_own_and_a_secret_is_shown_to_nobody() -> None:
    (seen,) = view(book(READ, PII), user("dora", "support")).see([CUSTOMER])
    assert seen is not None
    assert seen.masked == {"margin", "token"}
    (all_of_it,) = view(book('@id("all") permit(principal, action, resource);'), user("root")).see([CUSTOMER])
    assert all_of_it is not None
    assert all_of_it.masked == {"token"}
    assert "token" not in all_of_it.properties


def test_a_mask_may_depend_on_the_class() -> None:
    only = (
        '@id("m") permit(principal, action == Action::"read", resource == Label::"confidential") '
        'when { context has class && context.class == "Order" };'
    )
    rules = book(READ, only)
    order = Entity("o1", "Order", 1, {"margin": Decimal(1)}, 1)
    customer, shown = view(rules, user("anna")).see([CUSTOMER, order])
    assert customer is not None
    assert shown is not None
    assert "margin" in customer.masked
    assert shown["margin"] == Decimal(1)


def test_a_property_that_the_ontology_does_not_know_is_not_shown() -> None:
    (seen,) = view(book(READ), user("anna")).see([Entity("p", "Product", 1, {"stock": 1, "old": "x"}, 1)])
    assert seen is not None
    assert seen.properties == {"stock": 1}
    assert view(book(READ), user("anna")).see([Entity("x", "Vanished", 1, {}, 1)]) == [None]


def test_i6_an_erring_rule_hides_the_row() -> None:
    erring = '@id("e") forbid(principal, action, resource is Product) when { resource.stock > 3 };'
    rows = [
        Entity("p1", "Product", 1, {"stock": 1}, 1),
        Entity("p2", "Product", 1, {}, 1),
        Entity("p3", "Product", 1, {"stock": 9}, 1),
    ]
    seen = view(book(READ, erring), user("anna")).see(rows)
    assert [row is not None for row in seen] == [True, False, False]


def test_an_agent_sees_for_another_only_what_both_may_see() -> None:
    users = '@id("u") permit(principal in Role::"support", action == Action::"read", resource is Customer);'
    agents = '@id("a") permit(principal is Agent, action == Action::"read", resource) when { !(resource is Label) };'
    helper = agent("helper", on_behalf_of=user("dora", "support"))
    seen = view(book(users, agents), helper).see([CUSTOMER, Entity("p", "Product", 1, {}, 1)])
    assert [row is not None for row in seen] == [True, False]
    assert view(book(users, agents), helper).classes(["Product", "Customer"]) == ["Customer"]


def test_rows_that_agree_in_what_rules_read_share_one_decision() -> None:
    rules = book(
        '@id("n") permit(principal, action == Action::"read", resource is Order) '
        'when { resource has region && resource.region == "N" };'
    )
    governed = GovernedView(user("anna"), rules, ontology())
    rows = [Entity(f"o{n}", "Order", 1, {"region": "NS"[n % 2], "open": n % 3 == 0}, n) for n in range(1000)]
    assert sum(row is not None for row in governed.see(rows)) == 500
    plan = governed._plans["Order"]
    assert plan is not None
    assert len(plan.decided) == 2


def test_rows_that_agree_in_everything_are_told_apart_where_a_rule_names_one() -> None:
    for condition in (
        'resource == Order::"o1"',
        'resource in Order::"o1"',
        '[Order::"o1"].contains(resource)',
        'resource is Order in Order::"o1"',
    ):
        rules = book(f'@id("n") permit(principal, action == Action::"read", resource is Order) when {{ {condition} }};')
        for ids in (("o1", "o2"), ("o2", "o1")):
            seen = GovernedView(user("anna"), rules, ontology()).see(
                [Entity(id, "Order", 1, {"open": True}, 1) for id in ids]
            )
            assert [row.id for row in seen if row is not None] == ["o1"], condition


def test_a_rule_about_the_currency_reads_the_money() -> None:
    rules = book(
        '@id("e") permit(principal, action == Action::"read", resource is Order) when { resource.totalCurrency == "EUR" };'
    )
    rows = [Entity(f"o{n}", "Order", 1, {"total": Money(Decimal(1), code)}, 1) for n, code in enumerate(("USD", "EUR"))]
    for order in (rows, rows[::-1]):
        seen = GovernedView(user("anna"), rules, ontology()).see(order)
        assert [row.id for row in seen if row is not None] == ["o1"]


def test_true_one_and_decimal_one_are_not_the_same_row() -> None:
    rules = book(
        '@id("n") permit(principal, action == Action::"read", resource is Product) when { resource.stock == 1 };'
    )
    rows = [Entity(str(n), "Product", 1, {"stock": value}, 1) for n, value in enumerate((True, 1, Decimal(1)))]
    for order in (rows, rows[::-1]):
        seen = GovernedView(user("anna"), rules, ontology()).see(order)
        assert sorted(row.id for row in seen if row is not None) == ["1"]


def test_i10_a_list_shows_what_the_detail_path_shows_under_random_rules() -> None:
    shown = masked = hidden = 0
    for seed in range(60):
        r = random.Random(seed)
        texts = [generated.rule_text(r, n) for n in range(12)]
        rules = book(*texts, PII.replace("support", "r0"))
        principal = generated.principal(r)
        rows = [replace(generated.entity(r, f"e{n % 6}"), since=n) for n in range(60)]
        listed = GovernedView(principal, rules, ontology()).see(rows)
        readable = GovernedView(principal, rules, ontology()).classes(generated.CLASSES)
        for row, seen in zip(rows, listed, strict=True):
            assert GovernedView(principal, rules, ontology()).see([row]) == [seen], (seed, row)
            allowed = decide(Request(principal, "read", row), rules).allowed
            assert (seen is not None) == allowed, (seed, row)
            if seen is None:
                hidden += 1
                continue
            assert row.cls in readable
            shown += 1
            for name, prop in ontology().classes[row.cls].properties.items():
                label = prop.sensitivity
                asked = Request(principal, "read", Resource("Label", label or ""), {"class": row.cls})
                free = label is None or (label != "secret" and decide(asked, rules).allowed)
                assert (name in seen.masked) != free
                assert seen.get(name) == (row.get(name) if free else None)
                masked += not free
    assert min(shown, hidden, masked) > 100, (shown, hidden, masked)
