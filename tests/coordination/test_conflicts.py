"""Conflicts by declared policy: vote, merge, window, memory; ties, circles and hundreds of rivals end with one or a person."""

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from coordination import merging, refusals
from coordination.conflicts import Between, compatible, meet
from coordination.errors import PolicyError
from coordination.gate import Gate
from coordination.merging import combined
from coordination.policies import ANY, Policy, declare, load, of, policy_id
from coordination.proposals import OPEN, Draft, Proposal
from coordination.wakes import Wake
from governance.people import import_people
from governance.peoplefile import read_people
from governance.rules import add
from kg.model import Change, Close, Entity, Input, Link, Put, Unlink
from kg.store import GraphStore
from kg.values import Money, Ref
from tests.coordination.plant import AUTHOR, RULES, Act, Plant, card, ontology, plant

VOTE = Policy(("vote", "person"))
MERGE = Policy(("merge", "person"))


def proposing(*drafts: Draft) -> Act:
    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return drafts

    return act


def note(text: str = "n", operation: str = "note.set", **more: object) -> Draft:
    return Draft(operation, "c", (Put("c", "Customer", {"note": text}),), **more)  # type: ignore[arg-type]


def meeting(drafts: dict[str, Draft | tuple[Draft, ...]], policy: Policy | None, rules: Sequence[str] = RULES) -> Plant:
    """Agents that all propose on one customer because of one change."""
    cards = [card(name, Wake("Customer", properties=("name",))) for name in drafts]
    acts = {name: proposing(*(made if isinstance(made, tuple) else (made,))) for name, made in drafts.items()}
    p = plant(cards, acts, rules=rules)
    if policy is not None:
        declare(p.store, p.clock, AUTHOR, ANY, ANY, policy)
    p.put(Put("c", "Customer", {"name": "c"}))
    p.run()
    return p


def states(p: Plant) -> dict[str, str]:
    return {str(e["agent"]): str(e["state"]) for e in p.proposals() if not e.get("merges")}


def test_the_default_is_priority_then_confidence_then_a_person() -> None:
    sure, unsure = note("a", confidence=Decimal("0.9")), note("b", confidence=Decimal("0.5"))
    assert states(meeting({"one": sure, "two": unsure}, None)) == {"one": "applied", "two": "superseded"}
    tie = meeting({"one": note("a"), "two": note("b")}, None)
    assert set(states(tie).values()) <= {"conflicted", "proposed"}


def test_a_vote_counts_agents_behind_an_intent_and_one_stands_for_all() -> None:
    p = meeting({"one": note("a"), "two": note("b", confidence=Decimal("0.2")), "three": note("b")}, VOTE)
    found = states(p)
    assert found["one"] == "superseded"
    assert sorted((found["two"], found["three"])) == ["applied", "superseded"]
    assert p.store.get(["c"])["c"]["note"] == "b"
    (lost,) = (e for e in p.proposals("superseded") if e["agent"] == "one")
    assert "2 against 1" in str(lost["reason"])
    assert p.store.expand([lost.id], "conflictsWith")[lost.id]


def test_a_tied_vote_and_one_below_the_quorum_go_to_a_person() -> None:
    assert "conflicted" in states(meeting({"one": note("a"), "two": note("b")}, VOTE)).values()
    few = Policy(("vote", "person"), quorum=3)
    p = meeting({"one": note("a"), "two": note("b"), "three": note("b")}, few)
    assert "applied" not in states(p).values()
    chosen = next(e for e in p.proposals("conflicted"))
    p.answer(chosen.id)
    # The person who chooses is a manager of the plant's rules.
    p.run()


def test_what_the_rules_deny_has_no_vote() -> None:
    gifts = {name: note("b", "gift") for name in ("two", "three", "four")}
    assert states(meeting({"one": note("a"), **gifts}, VOTE))["one"] == "applied"


