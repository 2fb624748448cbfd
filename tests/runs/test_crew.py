"""Runs whose strands take turns in one thread: the same outputs and steps as one by one, and a function without end holds up its
own run alone.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coordination import works as work
from coordination.brokers import carrier
from coordination.errors import StateError
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.worker import Worker
from kg.clock import SystemClock
from kg.committer import Committer
from kg.fibers import Crew
from kg.model import Op, Where
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import AUTHOR, RULES, Scripted, ontology, populate
from tests.runs.works import ANNA, STARTERS_MAY, document

SECONDS = 120
STUCK_SECONDS = 0.3
#: A fork that many branches end at once, a loop, an expression that only the child process can do, a caught fault, a run in a run.
TEXT = """
do:
  - all:
      fork:
        branches:
          - one: {call: add, with: {x: '${ .x }', y: 1}}
          - two: {call: add, with: {x: '${ .x }', y: 2}}
          - three: {do: [{a: {call: add, with: {x: 0, y: 3}}}, {b: {set: '${ [.x, 4] | add }'}}]}
  - sum: {set: '${ map(if type == "object" then .x else . end) | add }'}
  - each:
      for: {each: n, in: '${ [1, 2, 3] }'}
      do: [{more: {call: add, with: {x: '${ if type == "object" then .x else . end }', y: '${ $n }'}}}]
  - risky: {try: [{fails: {call: broken, with: {}}}], catch: {do: [{mend: {set: '${ {x: ($input.x // .x)} }'}}]}}
  - below: {run: {workflow: {namespace: test, name: child, version: '1.0.0', input: '${ . }'}}}
