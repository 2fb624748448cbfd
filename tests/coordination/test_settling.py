"""From proposal to effect through the gate: rules of this moment, approvals, conflicts, controls, and what is on record."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from coordination import gate as gates
from coordination.bounds import Bounds
from coordination.errors import StateError
from coordination.proposals import MOVES, Draft, Proposal
from coordination.wakes import Wake
from governance.controls import control_id
from governance.errors import ApprovalError
from governance.rules import add, retire
from kg.model import Change, Close, Entity, Kind, Link, Put
from kg.store import GraphStore
from kg.values import Money
from tests.coordination.plant import AUTHOR, Act, Plant, card, low, ontology, plant

FREEZE = '@id("freeze") forbid(principal, action == Action::"apply", resource is Product);'
BROKEN = (
    '@id("broken") forbid(principal, action == Action::"apply", resource is Product) '
    "when { resource has stock && resource.stock > 9 };"
)


def fall(p: Plant, id: str = "p", stock: int = 1) -> None:
    """A product's stock falls below ten."""
    p.product(id, stock=50)
    p.run()
    p.product(id, stock=stock)


def proposing(*drafts: Draft) -> Act:
    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return drafts

    return act


def note(operation: str, text: str = "n", **more: object) -> Draft:
    return Draft(operation, "c", (Put("c", "Customer", {"note": text}),), **more)  # type: ignore[arg-type]


def rivals(one: Draft, other: Draft, *, rules: Sequence[str] | None = None) -> Plant:
    """Two agents that propose on one customer because of one change."""
    cards = [card(name, Wake("Customer", properties=("name",))) for name in ("one", "two")]
    more = {} if rules is None else {"rules": rules}
    p = plant(cards, {"one": proposing(one), "two": proposing(other)}, **more)  # type: ignore[arg-type]
    p.put(Put("c", "Customer", {"name": "c"}))
    p.run()
    return p


def states(p: Plant) -> dict[str, str]:
    return {str(e["agent"]): str(e["state"]) for e in p.proposals()}


def test_a_graph_effect_is_one_commit_with_its_decision() -> None:
    p = plant()
    fall(p)
    p.run()
    proposal = p.one()
    assert proposal["state"] == "applied"
    change = p.store.changes(proposal.since - 1, 1)[0]
    made = {(c.cls, c.kind) for c in p.store.caused(change.cause)}
    assert {("Decision", Kind.CREATED), ("Effect", Kind.CREATED), ("PurchaseOrder", Kind.CREATED)} <= made
    assert ("Product", Kind.UPDATED) in made
    cause = p.store.causes([change.cause])[change.cause]
    assert cause.agent == 'Agent::"buyer"'
    assert {item.id for item in cause.inputs} == {proposal.id, "p"}


def test_the_act_is_on_record_with_what_was_read() -> None:
    p = plant()
    fall(p)
    p.run()
    (first,) = (v for v in p.store.history(p.one().id) if v.version == 1)
    cause = p.store.causes([p.store.changes(first.since - 1, 1)[0].cause]).popitem()[1]
    assert cause.activity == "propose"
    assert [item.id for item in cause.inputs] == ["p"]
    assert cause.attributes["context"]["read"] == [["p", 2]]
    assert cause.attributes["agentVersion"] == "1"


def test_a_denial_is_a_decision_too() -> None:
    p = plant(rules=[*_rules(), FREEZE])
    fall(p)
    p.run()
    assert p.one()["state"] == "denied"
    (decision,) = p.decisions(p.one().id)
    assert decision["outcome"] == "deny"
    assert "freeze" in str(decision["reason"])
    assert not p.store.find("Effect").items
    assert not p.store.find("PurchaseOrder").items


def _rules() -> tuple[str, ...]:
    from tests.coordination.plant import RULES

    return RULES


def test_approval_and_a_new_decision_by_the_rules_of_then() -> None:
    p = plant()
    fall(p, stock=9)
    p.run()
    assert p.one()["state"] == "waiting_approval"
    assert not p.store.find("PurchaseOrder").items
    p.answer(p.one().id)
    p.run()
    assert p.one()["state"] == "applied"
    assert [d["outcome"] for d in p.decisions(p.one().id)] == ["needs_approval", "allow"]


def test_an_approval_does_not_outlive_the_rules() -> None:
    p = plant()
    fall(p, stock=9)
    p.run()
    add(p.store, p.clock, ontology(), FREEZE, AUTHOR, "test")
    p.answer(p.one().id)
    p.run()
    assert p.one()["state"] == "denied"
    assert not p.store.find("PurchaseOrder").items


