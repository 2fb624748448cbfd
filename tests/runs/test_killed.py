"""kill -9 of a real worker process in the middle of a run: another one takes it over, and every step is done and recorded once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from kg.clock import SystemClock
from kg.model import Op, Where
from kg.stores.sqlite import SqliteStore
from tests.coordination.plant import ROOT, ontology

END_SECONDS = 180.0


def life(database: Path, *slow: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.runs.life", str(database), "run-1", *slow]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def until(process: "subprocess.Popen[str]", word: str) -> list[str]:
    """What the process says, up to a word."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.strip())
        if line.strip() == word:
            return said
    raise AssertionError(f"it ended after {said}")


def test_a_killed_worker_loses_and_repeats_nothing(tmp_path: Path) -> None:
    database = tmp_path / "graph.db"
    said: list[str] = []
    for slow in ("b", "e"):
        process = life(database, slow)
        try:
            said += until(process, slow)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=END_SECONDS)
    process = life(database)
    output, _ = process.communicate(timeout=END_SECONDS)
    *rest, result = output.split()
    assert result == "abcdef"
    assert [*said, *rest] == ["a", "b", "b", "c", "d", "e", "e", "f"], "only what was under way is done again"
    store = SqliteStore(database, ontology(), SystemClock())
    steps = store.find("Step", [Where("run", Op.EQ, "run-1")], first=100).items
    assert sorted(str(step["task"]) for step in steps) == ["a", "b", "c", "d", "e", "f", "tell"]
    (proposal,) = store.find("Proposal").items
    assert proposal["state"] == "applied"
    assert store.verify() > 0
    store.close()
