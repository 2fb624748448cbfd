"""A strand is in one worker's hands: of two pieces of work that wake it at once, one asks its function."""

from dataclasses import replace

import pytest

from coordination import works as work
from coordination.beats import beat
from coordination.runs.engine import Workflows
from coordination.works import READY, Work
from tests.runs.works import Works, works

TEXT = "do: [{rest: {wait: {seconds: 10}}}, {on: {call: step, with: {}}}, {more: {call: step, with: {}}}]"


def _also(here: Works, run: str) -> Work:
    """A second wake of the run's first strand, as a doubled event makes one."""
    (row,) = here.store.scan("strand", prefix=f"{run}/")
    other = Work(f"run:{row.key}:again", "run", row.key)
    here.store.commit([], None, state=work.new(here.store, here.clock, [other]))
    return other


@pytest.mark.parametrize(("taken", "waits"), [(0.0, 0.02), (3.0, 1.5), (60.0, 5.0)])
def test_while_one_worker_asks_a_function_no_other_does(taken: float, waits: float) -> None:
    asked: list[str] = []
    found: list[tuple[str, int, float]] = []

    def step() -> dict[str, int]:
        asked.append("step")
        if len(asked) == 1:
            here.clock.advance(taken)
            here.runtime.handle(other.id)
            read = work.read(here.store, other.id)
            assert read is not None
            found.append((read.state, read.attempts, (read.until - read.since) / 1_000_000))
        return {"asked": len(asked)}

    with works(Workflows(functions={"step": step})) as here:
        run = here.start(TEXT)
        other = _also(here, run)
        here.clock.advance(10)
        here.queue.append(f"run:{other.subject}:t1")
        here.drain()
        assert found == [(READY, 0, waits)]
        here.later(waits)
        assert here.output(run) == {"asked": 2}
        assert asked == ["step", "step"]
        assert here.rows() == {}


class KilledError(BaseException):
    """The process ends here, as with SIGKILL: nothing is put back."""


@pytest.mark.parametrize("beats", [True, False])
def test_only_the_living_keep_others_waiting(beats: bool) -> None:
    asked: list[str] = []

    def step() -> dict[str, int]:
        asked.append("step")
        if len(asked) == 1:
            raise KilledError
        return {"asked": len(asked)}

    with works(Workflows(functions={"step": step})) as here:
        run = here.start(TEXT)
        other = _also(here, run)
        here.clock.advance(10)
        here.runtime.dispatch = replace(here.runtime.dispatch, holder="first")
        with pytest.raises(KilledError):
            here.runtime.handle(f"run:{other.subject}:t1")
        if beats:
            here.store.commit([], None, state=[beat(here.clock, "first", 600)])
        here.runtime.dispatch = replace(here.runtime.dispatch, holder="second")
        here.runtime.handle(other.id)
        assert len(asked) == (1 if beats else 3)
        assert here.run(run).state == ("running" if beats else "completed")


def test_a_worker_that_commits_before_it_asks_looks_too() -> None:
    """One process knows the function as quick and asks it before its first commit, the other asks it after."""
    asked: list[str] = []
    taken: list[str] = []

    def step() -> dict[str, int]:
        asked.append("step")
        if len(asked) == 1:
            here.engine.driving.taken.clear()
            here.runtime.handle(other.id)
            taken.extend(asked)
        return {"asked": len(asked)}

    with works(Workflows(functions={"step": step})) as here:
        run = here.start(TEXT)
        other = _also(here, run)
        here.clock.advance(10)
        here.engine.driving.taken["step"] = 0.001
        here.runtime.handle(f"run:{other.subject}:t1")
        assert taken == ["step"]
