"""Signs of life: what a dead process held is taken over soon, what a living one holds is left to it, however long it takes."""

import pytest

from coordination import works
from coordination.beats import beat, ended, forgotten, living
from coordination.bounds import Bounds
from coordination.dispatch import Dispatch
from coordination.reconciler import Reconciler
from coordination.works import Work, micros
from kg.errors import ConflictError
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock

BOUNDS = Bounds(beat_lease_seconds=5.0, work_lease_seconds=300.0)


class Finishing:
    """A task that does its work at once."""

    def __init__(self, store: DictStore) -> None:
        self.store = store
        self.runs = 0

    def run(self, work: Work) -> list[str]:
        self.runs += 1
        self.store.commit([], None, state=[work.done().write()])
        return []

    def abandon(self, work: Work, reason: str) -> list[str]:
        raise AssertionError(reason)


class Case:
    """Work that process `first` claimed and did not finish."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = DictStore(FreeSchema(), self.clock)
        self.task = Finishing(self.store)
        self.store.commit([], None, state=[beat(self.clock, "first", BOUNDS.beat_lease_seconds)])
        self.store.commit([], None, state=works.new(self.store, self.clock, [Work("w1", "t", "subject")]))
        self.held = self.read().claim(micros(self.clock.now()), BOUNDS.work_lease_seconds, "first")
        self.store.commit([], None, state=[self.held.write()])
        self.sent: list[str] = []

    def read(self) -> Work:
        work = works.read(self.store, "w1")
        assert work is not None
        return work

    def handle(self) -> int:
        Dispatch(self.store, self.clock, BOUNDS, {"t": self.task}, "second").handle("w1")
        return self.task.runs

    def reconcile(self) -> int:
        return Reconciler(self.store, self.clock, BOUNDS, lambda work: not self.sent.append(work)).step()


def test_what_a_living_process_holds_is_left_to_it() -> None:
    case = Case()
    for _ in range(20):
        case.clock.advance(4)
        case.store.commit([], None, state=[beat(case.clock, "first", BOUNDS.beat_lease_seconds)])
        assert (case.handle(), case.reconcile()) == (0, 0)


def test_what_a_dead_process_held_is_taken_over_soon_and_its_late_write_refused() -> None:
    case = Case()
    case.clock.advance(BOUNDS.beat_lease_seconds + 0.1)
    assert case.reconcile() == 1
    assert case.handle() == 1
    assert case.read().state == works.DONE
    with pytest.raises(ConflictError):
        case.store.commit([], None, state=[case.held.committed().done().write()])


@pytest.mark.parametrize(("behind", "runs"), [(0.01, 0), (4.0, 0), (6.0, 1)])
def test_what_a_process_with_a_clock_a_little_ahead_holds_is_left_to_it(behind: float, runs: int) -> None:
    case = Case()
    case.clock.jump(-behind)
    assert (case.reconcile(), case.handle()) == (runs, runs)


def test_a_process_whose_beats_are_late_takes_nothing_over_from_itself() -> None:
    case = Case()
    case.clock.advance(BOUNDS.beat_lease_seconds + 0.1)
    again = Dispatch(case.store, case.clock, BOUNDS, {"t": case.task}, "first")
    again.handle("w1")
    sent: list[str] = []
    Reconciler(case.store, case.clock, BOUNDS, lambda work: not sent.append(work), "first").step()
    assert (case.task.runs, sent) == (0, [])
    case.clock.advance(BOUNDS.work_lease_seconds)
    again.handle("w1")
    assert case.task.runs == 1


def test_a_process_that_ends_in_order_leaves_its_work_at_once() -> None:
    case = Case()
    case.store.commit([], None, state=[ended("first")])
    assert case.handle() == 1


def test_a_living_process_that_never_finishes_is_taken_over_when_the_claim_runs_out() -> None:
    case = Case()
    case.clock.advance(BOUNDS.work_lease_seconds)
    case.store.commit([], None, state=[beat(case.clock, "first", BOUNDS.beat_lease_seconds)])
    assert case.handle() == 1


def test_rows_of_processes_gone_long_ago_are_dropped() -> None:
    case = Case()
    case.store.commit([], None, state=[beat(case.clock, "second", BOUNDS.beat_lease_seconds)])
    case.clock.advance(4_000)
    case.store.commit([], None, state=[beat(case.clock, "third", BOUNDS.beat_lease_seconds)])
    case.store.commit([], None, state=forgotten(case.store, micros(case.clock.now())))
    assert case.store.state("worker", ["first", "second", "third"]).keys() == {"third"}
    assert living(case.store, case.clock) == {"third"}
    assert living(case.store, case.clock, "fourth") == {"third", "fourth"}, "before its first beat too"
