"""Break-glass: who may open it, what it opens and for whom, when it ends, and that all under it is on record and reviewed."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from governance.approvals import approve
from governance.breakglass import (
    MINUTES_MAX,
    REASON_MAX,
    carried,
    close_glass,
    moment,
    open_glass,
    review,
    stage,
    unreviewed,
)
from governance.cases import read_cases, run_cases
from governance.decide import decide
from governance.decisions import record
from governance.errors import BreakGlassError, CaseError, DeniedError, SelfApprovalError
from governance.people import import_people
from governance.peoplefile import read_people
from governance.principals import Principal, load_principal
from governance.requests import kept, request_of
from governance.rulebook import RuleBook
from governance.schema import check, vocabulary
from governance.verdict import Request
from governance.view import GovernedView
from kg.model import Cause, Entity, Put
from kg.store import GraphStore
from tests.governance.conftest import EVERY_STORE
from tests.governance.world import agent, apply, book, ontology, product, user
from tests.parts import ManualClock

RULES = (
    '@id("emergency") permit(principal, action, resource is Product) when { context.breakGlass };',
    '@id("emergency-answers") permit(principal, action == Action::"approve", resource) when { context.breakGlass };',
    '@id("may-open") permit(principal in Role::"clerk", action == Action::"configure", resource is BreakGlass) '
    'when { context has operation && context.operation == "breakglass.open" };',
    '@id("may-review") permit(principal in Role::"finance-manager", action == Action::"configure", resource is BreakGlass) '
    'when { context has operation && (context.operation == "breakglass.review" || context.operation == "breakglass.close") };',
    # A careless rule: break-glass permits all of configure. It still opens no further glass.
    '@id("careless") permit(principal, action == Action::"configure", resource) when { context.breakGlass };',
)


@pytest.fixture(name="rules")
def _rules() -> RuleBook:
    return book(*RULES)


def who(store: GraphStore, clock: ManualClock, name: str, kind: str = "User") -> Principal:
    return carried(store, clock, load_principal(store, f'{kind}::"{name}"'))


def opened(store: GraphStore, clock: ManualClock, rules: RuleBook, minutes: int = 60) -> Entity:
    return open_glass(store, clock, rules, who(store, clock, "dora"), "the warehouse is on fire", minutes)


def may_apply(principal: Principal, rules: RuleBook) -> bool:
    return decide(apply(principal), rules).allowed


@EVERY_STORE
def test_it_opens_for_its_holder_alone_and_ends_by_itself(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    assert not may_apply(who(people, clock, "dora"), rules)
    glass = opened(people, clock, rules)
    assert may_apply(who(people, clock, "dora"), rules)
    assert not may_apply(who(people, clock, "ben"), rules)
    assert stage(glass, clock.now()) == "open"
    clock.advance(3600)
    assert not may_apply(who(people, clock, "dora"), rules)
    assert stage(glass, clock.now()) == "over"


@EVERY_STORE
def test_a_clock_turned_back_opens_nothing_that_was_over(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    opened(people, clock, rules)
    clock.advance(3601)
    people.commit([Put("p1", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    clock.advance(-3000)
    assert moment(people, clock) > clock.now()
    assert not may_apply(who(people, clock, "dora"), rules)
    other = opened(people, clock, rules, minutes=10)
    assert other["validFrom"] == moment(people, clock), "a new one counts from the last commit, too"


def test_views_see_by_it_and_what_acts_for_the_holder_does_not(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    opened(people, clock, rules)
    dora = who(people, clock, "dora")
    assert GovernedView(dora, rules, ontology()).see([product(stock=3)]) != [None]
    for other in (
        carried(people, clock, agent(on_behalf_of=dora)),
        agent(on_behalf_of=dora),
        replace(dora, on_behalf_of=user("ben")),
        carried(people, clock, replace(dora, on_behalf_of=user("ben"))),
        replace(agent(), break_glass=dora.break_glass),
        replace(Principal("Service", "erp"), break_glass=dora.break_glass),
        carried(people, clock, who(people, clock, "replenishment", "Agent")),
    ):
        assert not other.under()
        assert not may_apply(other, rules)
        assert GovernedView(other, rules, ontology()).see([product(stock=3)]) == [None]


def test_a_narrowed_key_does_not_carry_it(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    opened(people, clock, rules)
    dora = load_principal(people, 'User::"dora"')
    assert carried(people, clock, dora).break_glass
    assert not carried(people, clock, replace(dora, roles=frozenset())).break_glass
    forged = replace(load_principal(people, 'User::"ben"'), break_glass="breakglass-of-dora")
    assert not carried(people, clock, forged).break_glass


@pytest.mark.parametrize("value", [True, "yes", 1])
def test_the_caller_never_sets_it(rules: RuleBook, value: Any) -> None:
    assert not decide(apply(user("ben"), breakGlass=value), rules).allowed
    assert not decide(Request(user("ben"), "read", product(stock=1), {"breakGlass": value}), rules).allowed


def test_it_is_refused_without_right_reason_or_bound(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    before = people.head().position
    with pytest.raises(DeniedError) as refused:
        open_glass(people, clock, rules, who(people, clock, "ben"), "I want to")
    assert people.get([str(refused.value.decision)])[str(refused.value.decision)]["outcome"] == "deny"
    assert people.head().position > before, "the refusal is on record"
    dora = who(people, clock, "dora")
    for principal, reason, minutes, said in (
        (dora, "  ", 60, "needs a reason"),
        (dora, "x" * (REASON_MAX + 1), 60, "needs a reason"),
        (dora, "fire", 0, "lasts 1 to"),
        (dora, "fire", -5, "lasts 1 to"),
        (dora, "fire", MINUTES_MAX + 1, "lasts 1 to"),
        (who(people, clock, "replenishment", "Agent"), "fire", 60, "only a person"),
        (agent(on_behalf_of=dora), "fire", 60, "only a person"),
        (replace(dora, on_behalf_of=user("ben")), "fire", 60, "only a person"),
    ):
        with pytest.raises(BreakGlassError, match=said):
            open_glass(people, clock, rules, principal, reason, minutes)
    assert unreviewed(people) == []


def test_it_does_not_extend_itself(people: GraphStore, clock: ManualClock) -> None:
    rules = book(*RULES)
    glass = opened(people, clock, rules)
    with pytest.raises(BreakGlassError, match="is not extended"):
        opened(people, clock, rules)
    close_glass(people, clock, rules, who(people, clock, "dora"), glass.id, "out")
    closed = people.get([glass.id])[glass.id]
    assert (stage(closed, moment(people, clock)), closed["closedBy"]) == ("over", 'User::"dora"')
    assert not may_apply(who(people, clock, "dora"), rules)
    # The right to open was taken away meanwhile; what another glass permits must not give it back.
    without = book(RULES[0], RULES[4])
    careless = replace(load_principal(people, 'User::"dora"'), break_glass=glass.id)
    assert decide(Request(careless, "configure", product(), {}), without).allowed, "the careless rule permits by itself"
    with pytest.raises(DeniedError):
        open_glass(people, clock, without, careless, "again")
    again = opened(people, clock, rules)
    assert (again["opening"], again.id != glass.id) == (2, True)
    assert len(unreviewed(people)) == 2


@EVERY_STORE
def test_somebody_else_reviews_it_once_it_is_over(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    glass = opened(people, clock, rules)
    ben = who(people, clock, "ben")
    with pytest.raises(BreakGlassError, match="is open"):
        review(people, clock, rules, ben, glass.id, "justified", "early")
    clock.advance(3600)
    for principal, finding, comment, error in (
        (ben, "fine", "x", BreakGlassError),
        (ben, "justified", " ", BreakGlassError),
        (who(people, clock, "dora"), "justified", "I was right", SelfApprovalError),
        (agent(on_behalf_of=who(people, clock, "dora")), "justified", "I was right", BreakGlassError),
        # Whose hands a service's key is in, nobody knows.
        (Principal("Service", "erp", frozenset({"finance-manager"})), "justified", "says the robot", BreakGlassError),
        (who(people, clock, "anna"), "justified", "sure", DeniedError),
    ):
        with pytest.raises(error):
            review(people, clock, rules, principal, glass.id, finding, comment)
    done = review(people, clock, rules, ben, glass.id, "justified", "the fire brigade was there")
    assert (done["finding"], done["reviewer"], stage(done, clock.now())) == ("justified", 'User::"ben"', "reviewed")
    assert unreviewed(people) == []
    with pytest.raises(BreakGlassError, match="is reviewed"):
        review(people, clock, rules, ben, glass.id, "unjustified", "no")
    for id in (glass.id, "nothing", "p1\x00"):
        with pytest.raises(BreakGlassError):
            close_glass(people, clock, rules, ben, id, "late")


def test_the_same_person_under_another_name_does_not_review(people: GraphStore, clock: ManualClock) -> None:
    import_people(people, clock, read_people("users: [{name: dora2, person: D}, {name: dora3, person: D}]"), user("t"))
    rules = book('@id("all") permit(principal, action == Action::"configure", resource);')
    glass = open_glass(people, clock, rules, who(people, clock, "dora2"), "fire", 1)
    clock.advance(61)
    with pytest.raises(SelfApprovalError):
        review(people, clock, rules, who(people, clock, "dora3"), glass.id, "justified", "of course")


def test_nor_where_the_two_names_are_known_as_one_only_later(people: GraphStore, clock: ManualClock) -> None:
    import_people(people, clock, read_people("users: [{name: dora2}, {name: dora3}]"), user("t"))
    rules = book('@id("all") permit(principal, action == Action::"configure", resource);')
    glass = open_glass(people, clock, rules, who(people, clock, "dora2"), "fire", 1)
    import_people(people, clock, read_people("users: [{name: dora2, person: D}, {name: dora3, person: D}]"), user("t"))
    clock.advance(61)
    with pytest.raises(SelfApprovalError):
        review(people, clock, rules, who(people, clock, "dora3"), glass.id, "justified", "of course")


def test_another_may_close_it_by_rule_only(people: GraphStore, clock: ManualClock, rules: RuleBook) -> None:
    glass = opened(people, clock, rules)
    with pytest.raises(DeniedError):
        close_glass(people, clock, rules, who(people, clock, "anna"), glass.id, "stop it")
    assert (
        close_glass(people, clock, rules, who(people, clock, "ben"), glass.id, "stop it")["closedBy"] == 'User::"ben"'
    )


def test_every_decision_under_it_names_it_and_replays_alike(
    people: GraphStore, clock: ManualClock, rules: RuleBook
) -> None:
    glass = opened(people, clock, rules)
    people.commit([Put("p1", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    thing = people.get(["p1"])["p1"]
    request = apply(who(people, clock, "dora"), thing)
    people.commit(record("d1", request, decide(request, rules)), Cause(clock.id(), "decide", "t"))
    made = people.get(["d1"])["d1"]
    assert (made["breakGlass"], made["outcome"]) == (glass.id, "allow")
    again = request_of(people, made)
    assert decide(again, rules).outcome == "allow"
    assert kept(again)[1] == made["contextDigest"]
    assert kept(apply(load_principal(people, 'User::"dora"'), thing))[1] != made["contextDigest"]
    plain = record("d2", apply(user("ben"), thing), decide(apply(user("ben"), thing), rules))[0]
    assert isinstance(plain, Put)
    assert "breakGlass" not in plain.set


def test_an_own_proposal_stays_unapproved_under_it(people: GraphStore, clock: ManualClock) -> None:
    rules = book(
        *RULES,
        '@id("ask") @requires("r") @approvers("clerk:1") forbid(principal, action == Action::"apply", resource);',
    )
    opened(people, clock, rules)
    request = apply(who(people, clock, "dora"))
    people.commit([Put("p1", "Product", {"stock": 1})], Cause(clock.id(), "test", "t"))
    people.commit(record("d1", request, decide(request, rules)), Cause(clock.id(), "decide", "t"))
    with pytest.raises(SelfApprovalError):
        approve(people, clock, rules, "d1", who(people, clock, "dora"), "approve")


def test_rules_may_ask_for_it_and_cases_may_say_it() -> None:
    words = vocabulary(ontology())
    for text in RULES:
        check(text, words)
    case = {
        "principal": {"kind": "User", "id": "dora", "break_glass": True},
        "action": "read", "resource": {"class": "Product"}, "expect": "allow",
    }  # fmt: skip
    closed = {**case, "principal": {"kind": "User", "id": "dora", "break_glass": False}, "expect": "deny"}
    assert [r.passed for r in run_cases(read_cases(json.dumps([case, closed]), ontology()), book(*RULES))] == [True] * 2
    with pytest.raises(CaseError, match="breakGlass"):
        read_cases(json.dumps([{**case, "context": {"breakGlass": True}}]), ontology())


def test_two_openings_at_once_are_one(people: GraphStore, clock: ManualClock) -> None:
    rules = book(*RULES)
    dora = who(people, clock, "dora")

    class Racing:
        """The store, in which another opening wins between the look and the commit."""

        def __init__(self) -> None:
            self.raced = False

        def __getattr__(self, name: str) -> Any:
            return getattr(people, name)

        def commit(self, writes: Any, cause: Any, *more: Any) -> Any:
            if not self.raced and any(isinstance(w, Put) and w.cls == "BreakGlass" for w in writes):
                self.raced = True
                opened(people, clock, rules)
            return people.commit(writes, cause, *more)

    racing: Any = Racing()
    with pytest.raises(BreakGlassError, match="same moment"):
        open_glass(racing, clock, rules, dora, "fire too")
    (glass,) = unreviewed(people)
    assert glass["validTo"] == glass["validFrom"] + timedelta(minutes=60)  # type: ignore[operator]
