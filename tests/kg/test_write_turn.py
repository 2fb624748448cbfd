"""The turn to write: one holder, an urgent one next, and none left out."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from kg.errors import StoreBusyError
from kg.stores.sqlite_lock import FileLock

PATIENCE = 30.0
#: A process that takes the urgent turn, says so, and keeps it until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from kg.stores.sqlite_lock import FileLock
with FileLock(Path(sys.argv[1]), 30).held(urgent=True):
    print("held", flush=True)
    sys.stdin.read()
"""


def queued() -> int:
    """How many wait in the kernel's queue; each does so in a thread of that name."""
    return sum(thread.name == "store-lock" for thread in threading.enumerate())


def until(holds: Callable[[], bool]) -> None:
    for _ in range(30_000):
        if holds():
            return
        threading.Event().wait(0.001)
    raise AssertionError("what the test waits for never came")


class Writers:
    """Threads with a lock of their own on one file, as processes have, and the order in which they wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.order: list[str] = []
        self.threads: list[threading.Thread] = []

    def start(self, name: str, urgent: bool = False) -> None:
        before = queued()

        def run() -> None:
            lock = FileLock(self.path, PATIENCE)
            with lock.held(urgent):
                self.order.append(name)
            lock.close()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        until(lambda: queued() > before)

    def end(self) -> list[str]:
        for thread in self.threads:
            thread.join(PATIENCE)
        return self.order


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "graph.db.lock"


def turn(path: Path, urgent: bool = False) -> AbstractContextManager[None]:
    return FileLock(path, PATIENCE).held(urgent)


def test_an_urgent_writer_goes_before_those_that_already_wait(path: Path) -> None:
    writers = Writers(path)
    with turn(path):
        for n in range(3):
            writers.start(f"ordinary-{n}")
        writers.start("urgent", urgent=True)
    order = writers.end()
    assert order[0] == "urgent"
    assert sorted(order[1:]) == ["ordinary-0", "ordinary-1", "ordinary-2"]


def test_with_two_urgent_writers_none_is_left_out(path: Path) -> None:
    writers = Writers(path)
    with turn(path):
        writers.start("ordinary")
        writers.start("first", urgent=True)
        writers.start("second", urgent=True)
    order = writers.end()
    assert order[0] != "ordinary"
    assert sorted(order) == ["first", "ordinary", "second"]


def test_an_ordinary_writer_is_told_to_try_again_when_an_urgent_one_keeps_the_turn(path: Path) -> None:
    with turn(path, urgent=True), pytest.raises(StoreBusyError), FileLock(path, 0.01).held():
        pass
    with turn(path):
        pass


def test_an_urgent_writer_that_is_killed_lets_go(path: Path) -> None:
    line = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusyError), FileLock(path, 0.01).held():
            pass
        holder.kill()
        holder.wait(PATIENCE)
        with turn(path):
            pass


def test_one_thread_after_another_holds_the_same_lock_many_times(path: Path) -> None:
    """Four writers and two urgent ones over one counter that only the turn protects."""
    counter = [0]

    def count(urgent: bool) -> None:
        lock = FileLock(path, PATIENCE)
        for _ in range(200):
            with lock.held(urgent):
                seen = counter[0]
                counter[0] = seen + 1
        lock.close()

    threads = [threading.Thread(target=count, args=(n < 2,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert counter == [1_200]
