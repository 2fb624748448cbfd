"""A process killed in the middle of an ingest: run again, it goes on, and nothing is lost or doubled (I3)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kg.ingest import ingest, load_mapping
from kg.stores.sqlite import SqliteStore
from tests.kg.ingest.parts import ORDERS, company, write_csv
from tests.parts import ManualClock

ROWS = 4_000
CHILD = """
import os, signal, sys
from pathlib import Path
from kg.clock import SystemClock
from kg.ingest import ingest, load_mapping
from kg.stores.sqlite import SqliteStore
from tests.kg.ingest.parts import company

class Dying(SqliteStore):
    commits = 0
    def commit(self, *args, **more):
        Dying.commits += 1
        if Dying.commits == int(sys.argv[2]) and sys.argv[3] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().commit(*args, **more)
        if Dying.commits == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return done

folder = Path(sys.argv[1])
store = Dying(folder / "graph.db", company(), SystemClock())
ingest(store, company(), SystemClock(), load_mapping(folder / "mapping.yaml"), folder)
"""


@pytest.mark.parametrize(("commit", "when"), [(1, "before"), (1, "after"), (3, "before"), (3, "after")])
def test_killed_and_run_again(tmp_path: Path, commit: int, when: str) -> None:
    (tmp_path / "mapping.yaml").write_text(ORDERS)
    rows = [[f"SO-{i}", f"{i % 10}", i, ""] for i in range(ROWS)]
    write_csv(tmp_path / "orders.csv", "no customer pieces at", rows)
    root = Path(__file__).parents[3]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(commit), when],
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.returncode == -signal.SIGKILL
    ontology, clock = company(), ManualClock()
    store = SqliteStore(tmp_path / "graph.db", ontology, clock)
    report = ingest(store, ontology, clock, load_mapping(tmp_path / "mapping.yaml"), tmp_path)
    kept = 1_000 * (commit if when == "after" else commit - 1)
    assert (report.created, report.unchanged, report.rejected) == (ROWS - kept, kept, 0)
    assert store.count("Order") == 1_000
    assert report.dangling == ROWS
    assert len({e.id for e in store.find("Order", first=1_000).items}) == 1_000
    assert store.verify() == store.head().position
    store.close()
