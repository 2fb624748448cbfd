"""When the reconciler looks again: at the next due time, and at once for what fell due while it looked."""

from coordination import works
from coordination.bounds import Bounds
from coordination.reconciler import Reconciler
from coordination.works import Work, micros
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock


def test_what_falls_due_between_a_look_and_the_question_when_to_look_again_is_due_at_once() -> None:
    clock = ManualClock()
    store = DictStore(FreeSchema(), clock)
    sent: list[str] = []
    reconciler = Reconciler(store, clock, Bounds(), lambda work: not sent.append(work))
    now = micros(clock.now())
    timers = [Work(f"w{seconds}", "t", "subject", until=now + seconds * 1_000_000) for seconds in (2, 9)]
    store.commit([], None, state=works.new(store, clock, timers))
    assert reconciler.step() == 0
    assert reconciler.next_due_seconds() == 2.0
    # Its wait ends after the look; whoever then asks must not be told of the timer behind it.
    clock.advance(3)
    assert reconciler.next_due_seconds() == 0.0
    assert reconciler.step() == 1
    assert sent == ["w2"]
    assert reconciler.next_due_seconds() == 6.0


def test_work_that_its_maker_sent_calls_for_no_look() -> None:
    clock = ManualClock()
    store = DictStore(FreeSchema(), clock)
    reconciler = Reconciler(store, clock, Bounds(), lambda _: True)
    reconciler.step()
    clock.advance(1)
    store.commit([], None, state=works.new(store, clock, [Work("w", "t", "subject")]))
    assert reconciler.next_due_seconds() is None


def test_a_broker_that_is_away_does_not_make_it_look_without_rest() -> None:
    clock = ManualClock()
    store = DictStore(FreeSchema(), clock)
    there = True
    sent: list[str] = []
    reconciler = Reconciler(store, clock, Bounds(), lambda work: there and not sent.append(work))
    now = micros(clock.now())
    timers = [Work(f"w{seconds}", "t", "subject", until=now + seconds * 1_000_000) for seconds in (2, 9)]
    store.commit([], None, state=works.new(store, clock, timers))
    reconciler.missed("earlier")
    there = False
    clock.advance(3)
    for _ in range(3):
        assert reconciler.step() == 0
        assert reconciler.next_due_seconds() == 6.0, "what fell due during the outage does not call for a look at once"
    there = True
    assert reconciler.step() == 2
    assert sent == ["earlier", "w2"]
