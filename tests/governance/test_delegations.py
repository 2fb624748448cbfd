"""Delegations and escalations: who may answer for whom and when, and that nobody's voice counts twice or for an own wish (I5)."""

from datetime import timedelta

import pytest

from governance.approvals import approve, given
from governance.decide import decide
from governance.decisions import record, requirements
from governance.delegations import delegate, end
from governance.errors import ApprovalError, DeniedError, RuleError, SelfApprovalError
from governance.principals import Principal, load_principal
from governance.quorum import satisfied
from governance.rulebook import RuleBook
from governance.statement import parse_rule
from kg.model import Cause, Entity, Put, Unlink
from kg.store import GraphStore
from tests.governance.conftest import EVERY_STORE
from tests.governance.world import apply, book, user
from tests.parts import ManualClock

ANSWER = '@id("answer") permit(principal, action == Action::"approve", resource is Decision) when '
RULES = (
    '@id("apply") permit(principal, action == Action::"apply", resource is Product);',
    '@id("two") @requires("two") @approvers("finance-manager:2") @escalate("clerk:1 after 2h") @expires("1d") '
    'forbid(principal, action == Action::"apply", resource is Product);',
    ANSWER + '{ principal in Role::"finance-manager" || principal in Role::"clerk" };',
    '@id("conf") permit(principal in Role::"admin", action == Action::"configure", resource);',
)
ROOT = user("root", "admin")


@pytest.fixture(name="rules")
def _rules() -> RuleBook:
    return book(*RULES)


def who(store: GraphStore, name: str, kind: str = "User") -> Principal:
    return load_principal(store, f'{kind}::"{name}"')


