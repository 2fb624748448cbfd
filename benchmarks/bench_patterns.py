"""Patterns on a file with fsync: agents asked side by side, beside the slowest of them."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.result import Result, at_most
from benchmarks.works import AUTHOR, Nobody, works_on_file
from coordination.acting import AgentCard, Answer, Assignment, ContextRecord
from coordination.patterns.about import About
from coordination.patterns.asking import Ask
from coordination.patterns.concurrent import Concurrent, concurrent

ROUNDS: Final = 5
NAMES: Final = ("one", "two", "three", "four")
AGENT_SECONDS: Final = 0.5


class Slow(Nobody):
    """Agents that take their time, as a model does."""

    def agents(self) -> dict[str, AgentCard]:
        return {name: AgentCard(name, "1", None, ()) for name in NAMES}

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        del assignment
        time.sleep(AGENT_SECONDS)
        return Answer(agent), ContextRecord("none", at)


def run() -> list[Result]:
    """Four agents at once against one."""
    taken = []
    document = concurrent(Concurrent(About("abreast"), tuple(Ask(name) for name in NAMES)))
    with tempfile.TemporaryDirectory() as folder, works_on_file(Path(folder), 8, acting=Slow()) as made:
        workflow = made.runtime.engine.register(document, AUTHOR)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            made.wait([made.start(workflow, {"task": "look"})])
            taken.append(time.perf_counter() - start)
    return [at_most("4 agents asked at once", statistics.median(taken), "s", "the slowest", AGENT_SECONDS, 1.15)]
