"""Worker processes for the benchmarks of brokers: `python -m benchmarks.workers FOLDER BROKER AGENT THREADS`.

The agent `stamping` writes down when it was called; `waiting` waits for a while first, as for an answer from outside. A process
ends when its standard input closes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.bench_feed import RULE, ontology
from coordination.acting import NOWHERE, AgentCard, Answer, Assignment, ContextRecord, Within
from coordination.brokers import carrier
from coordination.proposals import Draft
from coordination.runtime import Runtime
from coordination.wakes import Wake
from coordination.worker import Worker
from governance.people import ensure_principal
from governance.principals import Principal
from governance.rules import add
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause, Change, Entity, Input, Put
from kg.stores.sqlite import SqliteStore

#: How long the waiting agent waits.
WAIT_SECONDS: Final = 0.5
POLL_SECONDS: Final = 0.05
ROOT = Path(__file__).resolve().parent.parent


class Stamping:
    """An agent that flags every product it is woken on with the moment of its call, in nanoseconds of the machine's clock."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._cards = {"flagging": AgentCard("flagging", "1", "sales", (Wake("Product", properties=("stock",)),))}

    def agents(self) -> Mapping[str, AgentCard]:
        return self._cards

    def act(
        self, agent: str, change: Change, entity: Entity, at: int, _: Within = NOWHERE
    ) -> tuple[tuple[Draft, ...], ContextRecord]:
        del agent, change
        called = time.monotonic_ns()
        if self._wait:
            time.sleep(self._wait)
        flag = Put(entity.id, "Product", {"flag": str(called)})
        draft = Draft("product.flag", entity.id, (flag,), evidence=(Input(entity.id, entity.version),))
        return (draft,), ContextRecord("none", at)

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        return Answer(f"{agent}: {assignment.text}"), ContextRecord("none", at)


class Source:
    """The parent's side: the graph that it fills, and what the agents made of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        shapes = ontology()
        self.store = Committer(SqliteStore(folder / "graph.db", shapes, self.clock))
        author = Principal("Service", "bench")
        ensure_principal(self.store, self.clock, "Agent", "flagging", author, roles=["agents"])
        add(self.store, self.clock, shapes, RULE, author, "benchmark")

    def put(self, ids: list[str]) -> int:
        """Commit products; the moment at which the commit had come back."""
        self.store.commit([Put(id, "Product", {"stock": 1}) for id in ids], Cause(self.clock.id(), "ingest", "Service"))
        return time.monotonic_ns()

    def applied(self) -> int:
        """How many effects there are."""
        return self.store.count("Effect", at_most=1_000_000)


def command(folder: Path, broker: str, agent: str, threads: int) -> list[str]:
    """The command line of a worker process."""
    return [sys.executable, "-m", "benchmarks.workers", str(folder), broker, agent, str(threads)]


def start(folder: Path, broker: str, agent: str, threads: int) -> "subprocess.Popen[bytes]":
    """Start a worker process; returns when it works."""
    line = command(folder, broker, agent, threads)
    process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdout is None or process.stdout.readline() != b"ready\n":
        raise RuntimeError("a worker process did not start; see what it said")
    return process


@contextmanager
def working(folder: Path, broker: str, agent: str, count: int, threads: int) -> Iterator[None]:
    """So many worker processes for a block."""
    processes = [start(folder, broker, agent, threads) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in processes:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def main(folder: Path, broker: str, agent: str, threads: int) -> None:
    """Work until standard input closes."""
    clock, shapes = SystemClock(), ontology()
    store = Committer(SqliteStore(folder / "graph.db", shapes, clock))

    def handle(work: str) -> None:
        runtime.handle(work)

    def route(work: str) -> str:
        return runtime.lane(work)

    acting = Stamping(WAIT_SECONDS if agent == "waiting" else 0.0)
    carried = carrier(handle, broker, threads, route, ("noesis", "noesis.sales"))
    runtime = Runtime(store, clock, shapes, acting, (), carried.enqueue, holder=clock.id())
    worker = Worker(runtime, carried, poll_seconds=POLL_SECONDS)
    store.on_commit(worker.notify)
    worker.start()
    os.write(1, b"ready\n")
    sys.stdin.read()
    worker.stop()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
