"""The committer: each caller gets its own result, whatever happens to the others, to the group or to the caller."""

import ctypes
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kg.committer import GROUP_REQUESTS_MAX, Committer
from kg.errors import ConflictError, ShapeError, StoreError, StoreFullError
from kg.model import Cause, Commit, Put
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
