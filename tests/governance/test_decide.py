"""The decision itself: default deny, forbid wins, errors never allow (I6), approvals and who counts (I5), delegation."""

from decimal import Decimal

import pytest

from governance.decide import Approved, Request, Resource, decide, decide_over
from governance.errors import PrincipalError
from governance.principals import CHAIN_MAX
from governance.verdict import Requirement
from kg.model import Entity
from kg.values import Money
from tests.governance.world import agent, apply, book, product, user

PERMIT = '@id("may-apply") permit(principal, action == Action::"apply", resource is Product);'
BIG = (
    '@id("big-po") @requires("purchasing") @approvers("purchasing-manager:1") '
    'forbid(principal, action == Action::"apply", resource is Product) when '
    '{ context has amount && context.amount.greaterThan(decimal("5000.0")) };'
)
HUGE = (
    '@id("huge-po") @requires("finance") @approvers("finance-manager:2") '
    'forbid(principal, action == Action::"apply", resource is Product) when '
    '{ context has amount && context.amount.greaterThan(decimal("20000.0")) };'
)
ERRING_FORBID = '@id("err") forbid(principal, action, resource is Product) when { resource.stock < 1 };'
BIG_AMOUNT = Decimal(9000)


def test_nothing_is_allowed_without_a_permit() -> None:
    assert decide(apply(agent()), book()).outcome == "deny"
    assert decide(apply(agent()), book(PERMIT)).outcome == "allow"


def test_a_forbid_wins_over_every_permit() -> None:
    rules = book(PERMIT, PERMIT.replace("may-apply", "again"), '@id("no") forbid(principal, action, resource);')
    verdict = decide(apply(agent()), rules)
    assert verdict.outcome == "deny"
    assert verdict.rules == (("rule2", 1),)


@pytest.mark.parametrize("action", ["read", "apply"])
def test_i6_an_erring_rule_never_allows(action: str) -> None:
    permit = '@id("all") permit(principal, action, resource);'
    erring = Request(agent(), action, product(), apply(agent()).context)
    # Cedar alone skips the erring forbid and lets the permit win.
    verdict = decide(erring, book(permit, ERRING_FORBID))
    assert verdict.outcome == ("deny" if action == "read" else "escalate")
    assert verdict.errors
    assert verdict.errors[0].startswith("rule1: ")


def test_i6_a_rule_that_no_longer_compiles_counts_as_erring() -> None:
    verdict = decide(apply(agent()), book(PERMIT, "forbid(principal, action,"))
    assert verdict.outcome == "escalate"
    assert "retire rule rule1" in verdict.errors[0]


def test_a_hard_forbid_denies_even_beside_an_error() -> None:
    rules = book(PERMIT, ERRING_FORBID, '@id("no") forbid(principal, action, resource);')
    assert decide(apply(agent(), product()), rules).outcome == "deny"


def test_what_cedar_cannot_read_is_denied_and_nothing_of_it_is_repeated() -> None:
    verdict = decide(apply(agent(), note=1.5), book(PERMIT))
    assert verdict.outcome == "deny"
    assert verdict.errors == ("the value of 'note' has no form in Cedar; give a scalar type of the table",)
    lone = decide(apply(agent(), Resource("Product", "\ud800secret")), book(PERMIT))
    assert (lone.outcome, lone.errors) == ("deny", ("the request cannot be read as Cedar",))


@pytest.mark.parametrize(("action", "cls"), [("fly", "Product"), ("apply", "Nothing")])
def test_an_unknown_action_or_class_is_denied_even_by_the_widest_permit(action: str, cls: str) -> None:
    verdict = decide(
        Request(agent(), action, Resource(cls, "x")), book('@id("all") permit(principal, action, resource);')
    )
    assert verdict.outcome == "deny"
    assert verdict.errors


def test_a_soft_forbid_asks_for_approval_only_if_approval_would_help() -> None:
    asked = decide(apply(agent(), amount=BIG_AMOUNT), book(PERMIT, BIG))
    assert asked.outcome == "needs_approval"
    assert asked.required == (Requirement("purchasing", {"purchasing-manager": 1}),)
    assert decide(apply(agent(), amount=BIG_AMOUNT), book(BIG)).outcome == "deny"
    hard = '@id("closed") forbid(principal, action == Action::"apply", resource is Product);'
    assert decide(apply(agent(), amount=BIG_AMOUNT), book(PERMIT, BIG, hard)).outcome == "deny"
    assert decide(apply(agent(), amount=Decimal(10)), book(PERMIT, BIG)).outcome == "allow"


