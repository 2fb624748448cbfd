"""A crew of worker processes over one store and broker, and what must hold when all is done: nothing lost, nothing doubled."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kg.clock import SystemClock
from kg.model import Cause, Direction, Put
from kg.store import GraphStore
from tests.coordination.plant import ROOT, populate
from tests.faults.labour import CARDS, Job, store_of
from tests.services.graph import empty
from tests.services.server import Server

#: Room for a busy machine; whoever waits goes on as soon as it holds.
DONE_SECONDS_MAX = 180
LOOK_SECONDS = 0.05


@dataclass
class Crew:
    """Processes, the store they share, and what was put into it."""

    job: Job
    store: GraphStore
    clock: SystemClock = field(default_factory=SystemClock)
    processes: "dict[str, subprocess.Popen[str]]" = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    products: list[str] = field(default_factory=list)
    tickets: list[str] = field(default_factory=list)

    def start(self, name: str, point: str = "", deed: str = "SIGKILL", wait: bool = True) -> "subprocess.Popen[str]":
        """Start a worker process; returns when it works."""
        job = replace(self.job, name=name, point=point, deed=deed)
        command = [sys.executable, "-m", "tests.faults.labour", job.text()]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes[name] = process
        heard = self.lines[name] = []

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                heard.append(line.strip())

        threading.Thread(target=listen, daemon=True).start()
        if wait:
            self.until(lambda: "ready" in heard or process.poll() is not None, f"{name} works")
        return process

    def add(self, products: int = 1, tickets: int = 1) -> None:
        """Commit facts as a source would."""
        for _ in range(products):
            self.products.append(f"p{len(self.products)}")
            self._put(Put(self.products[-1], "Product", {"stock": 1}))
        for _ in range(tickets):
            self.tickets.append(f"t{len(self.tickets)}")
            self._put(Put(self.tickets[-1], "Ticket", {}))

    def _put(self, put: Put) -> None:
        self.store.commit([put], Cause(self.clock.id(), "ingest", 'Service::"ingest"'))

    def until(self, holds: Callable[[], bool], what: str, seconds: float = DONE_SECONDS_MAX) -> float:
        """Return when it holds, with the seconds that took; looks at a bounded interval."""
        start, never = time.monotonic(), threading.Event()
        while not holds():
            assert time.monotonic() - start < seconds, f"not within {seconds} s: {what}; {self.lines}; {self.left()}"
            never.wait(LOOK_SECONDS)
        return time.monotonic() - start

    def done(self) -> bool:
        """Whether everything that was put in has had its effect."""
        applied = self.store.count("Effect", at_most=100_000)
        return applied >= len(self.products) + len(self.tickets) and not self.left()

    def left(self) -> list[tuple[str, str, str]]:
        """Work that is open."""
        rows = self.store.scan("work", due=2**53 - 1, first=1_000)
        return [(row.key, row.value["state"], row.value["reason"]) for row in rows]

    def check(self) -> None:
        """Nothing lost, nothing doubled, and the ledger verifies."""
        orders = self.store.expand(self.products, "orderedFor", Direction.IN)
        assert {id: len(edges) for id, edges in orders.items()} == dict.fromkeys(self.products, 1)
        assert {e["onOrder"] for e in self.store.get(self.products).values()} == {100}
        effects = self.store.find("Effect", first=1_000).items
        assert {e["status"] for e in effects} == {"done"}
        assert len(effects) == len(self.products) + len(self.tickets)
        told = {path.name: len(path.read_text().split()) for path in (Path(self.job.folder) / "told").iterdir()}
        assert told == {str(e["idempotencyKey"]): 1 for e in effects if e["effector"] == "file"}
        assert {e["state"] for e in self.store.find("Proposal", first=1_000).items} == {"applied"}
        assert self.store.verify() == self.store.head().position

    def stopped(self, name: str) -> bool:
        """Whether the process was stopped by its own SIGSTOP."""
        stat = Path(f"/proc/{self.processes[name].pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def end(self, name: str) -> None:
        """Let a process end in order."""
        process = self.processes[name]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DONE_SECONDS_MAX) == 0

    def stop(self) -> None:
        """Kill whatever is left."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self.store.close()


@contextmanager
def crew(folder: Path, broker: str | None, graph: Server | None = None, **more: Any) -> Iterator[Crew]:
    """A crew over an empty graph with the plant's people and rules."""
    if graph is not None:
        empty(graph)
    job = Job(str(folder), broker, "", neo4j=asdict(graph) if graph is not None else None, **more)
    clock = SystemClock()
    made = Crew(job, store_of(job, clock), clock)
    populate(made.store, clock, list(CARDS))
    try:
        yield made
    finally:
        made.stop()


__all__ = ["DONE_SECONDS_MAX", "Crew", "crew"]
