"""Leases: one holder at a time writes, whatever the clocks say; what was given back is free at once."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from coordination import beats, leases, works
from coordination.bounds import Bounds
from coordination.feed import CURSOR
from coordination.reconciler import LEASE, Reconciler
from coordination.runtime import Runtime
from coordination.works import Work, micros
from kg.errors import ConflictError
from kg.model import Cause, Put, StateWrite
from tests.coordination.plant import Scripted, card, ontology
from tests.oracles.graph import DictStore
from tests.parts import FreeSchema, ManualClock


class Case:
    """A store and two processes whose clocks may differ."""

    def __init__(self) -> None:
        self.one, self.two = ManualClock(), ManualClock(seed=8)
        self.store = DictStore(FreeSchema(), self.one)

    def claim(self, clock: ManualClock, holder: str) -> StateWrite | None:
        return leases.claim(leases.read(self.store, "x"), "x", holder, micros(clock.now()), 2.0)

    def put(self, write: StateWrite | None) -> None:
        assert write is not None
        self.store.commit([], None, state=[write])


def test_who_holds_it_keeps_others_out_until_it_runs_out() -> None:
    case = Case()
    case.put(case.claim(case.one, "a"))
    assert case.claim(case.two, "b") is None
    case.two.advance(2.0)
    case.put(case.claim(case.two, "b"))
    assert case.claim(case.one, "a") is None, "a clock that is a little behind takes nothing back"


def test_a_holder_that_was_paused_beyond_its_time_writes_nothing() -> None:
    case = Case()
    case.put(case.claim(case.one, "a"))
    late = case.claim(case.one, "a")
    case.two.advance(3.0)
    case.put(case.claim(case.two, "b"))
    with pytest.raises(ConflictError):
        case.put(late)


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_clock_that_jumps_makes_two_that_believe_and_one_that_writes(seconds: float) -> None:
    case = Case()
    case.put(case.claim(case.one, "a"))
    mine = case.claim(case.one, "a")
    case.two.jump(seconds)
    other = case.claim(case.two, "b")
    assert mine is not None
    assert other is not None, "the jump makes the second believe"
    case.put(other)
    with pytest.raises(ConflictError):
        case.put(mine)


def test_what_is_given_back_is_free_at_once_and_its_revisions_go_on() -> None:
    case = Case()
    case.put(case.claim(case.one, "a"))
    late = case.claim(case.one, "a")
    leases.release(case.store, case.one, "x", "a")
    case.put(case.claim(case.two, "b"))
    leases.release(case.store, case.two, "x", "a")
    assert not leases.keep(case.store, case.one, "x", "c", 2.0), "only the holder gives it back"
    with pytest.raises(ConflictError):
        case.put(late)
    row = leases.read(case.store, "x")
    assert row is not None
    assert row.revision == 3


def test_keeping_writes_at_the_half_of_its_time() -> None:
    case = Case()
    for _ in range(3):
        assert leases.keep(case.store, case.one, "x", "a", 2.0)
        assert leases.keep(case.store, case.one, "x", "a", 2.0)
        case.one.advance(1.0)
    row = leases.read(case.store, "x")
    assert row is not None
    assert row.revision == 3


BOUNDS = Bounds(resend_seconds=5.0, resend_max_seconds=40.0)


class Two:
    """Two reconcilers over one store, and what each sent."""

    def __init__(self, count: int = 3) -> None:
        self.clock = ManualClock()
        self.store = DictStore(FreeSchema(), self.clock)
        self.sent: list[str] = []
        made = [Work(f"w{n}", "t", "s") for n in range(count)]
        self.store.commit([], None, state=works.new(self.store, self.clock, made))
        self.one, self.two = (self.reconciler(name) for name in "ab")

    def reconciler(self, name: str) -> Reconciler:
        return Reconciler(self.store, self.clock, BOUNDS, lambda work: not self.sent.append(work), name)


def test_of_two_reconcilers_one_sends() -> None:
    two = Two()
    two.clock.advance(6)
    assert (two.one.step(), two.two.step(), two.one.step()) == (3, 0, 0)
    assert (two.one.leading, two.two.leading) == (True, False)
    two.one.release()
    two.clock.advance(6)
    assert (two.two.step(), two.one.step()) == (3, 0)


def test_a_reconciler_that_was_overtaken_sends_nothing() -> None:
    two = Two()
    two.clock.advance(6)
    scan = two.store.scan

    def slow(*args: object, **kwargs: object) -> object:
        rows = scan(*args, **kwargs)  # type: ignore[arg-type]
        if args[0] == works.KIND and two.store.scan is not scan:
            two.store.scan = scan  # type: ignore[method-assign]
            two.clock.advance(BOUNDS.reconcile_lease_seconds + 1)
            assert two.two.step() == 3
        return rows

    two.store.scan = slow  # type: ignore[method-assign,assignment]
    assert two.one.step() == 0
    assert two.sent == ["w0", "w1", "w2"]


def test_fresh_work_is_left_to_who_made_it_and_untaken_work_comes_ever_more_rarely() -> None:
    two = Two(count=1)
    sent = []
    for _ in range(200):
        two.clock.advance(1)
        if two.one.step():
            sent.append(round(two.clock.monotonic()))
    gaps = [b - a for a, b in pairwise(sent)]
    assert sent[0] == 5
    assert gaps == sorted(gaps)
    assert max(gaps) in range(39, 42)


def test_work_that_nobody_takes_keeps_nothing_else_from_being_sent() -> None:
    two = Two(count=0)
    two.one.bounds = replace(BOUNDS, reconcile_batch=5)
    made = [Work(f"stuck{n}", "t", "s") for n in range(20)]
    two.store.commit([], None, state=works.new(two.store, two.clock, made))
    two.clock.advance(1)
    two.store.commit([], None, state=works.new(two.store, two.clock, [Work("later", "t", "s")]))
    for _ in range(12):
        two.clock.advance(1)
        two.one.step()
    assert "later" in two.sent


def claimed(two: Two, id: str, holder: str) -> None:
    """Let a process hold work for a second."""
    row = works.read(two.store, id)
    assert row is not None
    two.store.commit([], None, state=[row.claim(works.micros(two.clock.now()), 1.0, holder).write()])


def test_claims_of_the_dead_that_nobody_takes_over_keep_nothing_else_from_being_sent() -> None:
    two = Two(count=20)
    two.one.bounds = replace(BOUNDS, reconcile_batch=5)
    for n in range(20):
        claimed(two, f"w{n}", "dead")
    two.clock.advance(2)
    two.store.commit([], None, state=works.new(two.store, two.clock, [Work("later", "t", "s")]))
    for _ in range(12):
        two.clock.advance(1)
        two.one.step()
    assert "later" in two.sent
    assert {f"w{n}" for n in range(20)} < set(two.sent)
    gaps = Counter(two.sent)
    assert max(gaps.values()) <= 3, "what was sent stands back"
    taken = works.read(two.store, "w0")
    assert taken is not None
    assert taken.open_at(works.micros(two.clock.now())), "and may be taken over all the while"


def test_a_claim_that_ran_out_is_not_taken_from_a_holder_that_lives_by_sending_it_again() -> None:
    two = Two(count=1)
    claimed(two, "w0", "late")
    held = works.read(two.store, "w0")
    assert held is not None
    two.clock.advance(6)
    two.store.commit([], None, state=[beats.beat(two.clock, "late", 60.0)])
    assert two.one.step() == 1
    two.store.commit([], None, state=[held.done().write()])


def test_a_broker_that_is_away_costs_one_try_a_step_and_no_message() -> None:
    two = Two()
    two.clock.advance(6)
    there = [False]
    tried: list[str] = []

    def send(id: str) -> bool:
        tried.append(id)
        return there[0]

    two.one.send = send
    assert (two.one.step(), len(tried)) == (0, 1)
    assert (two.one.step(), len(tried)) == (0, 2)
    there[0] = True
    assert two.one.step() == 3
    assert LEASE == "reconciler"


def test_two_feeds_whose_clocks_differ_by_an_hour_make_each_work_once() -> None:
    """Clock jumps make two readers that both believe to lead; the cursor moves once for each change."""
    clock = ManualClock()
    store = DictStore(ontology(), clock)
    from coordination.wakes import Wake

    cards = {"watcher": card("watcher", Wake("Product"))}
    made: list[str] = []
    runtimes = []
    for name, ahead in (("a", 0.0), ("b", 3600.0)):
        own = ManualClock(seed=9)
        own.jump(ahead)
        acting = Scripted(store, cards, {"watcher": lambda *_: ()})
        runtimes.append(Runtime(store, own, ontology(), acting, (), made.append, holder=name))
    for n in range(30):
        store.commit([Put(f"p{n}", "Product", {"stock": n})], Cause(clock.id(), "ingest", 'Service::"x"'))
        for runtime in runtimes:
            runtime.pump()
    assert store.state(*CURSOR[:1], [CURSOR[1]])[CURSOR[1]].value == store.head().position
    assert len(made) == len(set(made)) == 30
