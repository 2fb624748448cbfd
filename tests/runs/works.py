"""A runtime for tests of workflows: everything real but the world outside; messages are drained by hand, time is set."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coordination.bounds import Bounds
from coordination.effectors.effector import Effector
from coordination.runs.engine import Engine, Workflows
from coordination.runs.runs import Run
from coordination.runtime import Runtime
from coordination.workflow.document import Document, parse
from kg.model import Entity, Op, Where
from kg.store import GraphStore
from tests import place
from tests.coordination.plant import AUTHOR, RULES, Scripted, ontology, populate
from tests.parts import ManualClock

ANNA = 'User::"anna"'
HEAD = "document: {dsl: '1.0.3', namespace: test, name: %s, version: '1.0.0'}\n"
#: Whoever starts a run must be allowed what it does.
STARTERS_MAY = '@id("managers-may") permit(principal in Role::"managers", action == Action::"apply", resource);'
NO_CALLER: Sequence[Effector] = ()


def document(name: str, text: str) -> Document:
    """A workflow of this name in the namespace test."""
    return parse(HEAD % name + text)


@dataclass
class Works:
    """A runtime with workflows, and its queue."""

    store: Any
    clock: ManualClock
    runtime: Runtime
    queue: deque[str] = field(default_factory=deque)

    @property
    def engine(self) -> Engine:
        return self.runtime.engine

    def drain(self, rounds: int = 500) -> None:
        """Pump and handle until nothing is left that is due."""
        for _ in range(rounds):
            read = self.runtime.pump()
            while self.queue:
                self.runtime.handle(self.queue.popleft())
            if not read and not self.queue:
                return
        raise AssertionError("it does not come to rest")

    def later(self, seconds: float) -> None:
        """Let time pass, and do what is due."""
        self.clock.advance(seconds)
        self.runtime.reconcile()
        self.drain()

    def register(self, name: str, text: str) -> str:
        return self.engine.register(document(name, text), AUTHOR, ("agents",))

    def start(self, text: str, input: Any = None, *, name: str = "flow", id: str = "", sandbox: bool = False) -> str:
        """Register, start and drive as far as it goes now; the run's id."""
        run = self.engine.start(self.register(name, text), input, ANNA, id=id, sandbox=sandbox)
        self.drain()
        return run

    def run(self, id: str) -> Run:
        return self.engine.run(id)

    def output(self, id: str) -> Any:
        run = self.run(id)
        assert run.state == "completed", (run.state, run.error, [(s["reference"], s["state"]) for s in self.steps(id)])
        return self.engine.output(id)

    def steps(self, id: str) -> list[Entity]:
        found = self.store.find("Step", [Where("run", Op.EQ, id)], first=1_000).items
        return sorted(found, key=lambda step: step.since)

    def event(self, kind: str, data: Any = None, id: str = "", **more: Any) -> dict[str, Any]:
        return {"id": id or self.clock.id(), "source": "test", "type": kind, "data": data, **more}

    def rows(self) -> dict[str, list[str]]:
        """What machine rows of runs are left."""
        kinds = ("strand", "join", "listener", "letter", "mailbox", "awaited", "work")
        found = {kind: [row.key for row in self.store.scan(kind, first=1_000)] for kind in kinds}
        found["work"] = [key for key in found["work"] if key.split(":")[0] in ("run", "deliver", "cancel")]
        return {kind: keys for kind, keys in found.items() if keys}


@contextmanager
def works(
    workflows: Workflows | None = None, *, effectors: Sequence[Effector] = NO_CALLER,
    store: Callable[[Any], GraphStore] | None = None,
    cards: Mapping[str, Any] | None = None, acts: Mapping[str, Any] | None = None, rules: Sequence[str] = (*RULES, STARTERS_MAY),
    bounds: Bounds | None = None, seed: int = 7,
) -> Iterator[Works]:  # fmt: skip
    """A runtime that is closed at the end."""
    clock = ManualClock(seed=seed)
    made: Any = store(clock) if store is not None else place.make(ontology(), clock)
    populate(made, clock, list(cards or {}), rules)
    queue: deque[str] = deque()
    acting = Scripted(made, dict(cards or {}), dict(acts or {}))
    runtime = Runtime(
        made, clock, ontology(), acting, effectors, queue.append, bounds or Bounds(), workflows=workflows or Workflows()
    )
    try:
        yield Works(made, clock, runtime, queue)
    finally:
        runtime.close()
