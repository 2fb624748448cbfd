"""Approvals: who may answer, who never counts (I5), once each (I3), in time, and that all of it is on record."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from governance.approvals import Answered, approve, given
from governance.decide import decide
from governance.decisions import record, requirements
from governance.errors import (
    AlreadyAnsweredError,
    ApprovalError,
    ApprovalExpiredError,
    DeniedError,
    NotWaitingError,
    PrincipalError,
    SelfApprovalError,
)
from governance.people import import_people
from governance.peoplefile import read_people
from governance.principals import Principal, load_principal
from governance.rulebook import RuleBook
from kg.errors import ConflictError
from kg.model import Cause, Entity, Input, Op, Put, Unlink, Where
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from tests.governance.conftest import EVERY_STORE, PEOPLE
from tests.governance.world import apply, book, ontology, user
from tests.parts import ManualClock

RULES = (
    '@id("apply") permit(principal, action == Action::"apply", resource is Product);',
    '@id("big") @requires("purchasing") @approvers("purchasing-manager:1, finance-manager:1") '
    'forbid(principal, action == Action::"apply", resource is Product);',
    '@id("answer") permit(principal in Role::"purchasing-manager", action == Action::"approve", resource is Decision);',
    '@id("finance-answers") permit(principal in Role::"finance-manager", action == Action::"approve", resource is Decision) '
    'when { resource has amount && resource.amount.lessThan(decimal("90000.0")) };',
)


@pytest.fixture(name="rules")
def _rules() -> RuleBook:
    return book(*RULES)


def waiting(store: GraphStore, clock: ManualClock, rules: RuleBook, proposer: Principal, **more: timedelta) -> str:
    """A decision that asks for approval; `hours` until it expires."""
    store.commit([Put("p1", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    request = apply(proposer, store.get(["p1"])["p1"], amount=Decimal(9000))
    verdict = decide(request, rules)
    assert verdict.outcome == "needs_approval"
    expires = clock.now() + more["within"] if more else None
    writes = record("d1", request, verdict, facts=(Input("p1", 1),), expires=expires)
    store.commit(writes, Cause(clock.id(), "decide", proposer.uid))
    return "d1"


def who(store: GraphStore, name: str, kind: str = "User") -> Principal:
    return load_principal(store, f'{kind}::"{name}"')


def test_answers_are_entities_and_the_last_one_completes(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    first = approve(people, clock, rules, decision, who(people, "anna"), "approve", "fine")
    assert (first.met, first.missing) == (False, {"purchasing": {"finance-manager": 1}})
    last = approve(people, clock, rules, decision, who(people, "ben"), "approve")
    assert (last.met, last.missing) == (True, {})
    entity = people.get([first.approval])[first.approval]
    assert (entity["answer"], entity["comment"], entity["principal"]) == ("approve", "fine", 'User::"anna"')
    assert [a.by.id for a in given(people, clock, decision)] in (["anna", "ben"], ["ben", "anna"])
    # Decided again, with the approvals, as coordination does.
    stored = people.get(["d1"])["d1"]
    assert [r.name for r in requirements(stored)] == ["purchasing"]
    again = decide(
        apply(who(people, "replenishment", "Agent"), people.get(["p1"])["p1"]), rules, given(people, clock, decision)
    )
    assert again.outcome == "allow"


def test_each_answer_is_decided_and_the_decision_is_on_record(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    with pytest.raises(DeniedError, match="may not approve this: no rule permits it") as caught:
        approve(people, clock, rules, decision, who(people, "dora"), "approve")
    assert caught.value.decision is not None
    refused = people.get([caught.value.decision])[caught.value.decision]
    assert (refused["outcome"], refused["action"], refused["target"]) == ("deny", "approve", "d1")
    assert refused["principal"] == 'User::"dora"'
    approve(people, clock, rules, decision, who(people, "anna"), "approve")
    allowed = people.find("Decision", [Where("outcome", Op.EQ, "allow")]).items
    assert [d["principal"] for d in allowed] == ['User::"anna"']
    assert not given(people, clock, "nothing")


@EVERY_STORE
@pytest.mark.parametrize(
    ("proposer", "approver"),
    [("anna", "anna"), ("anna-work", "anna-private"), ("anna-private", "anna-work")],
)
def test_i5_nobody_approves_an_own_proposal(
    people: GraphStore, clock: ManualClock, rules: RuleBook, proposer: str, approver: str
) -> None:
    decision = waiting(people, clock, rules, who(people, proposer))
    with pytest.raises(SelfApprovalError):
        approve(people, clock, rules, decision, who(people, approver), "approve")
    assert given(people, clock, decision) == ()
    refused = people.find("Decision", [Where("outcome", Op.EQ, "deny")]).items
    assert [d["reason"] for d in refused] == ["a proposer never approves its own proposal"]


@EVERY_STORE
def test_i5_holds_for_whom_an_agent_acts(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    anna = who(people, "anna")
    proposer = load_principal(people, 'Agent::"replenishment"', on_behalf_of=anna)
    decision = waiting(people, clock, rules, proposer)
    with pytest.raises(SelfApprovalError):
        approve(people, clock, rules, decision, anna, "approve")


@EVERY_STORE
def test_the_same_person_twice_counts_once(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    first = approve(people, clock, rules, decision, who(people, "anna-work"), "approve")
    head = people.head().position
    again = approve(people, clock, rules, decision, who(people, "anna-work"), "approve")
    other = approve(people, clock, rules, decision, who(people, "anna-private"), "approve")
    assert first.approval == again.approval == other.approval
    assert again.repeated
    assert other.repeated
    assert people.head().position == head
    with pytest.raises(AlreadyAnsweredError):
        approve(people, clock, rules, decision, who(people, "anna-work"), "reject")


def test_a_rejection_stands_against_any_number_of_approvals(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    approve(people, clock, rules, decision, who(people, "carl"), "reject", "too much")
    approve(people, clock, rules, decision, who(people, "anna"), "approve")
    assert not approve(people, clock, rules, decision, who(people, "ben"), "approve").met


@EVERY_STORE
def test_expiry_ends_answering_and_counting(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"), within=timedelta(hours=1))
    approve(people, clock, rules, decision, who(people, "anna"), "approve")
    assert len(given(people, clock, decision)) == 1
    clock.advance(3600)
    assert given(people, clock, decision) == ()
    with pytest.raises(ApprovalExpiredError):
        approve(people, clock, rules, decision, who(people, "ben"), "approve")


def test_a_role_that_was_taken_away_no_longer_counts(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    anna = who(people, "anna")
    approve(people, clock, rules, decision, anna, "approve")
    assert anna.entity is not None
    people.commit([Unlink(anna.entity, "hasRole")], Cause("c-revoke", "test", "t"))
    assert [a.by.roles for a in given(people, clock, decision)] == [frozenset()]


def test_a_role_the_key_did_not_carry_does_not_count_later(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    scoped = replace(who(people, "carl"), roles=frozenset({"purchasing-manager"}))
    approve(people, clock, rules, decision, scoped, "approve")
    assert [a.by.roles for a in given(people, clock, decision)] == [frozenset({"purchasing-manager"})]


def test_what_waits_for_nothing_cannot_be_answered(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    anna = who(people, "anna")
    with pytest.raises(NotWaitingError, match="no decision"):
        approve(people, clock, rules, "nothing", anna, "approve")
    waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    approve(people, clock, rules, "d1", anna, "approve")
    done = people.find("Decision", [Where("outcome", Op.EQ, "allow")]).items[0]
    with pytest.raises(NotWaitingError, match="asks for no approval"):
        approve(people, clock, rules, done.id, anna, "approve")
    with pytest.raises(ApprovalError, match="approve or reject"):
        approve(people, clock, rules, "d1", anna, cast(Any, "maybe"))
    with pytest.raises(ApprovalError, match="shorten"):
        approve(people, clock, rules, "d1", anna, "approve", "x" * 10_001)
    with pytest.raises(PrincipalError):
        approve(people, clock, rules, "d1", user("stranger", "purchasing-manager"), "approve")


def test_a_proposal_that_moved_on_is_not_answered(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    people.commit([Put("p1", "Product", {"stock": 2})], Cause("c-move", "test", "t"))
    with pytest.raises(ConflictError):
        approve(people, clock, rules, decision, who(people, "anna"), "approve", expects={"p1": 1})
    assert given(people, clock, decision) == ()
    assert not approve(people, clock, rules, decision, who(people, "anna"), "approve", expects={"p1": 2}).repeated


def test_i3_one_person_from_several_threads_is_one_answer(
    tmp_path: Path, clock: ManualClock, root: Principal, rules: RuleBook
) -> None:
    path, begun = tmp_path / "graph.db", threading.Barrier(4)
    stores = [SqliteStore(path, ontology(), clock, durable=False) for _ in range(4)]
    import_people(stores[0], clock, read_people(PEOPLE), root)
    decision = waiting(stores[0], clock, rules, who(stores[0], "replenishment", "Agent"))
    names = ("anna-work", "anna-private", "anna-work", "ben")
    answered: list[Answered] = []

    def answer(store: GraphStore, name: str, seed: int) -> None:
        begun.wait()
        answered.append(approve(store, ManualClock(seed=seed), rules, decision, who(store, name), "approve"))

    threads = [
        threading.Thread(target=answer, args=(store, name, n))
        for n, (store, name) in enumerate(zip(stores, names, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered) == 4
    assert len({a.approval for a in answered}) == 2
    assert sum(not a.repeated for a in answered) == 2
    assert len(given(stores[0], clock, decision)) == 2
    for store in stores:
        assert {len(store.history(a.approval)) for a in answered} == {1}
        store.close()


def test_an_answer_that_lost_the_race_to_another_person_is_told_so(
    people: GraphStore, clock: ManualClock, rules: RuleBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = waiting(people, clock, rules, who(people, "replenishment", "Agent"))
    anna = who(people, "anna")
    real, asked = people.get, 0

    def late(ids: list[str], at: int | None = None) -> dict[str, Entity]:
        nonlocal asked
        found = real(ids, at)
        if ids[0].startswith("approval-"):
            asked += 1
            if asked == 1:
                # Somebody with the same identity answers between the look and the commit.
                people.commit(
                    [Put(ids[0], "Approval", {"answer": "reject", "principal": anna.uid})], Cause("c-race", "test", "t")
                )
        return found

    monkeypatch.setattr(people, "get", late)
    with pytest.raises(AlreadyAnsweredError):
        approve(people, clock, rules, decision, anna, "approve")