"""
CHILD = "do: [{twice: {call: add, with: {x: '${ .x }', y: '${ .x }'}}}]"


@dataclass
class House:
    """One process at work over an SQLite file, whose runs take turns."""

    store: Committer
    runtime: Runtime
    worker: Worker

    def register(self, name: str, text: str) -> str:
        return self.runtime.engine.register(document(name, text), AUTHOR, ("agents",))

    def ended(self, runs: list[str]) -> list[Any]:
        end = time.monotonic() + SECONDS
        while not all(self.runtime.engine.run(run).ended for run in runs):
            assert time.monotonic() < end, [self.runtime.engine.run(run).state for run in runs]
            time.sleep(0.01)
        return [self.runtime.engine.output(run) for run in runs]

    def steps(self, run: str) -> list[str]:
        return sorted(
            str(step["task"]) for step in self.store.find("Step", [Where("run", Op.EQ, run)], first=100).items
        )


@contextmanager
def house(path: Path, functions: dict[str, Callable[..., Any]], crew: bool = True) -> Iterator[House]:
    clock = SystemClock()
    store = Committer(SqliteStore(path / "graph.db", ontology(), clock, durable=False))
    populate(store, clock, [], (*RULES, STARTERS_MAY))

    def handle(id: str) -> None:
        runtime.handle(id)

    carried = carrier(handle, None, 8)
    runtime = Runtime(
        store, clock, ontology(), Scripted(store, {}, {}), (), carried.enqueue, holder=clock.id(),
        workflows=Workflows(functions=functions), crew=Crew(store, stuck_seconds=STUCK_SECONDS) if crew else None,
    )  # fmt: skip
    worker = Worker(runtime, carried, interval_seconds=0.1)
    store.on_commit(worker.notify)
    worker.start()
    try:
        yield House(store, runtime, worker)
    finally:
        worker.stop()
        runtime.close()
        store.close()


def add(x: int, y: int) -> dict[str, int]:
    return {"x": x + y}


def broken() -> None:
    raise LookupError("nothing there")


FUNCTIONS: dict[str, Callable[..., Any]] = {"add": add, "broken": broken}


@pytest.mark.parametrize("crew", [True, False])
def test_what_takes_turns_comes_to_the_same(tmp_path: Path, crew: bool) -> None:
    with house(tmp_path, FUNCTIONS, crew) as here:
        here.register("child", CHILD)
        workflow = here.register("flow", TEXT)
        runs = here.runtime.engine.start_each(workflow, {f"r{n}": {"x": n} for n in range(12)}, ANNA)
        assert here.ended(runs) == [{"x": 2 * (2 * n + 1 + 2 + 7 + 6)} for n in range(12)]
        assert {tuple(here.steps(run)) for run in runs} == {tuple(here.steps("r0"))}
        assert here.store.verify() == here.store.head().position
        assert not here.store.scan("strand", first=10)


def test_a_function_that_does_not_come_back_holds_up_its_own_run_alone(tmp_path: Path) -> None:
    free, entered = threading.Event(), threading.Event()

    def step(x: int) -> dict[str, int]:
        if x < 0:
            entered.set()
            assert free.wait(SECONDS)
        return {"x": x + 1}

    text = "do: [{a: {call: step, with: {x: '${ .x }'}}}, {b: {call: step, with: {x: '${ .x + 1 }'}}}]"
    with house(tmp_path, {"step": step}) as here:
        workflow = here.register("flow", text)
        assert here.ended(here.runtime.engine.start_each(workflow, {"warm": {"x": 1}}, ANNA)) == [{"x": 4}]
        assert here.runtime.engine.start(workflow, {"x": -5}, ANNA, id="slow") == "slow"
        assert entered.wait(SECONDS)
        others = here.runtime.engine.start_each(workflow, {f"r{n}": {"x": n} for n in range(20)}, ANNA)
        assert here.ended(others) == [{"x": n + 3} for n in range(20)]
        assert not here.runtime.engine.run("slow").ended
        free.set()
        assert here.ended(["slow"]) == [{"x": -2}]
        assert [here.steps(run) for run in ("slow", *others)] == [["a", "b"]] * 21


def test_work_that_is_put_back_is_done_once(tmp_path: Path) -> None:
    with house(tmp_path, FUNCTIONS) as here:
        dispatch, clock = here.runtime.dispatch, here.runtime.clock
        fresh = work.Work("run:none/0:x", "run", "none/0")
        here.store.commit([], None, state=work.new(here.store, clock, [fresh]))
        assert dispatch.put_back(fresh.id) == [fresh.id]
        read = work.read(here.store, fresh.id)
        assert read is not None
        here.store.commit([], None, state=[read.claim(work.micros(clock.now()), 300, dispatch.holder).write()])
        assert dispatch.put_back(fresh.id) == [fresh.id]
        again = work.read(here.store, fresh.id)
        assert again is not None
        assert (again.state, again.attempts, again.open_at(work.micros(clock.now()))) == (work.READY, 0, True)
        here.store.commit([], None, state=[again.claim(work.micros(clock.now()), 300, "another").write()])
        assert dispatch.put_back(fresh.id) == [], "what another process has is its own"
        assert dispatch.put_back("run:never/0:x") == []


def test_many_starts_are_as_one_by_one(tmp_path: Path) -> None:
    with house(tmp_path, FUNCTIONS) as here:
        engine, workflow = here.runtime.engine, here.register("child", CHILD)
        inputs = {f"r{n}": {"x": n} for n in range(150)}
        assert engine.start_each(workflow, inputs, ANNA) == list(inputs)
        assert engine.start_each(workflow, inputs, ANNA) == list(inputs), "started before, found now"
        assert here.ended(list(inputs)) == [{"x": 2 * n} for n in range(150)]
        with pytest.raises(StateError, match="'r3'"):
            engine.start_each(workflow, {"new": {"x": 1}, "r3": {"x": 99}, "newer": {"x": 2}}, ANNA)
        assert here.ended(["new", "newer"]) == [{"x": 2}, {"x": 4}]
        with pytest.raises(StateError, match="slash"):
            engine.start_each(workflow, {"fine": {"x": 1}, "a/b": {"x": 2}}, ANNA)
        assert not here.store.get(["fine"]), "nothing starts where one cannot"
