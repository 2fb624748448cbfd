"""From the command that changes a rule to the first obeying decision in every process: four processes that decide without pause.

A forbid is added and retired in turn, so that each change turns the answer. Beside it, the same changes seen by four processes that
only read the end of the log with plain SQL. Late is a decision that began after the change was acknowledged and did not obey.
"""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.deciding import AUTHOR, fill, open_store
from benchmarks.obeying import obeying
from benchmarks.result import Result, within
from governance.rules import add, retire
from kg.clock import SystemClock
from kg.committer import Committer
from kg.ontology import Ontology

PROCESSES = 4
CHANGES = 200
BAR_MS = 200.0


def _turned(process: "subprocess.Popen[str]") -> tuple[int, int]:
    """When the first obeying decision of a process ended, and when the last other one began."""
    if process.stdout is None:
        raise RuntimeError("a deciding process has no output")
    _, _, ended, before = process.stdout.readline().split()
    return int(ended), int(before)


def _changes(
    store: Committer, words: Ontology, clock: SystemClock, name: str, processes: Sequence["subprocess.Popen[str]"]
) -> tuple[list[float], int]:
    """Milliseconds from each command to the last process's first obeying decision, and how many decisions were late."""
    taken, late = [], 0
    for number in range(CHANGES):
        rule = f"{name}{number // 2}"
        began = time.monotonic_ns()
        if number % 2 == 0:
            text = f'@id("{rule}") forbid(principal, action == Action::"apply", resource is Product);'
            add(store, clock, words, text, AUTHOR, "benchmark")
        else:
            retire(store, clock, words, rule, AUTHOR, "benchmark")
        acknowledged = time.monotonic_ns()
        seen = [_turned(process) for process in processes]
        taken.append((max(ended for ended, _ in seen) - began) / 1e6)
        late += sum(before > acknowledged for _, before in seen)
    return taken, late


def run() -> list[Result]:
    """Change rules before processes that look, then before processes that decide."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, words, clock = open_store(folder)
        fill(store, clock)
        with obeying(folder, "look", PROCESSES) as processes:
            floor, _ = _changes(store, words, clock, "seen", processes)
        with obeying(folder, "decide", PROCESSES) as processes:
            taken, late = _changes(store, words, clock, "obeyed", processes)
        store.close()
    peer = "the log's end read with plain SQL"
    p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    bare = statistics.median(floor), statistics.quantiles(floor, n=100)[98]
    return [
        within(f"rule changed to in force in {PROCESSES} processes, p50", p50, "ms", BAR_MS, peer, bare[0]),
        within("rule changed to in force, p99", p99, "ms", BAR_MS, peer, bare[1]),
        within(f"late decisions after {CHANGES} changes", late, "decisions", 0),
    ]


if __name__ == "__main__":
    for result in run():
        print(result)
