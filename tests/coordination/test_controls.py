"""Controls over agents, tools and workflows: what they hold, what leaves in shadow, and how fast a throttle lets things begin."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from coordination.wakes import Wake
from governance.controls import Acknowledgement, change, control_id
from governance.throttles import room
from kg.model import Change, Entity, Kind, Put
from kg.store import GraphStore
from tests.coordination.plant import AUTHOR, RULES, Plant, Telling, card, number, plant, reorder
from tests.runs.works import Works, works

#: Whoever starts a run must be allowed what the run does.
MORE = (*RULES, '@id("starters") permit(principal in Role::"managers", action == Action::"apply", resource);')
WAKE = Wake("Ticket", on=frozenset({"created"}))


def control(p: Plant | Works, scope: str, state: str, rate: int | None = None) -> Acknowledgement:
    return change(p.store, p.clock, AUTHOR, scope, state, "test", per_minute=rate)


def notice(entity: Entity) -> Draft:
    return Draft("notice.send", entity.id, effector="telling", payload={"to": entity.id}, compatible=("notice.send",))


def tellers(*names: str) -> tuple[Any, dict[str, Any]]:
    def tell(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [notice(entity)]

    return [card(name, WAKE) for name in names], dict.fromkeys(names, tell)


def tickets(p: Plant, *ids: str) -> None:
    p.put(*(Put(id, "Ticket", {}) for id in ids))


def began(p: Plant) -> list[int]:
    """Positions at which effects began that leave."""
    ids = {e.id for e in p.store.find("Effect", first=1_000).items if not e.get("simulated")}
    return [c.position for c in p.store.changes(0, 100_000) if c.subject in ids and c.kind is Kind.CREATED]


@pytest.mark.parametrize("scope", ["global", "agent:buyer", "tool:graph"])
def test_in_shadow_all_is_decided_and_nothing_is_applied(scope: str) -> None:
    p = plant()
    control(p, scope, "shadow")
    p.product("p", stock=1)
    p.run()
    assert (p.one()["state"], p.one()["sandbox"]) == ("simulated", True)
    assert [d["outcome"] for d in p.decisions(p.one().id)] == ["allow"]
    assert number(p.store.get(["p"])["p"], "onOrder") == 0
    assert began(p) == []
    p.resume(scope)
    for stock in (20, 2):
        p.product("p", stock=stock)
        p.run()
    assert sorted(str(e["state"]) for e in p.proposals()) == ["applied", "simulated"]


def test_in_shadow_a_tool_is_asked_what_it_would_do() -> None:
    telling = Telling()
    cards, acts = tellers("teller")
    p = plant(cards, acts, effectors=[telling])
    control(p, "tool:telling", "shadow")
    tickets(p, "t")
    p.run()
    assert telling.told == []
    (effect,) = p.store.find("Effect").items
    assert (effect["status"], effect["simulated"], effect["receipt"]) == ("simulated", True, '{"would":{"to":"t"}}')


def test_in_shadow_nobody_is_asked() -> None:
    p = plant()
    control(p, "agent:buyer", "shadow")
    p.product("p", stock=9)
    p.run()
    assert p.one()["state"] == "simulated"
    assert "nobody is asked" in str(p.one()["reason"])
    assert [d["outcome"] for d in p.decisions(p.one().id)] == ["needs_approval"]
    assert not p.store.find("Effect").items


def test_a_shadow_stands_in_nobodys_way() -> None:
    cards = [
        card("buyer", Wake("Product", properties=("stock",))),
        card("rival", Wake("Product", properties=("stock",))),
    ]

    def better(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
        return [Draft("stock.note", entity.id, (Put(entity.id, "Product", {"note": "mine"}),), priority=9)]

    p = plant(cards, {"buyer": reorder, "rival": better})
    control(p, "agent:rival", "shadow")
    p.product("p", stock=1)
    p.run()
    states = {str(e["agent"]): e["state"] for e in p.proposals()}
    assert states == {"buyer": "applied", "rival": "simulated"}


@pytest.mark.parametrize("state", ["pause", "stop"])
def test_a_held_tool_waits_and_goes_on(state: str) -> None:
    telling = Telling()
    cards, acts = tellers("teller")
    p = plant(cards, acts, effectors=[telling])
    told = control(p, "tool:telling", state)
    tickets(p, "t")
    p.run()
    assert (p.one()["state"], telling.told) == ("proposed", [])
    p.resume("tool:telling")
    p.run()
    assert (p.one()["state"], len(telling.told)) == ("applied", 1)
    assert all(position > told.position for position in began(p))


def test_an_acknowledgement_lists_what_a_tool_and_a_workflow_have_on_their_way() -> None:
    with works(Workflows(), effectors=[Telling("http", faults=[OSError("later")] * 3)], rules=MORE) as here:
        here.start("do: [{h: {call: http, with: {method: post, endpoint: 'https://x.test/', body: {a: 1}}}}]", {})
        (effect,) = here.store.find("Effect").items
        assert effect["status"] == "intent"
        for scope, listed in (
            ("tool:http", [effect.id]),
            ("tool:smtp", []),
            ("workflow:test.flow", [effect.id]),
            ("workflow:test.other", []),
        ):
            assert [e.id for e in control(here, scope, "stop").intents] == listed


def test_a_throttle_lets_exactly_so_many_begin_in_any_minute() -> None:
    telling = Telling()
    cards, acts = tellers("a", "b")
    p = plant(cards, acts, effectors=[telling])
    control(p, "tool:telling", "throttle", 3)
    control(p, "agent:a", "throttle", 1)
    for n in range(4):
        tickets(p, f"t{n}")
    p.run()
    counts = [len(began(p))]
    by_a = [len([e for e in p.store.find("Effect").items if e["agent"] == "a"])]
    for _ in range(6):
        p.clock.advance(59.9)
        p.runtime.reconcile()
        p.run()
        before = len(began(p))
        p.later(0.2)
        counts.append(len(began(p)))
        by_a.append(len([e for e in p.store.find("Effect").items if e["agent"] == "a"]))
        assert before == counts[-2], "within sixty seconds no more begin than the throttle lets"
    assert max(b - a for a, b in pairwise(counts)) <= 3
    assert max(b - a for a, b in pairwise(by_a)) <= 1
    assert (counts[0], by_a[0], counts[-1]) == (3, 1, 8)


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("before", [0, 1], ids=["none yet", "one before"])
def test_one_that_begins_elsewhere_between_the_look_and_the_commit_is_counted(
    monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """I12: the moments are written at the revision that was read, so the last place goes to one of two."""
    p = plant()
    set_ = control(p, "agent:buyer", "throttle", 1 + before)
    throttles = [(control_id(set_.scope), set_.scope, 1 + before)]

    def elsewhere() -> None:
        commit([], None, state=room(p.store, p.clock.now(), throttles).rows)

    commit, others = p.store.commit, []

    def late(writes: Sequence[object], *more: object, **named: object) -> object:
        if not others and any(isinstance(write, Put) and write.cls == "Effect" for write in writes):
            others.append(elsewhere())
        return commit(writes, *more, **named)

    for _ in range(before):
        elsewhere()
    monkeypatch.setattr(p.store, "commit", late)
    p.product("p", stock=1)
    p.run()
    assert others
    assert (p.one()["state"], began(p)) == ("proposed", [])
    p.later(61)
    assert p.one()["state"] == "applied"


def test_a_clock_that_goes_back_delays_by_a_minute_at_most() -> None:
    p = plant()
    throttles = [("control-x", "global", 1)]
    first = room(p.store, p.clock.now(), throttles)
    p.store.commit([], None, state=first.rows)
    p.clock.jump(-59)
    assert room(p.store, p.clock.now(), throttles).seconds == 60, "clocks of processes may differ"
    p.clock.jump(-3600)
    assert not room(p.store, p.clock.now(), throttles).reason


def flow(here: Works) -> str:
    return here.start("do: [{a: {set: {x: 1}}}, {w: {wait: {seconds: 5}}}, {b: {set: {x: 2}}}]")


@pytest.mark.parametrize("scope", ["global", "workflow:test.flow", "agent:test.flow"])
@pytest.mark.parametrize("state", ["pause", "stop"])
def test_the_strands_of_a_held_workflow_wait(scope: str, state: str) -> None:
    with works() as here:
        run = flow(here)
        told = control(here, scope, state)
        here.later(6)
        steps = here.store.find("Step", first=100).items
        assert all(step.since < told.position for step in steps)
        change(here.store, here.clock, AUTHOR, scope, "run", "over")
        here.drain()
        assert here.output(run) == {"x": 2}
        assert here.rows() == {}


def test_a_control_over_another_workflow_holds_nobody_else() -> None:
    with works() as here:
        control(here, "workflow:test.other", "stop")
        run = flow(here)
        here.later(6)
        assert here.output(run) == {"x": 2}


class Late:
    """A store at which something happens just before the n-th commit that makes a step."""

    def __init__(self, store: Any, at: int, then: Callable[[], None]) -> None:
        self._store, self._at, self._then = store, at, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, writes: Any, cause: Any, expects: Any = None, state: Any = ()) -> Any:
        if cause is not None and cause.activity == "run.step":
            self._at -= 1
            if self._at == 0:
                self._then()
        return self._store.commit(writes, cause, expects, state)


@pytest.mark.usefixtures("on_both")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_i11_a_step_under_way_when_the_workflow_is_stopped_is_not_committed(at: int) -> None:
    with works(Workflows(functions={"one": lambda: 1})) as here:
        told: list[int] = []
        late: Any = Late(here.store, at, lambda: told.append(control(here, "workflow:test.flow", "stop").position))
        here.engine.driving.store = late
        # Two waits make three commits of steps, however many steps each of them holds.
        wait = "{wait: {seconds: 1}}"
        run = here.start(
            f"do: [{{a: {{call: one}}}}, {{v: {wait}}}, {{b: {{call: one}}}}, {{w: {wait}}}, {{c: {{set: {{x: 1}}}}}}]"
        )
        here.later(2)
        here.later(2)
        assert told
        made = [c.position for c in here.store.changes(0, 10_000) if c.cls in ("Step", "Run") and c.version]
        assert max(made) < told[0]
        change(here.store, here.clock, AUTHOR, "workflow:test.flow", "run", "over")
        here.drain()
        here.later(2)
        here.later(2)
        assert here.output(run) == {"x": 1}
        assert len({(s["reference"], s["number"]) for s in here.steps(run)}) == len(here.steps(run))