def test_a_rejection_ends_it() -> None:
    p = plant()
    fall(p, stock=9)
    p.run()
    p.answer(p.one().id, verdict="reject")
    p.run()
    assert p.one()["state"] == "rejected"
    assert 'User::"anna"' in str(p.one()["reason"])


def test_whoever_may_not_approve_changes_nothing() -> None:
    p = plant()
    fall(p, stock=9)
    p.run()
    with pytest.raises(Exception, match="may not approve"):
        p.answer(p.one().id, who="ben")
    p.run()
    assert p.one()["state"] == "waiting_approval"


def test_an_unanswered_proposal_expires() -> None:
    p = plant(bounds=Bounds(approval_seconds=100))
    fall(p, stock=9)
    p.run()
    p.clock.jump(-3600)
    p.later(0)
    assert p.one()["state"] == "waiting_approval", "a clock that went back ends no wait for people"
    p.clock.jump(3600)
    p.later(99)
    assert p.one()["state"] == "waiting_approval"
    p.later(2)
    assert p.one()["state"] == "expired"
    with pytest.raises(ApprovalError):
        p.answer(p.one().id)


def test_an_erring_rule_sends_it_to_a_person_and_repair_lets_it_go_on() -> None:
    p = plant(rules=[*_rules(), BROKEN.replace("> 9", "+ 9223372036854775807 > 9")])
    fall(p)
    p.run()
    assert p.one()["state"] == "waiting_approval"
    assert p.decisions(p.one().id)[-1]["outcome"] == "escalate"
    retire(p.store, p.clock, ontology(), "broken", AUTHOR, "it overflows")
    p.run()
    assert p.one()["state"] == "applied"


def test_however_many_an_erring_rule_held_repair_lets_all_of_them_go_on() -> None:
    p = plant(rules=[*_rules(), BROKEN.replace("> 9", "+ 9223372036854775807 > 9")], bounds=Bounds(batch=2))
    for id in ("a", "b", "c", "d", "e"):
        p.product(id, stock=1)
    p.run()
    assert len(p.proposals("waiting_approval")) == 5
    retire(p.store, p.clock, ontology(), "broken", AUTHOR, "it overflows")
    p.run()
    assert len(p.proposals("applied")) == 5


@pytest.mark.usefixtures("on_both")
def test_rules_that_change_between_decision_and_commit_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """I4: the commit expects the rule book, so a forbid that came in between is obeyed."""
    p = plant()
    fall(p)
    judge = gates.Gate.judge
    late = iter([True])

    def judged(self: gates.Gate, *rest: object) -> object:
        verdict = judge(self, *rest)  # type: ignore[arg-type]
        if next(late, False):
            add(p.store, p.clock, ontology(), FREEZE, AUTHOR, "test")
        return verdict

    monkeypatch.setattr(gates.Gate, "judge", judged)
    p.run()
    assert p.one()["state"] == "denied"
    assert not p.store.find("PurchaseOrder").items