def test_every_soft_forbid_that_applies_is_named_and_each_must_be_satisfied() -> None:
    rules, request = book(PERMIT, BIG, HUGE), apply(agent(), amount=Decimal(50_000))
    asked = decide(request, rules)
    assert [requirement.name for requirement in asked.required] == ["finance", "purchasing"]
    one = [Approved(user("anna", "purchasing-manager"))]
    assert decide(request, rules, one).outcome == "needs_approval"
    assert decide(request, rules, one).satisfied == ("purchasing",)
    two = [*one, Approved(user("ben", "finance-manager"))]
    assert decide(request, rules, two).outcome == "needs_approval"
    three = [*two, Approved(user("carl", "finance-manager"))]
    assert decide(request, rules, three).outcome == "allow"


def test_after_approval_the_whole_is_decided_again_with_the_rules_of_now() -> None:
    request, given = apply(agent(), amount=BIG_AMOUNT), [Approved(user("anna", "purchasing-manager"))]
    assert decide(request, book(PERMIT, BIG), given).outcome == "allow"
    assert decide(request, book(BIG), given).outcome == "deny"
    assert decide(request, book(PERMIT, BIG, '@id("no") forbid(principal, action, resource);'), given).outcome == "deny"
    assert (
        decide(request, book(PERMIT, BIG.replace("purchasing-manager", "director")), given).outcome == "needs_approval"
    )


def test_i5_the_proposer_never_counts_under_whatever_identity() -> None:
    rules = book(PERMIT, BIG)
    own = user("anna", "purchasing-manager", person="P-17")
    request = apply(own, amount=BIG_AMOUNT)
    assert decide(request, rules, [Approved(own)]).outcome == "needs_approval"
    other = user("anna-private", "purchasing-manager", person="P-17")
    assert decide(request, rules, [Approved(other)]).outcome == "needs_approval"
    behalf = apply(agent(on_behalf_of=own), amount=BIG_AMOUNT)
    assert decide(behalf, rules, [Approved(own)]).outcome == "needs_approval"
    assert decide(behalf, rules, [Approved(other)]).outcome == "needs_approval"
    through = agent("helper", "purchasing-manager", on_behalf_of=own)
    assert decide(request, rules, [Approved(through)]).outcome == "needs_approval"
    assert decide(request, rules, [Approved(user("ben", "purchasing-manager"))]).outcome == "allow"


def test_one_person_fills_one_place_and_is_seated_where_it_helps() -> None:
    both = BIG.replace("purchasing-manager:1", "purchasing-manager:1, finance-manager:1")
    request, rules = apply(agent(), amount=BIG_AMOUNT), book(PERMIT, both)
    carl = Approved(user("carl", "purchasing-manager", "finance-manager"))
    ben = Approved(user("ben", "finance-manager"))
    assert decide(request, rules, [carl]).outcome == "needs_approval"
    assert decide(request, rules, [carl, carl]).outcome == "needs_approval"
    assert decide(request, rules, [carl, ben]).outcome == "allow"
    assert decide(request, rules, [ben, carl]).outcome == "allow"


def test_whoever_can_fill_two_places_makes_room_for_one_who_can_fill_one() -> None:
    both = BIG.replace("purchasing-manager:1", "finance-manager:1, purchasing-manager:1")
    request, rules = apply(agent(), amount=BIG_AMOUNT), book(PERMIT, both)
    # First in order of name, and so seated first on the place that only ben can fill.
    abel = Approved(user("abel", "purchasing-manager", "finance-manager"))
    ben = Approved(user("ben", "finance-manager"))
    assert decide(request, rules, [abel, ben]).outcome == "allow"


def test_an_agent_that_answers_for_a_person_brings_no_role_the_person_lacks() -> None:
    request, rules = apply(agent(), amount=BIG_AMOUNT), book(PERMIT, BIG)
    helper = agent("helper", "purchasing-manager", on_behalf_of=user("dora", "clerk"))
    assert decide(request, rules, [Approved(helper)]).outcome == "needs_approval"
    manager = agent("helper", "purchasing-manager", on_behalf_of=user("anna", "purchasing-manager"))
    assert decide(request, rules, [Approved(manager)]).outcome == "allow"


def test_approval_does_not_hide_that_another_rule_of_the_same_name_errs() -> None:
    erring = BIG.replace("big-po", "big-stock").replace("context has amount &&", "resource.stock < 1 &&")
    request, given = apply(agent(), product(), amount=BIG_AMOUNT), [Approved(user("anna", "purchasing-manager"))]
    assert decide(request, book(PERMIT, BIG), given).outcome == "allow"
    assert decide(request, book(PERMIT, BIG, erring), given).outcome == "escalate"


def test_two_identities_of_one_person_count_once() -> None:
    two = BIG.replace("purchasing-manager:1", "purchasing-manager:2")
    request, rules = apply(agent(), amount=BIG_AMOUNT), book(PERMIT, two)
    work, private = (Approved(user(name, "purchasing-manager", person="P-1")) for name in ("work", "private"))
    assert decide(request, rules, [work, private]).outcome == "needs_approval"
    assert decide(request, rules, [work, Approved(user("ben", "purchasing-manager"))]).outcome == "allow"


