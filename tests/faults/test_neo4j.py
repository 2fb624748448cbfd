"""What happens to a Neo4j store when processes race, stop or die, and when the server is killed in the middle of a commit."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from kg.clock import SystemClock
from kg.model import ABSENT, Cause, Commit, StateWrite
from kg.stores.neo4j_queries import query
from tests.faults.writers import WRITES, writes
from tests.parts import FreeSchema
from tests.services import neo4j
from tests.services.graph import empty, open_store
from tests.services.ports import STARTED
from tests.services.server import Server, running, start, stop

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 120


def child(server: Server, what: str, *rest: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.faults.server_writers", what, json.dumps(asdict(server)), *map(str, rest)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def server() -> Server:
    found = running("neo4j")
    empty(found)
    return found


def cause(id: str) -> Cause:
    return Cause(id, "fault", "Service")


def test_readers_skip_nothing_while_processes_race(server: Server) -> None:
    """INVARIANT I2: several writers, several readers; no reader sees a gap, a half commit or an uncommitted change."""
    open_store(FreeSchema(), SystemClock(), server).close()
    writers, readers, count = 3, 2, 40
    total = writers * count * WRITES
    crowd = [child(server, "read", total) for _ in range(readers)]
    crowd += [child(server, "write", f"w{number}", count) for number in range(writers)]
    for process in crowd:
        _, complaint = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, complaint
    store = open_store(FreeSchema(), SystemClock(), server)
    assert store.verify() == total
    assert [c.position for c in store.changes(0, total)] == list(range(1, total + 1))
    store.close()


@pytest.mark.parametrize("deed", ["SIGSTOP", "SIGKILL"])
def test_a_writer_that_stops_or_dies_under_the_lock_stops_nobody_for_long(server: Server, deed: str) -> None:
    store = open_store(FreeSchema(), SystemClock(), server)
    process = child(server, "hold", deed)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    # A reader goes on meanwhile and sees what was committed, not what is under way.
    assert [c.position for c in store.changes(0)] == [1, 2, 3, 4]
    assert store.commit(writes("other", 1), cause("other-1")).first == WRITES + 1
    if deed == "SIGSTOP":
        os.kill(process.pid, signal.SIGCONT)
    output, complaint = process.communicate(timeout=SECONDS_MAX)
    assert "Traceback" not in complaint
    whole = store.head().position
    assert whole % WRITES == 0
    assert whole == WRITES * (3 if deed == "SIGSTOP" and not output else 2)
    assert store.verify() == whole
    store.close()


def test_threads_of_one_store_each_get_their_own(server: Server) -> None:
    store = open_store(FreeSchema(), SystemClock(), server)
    made: list[Commit] = []

    def work(name: str) -> None:
        made.extend(store.commit(writes(name, n), cause(f"{name}-{n}")) for n in range(5))

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.first for one in made) == list(range(1, 4 * 5 * WRITES, WRITES))
    assert store.verify() == 4 * 5 * WRITES
    store.close()


class Killable:
    """A server of this test alone, which can be killed and started again on its folder."""

    def __init__(self) -> None:
        self.server = start("neo4j", brief=True)
        self.folder = Path(self.server.folder)
        self.port = int(self.server.url.rsplit(":", 1)[1])
        self.process = STARTED[self.server.pid]

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def revive(self) -> None:
        self.process = neo4j.launch(self.folder, self.port, brief=True)


@pytest.fixture(scope="module")
def killable() -> Iterator[Killable]:
    running("neo4j")
    made = Killable()
    yield made
    made.kill()
    stop(made.server)


class Cut:
    """Kills the server at a moment of a commit: as its last query is sent, or once the commit is on its way."""

    def __init__(self, killable: Killable, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from neo4j import Transaction
        from neo4j._sync.work.transaction import ManagedTransaction, TransactionBase

        self.left = 1
        commit, run = TransactionBase._commit, ManagedTransaction.run

        def cut() -> None:
            self.left -= 1
            killable.kill()
            killable.revive()

        def committing(transaction: Transaction) -> None:
            locked = getattr(transaction, "saved", False)
            if moment == "after" and self.left and locked:
                # The server does the commit; its answer is lost with it.
                commit(transaction)
                cut()
                from neo4j.exceptions import IncompleteCommit

                raise IncompleteCommit("the connection broke")
            if moment == "at" and self.left and locked:
                cut()
            commit(transaction)

        def running_(transaction: ManagedTransaction, text: str, *values: object, **more: object) -> object:
            if text == query("save_new_state"):
                transaction.saved = True
                if moment == "before" and self.left:
                    cut()
            return run(transaction, text, *values, **more)

        monkeypatch.setattr(TransactionBase, "_commit", committing)
        monkeypatch.setattr(ManagedTransaction, "run", running_)


@pytest.mark.parametrize("moment", ["before", "at", "after"])
def test_a_server_killed_in_the_middle_of_a_commit_did_it_once(
    killable: Killable, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the moment, the caller hears the truth, nothing is lost or doubled, and a retry does nothing more."""
    empty(killable.server)
    # A commit is tried again for as long as a busy machine needs to start the server.
    store = open_store(FreeSchema(), SystemClock(), killable.server, patience=SECONDS_MAX)
    store.commit(writes("one", 1), cause("one"))
    cut = Cut(killable, moment, monkeypatch)
    state = [StateWrite("cursor", "x", 1, expect=ABSENT)]
    made = store.commit(writes("two", 1), cause("two"), {"two-1-a": 0}, state)
    assert cut.left == 0
    assert (made.first, made.last, made.repeated) == (WRITES + 1, 2 * WRITES, False)
    assert store.state("cursor", ["x"])["x"].revision == 1
    assert store.commit(writes("two", 1), cause("two"), {"two-1-a": 0}, state).repeated
    assert store.head().position == 2 * WRITES
    assert store.verify() == 2 * WRITES
    store.close()
