"""The scheduler itself: a seed is a whole run, a dead worker's calls are refused, and an error is not swallowed."""

import pytest

from coordination.testing.scheduler import Chances, CrashedError, Life, LifeClock, Port, Scheduler
from tests.parts import ManualClock
from tests.simulation.world import World


def record(seed: int) -> list[object]:
    world = World(seed)
    world.run()
    return [world.scheduler.turns, *world.store.changes(0, 100_000)]


def test_a_seed_is_the_same_run_again_and_another_is_not() -> None:
    assert record(3) == record(3) != record(4)


def test_after_a_crash_nothing_is_answered_any_more() -> None:
    scheduler = Scheduler(1, Chances(0, 1, 0, 0))
    told: list[str] = []
    refused: list[str] = []

    def body(life: Life) -> None:
        port = Port(scheduler, life, told)
        clock = LifeClock(scheduler, life, ManualClock())
        try:
            port.append("never")
        finally:
            with pytest.raises(CrashedError):
                port.append("tidying up")
            with pytest.raises(CrashedError):
                clock.now()
            refused.append("both")

    scheduler.run({"one": body})
    assert told == []
    assert refused == ["both"]


def test_a_crash_after_the_call_leaves_what_it_did() -> None:
    scheduler = Scheduler(1, Chances(0, 0, 1, 0))
    told: list[str] = []
    scheduler.run({"one": lambda life: Port(scheduler, life, told).append("done")})
    assert told == ["done"]


def test_the_first_error_ends_the_run() -> None:
    scheduler = Scheduler(1, Chances(1, 0, 0, 0))

    def fail(life: Life) -> None:
        scheduler.pass_on(life)
        raise ValueError("found")

    def endless(life: Life) -> None:
        while True:
            scheduler.call(life, int)

    with pytest.raises(ValueError, match="found"):
        scheduler.run({"endless": endless, "failing": fail})
