"""Durable workflows on a file with fsync: a step beside LangGraph's, many runs at once, branches, bytes, resuming."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.peers.measuring import measure
from benchmarks.result import Result, at_least, at_most, within
from benchmarks.works import Works, steps, works_on_file

ROUNDS: Final = 5
RUNS: Final = 200
STEPS: Final = 10
THREADS: Final = 32
BRANCH_SECONDS: Final = 0.5
WAITING: Final = 1_000
_FORK = """
document: {dsl: '1.0.3', namespace: bench, name: fork, version: '1.0.0'}
do:
  - all: {fork: {branches: [%s]}}
"""
_WAIT = """
document: {dsl: '1.0.3', namespace: bench, name: wait, version: '1.0.0'}
do:
  - pause: {wait: '${ .for }'}
  - on: {call: inc, with: {x: 1}}
"""


def _one(made: Works, count: int, name: str) -> float:
    """Milliseconds a step of one run, driven in this thread."""
    workflow = made.register(steps(name, count))
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run = made.start(workflow, {"x": 0})
        made.drain()
        taken.append((time.perf_counter() - start) * 1_000 / count)
        if made.runtime.engine.run(run).state != "completed":
            raise RuntimeError(f"run {run} did not come to its end")
    return statistics.median(taken)


def _single() -> list[Result]:
    peer = measure("langgraph_steps.py", "100")
    with tempfile.TemporaryDirectory() as folder, works_on_file(Path(folder)) as made:
        _one(made, 10, "warm")
        hundred, ten, thousand = (_one(made, count, f"s{count}") for count in (100, 10, 1_000))
    name = f"LangGraph {peer['version']}, SQLite saver, sync"
    return [
        at_most("durable step, 100 steps", hundred, "ms", name, peer["step_ms"], 1.0),
        at_most("a step of 1,000 beside one of 10", thousand, "ms", "a step of 10", ten, 1.2),
    ]


def _at_once() -> list[Result]:
    peers = measure("dbos_steps.py", str(RUNS), str(STEPS))
    with tempfile.TemporaryDirectory() as folder, works_on_file(Path(folder), THREADS) as made:
        workflow = made.register(steps("many", STEPS))
        start = time.perf_counter()
        made.wait(made.start_each(workflow, [{"x": 0}] * RUNS))
        rate = RUNS * STEPS / (time.perf_counter() - start)
    name = f"DBOS {peers['version']}, SQLite"
    return [at_least(f"{RUNS} runs at once", rate, "steps/s", 1_200, name, peers["steps_a_second"])]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _bytes() -> list[Result]:
    peer = measure("langgraph_steps.py", "100")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with works_on_file(folder) as made:
            workflow = made.register(steps("bytes", 100))
        before = _size(folder)
        with works_on_file(folder) as made:
            for _ in range(20):
                made.start(workflow, {"x": 0})
                made.drain()
        a_step = (_size(folder) - before) / 2_000
    return [at_most("bytes a step on disk", a_step, "bytes", "LangGraph", peer["bytes_a_step"], 0.5)]


def _branches() -> list[Result]:
    branch = ", ".join(f"{{b{n}: {{call: slept, with: {{seconds: {BRANCH_SECONDS}}}}}}}" for n in range(4))
    taken = []
    with tempfile.TemporaryDirectory() as folder, works_on_file(Path(folder), 8) as made:
        workflow = made.register(_FORK % branch)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            made.wait([made.start(workflow, {})])
            taken.append(time.perf_counter() - start)
    return [at_most("4 branches", statistics.median(taken), "s", "the slowest", BRANCH_SECONDS, 1.15)]


def _resumed() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with works_on_file(folder) as made:
            workflow = made.register(_WAIT)
            runs = [made.start(workflow, {"for": "PT3S"}) for _ in range(WAITING)]
            made.drain()
            made.wait(runs, "waiting")
        time.sleep(3.0)
        start = time.perf_counter()
        with works_on_file(folder, THREADS) as made:
            made.wait(runs)
            seconds = time.perf_counter() - start
    return [within(f"resume of {WAITING:,} waiting runs after a restart", seconds, "s", 2.0)]


def run() -> list[Result]:
    """Measure all of it."""
    return [*_single(), *_at_once(), *_bytes(), *_branches(), *_resumed()]
