"""Checkpoints beside the writers: what was committed reaches the database file without a writer waiting for it."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from kg.errors import StoreBusyError
from kg.model import StateWrite
from kg.stores import sqlite_checkpoint, sqlite_evidence
from kg.stores.sqlite import SqliteStore
from kg.stores.sqlite_checkpoint import CHECKPOINT_ROWS, Checkpoints
from tests.coordination.plant import ontology
from tests.parts import ManualClock

PAGE = 4_096
ROWS = 500


def connect(path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    made.execute("PRAGMA journal_mode = WAL")
    made.execute("PRAGMA wal_autocheckpoint = 0")
    return made


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = connect(tmp_path / "graph.db")
    made.execute("CREATE TABLE t (b BLOB)")
    fill(made)
    yield made
    made.close()


def fill(writer: sqlite3.Connection) -> None:
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO t VALUES (?)", [(os.urandom(PAGE),) for _ in range(ROWS)])
    writer.execute("COMMIT")


def test_it_is_done_before_it_asks_for_the_turn_but_for_the_rest(writer: sqlite3.Connection, tmp_path: Path) -> None:
    path, seen = tmp_path / "graph.db", []

    @contextmanager
    def turn() -> Iterator[None]:
        seen.append(path.stat().st_size)
        yield

    found = Checkpoints(lambda: connect(path), turn)
    found.wrote(CHECKPOINT_ROWS)
    found.close()
    assert seen, "the rest was never moved in the turn"
    assert seen[0] > ROWS * PAGE, "the turn was taken for the whole of it"
    # The log is whole in the file, so the next writer begins it anew.
    log = path.with_name("graph.db-wal").stat().st_size
    fill(writer)
    assert path.with_name("graph.db-wal").stat().st_size == log


def test_writers_go_on_while_it_runs(writer: sqlite3.Connection, tmp_path: Path) -> None:
    """A turn that never comes: nobody but the checkpoint waits for it."""
    waiting, ending = threading.Event(), threading.Event()

    @contextmanager
    def turn() -> Iterator[None]:
        waiting.set()
        ending.wait(30)
        yield

    found = Checkpoints(lambda: connect(tmp_path / "graph.db"), turn)
    found.wrote(CHECKPOINT_ROWS)
    assert waiting.wait(30)
    fill(writer)
    found.wrote(CHECKPOINT_ROWS)
    ending.set()
    found.close()
    assert writer.execute("SELECT count(*) FROM t").fetchone() == (2 * ROWS,)


def test_a_checkpoint_that_fails_is_told_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    found = Checkpoints(broken, nullcontext)
    found.wrote(CHECKPOINT_ROWS)
    found.close()
    assert "disk I/O error" in caplog.text
    found.wrote(CHECKPOINT_ROWS)


def test_the_store_begins_one_after_enough_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_checkpoint, "CHECKPOINT_ROWS", 200)
    path = tmp_path / "graph.db"
    store = SqliteStore(path, ontology(), ManualClock())
    # A reader that stays keeps SQLite from doing it all itself when the store is closed.
    reader = sqlite3.connect(path)
    reader.execute("SELECT count(*) FROM state").fetchone()
    for n in range(300):
        store.commit([], None, state=[StateWrite("kept", f"k{n}", "x" * PAGE)])
    store.close()
    assert path.stat().st_size > 200 * PAGE
    reader.close()


def test_a_thread_that_cannot_begin_harms_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(sqlite_checkpoint, "CHECKPOINT_ROWS", 1)
    monkeypatch.setattr(sqlite_checkpoint.threading.Thread, "start", none)
    store = SqliteStore(tmp_path / "graph.db", ontology(), ManualClock())
    store.commit([], None, state=[StateWrite("kept", "k", "x")])
    assert store.state("kept", ["k"])["k"].value == "x"
    store.close()


#: Holds the lock that SQLite takes for a checkpoint (its wal-index format: WAL_CKPT_LOCK, byte 121) until it is told to let go.
HOLD = """
import fcntl, sys
with open(sys.argv[1] + "-shm", "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, 121)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_log_is_emptied_after_a_checkpoint_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "graph.db"
    store = SqliteStore(path, ontology(), ManualClock())
    store.commit([], None, state=[StateWrite("kept", "k", "x")])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        monkeypatch.setattr(sqlite_evidence, "CLEAN_SECONDS", 0.0)
        with pytest.raises(StoreBusyError):
            sqlite_evidence.clean(store._database)
        monkeypatch.setattr(sqlite_evidence, "CLEAN_SECONDS", 60.0)
        monkeypatch.setattr(sqlite_evidence.time, "sleep", lambda _: other.stdin.close())  # type: ignore[union-attr]
        sqlite_evidence.clean(store._database)
    assert path.with_name("graph.db-wal").stat().st_size == 0
    store.close()
