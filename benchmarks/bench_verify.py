"""Verifying the whole ledger: every leaf, seal and node recomputed from the rows."""

import tempfile
import time
from pathlib import Path

from benchmarks.result import Result, at_least
from benchmarks.shop import customer, schema
from kg.clock import SystemClock
from kg.model import Cause, Link, Write
from kg.stores.sqlite import SqliteStore

ENTITIES = 20_000
BATCH = 1_000
ROUNDS = 3


def run() -> list[Result]:
    """20,000 entities with personal data and as many relations, then 20,000 updates."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "graph.db", schema(), SystemClock(), durable=False)
        for start in range(0, ENTITIES, BATCH):
            numbers = range(start, start + BATCH)
            writes: list[Write] = [customer(n) for n in numbers]
            writes += [Link(customer(n).id, "knows", customer(n // 2).id) for n in numbers]
            store.commit(writes, Cause(f"first-{start}", "ingest", "Service"))
            store.commit([customer(n, 4) for n in numbers], Cause(f"then-{start}", "ingest", "Service"))
        taken = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            checked = store.verify()
            taken.append(time.perf_counter() - begun)
        store.close()
    return [at_least("ledger verify", checked / min(taken), "changes/s", 50_000)]