@pytest.mark.usefixtures("on_both")
def test_no_denial_and_no_question_rests_on_rules_that_changed_before_its_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I4: what ends a proposal or sends it to people is what the rules of its commit say, not those of the look before."""
    judge = gates.Gate.judge
    late: list[Any] = []

    def judged(self: gates.Gate, *rest: object) -> object:
        verdict = judge(self, *rest)  # type: ignore[arg-type]
        if late:
            assert verdict.outcome == late.pop()
            late.pop()()
        return verdict

    monkeypatch.setattr(gates.Gate, "judge", judged)
    p = plant(rules=[*_rules(), FREEZE])
    fall(p)
    late += [lambda: retire(p.store, p.clock, ontology(), "freeze", AUTHOR, "test"), "deny"]
    p.run()
    assert p.one()["state"] == "applied"
    assert [d["outcome"] for d in p.decisions(p.one().id)] == ["allow"]
    q = plant()
    fall(q, stock=9)
    late += [lambda: add(q.store, q.clock, ontology(), FREEZE, AUTHOR, "test"), "needs_approval"]
    q.run()
    assert q.one()["state"] == "denied"
    assert [d["outcome"] for d in q.decisions(q.one().id)] == ["deny"]


@pytest.mark.usefixtures("on_both")
def test_a_proposal_that_another_ended_before_the_commit_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """I3: the commit that begins expects the proposal as it was looked at."""
    p = plant()
    fall(p)
    commit, ended = p.store.commit, []

    def late(writes: Sequence[object], *more: object, **named: object) -> object:
        if not ended and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            ended.append(p.put(Put(p.one().id, "Proposal", {"state": "superseded"})))
        return commit(writes, *more, **named)

    monkeypatch.setattr(p.store, "commit", late)
    p.run()
    assert ended
    assert p.one()["state"] == "superseded"
    assert not p.store.find("Effect").items
    assert not p.store.find("PurchaseOrder").items


HELD = (
    '@id("locked") forbid(principal, action == Action::"apply", resource is Product) '
    'when { resource has note && resource.note == "locked" };',
    '@id("held") forbid(principal, action == Action::"apply", resource is Customer) when { resource has held && resource.held };',
)


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize(
    "late",
    [
        Put("p", "Product", {"note": "locked"}),
        Put("c", "Customer", {"held": True}),
        Put("n", "Customer", {"held": True}),
    ],
    ids=["the target", "what is changed in passing", "what was to be new"],
)
def test_facts_that_change_between_decision_and_commit_are_decided_on_again(
    monkeypatch: pytest.MonkeyPatch, late: Put
) -> None:
    """I4: the commit expects whatever the rules looked at, so what it became in between is obeyed."""
    writes = (Put("c", "Customer", {"note": "x"}), Put("n", "Customer", {"note": "x"}))
    p = plant(rules=[*_rules(), *HELD], acts={"buyer": proposing(Draft("tell", "p", writes))})
    p.put(Put("c", "Customer", {"name": "c"}))
    fall(p)
    judge, changed = gates.Gate.judge, []

    def judged(self: gates.Gate, *rest: object) -> object:
        verdict = judge(self, *rest)  # type: ignore[arg-type]
        if not changed:
            assert verdict.outcome == "allow"
            changed.append(p.put(late))
        return verdict

    monkeypatch.setattr(gates.Gate, "judge", judged)
    p.run()
    assert p.one()["state"] == "denied"
    assert "note" not in p.store.get(["c"])["c"].properties


@pytest.mark.usefixtures("on_both")
def test_what_a_proposal_rests_on_and_does_not_touch_is_held_to_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Draft("tell", "p", (Put("p", "Product", {"note": "x"}),), expects={"c": 1})
    p = plant(acts={"buyer": proposing(draft)})
    p.put(Put("c", "Customer", {"name": "c"}))
    fall(p)
    judge, changed = gates.Gate.judge, []

    def judged(self: gates.Gate, *rest: object) -> object:
        verdict = judge(self, *rest)  # type: ignore[arg-type]
        if not changed:
            assert verdict.outcome == "allow"
            changed.append(p.put(Put("c", "Customer", {"note": "moved away"})))
        return verdict

    monkeypatch.setattr(gates.Gate, "judge", judged)
    p.run()
    assert p.one()["state"] == "expired"
    assert "c is at version 2, the proposal rests on 1" in str(p.one()["reason"])
    assert "note" not in p.store.get(["p"])["p"].properties


@pytest.mark.usefixtures("on_both")
def test_after_a_stop_nothing_begins_and_nothing_is_lost() -> None:
    """I11: the proposal waits, whatever happens, until the control is set to run."""
    p = plant()
    fall(p)
    p.runtime.pump()
    p.runtime.handle(p.queue.popleft())
    p.stop()
    p.run()
    p.later(3600)
    assert p.one()["state"] == "proposed"
    assert not p.store.find("Effect").items
    p.resume()
    p.run()
    assert p.one()["state"] == "applied", "released at once, not at the end of the wait"


@pytest.mark.usefixtures("on_both")
def test_a_stop_between_decision_and_commit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    p = plant()
    fall(p)
    judge = gates.Gate.judge

    def judged(self: gates.Gate, *rest: object) -> object:
        verdict = judge(self, *rest)  # type: ignore[arg-type]
        if not p.store.find("Control").items:
            p.stop("agent:buyer")
        return verdict

    monkeypatch.setattr(gates.Gate, "judge", judged)
    p.run()
    assert p.one()["state"] == "proposed"
    assert not p.store.find("PurchaseOrder").items


def test_a_stopped_agent_does_not_even_think() -> None:
    asked: list[str] = []

    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        asked.append(entity.id)
        return ()

    p = plant(acts={"buyer": act})
    p.stop("agent:buyer")
    fall(p)
    p.run()
    assert asked == []
    assert [row.value["held"] for row in p.store.scan("work", "act:")] == [True]
    p.resume("agent:buyer")
    p.run()
    assert asked == ["p"]


def test_the_higher_priority_wins_and_both_stay_on_record() -> None:
    p = rivals(note("hold", priority=2), note("offer", priority=1, confidence=Decimal("0.99")))
    assert states(p) == {"one": "applied", "two": "superseded"}
    loser = next(e for e in p.proposals() if e["state"] == "superseded")
    assert "higher priority, 2 against 1" in str(loser["reason"])
    (edge,) = p.store.expand([loser.id], "conflictsWith")[loser.id]
    assert edge.entity["agent"] == "one"


@pytest.mark.usefixtures("on_both")
def test_a_rival_that_ended_by_itself_before_the_commit_keeps_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """I3: the commit expects whom it beats as it was looked at; else what another had ended would be ended again."""
    cards = [card(name, Wake("Customer", properties=("name",))) for name in ("one", "two")]
    p = plant(cards, {"one": proposing(note("hold", priority=2)), "two": proposing(note("offer", priority=1))})
    commit, ended = p.store.commit, []

    def late(writes: Sequence[object], *more: object, **named: object) -> object:
        if not ended and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            (two,) = (e for e in p.proposals() if e["agent"] == "two")
            ended.append(p.put(Put(two.id, "Proposal", {"state": "expired"})))
        return commit(writes, *more, **named)

    monkeypatch.setattr(p.store, "commit", late)
    p.put(Put("c", "Customer", {"name": "c"}))
    p.run()
    assert ended
    assert states(p) == {"one": "applied", "two": "expired"}


def test_then_the_higher_confidence() -> None:
    p = rivals(note("hold", confidence=Decimal("0.7")), note("offer", confidence=Decimal("0.8")))
    assert states(p) == {"one": "superseded", "two": "applied"}


def test_an_agents_priority_counts() -> None:
    cards = [card(name, Wake("Customer", properties=("name",)), priority=n) for n, name in enumerate(("one", "two"))]
    p = plant(cards, {"one": proposing(note("hold")), "two": proposing(note("offer"))})
    p.put(Put("c", "Customer", {"name": "c"}))
    p.run()
    assert states(p) == {"one": "superseded", "two": "applied"}


def test_equal_ones_wait_for_a_person_who_chooses() -> None:
    p = rivals(note("hold", "held"), note("offer", "offered"))
    assert states(p) == {"one": "conflicted", "two": "conflicted"}
    chosen = next(e for e in p.proposals() if e["agent"] == "two")
    assert p.decisions(chosen.id)[-1]["required"] == ("conflict=manager:1",)
    p.runtime.dispatch.tasks["settle"] = replace(p.runtime.dispatch.tasks["settle"], choosers={"managers": 1})  # type: ignore[type-var, index]
    p.answer(chosen.id)
    p.run()
    assert states(p) == {"one": "superseded", "two": "applied"}
    assert p.store.get(["c"])["c"]["note"] == "offered"


def test_rejecting_one_of_two_frees_the_other() -> None:
    p = rivals(note("hold", "held"), note("offer", "offered"))
    one = next(e for e in p.proposals() if e["agent"] == "one")
    p.answer(one.id, verdict="reject")
    p.run()
    assert states(p) == {"one": "rejected", "two": "applied"}


def test_a_rival_that_the_rules_deny_beats_nobody() -> None:
    p = rivals(note("gift", priority=9), note("offer"))
    assert states(p) == {"one": "denied", "two": "applied"}


def test_compatible_operations_both_go_on() -> None:
    p = rivals(note("hold", compatible=("offer",)), note("offer"))
    assert states(p) == {"one": "applied", "two": "applied"}


def test_the_same_intent_again_is_superseded_and_news_supersedes() -> None:
    units = iter([1, 1, 2])

    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        order = Put(f"po-{change.position}", "PurchaseOrder", {"units": next(units)})
        return [
            Draft("order.create", "p", (order, Link(order.id, "orderedFor", "p")), amount=Money(Decimal(5000), "EUR"))
        ]

    p = plant([card("buyer", Wake("Product", properties=("stock",)))], {"buyer": act})
    for stock in (3, 2, 1):
        p.product("p", stock=stock)
        p.run()
    found = sorted(p.proposals(), key=lambda e: int(str(e["contextPosition"])))
    assert [e["state"] for e in found] == ["superseded", "superseded", "waiting_approval"]
    assert "already asks for the same" in str(found[1]["reason"])
    assert "newer facts" in str(found[0]["reason"])


def test_facts_that_no_longer_hold_let_a_proposal_expire() -> None:
    def act(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [Draft("note", "p", (Put("p", "Product", {"note": "x"}),), expects={"p": entity.version})]

    p = plant([card("buyer", Wake("Product", properties=("stock",), condition=low))], {"buyer": act})
    fall(p)
    p.runtime.pump()
    p.runtime.handle(p.queue.popleft())
    p.product("p", stock=40)
    p.run()
    assert p.one()["state"] == "expired"
    assert "the proposal rests on" in str(p.one()["reason"])


def test_a_target_that_is_gone_lets_it_expire() -> None:
    p = plant()
    fall(p)
    p.runtime.pump()
    p.runtime.handle(p.queue.popleft())
    p.put(Close("p"))
    p.run()
    assert p.one()["state"] == "expired"


@pytest.mark.parametrize(
    "write",
    [Put("x", "Role", {"name": "boss"}), Put("x", "Approval", {}), Close("rulebook"), Link("rulebook", "x", "p")],
    ids=["a role", "an approval", "the rule book closed", "the rule book linked"],
)
def test_no_agent_writes_what_belongs_to_the_platform(write: Put) -> None:
    p = plant(acts={"buyer": proposing(Draft("trick", "p", (write,)))})
    fall(p)
    p.run()
    assert p.one()["state"] == "denied"
    assert "belongs to the platform" in str(p.one()["reason"])


def test_a_forbid_on_anything_that_is_touched_counts() -> None:
    rule = '@id("no-orders") forbid(principal, action == Action::"apply", resource is PurchaseOrder);'
    p = plant(rules=[*_rules(), rule])
    fall(p)
    p.run()
    assert p.one()["state"] == "denied"
    assert "no-orders" in str(p.one()["reason"])


def test_what_is_there_already_is_not_changed_without_a_permit() -> None:
    only = '@id("products-only") permit(principal is Agent, action == Action::"apply", resource is Product);'
    p = plant(rules=[only], acts={"buyer": proposing(Draft("trick", "p", (Put("c", "Customer", {"name": "x"}),)))})
    p.put(Put("c", "Customer", {"name": "c"}))
    fall(p)
    p.run()
    assert p.one()["state"] == "denied"
    assert p.store.get(["c"])["c"]["name"] == "c"


def test_no_agent_takes_the_id_of_a_control_that_is_still_to_come() -> None:
    id = control_id("agent:newcomer")
    p = plant(acts={"buyer": proposing(Draft("trick", "p", (Put(id, "Product", {"stock": 1}),)))})
    fall(p)
    p.run()
    assert p.one()["state"] == "denied"
    assert id not in p.store.get([id])


def test_what_the_graph_refuses_fails_with_the_reason() -> None:
    p = plant(acts={"buyer": proposing(Draft("bad", "p", (Put("p", "Product", {"stock": "many"}),)))})
    fall(p)
    p.run()
    assert p.one()["state"] == "failed"
    assert "stock" in str(p.one()["reason"])
    assert not p.runtime.failures()


def test_a_disabled_agent_is_denied() -> None:
    p = plant()
    agent = p.store.find("Agent").items[0]
    p.put(Put(agent.id, "Agent", {"disabled": True}))
    fall(p)
    p.run()
    assert p.one()["state"] == "denied"
    assert "disabled" in str(p.one()["reason"])


def test_settling_again_changes_nothing() -> None:
    """I3: whatever message comes again, the record stays as it is."""
    p = plant()
    fall(p)
    p.run()
    head = p.store.head().position
    for row in p.store.scan("work", first=1_000):
        p.runtime.handle(row.key)
    p.runtime.settle(p.one().id)
    p.run()
    assert p.store.head().position == head


def test_an_ended_proposal_cannot_move() -> None:
    p = plant()
    fall(p)
    p.run()
    with pytest.raises(StateError, match="cannot become proposed"):
        Proposal(p.one()).move("proposed")
    ended = {state for state, following in MOVES.items() if not following}
    assert ended == {"applied", "simulated", "denied", "superseded", "rejected", "expired", "failed"}
