"""Past decisions made again: as they were with the rules of then, otherwise with those of today; trials of drafts over them."""

from decimal import Decimal

import pytest

from coordination.replaying import replay_decision
from governance.errors import ReplayError
from governance.rules import add, load_rules, retire
from governance.trial import past, try_rules, with_drafts, without
from kg.model import Cause, Entity, Put
from tests.coordination.plant import AUTHOR, Plant, ontology, plant
from tests.coordination.test_settling import FREEZE, fall


def decided(p: Plant) -> list[Entity]:
    return sorted(past(p.store, 100), key=lambda decision: decision.since)


@pytest.fixture(name="p")
def _p() -> Plant:
    """Two products fall: a small order was allowed, a big one after anna approved it."""
    p = plant()
    fall(p, "small", 1)
    fall(p, "big", 8)
    p.run()
    proposal = next(p.id for p in p.proposals("waiting_approval"))
    p.answer(proposal)
    p.run()
    return p


def test_every_decision_comes_out_again_as_it_was(p: Plant) -> None:
    outcomes = set()
    for decision in decided(p):
        replayed = replay_decision(p.store, ontology(), decision)
        assert replayed.same, (decision["outcome"], replayed.differences)
        assert replayed.verdict.outcome == decision["outcome"]
        outcomes.add(decision["outcome"])
    assert outcomes == {"allow", "needs_approval"}


def test_later_changes_of_rules_and_facts_do_not_reach_back(p: Plant) -> None:
    add(p.store, p.clock, ontology(), FREEZE, AUTHOR, "freeze")
    retire(p.store, p.clock, ontology(), "agents-may", AUTHOR, "nobody may")
    p.product("small", stock=99)
    assert all(replay_decision(p.store, ontology(), decision).same for decision in decided(p))


def test_by_todays_rules_the_difference_is_explained(p: Plant) -> None:
    add(p.store, p.clock, ontology(), FREEZE, AUTHOR, "freeze")
    today = load_rules(p.store, ontology())
    applied = next(d for d in decided(p) if d["outcome"] == "allow" and d["action"] == "apply")
    replayed = replay_decision(p.store, ontology(), applied, today)
    assert replayed.verdict.outcome == "deny"
    assert not replayed.same
    assert "the verdict was allow and is deny" in replayed.differences[0]
    assert any("rule freeze" in text and "decides it and did not" in text for text in replayed.differences)


def test_an_approval_counts_when_replayed_and_its_absence_too(p: Plant) -> None:
    big = [d for d in decided(p) if d.get("amount") == Decimal(4000)]
    kinds = [(d["action"], d["outcome"]) for d in big]
    assert ("apply", "needs_approval") in kinds
    assert ("apply", "allow") in kinds
    for decision in big:
        assert replay_decision(p.store, ontology(), decision).verdict.outcome == decision["outcome"]


def test_a_decision_without_its_request_says_so(p: Plant) -> None:
    decision = decided(p)[0]
    p.store.commit([Put(decision.id, "Decision", {}, frozenset({"request"}))], Cause("old", "test", AUTHOR.uid))
    bare = p.store.get([decision.id])[decision.id]
    with pytest.raises(ReplayError, match="keeps no request"):
        replay_decision(p.store, ontology(), bare)
    broken = Entity(bare.id, bare.cls, bare.version, {**bare.properties, "request": '{"principal": 3}'}, bare.since)
    with pytest.raises(ReplayError, match="cannot be read"):
        replay_decision(p.store, ontology(), broken)


def trial(p: Plant, *texts: str) -> tuple[int, dict[tuple[str, str], int]]:
    books = with_drafts(p.store, ontology(), p.clock, texts)
    found = try_rules(past(p.store, 1_000), lambda d, book: replay_decision(p.store, ontology(), d, book), books)
    return found.seen, dict(found.turns)


def test_a_draft_is_tried_on_past_decisions_before_it_is_in_force(p: Plant) -> None:
    before = p.store.head().position
    seen, turns = trial(p, FREEZE)
    applies = sum(d["action"] == "apply" and d["targetClass"] == "Product" for d in decided(p))
    assert seen == len(decided(p))
    assert sum(turns.values()) == applies
    assert set(turns) == {("allow", "deny"), ("needs_approval", "deny")}
    assert p.store.head().position == before, "a trial writes nothing"


def test_a_draft_takes_the_place_of_the_rule_of_its_name(p: Plant) -> None:
    limit = next(str(r["text"]) for r in p.store.find("Rule", first=100).items if r["name"] == "big-po")
    _, turns = trial(p, limit.replace("1000.0", "9000.0"))
    assert turns == {("needs_approval", "allow"): 1}
    _, turns = trial(p, limit)
    assert turns == {}


def test_what_retiring_a_rule_would_change(p: Plant) -> None:
    books = without(p.store, ontology(), p.clock, "agents-may")
    found = try_rules(past(p.store, 1_000), lambda d, book: replay_decision(p.store, ontology(), d, book), books)
    assert set(found.turns) == {("allow", "deny"), ("needs_approval", "deny")}
    assert found.changed[0].reason == "no rule permits it"