def test_the_caller_cannot_say_what_is_satisfied_or_for_whom_it_acts() -> None:
    request = apply(agent(), amount=BIG_AMOUNT, satisfied=("purchasing",))
    assert decide(request, book(PERMIT, BIG)).outcome == "needs_approval"
    boss = (
        '@id("boss") permit(principal, action, resource) '
        'when { context has onBehalfOf && context.onBehalfOf == "User::\\"boss\\"" };'
    )
    assert decide(apply(agent(), onBehalfOf='User::"boss"'), book(boss)).outcome == "deny"
    assert decide(apply(agent(on_behalf_of=user("boss"))), book(boss)).outcome == "allow"


def test_an_error_under_a_soft_forbid_escalates_rather_than_asks() -> None:
    verdict = decide(apply(agent(), product(), amount=BIG_AMOUNT), book(PERMIT, BIG, ERRING_FORBID))
    assert verdict.outcome == "escalate"


def test_whoever_acts_for_another_may_do_only_what_both_may() -> None:
    agents = book('@id("a") permit(principal is Agent, action == Action::"apply", resource);')
    both = book(
        '@id("a") permit(principal is Agent, action == Action::"apply", resource);',
        '@id("u") permit(principal in Role::"buyer", action == Action::"apply", resource);',
    )
    assert decide(apply(agent()), agents).outcome == "allow"
    assert decide(apply(agent(on_behalf_of=user("dora"))), agents).outcome == "deny"
    assert decide(apply(agent(on_behalf_of=user("dora"))), both).outcome == "deny"
    assert decide(apply(agent(on_behalf_of=user("dora", "buyer"))), both).outcome == "allow"
    # The other way round: the user may, the agent may not.
    users = book('@id("u") permit(principal is User, action == Action::"apply", resource);')
    assert decide(apply(agent(on_behalf_of=user("dora"))), users).outcome == "deny"


def test_a_chain_without_end_is_refused() -> None:
    chain = user("u0")
    for n in range(CHAIN_MAX + 1):
        chain = agent(f"a{n}", on_behalf_of=chain)
    with pytest.raises(PrincipalError, match="shorten the chain"):
        decide(apply(chain), book(PERMIT))


def test_a_class_in_a_rule_means_its_subclasses_too() -> None:
    for text in (
        '@id("o") permit(principal, action, resource is Order);',
        '@id("o") permit(principal, action, resource) when { resource is Order };',
        '@id("o") permit(principal, action, resource is Order in Department::"sales");',
    ):
        for cls, outcome in (("Order", "allow"), ("WebOrder", "allow"), ("Product", "deny")):
            assert decide(Request(agent(), "read", Resource(cls, "x")), book(text)).outcome == outcome, (text, cls)


def test_values_reach_rules_in_the_form_of_the_scalar_table() -> None:
    from datetime import UTC, datetime

    order = Entity(
        "o1",
        "Order",
        1,
        {"total": Money(Decimal("99.5"), "EUR"), "due": datetime(2026, 1, 1, tzinfo=UTC), "open": True},
        1,
    )
    conditions = (
        'resource.total == decimal("99.5") && resource.totalCurrency == "EUR"',
        "resource.due == 1767225600000",
        "resource.open",
        "!(resource has region)",
        'resource in Department::"sales"',
    )
    for condition in conditions:
        rules = book(f'@id("c") permit(principal, action, resource) when {{ {condition} }};')
        verdict = decide(Request(agent(), "read", order), rules)
        assert verdict.outcome == "allow", (condition, verdict)


def test_the_amount_may_be_money_and_keeps_its_currency() -> None:
    euros = '@id("e") permit(principal, action, resource) when { context has currency && context.currency == "EUR" };'
    assert decide(apply(agent(), amount=Money(Decimal(5), "EUR")), book(euros)).outcome == "allow"
    assert decide(apply(agent(), amount=Money(Decimal(5), "USD")), book(euros)).outcome == "deny"


def test_what_is_new_needs_no_permit_also_where_one_of_the_chain_has_it() -> None:
    """A permit that one link has for what is new is no refusal of the other links' silence; a forbid still is one."""
    boss = '@id("boss") permit(principal == User::"boss", action, resource);'
    no_notes = '@id("no-notes") forbid(principal is Agent, action, resource is Customer);'
    request, new = apply(agent(on_behalf_of=user("boss"))), Resource("Customer", "new")
    assert decide_over(request, [new], book(PERMIT, boss)).outcome == "allow"
    assert decide_over(request, [new], book(PERMIT, boss, no_notes)).outcome == "deny"
    there = Entity("c1", "Customer", 1, {}, 1)
    assert decide_over(request, [there], book(PERMIT, boss)).outcome == "deny"
