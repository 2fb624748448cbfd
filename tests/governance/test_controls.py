"""Controls: the kill switch and what it promises (I11)."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from governance.controls import STATES, change, control_id, ensure, expects, resume, scopes, standing, stop
from governance.errors import ControlError, DeniedError
from governance.principals import Principal
from kg.committer import Committer
from kg.errors import ConflictError
from kg.model import Cause, Entity, Kind, Op, Put, Where
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from kg.stores.sqlite_lock import FileLock
from tests.governance.conftest import EVERY_STORE
from tests.governance.world import book, ontology, user
from tests.parts import ManualClock


def intent(store: GraphStore, id: str, agent: str, department: str = "sales") -> None:
    allowed, held = expects(store, agent, department)
    assert allowed
    put = Put(id, "Effect", {"status": "intent", "agent": agent, "department": department})
    store.commit([put], Cause(f"cause-{id}", "effect.intent", f"Agent::{agent}"), held)


def test_an_intent_read_before_a_stop_cannot_commit_after_it(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    for scope in ("global", "agent:a", "department:sales"):
        allowed, held = expects(store, "a", "sales")
        assert allowed
        stop(store, clock, root, scope, "alarm")
        with pytest.raises(ConflictError):
            store.commit(
                [Put(f"e-{scope}", "Effect", {"status": "intent"})], Cause(f"c-{scope}", "x", "Agent::a"), held
            )
        assert expects(store, "a", "sales")[0] is False
        resume(store, clock, root, scope, "over")
        assert expects(store, "a", "sales")[0] is True


def test_a_stop_reaches_only_its_scope(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    stop(store, clock, root, "agent:a", "odd behaviour")
    assert expects(store, "a", "sales")[0] is False
    assert expects(store, "b", "sales")[0] is True
    stop(store, clock, root, "global", "all of it")
    assert expects(store, "b", "sales")[0] is False
    assert expects(store)[0] is False


@EVERY_STORE
def test_the_acknowledgement_lists_what_is_in_flight(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    intent(store, "e1", "a")
    intent(store, "e2", "b", "purchasing")
    store.commit([Put("e1", "Effect", {"status": "done"})], Cause("c-done", "receipt", "Agent::a"))
    intent(store, "e3", "a")
    assert [e.id for e in stop(store, clock, root, "agent:a", "alarm").intents] == ["e3"]
    assert [e.id for e in stop(store, clock, root, "department:purchasing", "alarm").intents] == ["e2"]
    everything = stop(store, clock, root, "global", "alarm")
    assert [e.id for e in everything.intents] == ["e2", "e3"]
    assert not everything.more
    store.commit([Put("e2", "Effect", {"status": "done"})], Cause("c-done2", "receipt", "Agent::b"))
    again = stop(store, clock, root, "global", "still")
    assert [e.id for e in again.intents] == ["e3"]


def test_stopping_twice_is_one_change(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    first = stop(store, clock, root, "global", "alarm")
    head = store.head().position
    assert stop(store, clock, root, "global", "alarm").position == head == first.position
    assert [v["state"] for v in store.history(control_id("global"))] == ["stop"]


def test_controls_exist_from_the_start_and_keep_their_state(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    wanted = scopes("a", "sales")
    assert wanted == ("global", "agent:a", "department:sales")
    stop(store, clock, root, "agent:a", "alarm")
    ensure(store, clock, root, wanted)
    ensure(store, clock, root, wanted)
    assert expects(store, "a", "sales") == (False, {control_id(scope): 1 for scope in wanted})
    assert expects(store, None, "sales")[0] is True


def test_a_state_that_is_not_in_the_table_lets_nothing_begin(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    ensure(store, clock, root)
    assert all(mode.following <= set(STATES) for mode in STATES.values())
    assert all("stop" in mode.following for state, mode in STATES.items() if state != "stop")
    assert [state for state, mode in STATES.items() if not mode.intents] == ["pause", "stop"]

    class Odd:
        """A store whose controls say what no table knows."""

        def __init__(self, **properties: Any) -> None:
            self.properties = properties

        def get(self, ids: list[str]) -> dict[str, Entity]:
            return {id: Entity(id, "Control", 1, self.properties, 1) for id in ids}

    assert standing(cast(GraphStore, Odd(state="paused")), ["global"]).held
    assert standing(cast(GraphStore, Odd()), ["global"]).held
    assert not standing(cast(GraphStore, Odd(state="run")), ["global"]).held


@pytest.mark.parametrize("state", [s for s in STATES if s != "run"])
def test_every_state_is_reached_from_run_and_left_to_run(
    store: GraphStore, clock: ManualClock, root: Principal, state: str
) -> None:
    rate = 5 if state == "throttle" else None
    done = change(store, clock, root, "workflow:test.flow", state, "try", per_minute=rate)
    assert (done.scope, done.state) == ("workflow:test.flow", state)
    said = standing(store, scopes("a", workflow="test.flow"))
    assert (bool(said.held), bool(said.shadow), [t[2] for t in said.throttles]) == (
        state in ("pause", "stop"),
        state == "shadow",
        [5] if state == "throttle" else [],
    )
    assert not standing(store, scopes("a", workflow="test.other", tool="webhook")).held
    resume(store, clock, root, "workflow:test.flow", "over")
    assert standing(store, scopes("a", workflow="test.flow")).throttles == ()


def test_what_may_not_follow_is_refused(store: GraphStore, clock: ManualClock, root: Principal) -> None:
    stop(store, clock, root, "tool:webhook", "alarm")
    for state in ("pause", "shadow", "throttle"):
        with pytest.raises(ControlError, match="is in state stop and cannot become"):
            change(store, clock, root, "tool:webhook", state, "no", per_minute=3 if state == "throttle" else None)
    for state, rate, said in (
        ("throttle", None, "goes with the state throttle"),
        ("pause", 3, "goes with the state throttle"),
        ("throttle", 0, "to let none, pause it"),
        ("throttle", 10**6, "to let none, pause it"),
        ("halt", None, "is no state of a control"),
    ):
        with pytest.raises(ControlError, match=said):
            change(store, clock, root, "global", state, "no", per_minute=rate)


def test_a_throttle_takes_another_rate_and_the_same_one_is_no_change(
    store: GraphStore, clock: ManualClock, root: Principal
) -> None:
    for rate in (5, 5, 7):
        change(store, clock, root, "global", "throttle", "slowly", per_minute=rate)
    assert [v["perMinute"] for v in store.history(control_id("global"))] == [5, 7]
    resume(store, clock, root, "global", "over")
    assert "perMinute" not in store.get([control_id("global")])[control_id("global")].properties


@pytest.mark.parametrize("scope", ["", "agent:", "agnt:a", "global ", "agent:a\nb", "department:" + "x" * 201])
def test_a_wrong_scope_is_refused(store: GraphStore, clock: ManualClock, root: Principal, scope: str) -> None:
    with pytest.raises(ControlError, match="is no scope"):
        stop(store, clock, root, scope, "alarm")
    with pytest.raises(ControlError, match="say it"):
        stop(store, clock, root, "global", " ")


@EVERY_STORE
def test_with_rules_who_may_stop_is_decided_and_recorded(people: GraphStore, clock: ManualClock) -> None:
    rules = book('@id("ops") permit(principal in Role::"admin", action == Action::"control", resource is Control);')
    with pytest.raises(DeniedError, match="may not set control global to stop"):
        stop(people, clock, user("dora", "clerk"), "global", "alarm", rules=rules)
    assert expects(people)[0] is True
    stop(people, clock, user("root", "admin"), "global", "alarm", rules=rules)
    assert expects(people)[0] is False
    found = people.find("Decision", [Where("action", Op.EQ, "control")]).items
    assert sorted(str(d["outcome"]) for d in found) == ["allow", "deny"]


class Worker(threading.Thread):
    """Commits intents as fast as it can until it is not allowed to after the stop was acknowledged."""

    def __init__(self, n: int, path: Path, begun: threading.Barrier, stopped: threading.Event) -> None:
        super().__init__()
        self.n, self.begun, self.stopped = n, begun, stopped
        self.store = SqliteStore(path, ontology(), ManualClock(seed=n), durable=False)
        self.error: BaseException | None = None

    def run(self) -> None:
        self.begun.wait()
        try:
            for count in range(400):
                allowed, held = expects(self.store, f"a{self.n}", "sales")
                if allowed:
                    self.intent(count, held)
                elif self.stopped.is_set():
                    return
        except BaseException as error:
            self.error = error

    def intent(self, count: int, held: dict[str, int]) -> None:
        put = Put(f"e{self.n}-{count}", "Effect", {"status": "intent", "agent": f"a{self.n}"})
        with contextlib.suppress(ConflictError):
            self.store.commit([put], Cause(f"c{self.n}-{count}", "effect.intent", f"Agent::a{self.n}"), held)


def test_a_stop_goes_before_the_work_that_waits(tmp_path: Path, clock: ManualClock, root: Principal) -> None:
    path = tmp_path / "graph.db"
    committer = Committer(SqliteStore(path, ontology(), clock, durable=False))
    positions: dict[str, int] = {}

    def until(waits: Callable[[], object]) -> None:
        for _ in range(30_000):
            if waits():
                return
            threading.Event().wait(0.001)
        raise AssertionError("nobody queued")

    def intend(id: str) -> None:
        put = Put(id, "Effect", {"status": "intent", "agent": "a"})
        positions[id] = committer.commit([put], Cause(f"c-{id}", "effect.intent", "Agent::a")).last

    def halt() -> None:
        positions["stop"] = stop(committer, clock, root, "global", "alarm").position

    threads = [threading.Thread(target=intend, args=(f"e{n}",)) for n in range(4)]
    # Another process writes meanwhile, so the first intent waits for its turn and the others for the first.
    with FileLock(path.with_name(path.name + ".lock"), 30).held():
        threads[0].start()
        # The wait in the kernel's queue is a thread of that name.
        until(lambda: any(thread.name == "store-lock" for thread in threading.enumerate()))
        for thread in threads[1:]:
            thread.start()
        until(lambda: len(committer._waiting) >= 2)
        threads.append(threading.Thread(target=halt))
        threads[-1].start()
        until(lambda: len(committer._urgent))
    for thread in threads:
        thread.join()
    committer.close()
    assert sum(position < positions["stop"] for position in positions.values()) <= 2, positions


def test_i11_after_an_acknowledged_stop_no_intent_commits_under_load(
    tmp_path: Path, clock: ManualClock, root: Principal
) -> None:
    path = tmp_path / "graph.db"
    begun, stopped = threading.Barrier(5), threading.Event()
    store = SqliteStore(path, ontology(), clock, durable=False)
    workers = [Worker(n, path, begun, stopped) for n in range(4)]
    for worker in workers:
        worker.start()
    begun.wait()
    while store.head().position < 20:
        pass
    acknowledged = stop(store, clock, root, "global", "alarm")
    stopped.set()
    for worker in workers:
        worker.join()
        assert worker.error is None
        worker.store.close()
    made = [c.position for c in store.changes(0) if c.cls == "Effect" and c.kind is Kind.CREATED]
    assert 15 <= len(made) < 1000
    assert max(made) < acknowledged.position
    assert len(acknowledged.intents) == len(made)
    store.close()