def test_writes_that_do_not_contradict_become_one_new_proposal_that_is_decided_anew() -> None:
    held = Draft("note.set", "c", (Put("c", "Customer", {"held": True}),), confidence=Decimal("0.7"), rationale="late")
    p = meeting({"one": note("a", rationale="said so"), "two": held}, MERGE)
    assert states(p) == {"one": "superseded", "two": "superseded"}
    (new,) = (e for e in p.proposals() if e.get("merges"))
    assert new["state"] == "applied"
    assert (new["partners"], new["confidence"]) == (("one", "two"), Decimal("0.7"))
    assert p.store.get(["c"])["c"].properties == {"name": "c", "note": "a", "held": True}
    for old in p.proposals("superseded"):
        assert [e.entity.id for e in p.store.expand([old.id], "mergedInto")[old.id]] == [new.id]
    assert p.decisions(new.id)[-1]["onBehalfOf"] == 'Agent::"two"'


def test_a_merged_proposal_needs_what_every_agent_behind_it_needs() -> None:
    rule = (
        '@id("two-asks") @requires("check") @approvers("managers:1") '
        'forbid(principal == Agent::"two", action == Action::"apply", resource);'
    )
    held = Draft("note.set", "c", (Put("c", "Customer", {"held": True}),))
    p = meeting({"one": note("a"), "two": held}, MERGE, [*RULES, rule])
    (new,) = (e for e in p.proposals() if e.get("merges"))
    assert new["state"] == "waiting_approval"
    add(
        p.store,
        p.clock,
        ontology(),
        rule.replace("two-asks", "two-no").replace('@requires("check") @approvers("managers:1") ', ""),
        AUTHOR,
        "t",
    )
    p.answer(new.id)
    p.run()
    assert p.store.get([new.id])[new.id]["state"] == "denied"
    assert "note" not in p.store.get(["c"])["c"].properties


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("name", ["one", "two"])
def test_a_role_taken_from_any_agent_behind_it_between_decision_and_commit_denies(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """I4: the commit that begins expects every agent of a merged proposal as it was decided on."""
    judge, taken = Gate.judge, []

    def judged(self: Gate, proposal: Proposal, *rest: Any) -> Any:
        verdict = judge(self, proposal, *rest)
        if not taken and proposal.texts("partners"):
            assert verdict.outcome == "allow"
            bare = read_people(f"agents:\n  - {{name: {name}}}\n", "people.yaml")
            taken.append(import_people(self.store, self.clock, bare, AUTHOR))
        return verdict

    monkeypatch.setattr(Gate, "judge", judged)
    p = meeting({"one": note("a"), "two": Draft("note.set", "c", (Put("c", "Customer", {"held": True}),))}, MERGE)
    assert taken
    (new,) = (e for e in p.proposals() if e.get("merges"))
    assert new["state"] == "denied"
    assert p.store.get(["c"])["c"].properties == {"name": "c"}


def test_writes_that_contradict_each_other_do_not_merge() -> None:
    p = meeting({"one": note("a"), "two": note("b")}, MERGE)
    assert "conflicted" in states(p).values()
    assert not [e for e in p.proposals() if e.get("merges")]


def test_what_merges_and_what_does_not() -> None:
    def fit(*writes: object) -> bool:
        return combined([Proposal(entity(str(i), writes=(w,))) for i, w in enumerate(writes)]) is not None

    assert fit(Put("x", "Customer", {"note": "a"}), Put("x", "Customer", {"held": True}))
    assert fit(Put("x", "Customer", {"note": "a"}), Put("x", "Customer", {"note": "a"}))
    assert not fit(Put("x", "Customer", {"note": "a"}), Put("x", "Customer", {}, frozenset({"note"})))
    assert not fit(Put("x", "Customer", {"note": "a"}), Put("x", "Product", {"stock": 1}))
    assert not fit(Put("x", "Customer", {"note": "a"}), Put("x", "Customer", {"held": True}, replace=True))
    assert not fit(Put("x", "Customer", {"note": "a"}), Close("x"))
    assert not fit(Close("x"), Link("x", "r", "y"))
    assert not fit(Link("x", "r", "y"), Unlink("x", "r", "y"))
    assert not fit(Link("x", "r", "y"), Link("x", "r", "z", exclusive=True))
    assert fit(Link("x", "r", "y"), Link("x", "r", "z"))


def test_sums_of_two_currencies_do_not_merge() -> None:
    held = (Put("c", "Customer", {"held": True}),)
    p = meeting(
        {"one": note("a", amount=Money(Decimal(1), "EUR")), "two": Draft("note.set", "c", held, amount=Money(Decimal(1), "USD"))},
        MERGE,
    )  # fmt: skip
    assert not [e for e in p.proposals() if e.get("merges")]


def test_a_window_lets_rivals_speak_up_first() -> None:
    p = meeting({"one": note("a", confidence=Decimal("0.5"))}, Policy(window=60))
    assert states(p) == {"one": "proposed"}
    p.clock.advance(61)
    p.runtime.reconcile()
    p.run()
    assert states(p) == {"one": "applied"}


def again(p: Plant, name: str) -> None:
    p.put(Put("c", "Customer", {"name": name}))
    p.run()


def test_what_a_person_rejected_is_not_made_again_until_reset() -> None:
    ask = (
        '@id("ask") @requires("check") @approvers("managers:1") forbid(principal, action == Action::"apply", resource);'
    )
    p = meeting({"one": note("a")}, None, [*RULES, ask])
    p.answer(p.one().id, verdict="reject")
    p.run()
    again(p, "d")
    again(p, "e")
    assert [e["state"] for e in p.proposals()] == ["rejected"]
    (known,) = refusals.every(p.store)
    assert (known.agent, known.withheld) == ("one", 2)
    assert "anna" in known.reason
    assert refusals.forget(p.store, agent="two") == 0
    assert refusals.forget(p.store, agent="one") == 1
    again(p, "f")
    assert len(p.proposals()) == 2


def test_a_refusal_ends_by_itself() -> None:
    ask = (
        '@id("ask") @requires("check") @approvers("managers:1") forbid(principal, action == Action::"apply", resource);'
    )
    p = meeting({"one": note("a")}, Policy(remember=100), [*RULES, ask])
    p.answer(p.one().id, verdict="reject")
    p.run()
    p.later(101)
    assert not refusals.every(p.store)
    again(p, "d")
    assert len(p.proposals()) == 2


def test_what_was_beaten_comes_again_with_new_evidence_only() -> None:
    seen = [Input("c", 1)]

    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [note("b", confidence=Decimal("0.4"), evidence=tuple(seen))]

    cards = [card(name, Wake("Customer", properties=("name",))) for name in ("one", "two")]
    p = plant(cards, {"one": proposing(note("a")), "two": act})
    again(p, "c")
    assert states(p)["two"] == "superseded"
    count = len([e for e in p.proposals() if e["agent"] == "two"])
    again(p, "d")
    assert len([e for e in p.proposals() if e["agent"] == "two"]) == count
    seen[0] = Input("c", 2)
    again(p, "e")
    assert len([e for e in p.proposals() if e["agent"] == "two"]) == count + 1


def test_policies_are_checked_versioned_and_not_for_agents() -> None:
    p = plant()
    for bad in (
        Policy(()),
        Policy(("luck",)),
        Policy(("vote", "vote")),
        Policy(("person", "vote")),
        Policy(quorum=0),
        Policy(window=-1),
    ):
        with pytest.raises(PolicyError):
            declare(p.store, p.clock, AUTHOR, "x", ANY, bad)
    with pytest.raises(PolicyError):
        declare(p.store, p.clock, AUTHOR, "", ANY, VOTE)
    declare(p.store, p.clock, AUTHOR, "x", "Customer", VOTE)
    made = declare(p.store, p.clock, AUTHOR, "x", "Customer", MERGE)
    assert (made.version, of(made).steps) == (2, ("merge", "person"))
    known = load(p.store, ["x", "y"], "Customer")
    assert known.of("x", "Customer").steps == MERGE.steps
    declare(p.store, p.clock, AUTHOR, "z", ANY, Policy(("priority", "person")))
    declare(p.store, p.clock, AUTHOR, ANY, "Product", MERGE)
    assert load(p.store, ["z"], "Product").of("z", "Product").steps == ("priority", "person"), (
        "the operation goes first"
    )
    assert known.between("x", "y", "Customer").steps == Policy().steps == known.between("y", "x", "Customer").steps
    forged = Draft(
        "x",
        "c",
        (
            Put("c", "Customer", {"note": "n"}),
            Put(policy_id(ANY, ANY), "ConflictPolicy", {"operation": "*", "targetClass": "*", "steps": ("vote",)}),
        ),
    )
    q = meeting({"one": forged}, None)
    assert states(q) == {"one": "denied"}


def entity(id: str, **more: object) -> Entity:
    """A proposal's entity, made up."""
    from coordination.codec import text_of

    writes = more.pop("writes", ())
    values = {"agent": f"a{id}", "operation": "o", "target": Ref("c"), "state": "proposed", "work": id, "effector": "graph",
              "confidence": Decimal(1), "priority": 0, "intent": id, "writes": text_of(writes), **more}  # type: ignore[arg-type]  # fmt: skip
    return Entity(id, "Proposal", 1, values, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(300))
def test_random_rivals_end_with_one_winner_or_a_person(seed: int) -> None:
    """However they meet and whatever policies differ by pair: never two winners, never none but for a person's choice."""
    random_ = random.Random(seed)
    policies = [
        Policy((*random_.sample(["priority", "confidence", "vote"], random_.randint(1, 3)), "person")) for _ in range(3)
    ]
    table = {(a, b): policies[(a * b) % 3] for a in range(4) for b in range(4)}
    proposals = {
        str(i): Proposal(entity(str(i), operation=str(random_.randrange(4)), priority=random_.randrange(2),
                                confidence=Decimal(random_.randrange(3)) / 2, intent=str(random_.randrange(4))))
        for i in range(random_.randint(2, 12))
    }  # fmt: skip
    standing = dict(proposals)
    waiting: set[str] = set()
    for _ in range(1_000):
        left = [id for id in standing if id not in waiting]
        if not left:
            break
        one = standing[random_.choice(left)]
        found = meet(one, list(standing.values()), lambda a, b: table[int(a), int(b)])
        if found.by is not None:
            assert found.by.rival.id in standing
            del standing[one.id]
            waiting.clear()
        elif found.undecided:
            waiting.add(one.id)
        else:
            for loss in found.beaten:
                del standing[loss.rival.id]
                waiting.discard(loss.rival.id)
            waiting.add(one.id)
    assert standing
    assert set(standing) == waiting
    if len(standing) > 1:
        assert all(
            meet(p, list(standing.values()), lambda a, b: table[int(a), int(b)]).undecided for p in standing.values()
        )


def said(id: str, **more: object) -> Proposal:
    return Proposal(entity(id, **more))


def by(policy: Policy) -> Between:
    return lambda one, other: policy


def test_partners_have_a_voice_and_a_quorum_is_reached_by_just_as_many() -> None:
    many, one = said("1", intent="x", partners=("p", "q")), said("2", intent="y")
    policy = Policy(("vote", "person"), quorum=3)
    (loss,) = meet(many, [one], by(policy)).beaten
    assert "3 against 1" in loss.reason
    assert meet(many, [one], by(Policy(("vote", "person"), quorum=4))).undecided == (one,)
    assert meet(said("1"), [one], by(Policy(("vote", "person")))).undecided == (one,), "one against one is a tie"


def test_what_has_won_already_beats_even_what_is_stronger() -> None:
    won, strong = said("9", state="applying"), said("8", priority=9)
    found = meet(said("1"), [strong, won])
    assert found.by is not None
    assert (found.by.rival, found.by.reason) == (won, "o by a9 (9) is already applying")
    sure, unsure = said("9", confidence=Decimal("0.9")), said("8", confidence=Decimal("0.8"))
    found = meet(said("1", confidence=Decimal("0.5")), [unsure, sure])
    assert found.by is not None
    assert found.by.rival is sure, "the strongest is met first"


def test_who_loses_is_refused_for_good_only_where_it_wanted_something_else() -> None:
    for intent, final in (("1", False), ("2", True)):
        (loss,) = meet(said("1", priority=1), [said("2", intent=intent)]).beaten
        assert loss.remembered is final


def test_what_is_simulated_or_undoes_meets_nobody() -> None:
    plain = said("1")
    for other in (said("2", sandbox=True), said("2", undoes=Ref("e"))):
        assert compatible(plain, other)
        assert compatible(other, plain)


def test_an_agent_that_repeats_itself_keeps_the_older_and_news_replace_it_unless_others_stand_behind_it() -> None:
    old, new = ({"agent": "a", "contextPosition": at} for at in (1, 2))
    same = meet(said("2", intent="x", **new), [said("1", intent="x", **old)]).by
    assert same is not None
    assert (same.rival.id, same.remembered) == ("1", False)
    (loss,) = meet(said("2", **new), [said("1", **old)]).beaten
    assert "rests on newer facts" in loss.reason
    merged = said("1", partners=("p",), **old)
    assert meet(said("2", **new), [merged]).undecided == (merged,)


def test_what_merges_waits_where_another_rival_is_undecided_and_fits_all_that_were_chosen() -> None:
    note_, held = Put("c", "Customer", {"note": "a"}), Put("c", "Customer", {"held": True})
    one, other, third = (
        said(id, writes=(write,))
        for id, write in (("1", note_), ("2", held), ("3", Put("c", "Customer", {"held": False})))
    )
    assert meet(one, [other], by(MERGE)).merged == (other,)
    assert meet(one, [other, said("4", operation="else")], by(MERGE)).merged == ()
    assert meet(one, [other, third], by(MERGE)).merged == (), "two that fit the first, and not each other"


def test_only_what_expects_the_same_outside_runs_and_from_one_source_merges() -> None:
    note_, held = Put("c", "Customer", {"note": "a"}), Put("c", "Customer", {"held": True})
    one = said("1", writes=(note_,), expects='{"c":1}', depth=1)
    assert merging.fits([one], said("2", writes=(held,), expects='{"c":1}'))
    assert not merging.fits([one], said("2", writes=(held,), expects='{"c":2}'))
    assert not merging.fits([one], said("2", writes=(held,), run="r"))
    assert not merging.fits([said("1", writes=(note_,), run="r")], said("2", writes=(held,)))
    assert (
        combined([said("1", writes=(Put("c", "Customer", {"a": "1"}, origin="crm"),)), said("2", writes=(held,))])
        is None
    )
    assert merging.merged([one, said("2", writes=(held,), depth=3)]).set["depth"] == 3, "as deep as the deepest"


def test_hundreds_of_rivals_end_with_one_applied() -> None:
    drafts = {f"a{i:03}": note(str(i), confidence=Decimal(i) / 1000) for i in range(300)}
    p = meeting(drafts, None)  # type: ignore[arg-type]
    found = states(p)
    assert (found["a299"], sum(state == "applied" for state in found.values())) == ("applied", 1)
    assert sum(state == "superseded" for state in found.values()) == 299
    assert not [e for e in p.proposals() if e["state"] in OPEN]


def test_compatible_is_the_same_both_ways() -> None:
    one, other = Proposal(entity("1", operation="x")), Proposal(entity("2", operation="y", compatible=("x",)))
    assert compatible(one, other)
    assert compatible(other, one)
