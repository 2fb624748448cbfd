"""Whether anything will happen by itself: nothing unread, nothing in hand, nothing due in time."""

from typing import Any

import pytest

from coordination import works as work
from coordination.runs.engine import Workflows
from kg.model import Cause, Put
from tests.runs.works import works

TEXT = "do: [{rest: {wait: {seconds: 10}}}, {on: {call: step, with: {}}}]"


def test_a_run_that_waits_is_still_until_its_timer_is_due() -> None:
    def step() -> dict[str, int]:
        return {}

    with works(Workflows(functions={"step": step})) as here:
        run = here.engine.start(here.register("flow", TEXT), {}, 'User::"anna"')
        assert not here.runtime.still(0), "the start is to be done"
        here.queue.clear()
        here.runtime.handle(f"run:{run}/0:start")
        assert not here.runtime.still(0), "nobody has read yet what it wrote"
        here.drain()
        assert here.runtime.still(9.9)
        assert not here.runtime.still(10.1), "a timer falls due"
        here.later(10)
        here.drain()
        assert here.runtime.still(1_000)


def test_what_was_put_aside_for_a_person_moves_nothing() -> None:
    with works() as here:
        here.drain()
        lost = work.Work("run:lost/0:x", "run", "lost/0", state=work.FAILED)
        here.store.commit([], None, state=[lost.first(work.micros(here.clock.now()))])
        assert here.runtime.still(1_000)


def test_what_ends_between_two_looks_left_a_change_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with works() as here:
        here.drain()
        now = work.micros(here.clock.now())
        here.store.commit([], None, state=[work.Work("run:held/0:x", "run", "held/0").first(now)])
        made = work.read(here.store, "run:held/0:x")
        assert made is not None
        held = made.claim(now, 300, "somebody")
        here.store.commit([], None, state=[held.write()])
        scan = here.store.scan

        def late(*arguments: Any, **named: Any) -> Any:
            monkeypatch.setattr(here.store, "scan", scan)
            cause = Cause(here.clock.id(), "test", 'Service::"test"')
            here.store.commit([Put("x", "Role", {"name": "x"})], cause, state=[held.committed().done().write()])
            return scan(*arguments, **named)

        monkeypatch.setattr(here.store, "scan", late)
        assert not here.runtime.still(0)


def test_what_a_worker_has_in_hand_will_come_to_something() -> None:
    with works() as here:
        here.drain()
        now = work.micros(here.clock.now())
        here.store.commit([], None, state=[work.Work("run:held/0:x", "run", "held/0").first(now)])
        made = work.read(here.store, "run:held/0:x")
        assert made is not None
        here.store.commit([], None, state=[made.claim(now, 300, "somebody").write()])
        assert not here.runtime.still(0)
