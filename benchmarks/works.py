"""Workflows for the benchmarks: a runtime over a real store with fsync, driven here or by the carrier's threads."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_feed import ontology
from coordination.acting import NOWHERE, Acting, AgentCard, Answer, Assignment, ContextRecord, Within
from coordination.brokers import carrier
from coordination.proposals import Draft
from coordination.runs.engine import Workflows
from coordination.runtime import Runtime
from coordination.worker import Worker
from coordination.workflow.document import parse
from governance.principals import Principal
from kg.clock import SystemClock
from kg.committer import Committer
from kg.fibers import Crew
from kg.model import Change, Entity
from kg.promises import undisturbed
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore

AUTHOR: Final = Principal("Service", "bench")
WAIT_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 0.005
LOOK_AT: Final = 10


class Nobody:
    """No agents."""

    def agents(self) -> Mapping[str, AgentCard]:
        return {}

    def act(
        self, agent: str, change: Change, entity: Entity, at: int, _: Within = NOWHERE
    ) -> tuple[tuple[Draft, ...], ContextRecord]:
        del agent, change, entity
        return (), ContextRecord("none", at)

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        return Answer(f"{agent}: {assignment.text}"), ContextRecord("none", at)


def increased(x: int) -> dict[str, int]:
    """The function that every measured step calls."""
    return {"x": x + 1}


def slept(seconds: float) -> dict[str, float]:
    """A branch that waits for something outside."""
    time.sleep(seconds)
    return {"slept": seconds}


def steps(name: str, count: int) -> str:
    """A workflow of so many calls, one after the other."""
    calls = "\n".join(f"  - s{n}: {{call: inc, with: {{x: '${{ .x }}'}}}}" for n in range(count))
    return f"document: {{dsl: '1.0.3', namespace: bench, name: {name}, version: '1.0.0'}}\ndo:\n{calls}\n"


@dataclass
class Works:
    """A runtime with workflows. `queue` holds what is to be handled where no carrier does it."""

    store: GraphStore
    runtime: Runtime
    queue: deque[str] = field(default_factory=deque)
    worker: Worker | None = None

    def register(self, text: str) -> str:
        return self.runtime.engine.register(parse(text), AUTHOR)

    def start(self, workflow: str, input: Any, id: str = "") -> str:
        return self.runtime.engine.start(workflow, input, AUTHOR.uid, id=id)

    def start_each(self, workflow: str, inputs: Sequence[Any]) -> list[str]:
        given = {self.runtime.clock.id(): item for item in inputs}
        return self.runtime.engine.start_each(workflow, given, AUTHOR.uid)

    def drain(self) -> None:
        """Handle what is queued, in one thread as a worker's are, until nothing is."""
        with ThreadPoolExecutor(1) as one:
            one.submit(self._handle).result()

    def _handle(self) -> None:
        with undisturbed():
            while self.queue:
                self.runtime.handle(self.queue.popleft())

    def wait(self, runs: list[str], state: str = "completed") -> None:
        """Return when all these runs are in a state."""
        left, end = list(runs), time.monotonic() + WAIT_SECONDS
        while left:
            # Few at a time: looking must not take the processor from what is measured.
            found = self.store.get(left[:LOOK_AT])
            still = [id for id in left[:LOOK_AT] if id not in found or found[id]["state"] != state]
            left = still + left[LOOK_AT:]
            if time.monotonic() > end:
                raise TimeoutError(f"{len(left):,} of {len(runs):,} runs did not become {state}")
            if still:
                time.sleep(LOOK_SECONDS)


@contextmanager
def works(store: GraphStore, clock: SystemClock, threads: int = 0, acting: Acting | None = None) -> Iterator[Works]:
    """A runtime over a store; with `threads` a worker and the embedded carrier drive it, else `drain` does."""
    queue: deque[str] = deque()
    ending = threading.Event()
    committer = Committer(store)
    workflows = Workflows(functions={"inc": increased, "slept": slept})

    def send(work: str) -> None:
        if not threads:
            queue.append(work)
        elif not ending.is_set():
            made.enqueue(work)

    runtime = Runtime(
        committer,
        clock,
        ontology(),
        acting or Nobody(),
        (),
        send,
        holder=clock.id(),
        workflows=workflows,
        crew=Crew(committer) if threads and isinstance(store, SqliteStore) else None,
    )
    found = Works(committer, runtime, queue)
    if threads:
        made = carrier(runtime.handle, None, threads)
        found.worker = Worker(runtime, made)
        committer.on_commit(found.worker.notify)
        found.worker.start()
    try:
        yield found
    finally:
        ending.set()
        if found.worker is not None:
            found.worker.stop()
        runtime.close()
        committer.close()


@contextmanager
def works_on_file(folder: Path, threads: int = 0, acting: Acting | None = None) -> Iterator[Works]:
    """The same over a file with fsync."""
    clock = SystemClock()
    store = SqliteStore(folder / "graph.db", ontology(), clock)
    try:
        with works(store, clock, threads, acting) as made:
            yield made
    finally:
        store.close()
