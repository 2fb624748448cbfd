"""Processes that decide one request in a loop and say when the answer turned: `python -m benchmarks.obeying FOLDER WHAT`.

Each line they print is `OUTCOME BEGAN ENDED LAST`: the first decision with this outcome, and when the last one with another began,
in nanoseconds of the machine's monotonic clock, which all its processes share. WHAT is `decide`, or `look` for the floor: the end
of the log read with plain SQL, turning whenever it moves. A process ends when its standard input closes.
"""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.deciding import ROOT, open_store
from governance.decide import Request, decide
from governance.principals import load_principal
from governance.rules import load_rules


def _deciding(folder: Path) -> Callable[[], str]:
    store, words, _ = open_store(folder)
    agent, product = load_principal(store, 'Agent::"buyer"'), store.get(["product1"])["product1"]
    request = Request(agent, "apply", product, {"operation": "reorder"})
    return lambda: decide(request, load_rules(store, words)).outcome


def _looking(folder: Path) -> Callable[[], str]:
    graph = sqlite3.connect(folder / "graph.db", check_same_thread=False)
    return lambda: str(graph.execute("SELECT position FROM head").fetchone()[0])


def _loop(ask: Callable[[], str], ending: threading.Event) -> None:
    known, before = ask(), 0
    print(known, flush=True)
    while not ending.is_set():
        began = time.monotonic_ns()
        outcome = ask()
        if outcome != known:
            print(outcome, began, time.monotonic_ns(), before, flush=True)
            known = outcome
        before = began


@contextmanager
def obeying(folder: Path, what: str, processes: int) -> Iterator[list["subprocess.Popen[str]"]]:
    """So many processes for a block, all of them deciding when it begins."""
    line = [sys.executable, "-m", "benchmarks.obeying", str(folder), what]
    started = [
        subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for process in started:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("a deciding process did not start; see what it said")
        yield started
    finally:
        for process in started:
            process.communicate(input="")


def main(folder: Path, what: str) -> None:
    """Decide until standard input closes."""
    ending = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ending.set()), daemon=True).start()
    _loop(_deciding(folder) if what == "decide" else _looking(folder), ending)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
