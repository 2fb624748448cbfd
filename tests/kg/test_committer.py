"""The committer: each caller gets its own result, whatever happens to the others, to the group or to the caller."""

import ctypes
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from kg.committer import GROUP_REQUESTS_MAX, Committer
from kg.errors import ConflictError, ShapeError, StoreError, StoreFullError
from kg.model import Cause, Commit, Put
from kg.promises import undisturbed
from kg.store import Request
from kg.stores.sqlite import SqliteStore
from kg.values import Value
from tests.parts import FreeSchema, ManualClock


class Gate:
    """Holds the committer's thread inside a commit until opened, so that tests see a queue."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def check(self, cls: str, properties: Mapping[str, Value]) -> None:
        if properties.get("gate"):
            self.entered.set()
            assert self.opened.wait(30)
        if properties.get("bad"):
            raise ShapeError("bad is not allowed")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def store(tmp_path: Path, gate: Gate) -> SqliteStore:
    return SqliteStore(tmp_path / "graph.db", FreeSchema(check=gate.check), ManualClock(), durable=False)


@pytest.fixture
def committer(store: SqliteStore, gate: Gate) -> Iterator[Committer]:
    made = Committer(store)
    yield made
    gate.opened.set()
    made.close()


def cause(id: str) -> Cause:
    return Cause(id, "test", "Service")


def ask(committer: Committer, id: str, outcomes: dict[str, object], **values: Value) -> threading.Thread:
    def run() -> None:
        try:
            outcomes[id] = committer.commit([Put(id, "Thing", values)], cause(id))
        except Exception as error:
            outcomes[id] = error

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for_queue(committer: Committer, count: int, urgent: bool = False) -> None:
    for _ in range(30_000):
        with committer._changed:
            if len(committer._urgent if urgent else committer._waiting) >= count:
                return
            committer._changed.wait(0.001)
    raise AssertionError("the callers never queued")


def test_callers_that_wait_are_grouped_and_each_has_its_own_result(committer: Committer, gate: Gate) -> None:
    outcomes: dict[str, object] = {}
    heard: list[int] = []
    committer.on_commit(heard.append)
    threads = [ask(committer, "first", outcomes, gate=True)]
    assert gate.entered.wait(30)
    threads += [ask(committer, f"t{n}", outcomes, bad=n == 3) for n in range(8)]
    wait_for_queue(committer, 8)
    gate.opened.set()
    for thread in threads:
        thread.join(30)
    assert isinstance(outcomes.pop("t3"), ShapeError)
    positions = sorted(one.last for one in outcomes.values() if isinstance(one, Commit))
    assert positions == list(range(1, 9))
    assert heard == [1, 8]


def test_a_group_is_bounded(committer: Committer, gate: Gate) -> None:
    outcomes: dict[str, object] = {}
    heard: list[int] = []
    committer.on_commit(heard.append)
    threads = [ask(committer, "first", outcomes, gate=True)]
    assert gate.entered.wait(30)
    threads += [ask(committer, f"t{n}", outcomes) for n in range(GROUP_REQUESTS_MAX + 5)]
    wait_for_queue(committer, GROUP_REQUESTS_MAX + 5)
    gate.opened.set()
    for thread in threads:
        thread.join(30)
    assert heard == [1, 1 + GROUP_REQUESTS_MAX, 6 + GROUP_REQUESTS_MAX]


def test_what_one_caller_breaks_does_not_break_the_others(committer: Committer, store: SqliteStore, gate: Gate) -> None:
    outcomes: dict[str, object] = {}
    threads = [ask(committer, "first", outcomes, gate=True)]
    assert gate.entered.wait(30)
    threads.append(ask(committer, "small", outcomes, text="x"))
    threads.append(ask(committer, "huge", outcomes, text="x" * 900_000))
    threads.append(ask(committer, "late", outcomes, text="x"))
    wait_for_queue(committer, 3)
    writer = store._database._writer
    assert writer is not None
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 40}")
    gate.opened.set()
    for thread in threads:
        thread.join(30)
    assert isinstance(outcomes["huge"], StoreFullError)
    assert isinstance(outcomes["small"], Commit)
    assert isinstance(outcomes["late"], Commit)
    assert committer.verify() == 3


def test_a_caller_that_is_interrupted_has_still_committed(committer: Committer, gate: Gate) -> None:
    class Interrupt(BaseException):
        pass

    ended = threading.Event()

    def run() -> None:
        try:
            committer.commit([Put("a", "Thing", {"gate": True})], cause("a"))
        except Interrupt:
            pass
        finally:
            ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert gate.entered.wait(30)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Interrupt))
    gate.opened.set()
    assert ended.wait(30)
    thread.join(30)
    again = committer.commit([Put("a", "Thing", {"gate": True})], cause("a"))
    assert again.repeated
    assert committer.head().position == 1


def test_requests_handed_in_together_stay_together(committer: Committer) -> None:
    requests = [Request([Put(f"t{n}", "Thing", {})], cause(f"t{n}"), {}) for n in range(GROUP_REQUESTS_MAX * 2)]
    assert [one.last for one in committer.commit_many(requests) if isinstance(one, Commit)] == list(
        range(1, GROUP_REQUESTS_MAX * 2 + 1)
    )


def test_an_urgent_commit_goes_before_all_that_wait_and_alone(committer: Committer, gate: Gate) -> None:
    outcomes: dict[str, object] = {}
    threads = [ask(committer, "gate", outcomes, gate=True)]
    assert gate.entered.wait(30)
    threads += [ask(committer, f"caller{n}", outcomes) for n in range(3)]
    wait_for_queue(committer, 3)
    stop = Request([Put("stop", "Thing", {})], cause("stop"), {}, urgent=True)
    threads.append(threading.Thread(target=lambda: outcomes.update(stop=committer.commit_many([stop])[0])))
    threads[-1].start()
    wait_for_queue(committer, 1, urgent=True)
    gate.opened.set()
    for thread in threads:
        thread.join()
    told = {id: outcome.last for id, outcome in outcomes.items() if isinstance(outcome, Commit)}
    assert told["stop"] == told["gate"] + 1
    assert sorted(told.values()) == [1, 2, 3, 4, 5]


def test_a_failing_callback_harms_nobody(committer: Committer, caplog: pytest.LogCaptureFixture) -> None:
    def fail(position: int) -> None:
        raise RuntimeError(f"no use for {position}")

    heard: list[int] = []
    committer.on_commit(fail)
    committer.on_commit(heard.append)
    for n in range(2):
        committer.commit([Put(f"t{n}", "Thing", {})], cause(f"t{n}"))
    with pytest.raises(ConflictError):
        committer.commit([Put("t0", "Thing", {})], cause("x"), {"t0": 9})
    committer.close()
    assert heard == [1, 2]
    assert "no use for" in caplog.text


def test_close_commits_what_waits_and_refuses_what_comes(committer: Committer, gate: Gate, tmp_path: Path) -> None:
    outcomes: dict[str, object] = {}
    threads = [ask(committer, "first", outcomes, gate=True)]
    assert gate.entered.wait(30)
    threads += [ask(committer, f"t{n}", outcomes) for n in range(5)]
    wait_for_queue(committer, 5)
    closing = threading.Thread(target=committer.close)
    closing.start()
    gate.opened.set()
    closing.join(30)
    for thread in threads:
        thread.join(30)
    assert all(isinstance(one, Commit) for one in outcomes.values())
    assert len(outcomes) == 6
    with pytest.raises(StoreError, match="closed"):
        committer.commit([Put("late", "Thing", {})], cause("late"))


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def promised(committer: Committer, id: str, outcomes: dict[str, object], **values: Value) -> threading.Thread:
    """Ask in a thread that nobody throws into; who committed is noted beside the outcome."""

    def run() -> None:
        with undisturbed():
            try:
                outcomes[id] = committer.commit([Put(id, "Thing", values)], cause(id))
            except Exception as error:
                outcomes[id] = error

    return in_thread(run)


def committing(committer: Committer) -> list[threading.Thread]:
    """The thread of each commit that is told of, as the callbacks run in it."""
    told: list[threading.Thread] = []
    committer.on_commit(lambda _: told.append(threading.current_thread()))
    return told


def test_who_comes_alone_and_undisturbed_commits_where_it_is(committer: Committer) -> None:
    told, outcomes = committing(committer), dict[str, object]()
    alone = promised(committer, "alone", outcomes)
    alone.join(30)
    ask(committer, "any", outcomes).join(30)
    with undisturbed():
        committer.commit([Put("main", "Thing", {})], cause("main"))
    committer.close()
    assert [isinstance(one, Commit) for one in outcomes.values()] == [True, True]
    assert told == [alone, committer._thread, committer._thread]


def test_who_is_not_alone_waits_with_the_others(committer: Committer, gate: Gate) -> None:
    told, outcomes = committing(committer), dict[str, object]()
    first = promised(committer, "first", outcomes, gate=True)
    assert gate.entered.wait(30)
    threads: list[threading.Thread] = []
    for n in range(3):
        threads.append(promised(committer, f"t{n}", outcomes, bad=n == 1))
        # All stay where they are, however often the committer's thread is woken.
        wait_for_queue(committer, n + 1)
    assert not outcomes
    gate.opened.set()
    for thread in (first, *threads):
        thread.join(30)
    assert isinstance(outcomes.pop("t1"), ShapeError)
    assert sorted(one.last for one in outcomes.values() if isinstance(one, Commit)) == [1, 2, 3]
    assert committer.verify() == 3
    committer.close()
    assert told == [first, committer._thread]


def test_what_fails_alone_gives_the_turn_back(committer: Committer) -> None:
    outcomes: dict[str, object] = {}
    for id, bad in (("bad", True), ("good", False)):
        promised(committer, id, outcomes, bad=bad).join(30)
    ask(committer, "next", outcomes).join(30)
    assert isinstance(outcomes["bad"], ShapeError)
    assert isinstance(outcomes["good"], Commit)
    assert isinstance(outcomes["next"], Commit)


def test_a_transaction_broken_off_alone_gives_the_turn_back(
    committer: Committer, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(requests: Sequence[Request]) -> list[Commit | Exception]:
        raise KeyboardInterrupt

    outcomes: dict[str, object] = {}
    with monkeypatch.context() as patch:
        patch.setattr(store, "commit_many", broken)
        promised(committer, "broken", outcomes).join(30)
    assert isinstance(outcomes["broken"], StoreError)
    promised(committer, "next", outcomes).join(30)
    assert isinstance(outcomes["next"], Commit)


def test_who_comes_after_the_end_does_not_reach_the_store(
    committer: Committer, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[int] = []
    outcomes: dict[str, object] = {}
    committer.close()
    monkeypatch.setattr(store, "commit_many", lambda requests: reached.append(len(requests)))
    promised(committer, "late", outcomes).join(30)
    assert isinstance(outcomes["late"], StoreError)
    assert not reached


def test_close_waits_for_who_commits_alone(committer: Committer, gate: Gate, tmp_path: Path) -> None:
    outcomes: dict[str, object] = {}
    alone = promised(committer, "alone", outcomes, gate=True)
    assert gate.entered.wait(30)
    ending = in_thread(committer.close)
    with committer._changed:
        assert committer._changed.wait_for(lambda: committer._closing, 30)
    late = promised(committer, "late", outcomes)
    late.join(30)
    assert ending.is_alive()
    gate.opened.set()
    for thread in (alone, ending):
        thread.join(30)
    assert isinstance(outcomes["alone"], Commit)
    assert isinstance(outcomes["late"], StoreError)
    assert not committer._thread.is_alive()
    with closing(SqliteStore(tmp_path / "graph.db", FreeSchema(), ManualClock(), durable=False)) as again:
        assert again.head().position == 1


def test_who_is_told_of_an_own_commit_may_close(committer: Committer) -> None:
    outcomes: dict[str, object] = {}
    committer.on_commit(lambda _: committer.close())
    promised(committer, "last", outcomes).join(30)
    committer._thread.join(30)
    assert isinstance(outcomes["last"], Commit)
    assert not committer._thread.is_alive()


def test_the_promise_ends_with_its_block(committer: Committer) -> None:
    told = committing(committer)

    def run() -> None:
        with undisturbed(), undisturbed():
            pass
        committer.commit([Put("after", "Thing", {})], cause("after"))

    in_thread(run).join(30)
    committer.close()
    assert told == [committer._thread]