def waiting(store: GraphStore, clock: ManualClock, rules: RuleBook, proposer: Principal) -> str:
    store.commit([Put("p1", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    request = apply(proposer, store.get(["p1"])["p1"])
    verdict = decide(request, rules)
    assert verdict.outcome == "needs_approval"
    store.commit(record("d1", request, verdict), Cause(clock.id(), "decide", proposer.uid))
    return "d1"


def lend(
    store: GraphStore, clock: ManualClock, rules: RuleBook, giver: str, to: str, roles: tuple[str, ...] = ("finance-manager",),
    *, by: Principal = ROOT, hours: float = 8, reason: str = "vacation",
) -> Entity:  # fmt: skip
    start = clock.now()
    uids = (f'User::"{name}"' for name in (giver, to))
    return delegate(store, clock, rules, by, *uids, roles, start, start + timedelta(hours=hours), reason)


def met(store: GraphStore, clock: ManualClock, proposer: Principal) -> bool:
    """Whether the answers count, without those of the proposer."""
    own = proposer.identities()
    counted = [a for a in given(store, clock, "d1") if not a.by.identities() & own]
    return all(satisfied(item, counted) for item in requirements(store.get(["d1"])["d1"]))


def test_a_delegate_answers_in_the_role_that_was_lent(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    agent = who(people, "replenishment", "Agent")
    waiting(people, clock, rules, agent)
    lent = lend(people, clock, rules, "ben", "anna")
    assert approve(people, clock, rules, "d1", who(people, "carl"), "approve").met is False
    answered = approve(people, clock, rules, "d1", who(people, "anna"), "approve")
    assert answered.met
    assert met(people, clock, agent)
    assert people.get([answered.approval])[answered.approval]["delegations"] == (lent.id,)


def test_a_delegation_that_ended_or_whose_giver_lost_the_role_counts_no_more(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    agent = who(people, "replenishment", "Agent")
    waiting(people, clock, rules, agent)
    lent = lend(people, clock, rules, "ben", "anna")
    for name in ("carl", "anna"):
        approve(people, clock, rules, "d1", who(people, name), "approve")
    ben = who(people, "ben")
    role = people.expand([str(ben.entity)], "hasRole")[str(ben.entity)][0].entity.id
    clock.advance(60)
    people.commit([Unlink(str(ben.entity), "hasRole", role)], Cause(clock.id(), "people", "t"))
    assert not met(people, clock, agent)
    end(people, clock, rules, ben, lent.id, "back")
    with pytest.raises(DeniedError):
        end(people, clock, rules, who(people, "dora"), lent.id, "mischief")
    other = lend(people, clock, rules, "carl", "dora", hours=1)
    clock.advance(3601)
    assert other["validTo"] <= clock.now()  # type: ignore[operator]
    with pytest.raises(DeniedError):
        approve(
            people,
            clock,
            book(*RULES[:2], ANSWER + '{ principal in Role::"finance-manager" };'),
            "d1",
            who(people, "dora"),
            "approve",
        )


@EVERY_STORE
def test_i5_one_voice_is_not_counted_twice(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    agent = who(people, "replenishment", "Agent")
    waiting(people, clock, rules, agent)
    for to in ("anna", "dora"):
        lend(people, clock, rules, "ben", to)
    for name in ("anna", "dora"):
        assert not approve(people, clock, rules, "d1", who(people, name), "approve").met
    assert not approve(people, clock, rules, "d1", who(people, "ben"), "approve").met, (
        "the giver takes the own voice back"
    )
    assert approve(people, clock, rules, "d1", who(people, "carl"), "approve").met


@EVERY_STORE
def test_i5_the_proposer_does_not_count_as_delegate_nor_through_one(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    ben = who(people, "ben")
    waiting(people, clock, rules, ben)
    lend(people, clock, rules, "carl", "ben")
    lend(people, clock, rules, "ben", "anna")
    with pytest.raises(SelfApprovalError):
        approve(people, clock, rules, "d1", ben, "approve")
    with pytest.raises(DeniedError):
        approve(people, clock, rules, "d1", who(people, "anna"), "approve")
    assert not met(people, clock, ben)


def test_what_was_lent_is_not_lent_on_and_nobody_gives_more_than_they_hold(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    lend(people, clock, rules, "ben", "dora")
    for giver, to, roles, hours, reason, said in (
        ("dora", "anna", ("finance-manager",), 8, "on", "does not hold finance-manager"),
        ("ben", "anna", (), 8, "on", "does not hold any role"),
        ("ben", "ben", ("finance-manager",), 8, "on", "nobody delegates to themselves"),
        ("anna-work", "anna-private", ("purchasing-manager",), 8, "on", "nobody delegates to themselves"),
        ("ben", "anna", ("finance-manager",), 0, "on", "lasts up to"),
        ("ben", "anna", ("finance-manager",), 24 * 400, "on", "lasts up to"),
        ("ben", "anna", ("finance-manager",), 8, " ", "needs a reason"),
    ):
        with pytest.raises(ApprovalError, match=said):
            lend(people, clock, rules, giver, to, roles, hours=hours, reason=reason)
    with pytest.raises(DeniedError):
        lend(people, clock, rules, "ben", "dora", by=who(people, "dora"))


def test_after_its_time_a_question_is_answered_by_those_it_escalates_to(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    agent = Principal("Agent", "other")
    waiting(people, clock, rules, agent)
    assert not approve(people, clock, rules, "d1", who(people, "dora"), "approve").met, (
        "too early: it counts for nothing"
    )
    clock.advance(2 * 3600)
    assert not met(people, clock, agent), "what was said before the time does not count after it"
    again = decide(apply(agent), rules)
    people.commit(record("d2", apply(agent), again), Cause(clock.id(), "decide", "t"))
    clock.advance(2 * 3600)
    assert approve(people, clock, rules, "d2", who(people, "dora"), "approve").met
    assert decide(apply(agent), rules, given(people, clock, "d2")).outcome == "allow"
    assert (again.required[0].after, again.required[0].expires) == (7200, 86_400)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ('@escalate("a:1 after 2h")', "belongs beside"),
        ('@expires("2h")', "belongs beside"),
        ('@requires("x") @approvers("a:1") @escalate("b:1")', "is not usable"),
        ('@requires("x") @approvers("a:1") @escalate("b after 2h")', "is not usable"),
        ('@requires("x") @approvers("a:1") @expires("soon")', "is not usable"),
    ],
)
def test_a_wrong_deadline_is_refused(annotations: str, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        parse_rule(f'@id("r") {annotations} forbid(principal, action, resource);')


def test_what_is_over_is_not_ended_again_and_stays_on_record_as_it_was(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    lent = lend(people, clock, rules, "ben", "anna")
    clock.advance(366 * 86_400)
    with pytest.raises(ApprovalError, match="ended at"):
        end(people, clock, rules, who(people, "ben"), lent.id, "back")
    assert people.get([lent.id])[lent.id].version == 1
