"""kill -9 at many points of a worker's life: after the last one has finished, everything happened once and the ledger verifies."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from kg.clock import SystemClock
from kg.model import Cause, Direction, Put
from tests.coordination.plant import ROOT, populate
from tests.faults.killed import opened
from tests.services.graph import empty
from tests.services.server import running

#: Products and tickets that make work; fewer on a server, where each life takes longer.
THINGS = {"sqlite": 2, "neo4j": 1}
LIVES_MAX = 120
LIFE_SECONDS_MAX = 120


def live(folder: Path, server: str, sides: int) -> bool:
    """Let a worker live for so many sides of its commits, at which it dies; whether it had finished before."""
    command = [sys.executable, "-m", "tests.faults.killed", str(folder), server, str(sides)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIFE_SECONDS_MAX)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("place", ["sqlite", "neo4j"])
def test_killed_again_and_again_everything_happens_once(tmp_path: Path, place: str) -> None:
    clock, server = SystemClock(), ""
    if place == "neo4j":
        empty(running("neo4j"))
        server = json.dumps(asdict(running("neo4j")))
    store = opened(tmp_path, server)
    populate(store, clock, ["buyer", "teller"])
    things = THINGS[place]
    for n in range(things):
        store.commit([Put(f"p{n}", "Product", {"stock": 1})], Cause(clock.id(), "ingest", 'Service::"ingest"'))
    for n in range(things):
        store.commit([Put(f"t{n}", "Ticket", {})], Cause(clock.id(), "ingest", 'Service::"ingest"'))
    lives = 0
    for lives in range(LIVES_MAX):
        # At a point that differs from life to life, before the leases are taken and up to well into the work.
        if live(tmp_path, server, 3 + lives * 4 % 17):
            break
    else:
        raise AssertionError("it never finished")
    assert lives > 3, "it was hardly killed"
    products = [f"p{n}" for n in range(things)]
    orders = store.expand(products, "orderedFor", Direction.IN)
    assert {id: len(edges) for id, edges in orders.items()} == dict.fromkeys(products, 1)
    assert {e["onOrder"] for e in store.get(products).values()} == {100}
    effects = store.find("Effect").items
    assert {e["status"] for e in effects} == {"done"}
    assert len(effects) == 2 * things
    told = {path.name for path in (tmp_path / "told").iterdir()}
    assert told == {e["idempotencyKey"] for e in effects if e["effector"] == "file"}
    assert {e["state"] for e in store.find("Proposal").items} == {"applied"}
    assert store.verify() == store.head().position
    store.close()
