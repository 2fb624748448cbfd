"""Edit-then-approve: an edit is a new proposal, decided anew, whose editor counts among its authors; the first stays on record."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from coordination.editing import EDITS_MAX, Edit, edit
from coordination.errors import StateError
from coordination.gate import Gate
from coordination.proposals import Draft, Proposal
from governance.approvals import approve
from governance.errors import DeniedError, SelfApprovalError
from governance.people import ensure_principal, import_people
from governance.peoplefile import read_people
from governance.principals import load_principal
from governance.rules import add, load_rules, retire
from kg.errors import ConflictError
from kg.model import Direction, Entity, Op, Put, Where
from kg.values import Money
from tests.coordination.plant import AUTHOR, RULES, Plant, Telling, card, low, number, ontology, plant

MANAGERS_APPLY = '@id("managers-may") permit(principal in Role::"managers", action == Action::"apply", resource);'


def at(euros: int) -> Edit:
    """An edit of what is bought, with what it comes to."""
    return Edit({"p": {"onOrder": euros // 45}}, amount=Money(Decimal(euros), "EUR"))


CHEAPER = at(2000)


class Overtaken:
    """The store, in which somebody else does something between the look and the commit."""

    def __init__(self, store: Any, deed: Callable[[], object]) -> None:
        self._store = store
        self._deeds = [deed]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, *given: Any) -> Any:
        if self._deeds:
            self._deeds.pop()()
        return self._store.commit(*given)


def waiting(*more: str, people: Sequence[str] = ("anna", "carla"), **options: Any) -> tuple[Plant, Entity]:
    """A proposal that waits for one manager, and several of them."""
    p = plant(rules=(*RULES, MANAGERS_APPLY, *more), **options)
    for name in people:
        ensure_principal(p.store, p.clock, "User", name, AUTHOR, roles=["managers"])
    p.product("p", stock=9)
    p.run()
    assert p.one()["state"] == "waiting_approval"
    return p, p.one()


def order(proposal: Entity) -> str:
    return next(w.id for w in Proposal(proposal).writes if isinstance(w, Put) and w.cls == "PurchaseOrder")


def by(p: Plant, who: str, wanted: Edit, proposal: str, reason: str = "fewer will do") -> Entity:
    """Edit as somebody; the new proposal, not settled yet."""
    decision = p.decisions(proposal)[-1].id
    rules = load_rules(p.store, ontology())
    person = load_principal(p.store, f'User::"{who}"')
    done = edit(p.store, p.clock, ontology(), rules, person, decision, wanted, reason)
    p.queue.extend(done.follow)
    made: Entity = p.store.get([done.proposal])[done.proposal]
    return made


def test_the_edit_takes_the_place_of_the_first_and_another_approves_it() -> None:
    p, first = waiting()
    fewer = Edit({order(first): {"units": 40}, "p": {"onOrder": 40}}, amount=Money(Decimal(1800), "EUR"))
    new = by(p, "anna", fewer, first.id)
    old = p.store.get([first.id])[first.id]
    assert (old["state"], str(old["revisedBy"])) == ("superseded", new.id)
    assert 'edited by User::"anna"' in str(old["reason"])
    assert "fewer will do" in str(old["reason"])
    assert (new["agent"], new["editors"], new["edits"], new["editReason"]) == (
        "buyer", ('User::"anna"',), 1, "fewer will do",
    )  # fmt: skip
    assert old["writes"] != new["writes"], "both stay as they were proposed"
    assert [e.entity.id for e in p.store.expand([new.id], "wasRevisionOf")[new.id]] == [first.id]
    p.run()
    asked = p.decisions(new.id)[-1]
    assert asked["outcome"] == "needs_approval"
    assert {'User::"anna"', 'Agent::"buyer"'} <= set(asked["proposers"])  # type: ignore[arg-type]
    with pytest.raises(SelfApprovalError):
        p.answer(new.id, "anna")
    p.answer(new.id, "carla")
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "applied"
    assert number(p.store.get(["p"])["p"], "onOrder") == 40
    (made,) = p.store.find("PurchaseOrder").items
    assert made["units"] == 40


def test_what_was_answered_to_the_first_counts_for_nothing() -> None:
    two = '@id("two") @requires("two") @approvers("managers:2") forbid(principal, action == Action::"apply", resource is Product);'
    p, first = waiting(two)
    p.answer(first.id, "anna")
    p.run()
    new = by(p, "carla", CHEAPER, first.id)
    p.run()
    p.answer(new.id, "anna")
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "waiting_approval", "the first answer was to something else"
    with pytest.raises(SelfApprovalError):
        p.answer(new.id, "carla")


@pytest.mark.usefixtures("on_both")
def test_an_edit_takes_nothing_away_from_what_people_were_asked_and_the_editors_right_counts() -> None:
    p, first = waiting()
    new = by(p, "anna", at(900), first.id)
    p.run()
    asked = p.decisions(new.id)[-1]
    assert (asked["outcome"], asked["required"]) == ("needs_approval", p.decisions(first.id)[-1]["required"])
    with pytest.raises(SelfApprovalError):
        p.answer(new.id, "anna")
    p.answer(new.id, "carla")
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "applied"
    q, first = waiting()
    retire(q.store, q.clock, ontology(), "managers-may", AUTHOR, "test")
    new = by(q, "anna", at(900), first.id)
    q.run()
    denied = q.store.get([new.id])[new.id]
    assert denied["state"] == "denied", "nobody gets by editing what neither may do alone"


@pytest.mark.usefixtures("on_both")
def test_an_approver_who_turns_out_to_be_the_editor_does_not_count() -> None:
    """I5: also for what only the first version asked; the edit itself needs nobody, so nothing else counts the answers."""
    p, first = waiting()
    new = by(p, "anna", at(900), first.id)
    p.run()
    p.answer(new.id, "carla")
    for name in ("anna", "carla"):
        entity = load_principal(p.store, f'User::"{name}"').entity
        p.put(Put(str(entity), "User", {"person": "the same"}))
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "waiting_approval"
    ensure_principal(p.store, p.clock, "User", "dora", AUTHOR, roles=["managers"])
    p.answer(new.id, "dora")
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "applied"


def test_an_edit_of_an_edit_still_asks_what_the_first_asked() -> None:
    p, first = waiting(people=("anna", "carla", "dora"))
    second = by(p, "anna", at(900), first.id)
    p.run()
    third = by(p, "carla", at(450), second.id)
    p.run()
    assert p.store.get([third.id])[third.id]["state"] == "waiting_approval"
    for name in ("anna", "carla"):
        with pytest.raises(SelfApprovalError):
            p.answer(third.id, name)
    p.answer(third.id, "dora")
    p.run()
    assert p.store.get([third.id])[third.id]["state"] == "applied"


def test_an_amount_is_edited_with_what_it_is_the_amount_of() -> None:
    p, first = waiting()
    for wanted, said in (
        (Edit(amount=Money(Decimal(900), "EUR")), "not edited alone"),
        (Edit({"p": {"onOrder": 4_000}}), "say the amount too"),
        (Edit({"p": {"onOrder": 1}}, amount=Money(Decimal(-1), "EUR")), "not negative"),
    ):
        with pytest.raises(StateError, match=said):
            by(p, "anna", wanted, first.id)
    assert p.one().id == first.id


def test_what_was_rejected_or_not_answered_in_time_is_not_edited() -> None:
    p, first = waiting()
    p.answer(first.id, "carla", "reject")
    assert p.store.get([first.id])[first.id]["state"] == "waiting_approval", "nobody has settled it yet"
    with pytest.raises(StateError, match="was rejected by"):
        by(p, "anna", CHEAPER, first.id)
    q, first = waiting()
    q.clock.advance(60 * 86_400)
    with pytest.raises(StateError, match="was not answered by"):
        by(q, "anna", CHEAPER, first.id)


def test_a_rejection_that_an_edit_overtook_is_not_lost() -> None:
    p, first = waiting()
    carla, rules = load_principal(p.store, 'User::"carla"'), load_rules(p.store, ontology())
    decision = p.decisions(first.id)[-1].id
    anna = load_principal(p.store, 'User::"anna"')

    racing: Any = Overtaken(p.store, lambda: approve(p.store, p.clock, rules, decision, carla, "reject", "too much"))
    done = edit(racing, p.clock, ontology(), rules, anna, decision, CHEAPER, "fewer")
    p.queue.extend(done.follow)
    p.run()
    assert p.store.get([done.proposal])[done.proposal]["state"] == "rejected"


def test_an_edit_is_decided_by_the_rules_of_that_moment_also_as_forbidden() -> None:
    p, first = waiting()
    cap = '@id("cap") forbid(principal, action == Action::"apply", resource) when { context has amount && '
    add(p.store, p.clock, ontology(), cap + 'context.amount.greaterThan(decimal("9000.0")) };', AUTHOR, "test")
    new = by(p, "anna", at(9500), first.id)
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "denied"


def test_who_may_not_answer_may_not_edit_and_that_is_on_record() -> None:
    p, first = waiting()
    with pytest.raises(DeniedError, match="may not edit"):
        by(p, "ben", CHEAPER, first.id)
    (denied,) = p.store.find("Decision", [Where("action", Op.EQ, "approve"), Where("outcome", Op.EQ, "deny")]).items
    assert denied["principal"] == 'User::"ben"'
    assert p.one().id == first.id
    no_edits = (
        '@id("no-edits") forbid(principal, action == Action::"approve", resource) when { context.answer == "edit" };'
    )
    add(p.store, p.clock, ontology(), no_edits, AUTHOR, "test")
    with pytest.raises(DeniedError):
        by(p, "anna", CHEAPER, first.id)
    p.answer(first.id, "anna")


def test_what_cannot_be_edited_is_refused() -> None:
    p, first = waiting()
    decision = p.decisions(first.id)[-1].id
    anna, rules = load_principal(p.store, 'User::"anna"'), load_rules(p.store, ontology())
    for id, wanted, reason, said in (
        (decision, Edit(), "why", "changes nothing"),
        (decision, Edit(amount=Proposal(first).amount), "why", "changes nothing"),
        (decision, CHEAPER, " ", "needs a reason"),
        (decision, CHEAPER, "x" * 3_000, "needs a reason"),
        (decision, Edit({"other": {"units": 1}}), "why", "writes no entity"),
        (decision, Edit(payload={"url": "https://evil.example"}), "why", "has no payload"),
        ("nothing", CHEAPER, "why", "there is no decision"),
        ("p", CHEAPER, "why", "there is no decision"),
    ):
        with pytest.raises(StateError, match=said):
            edit(p.store, p.clock, ontology(), rules, anna, id, wanted, reason)
    p.answer(first.id, "anna")
    p.run()
    with pytest.raises(StateError, match="is applied"):
        edit(p.store, p.clock, ontology(), rules, anna, decision, CHEAPER, "late")
    assert len(p.proposals()) == 1


def test_edits_have_an_end() -> None:
    p, first = waiting()
    last = first
    for number_ in range(EDITS_MAX):
        last = by(p, "anna", at(2000 + 45 * number_), last.id)
        p.run()
    with pytest.raises(StateError, match="times"):
        by(p, "anna", CHEAPER, last.id)
    assert last["editors"] == ('User::"anna"',)


def test_two_edits_at_once_are_one() -> None:
    p, first = waiting()
    decision = p.decisions(first.id)[-1].id
    rules = load_rules(p.store, ontology())
    anna, carla = (load_principal(p.store, f'User::"{name}"') for name in ("anna", "carla"))

    other = (p.store, p.clock, ontology(), rules, carla, decision, CHEAPER, "first")
    racing: Any = Overtaken(p.store, lambda: edit(*other))
    with pytest.raises(ConflictError, match="meanwhile"):
        edit(racing, p.clock, ontology(), rules, anna, decision, at(3000), "second")
    assert sorted(str(x["state"]) for x in p.proposals()) == ["proposed", "superseded"]


def test_the_payload_of_an_outside_effect_is_edited_member_by_member() -> None:
    telling = Telling()

    def tell(change: Any, entity: Entity, store: Any, at: int) -> Sequence[Draft]:
        return [
            Draft("order.create", entity.id, effector="telling", payload={"to": "acme", "units": 100, "note": "n"},
                  amount=Money(Decimal(4500), "EUR"))
        ]  # fmt: skip

    from coordination.wakes import Wake

    cards = (card("buyer", Wake("Product", properties=("stock",), condition=low)),)
    p, first = waiting(cards=cards, acts={"buyer": tell}, effectors=[telling])
    with pytest.raises(StateError, match="edit its payload"):
        by(p, "anna", Edit({"p": {"stock": 1}}), first.id)
    new = by(p, "anna", Edit(payload={"units": 40, "note": None}, amount=Money(Decimal(1800), "EUR")), first.id)
    assert dict(Proposal(new).payload) == {"to": "acme", "units": 40}
    p.run()
    p.answer(new.id, "carla")
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "applied"
    assert len(telling.told) == 1


def test_a_gone_editor_takes_the_edit_along() -> None:
    p, first = waiting()
    new = by(p, "anna", CHEAPER, first.id)
    person = load_principal(p.store, 'User::"anna"')
    p.put(Put(str(person.entity), "User", {"disabled": True}))
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "denied"


def took_roles(p: Plant, person: str) -> None:
    """Somebody loses every role."""
    import_people(p.store, p.clock, read_people(f"users:\n  - {{name: {person}}}\n", "people.yaml"), AUTHOR)


@pytest.mark.usefixtures("on_both")
def test_a_role_taken_from_the_editor_between_the_decision_and_its_commit_denies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I4: the commit that begins expects the editor as it was decided on."""
    p, first = waiting()
    new = by(p, "anna", CHEAPER, first.id)
    p.run()
    p.answer(new.id, "carla")
    judge, late = Gate.judge, [True]

    def judged(self: Gate, *rest: Any) -> Any:
        verdict = judge(self, *rest)
        if late:
            late.clear()
            assert verdict.outcome == "allow"
            took_roles(p, "anna")
        return verdict

    monkeypatch.setattr(Gate, "judge", judged)
    p.run()
    assert not late
    assert p.store.get([new.id])[new.id]["state"] == "denied"
    assert not p.store.find("PurchaseOrder").items


def test_an_edit_shows_in_the_ancestry() -> None:
    p, first = waiting()
    new = by(p, "anna", CHEAPER, first.id)
    assert [e.entity.id for e in p.store.expand([first.id], "wasRevisionOf", Direction.IN)[first.id]] == [new.id]
    from kg.lineage import prov_json, why
    from tests.kg.views import RuleView

    document = str(prov_json(why(p.store, RuleView(), new.id, depth=4)))
    assert "wasDerivedFrom" in document
    assert "prov:Revision" in document
