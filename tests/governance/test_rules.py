"""Rule entities: adding, versions, status table, strict validation, and the cache of load_rules."""

from typing import Any

import pytest

from governance import rules
from governance.decide import Request, Resource, decide
from governance.errors import RuleError
from governance.principals import Principal
from governance.rules import BOOK, TRANSITIONS, add, find_rule, list_rules, load_rules, retire, set_status
from governance.schema import check, vocabulary
from governance.statement import ANNOTATIONS
from kg.model import Cause, Put
from kg.store import GraphStore
from tests.governance.world import agent, apply, ontology, product
from tests.parts import ManualClock

PERMIT = '@id("may-apply") permit(principal, action == Action::"apply", resource is Product);'


def test_a_rule_is_a_versioned_entity_with_author_and_reason(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    first = add(store, clock, ontology(), PERMIT, root, "the demo needs it")
    assert (first.version, first["status"], first["author"]) == (1, "active", root.uid)
    assert first["annotations"] == ("id=may-apply",)
    again = add(store, clock, ontology(), PERMIT, root, "once more")
    assert again == first
    changed = add(store, clock, ontology(), PERMIT.replace("Product", "Order"), root, "orders instead")
    assert (changed.id, changed.version) == (first.id, 2)
    assert [version["reason"] for version in store.history(first.id)] == ["the demo needs it", "orders instead"]


def test_status_moves_only_along_the_table(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    add(store, clock, ontology(), PERMIT, root, "r", status="draft")
    assert decide(apply(agent()), load_rules(store, ontology())).outcome == "deny"
    set_status(store, clock, ontology(), "may-apply", "active", root, "go")
    assert decide(apply(agent()), load_rules(store, ontology())).outcome == "allow"
    assert retire(store, clock, ontology(), "may-apply", root, "enough")["status"] == "retired"
    assert decide(apply(agent()), load_rules(store, ontology())).outcome == "deny"
    with pytest.raises(RuleError, match="only become"):
        set_status(store, clock, ontology(), "may-apply", "reviewed", root, "x")
    assert set(TRANSITIONS) == {"draft", "review", "active", "retired"}
    assert [rule["status"] for rule in list_rules(store)] == ["retired"]


def test_a_draft_may_be_wrong_but_not_become_active(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    add(store, clock, ontology(), PERMIT.replace("Product", "Produkt"), root, "r", status="draft")
    with pytest.raises(RuleError, match=r"rule may-apply: .*`Produkt`; did you mean `Product`"):
        set_status(store, clock, ontology(), "may-apply", "active", root, "go")
    found = find_rule(store, "may-apply")
    assert found is not None
    assert found["status"] == "draft"


def test_a_change_needs_a_reason_and_a_known_rule(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    with pytest.raises(RuleError, match="for a reason"):
        add(store, clock, ontology(), PERMIT, root, "  ")
    with pytest.raises(RuleError, match="no rule is called"):
        retire(store, clock, ontology(), "nobody", root, "x")


def test_the_same_book_is_given_until_a_rule_changes(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    add(store, clock, ontology(), PERMIT, root, "r")
    book = load_rules(store, ontology())
    store.commit([Put("p1", "Product", {"stock": 1})], Cause("c1", "test", root.uid))
    assert load_rules(store, ontology()) is book
    rule = find_rule(store, "may-apply")
    assert rule is not None
    # Not by way of this package: the book must notice any commit.
    store.commit([Put(rule.id, "Rule", {"status": "retired"})], Cause("c2", "test", root.uid))
    assert load_rules(store, ontology()) is not book
    assert not load_rules(store, ontology()).statements


def test_a_rule_that_changes_is_all_that_is_compiled_again(
    store: GraphStore, clock: ManualClock, root: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        add(store, clock, ontology(), PERMIT.replace("may-apply", f"rule-{n}"), root, "r")
    assert len(load_rules(store, ontology()).statements) == 5
    compiled: list[str] = []
    compile_rule = rules.compile_rule

    def counted(id: str, *rest: Any) -> Any:
        compiled.append(id)
        return compile_rule(id, *rest)

    monkeypatch.setattr(rules, "compile_rule", counted)
    changed = add(store, clock, ontology(), PERMIT.replace("may-apply", "rule-3") + " // anew", root, "r")
    book = load_rules(store, ontology())
    assert compiled == [changed.id]
    assert {(one.id, one.version) for one in book.statements} == {(r.id, r.version) for r in list_rules(store)}


def test_a_book_far_behind_notices_too(
    store: GraphStore, clock: ManualClock, root: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.rules.SCAN_MAX", 3)
    add(store, clock, ontology(), PERMIT, root, "r")
    assert load_rules(store, ontology()).statements
    retire(store, clock, ontology(), "may-apply", root, "x")
    store.commit([Put(f"p{n}", "Product", {"stock": n}) for n in range(9)], Cause("c1", "test", root.uid))
    assert not load_rules(store, ontology()).statements


def test_the_version_of_the_book_rises_with_every_change(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    add(store, clock, ontology(), PERMIT, root, "r")
    add(store, clock, ontology(), PERMIT, root, "r")
    assert [entity.version for entity in store.history(BOOK)] == [1]
    retire(store, clock, ontology(), "may-apply", root, "x")
    assert [entity.version for entity in store.history(BOOK)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit(principal, action, resource);", "needs a name"),
        ('@id("Big One") permit(principal, action, resource);', "'Big One' is not usable"),
        ('@id("a") permit(principal, action, resource); @id("b") permit(principal, action, resource);', "2 statements"),
        ("// nothing", "no statement"),
        ('@id("a") permit(principal, action, resource)', "no Cedar statement"),
        ('@id("a") permit(principal == ?principal, action, resource);', "template"),
        ('@id("a") @severity("high") permit(principal, action, resource);', "rule a: unknown annotation @severity"),
        ('@id("a") @label permit(principal, action, resource);', "@label is empty"),
        ('@id("a") @requires("x") forbid(principal, action, resource);', "belong together"),
        ('@id("a") @approvers("x:1") forbid(principal, action, resource);', "belong together"),
        ('@id("a") @requires("x") @approvers("m:1") permit(principal, action, resource);', "belongs on a forbid"),
        ('@id("a") @requires("x") @approvers("m") forbid(principal, action, resource);', '"role:count"'),
        ('@id("a") @requires("x") @approvers("m:0") forbid(principal, action, resource);', '"role:count"'),
        ('@id("a") @requires("x") @approvers("m:9,n:9,o:9") forbid(principal, action, resource);', "more than 20 approvers"),
        ('@id("a") @requires("X y") @approvers("m:1") forbid(principal, action, resource);', "is no name"),
        ('@id("a") permit(principal, action == Action::"aply", resource);', r'`Action::"aply"`; did you mean `apply`'),
        ('@id("a") permit(principal is Usr, action, resource);', "`Usr`; did you mean `User`"),
        ('@id("a") permit(principal, action, resource is Produkt);', "`Produkt`; did you mean `Product`"),
        ('@id("a") permit(principal, action, resource) when { resource is Produkt };', "`Produkt`"),
        ('@id("a") permit(principal, action, resource is Product) when { resource.stok > 1 };', "`stok`; did you mean `stock`"),
        ('@id("a") permit(principal, action, resource is Product) when { resource has stok };', "`stok`; did you mean `stock`"),
        ('@id("a") permit(principal, action, resource is Product) when { resource has total };', "Product has no property `total`"),
        ('@id("a") permit(principal, action, resource is Product) when { resource.stock > 1 };', "`resource has stock && …`"),
        ('@id("a") permit(principal, action == Action::"read", resource) when { context has amount };', "no `amount` for read"),
        ('@id("a") permit(principal, action, resource) when { principal has email };', "`email` of the principal is unknown"),
        ('@id("a") permit(principal, action, resource) when { unknown("x") };', "`unknown` is not supported"),
        ('@id("a") permit(principal, action, resource) when { context has purpose && context.purpose == 1 };', "not compatible"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_naming_rule_and_word(
    store: GraphStore, clock: ManualClock, root: Principal, text: str, said: str
) -> None:
    with pytest.raises(RuleError) as caught:
        add(store, clock, ontology(), text, root, "r")
    assert said in str(caught.value)
    assert not list(list_rules(store))
    assert store.head().position == 0


def test_all_known_annotations_are_accepted() -> None:
    text = (
        '@id("a") @requires("x") @approvers("finance manager:2, m:1") @label("L") @description("D") @advice("A") '
        '@escalate("director:1 after 2h") @expires("1d") '
        "forbid(principal, action, resource);"
    )
    assert check(text, vocabulary(ontology())) == "a"
    form = '@id("m") @mask("partial") permit(principal, action == Action::"read", resource == Label::"pii");'
    assert check(form, vocabulary(ontology())) == "m"
    counted = '@id("r") @readings("1h by role") permit(principal, action == Action::"read", resource);'
    assert check(counted, vocabulary(ontology())) == "r"
    assert all(f"@{name}(" in text + form + counted for name in ANNOTATIONS)


def test_brackets_in_texts_and_comments_are_no_nesting() -> None:
    text = '@id("a") // ((((((((((((((((((((((((((((((\n permit(principal, action, resource) when { context has purpose && '
    text += 'context.purpose == "' + "({[" * 40 + '\\"" };'
    assert check(text, vocabulary(ontology())) == "a"


def test_what_a_class_allows_its_subclasses_must_allow_too() -> None:
    words = vocabulary(ontology())
    guarded = '@id("a") permit(principal, action, resource is Order) when { resource has open && resource.open };'
    assert check(guarded, words) == "a"


def test_a_rule_may_ask_whether_something_is_a_label_or_a_role(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    text = '@id("no-labels") permit(principal, action == Action::"read", resource) when { !(resource is Label) };'
    assert add(store, clock, ontology(), text, root, "rows only")["status"] == "active"
    request = Request(agent(), "read", product(stock=1))
    book = load_rules(store, ontology())
    assert decide(request, book).allowed
    assert not decide(Request(agent(), "read", Resource("Label", "pii"), {"class": "Customer"}), book).allowed
