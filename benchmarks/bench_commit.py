"""Writing: single governed commits with fsync, many callers through the committer, batches of a thousand."""

import sqlite3
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.result import Result, at_least, at_most, interleaved_us, median_us
from benchmarks.shop import customer, schema
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause
from kg.stores.sqlite import SqliteStore

CALLERS = 32
COMMITS_EACH = 250
BATCH = 1_000
BATCHES = 20


def _cause(id: str) -> Cause:
    return Cause(id, "ingest", 'Service::"ingest"', "benchmark")


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE customer (id TEXT PRIMARY KEY, props TEXT)")
    return connection


def _single(folder: Path) -> Result:
    store = SqliteStore(folder / "single.db", schema(), SystemClock())
    bare = _bare(folder / "bare.db")
    done = [0, 0]

    def ours(_: int) -> None:
        done[0] += 1
        store.commit([customer(done[0])], _cause(f"single-{done[0]}"))

    def peer(_: int) -> None:
        done[1] += 1
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO customer VALUES (?, ?)", (f"01k{done[1]:023d}", "x" * 180))
        bare.execute("COMMIT")

    mine, floor = interleaved_us(ours, peer, 150)
    store.close()
    bare.close()
    return at_most("single governed commit, fsync", mine, "µs", "a bare SQLite commit", floor, 3)


def _callers(folder: Path) -> Result:
    committer = Committer(SqliteStore(folder / "callers.db", schema(), SystemClock()))

    def call(caller: int) -> None:
        for number in range(COMMITS_EACH):
            unique = caller * COMMITS_EACH + number
            committer.commit([customer(unique)], _cause(f"caller-{unique}"))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = CALLERS * COMMITS_EACH / (time.perf_counter() - start)
    committer.close()
    bare = _bare(folder / "bare-callers.db")
    floor = median_us(lambda n: bare.execute("INSERT INTO customer VALUES (?, ?)", (str(n), "x" * 180)), 200)
    bare.close()
    peer = "bare SQLite commits one by one"
    return at_least("32 callers through the committer, fsync", rate, "commits/s", 5_000, peer, 1_000_000 / floor)


def _batched(folder: Path) -> Result:
    store = SqliteStore(folder / "batch.db", schema(), SystemClock())
    batches = [[customer(n) for n in range(start, start + BATCH)] for start in range(0, BATCH * BATCHES, BATCH)]
    start = time.perf_counter()
    for number, batch in enumerate(batches):
        store.commit(batch, _cause(f"batch-{number}"))
    rate = BATCH * BATCHES / (time.perf_counter() - start)
    store.close()
    return at_least("governed commits of 1,000, fsync", rate, "entity writes/s", 12_000)


def run() -> list[Result]:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return [measure(Path(folder)) for measure in (_single, _callers, _batched)]
