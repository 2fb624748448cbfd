"""From a source's commit to the agent's proposal, embedded: real SQLite with fsync, committer, broker threads and worker."""

import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.result import Result, median_us, within
from coordination.acting import NOWHERE, AgentCard, Answer, Assignment, ContextRecord, Within
from coordination.brokers import carrier
from coordination.proposals import PROPOSAL, Draft
from coordination.runtime import Runtime
from coordination.wakes import Wake
from coordination.worker import Worker
from governance.people import ensure_principal
from governance.principals import Principal
from governance.rules import add
from kg.clock import SystemClock
from kg.committer import Committer
from kg.model import Cause, Change, Entity, Input, Put
from kg.ontology import Ontology, load
from kg.stores.sqlite import SqliteStore

TIMES: Final = 60
WAIT_SECONDS: Final = 10.0
BAR_MS: Final = 50.0
ROOT = Path(__file__).resolve().parent.parent
TURTLE = """
@prefix : <urn:shop#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Product a owl:Class .
:stock a owl:DatatypeProperty ; rdfs:domain :Product ; rdfs:range xsd:integer .
:flag a owl:DatatypeProperty ; rdfs:domain :Product ; rdfs:range xsd:string .
"""
RULE = '@id("agents-may") permit(principal in Role::"agents", action == Action::"apply", resource);'


def ontology() -> Ontology:
    """The shop's one class with the platform's."""
    return load(
        {"shop": TURTLE, **{p: (ROOT / p / "platform.ttl").read_text() for p in ("governance", "coordination")}}
    )


class Flagging:
    """An agent that flags every product it is woken on."""

    def __init__(self) -> None:
        card = AgentCard("flagging", "1", None, (Wake("Product", properties=("stock",)),))
        self._cards: Mapping[str, AgentCard] = {card.name: card}

    def agents(self) -> Mapping[str, AgentCard]:
        return self._cards

    def act(
        self, agent: str, change: Change, entity: Entity, at: int, _: Within = NOWHERE
    ) -> tuple[tuple[Draft, ...], ContextRecord]:
        del agent
        flag = Put(entity.id, "Product", {"flag": f"seen at {change.position}"})
        draft = Draft("product.flag", entity.id, (flag,), evidence=(Input(entity.id, entity.version),))
        return (draft,), ContextRecord("none", at)

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        return Answer(f"{agent}: {assignment.text}"), ContextRecord("none", at)


class Line:
    """The whole embedded line, and when proposals and effects of the last commit came."""

    def __init__(self, path: Path, agents: Flagging | None = None) -> None:
        acting = agents or Flagging()
        self.clock = SystemClock()
        shapes = ontology()
        self.store = Committer(SqliteStore(path / "graph.db", shapes, self.clock))
        author = Principal("Service", "bench")
        for name in acting.agents():
            ensure_principal(self.store, self.clock, "Agent", name, author, roles=["agents"])
        add(self.store, self.clock, shapes, RULE, author, "benchmark")
        runtime = Runtime(self.store, self.clock, shapes, acting, (), self._enqueue)
        self._carrier = carrier(runtime.handle)
        self._worker = Worker(runtime, self._carrier)
        self._seen = self.store.head().position
        self._came: dict[str, float] = {}
        self._applied = threading.Event()
        self.store.on_commit(self._worker.notify)
        self.store.on_commit(self._look)
        self._worker.start()

    def _enqueue(self, work: str) -> None:
        self._carrier.enqueue(work)

    def _look(self, position: int) -> None:
        del position
        now = time.perf_counter()
        changes = self.store.changes(self._seen)
        self._seen = changes[-1].position if changes else self._seen
        for change in changes:
            if change.cls in (PROPOSAL, "Effect"):
                self._came.setdefault(change.cls, now)
            if change.cls == "Effect":
                self._applied.set()

    def one(self, number: int) -> tuple[float, float]:
        """Milliseconds from the return of the source's commit to the proposal and to the effect."""
        self._came.clear()
        self._applied.clear()
        cause = Cause(self.clock.id(), "ingest", 'Service::"ingest"')
        self.store.commit([Put(f"product-{number}", "Product", {"stock": number})], cause)
        start = time.perf_counter()
        if not self._applied.wait(WAIT_SECONDS):
            raise RuntimeError("no effect came; look at the worker's log")
        return (self._came[PROPOSAL] - start) * 1_000, (self._came["Effect"] - start) * 1_000

    def floor_ms(self) -> float:
        """Three state commits one after another, as the road to a proposal has: feed, claim, proposal."""
        from kg.model import StateWrite

        return 3 * median_us(lambda n: self.store.commit([], None, state=[StateWrite("bench", "x", n)]), 30) / 1_000

    def close(self) -> None:
        self._worker.stop()
        self.store.close()


def run() -> Sequence[Result]:
    """The bar and, beside it, the road on to the effect."""
    with tempfile.TemporaryDirectory() as folder, closing(Line(Path(folder))) as line:
        for number in range(5):
            line.one(-number)
        taken = [line.one(number + 1) for number in range(TIMES)]
        floor = line.floor_ms()
    proposal = statistics.median(one for one, _ in taken)
    effect = statistics.median(one for _, one in taken)
    return [
        within("source commit to proposal, p50", proposal, "ms", BAR_MS, "its three commits alone", floor),
        within("source commit to governed effect, p50", effect, "ms", 2 * BAR_MS),
    ]
