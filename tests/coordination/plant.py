"""A small plant for the tests of coordination: stock falls, agents propose orders, holds and notices, rules say what may happen.

Everything is real but the world outside: store, ontology, governance, runtime. `Scripted` is port Acting over plain functions.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from coordination.acting import NOWHERE, AgentCard, Answer, Assignment, ContextRecord, Within
from coordination.bounds import Bounds
from coordination.effectors.declared import undo_of
from coordination.effectors.effector import Effect, Effector, Receipt, Undo
from coordination.errors import AnswerError
from coordination.proposals import PROPOSAL, Draft
from coordination.runtime import Runtime
from coordination.wakes import Wake
from governance.approvals import approve
from governance.controls import Acknowledgement, resume, stop
from governance.people import ensure_principal
from governance.principals import Principal, load_principal
from governance.rules import add, load_rules
from kg.clock import Clock
from kg.model import Cause, Change, Entity, Input, Link, Put, Write
from kg.ontology import Ontology, load
from kg.store import GraphStore
from kg.values import Money, Value
from tests import place
from tests.parts import ManualClock

ROOT = Path(__file__).resolve().parents[2]
TURTLE = """
@prefix n: <urn:noesis:ns#> .
@prefix e: <urn:plant#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
e:Product a owl:Class . e:Part a owl:Class ; rdfs:subClassOf e:Product .
e:PurchaseOrder a owl:Class . e:Customer a owl:Class . e:Ticket a owl:Class .
e:name a owl:DatatypeProperty ; rdfs:domain e:Product , e:Customer ; rdfs:range xsd:string .
e:stock a owl:DatatypeProperty ; rdfs:domain e:Product ; rdfs:range xsd:integer .
e:onOrder a owl:DatatypeProperty ; rdfs:domain e:Product ; rdfs:range xsd:integer .
e:email a owl:DatatypeProperty ; rdfs:domain e:Customer ; rdfs:range xsd:string ; n:personal true .
e:note a owl:DatatypeProperty ; rdfs:domain e:Product , e:Customer , e:Ticket ; rdfs:range xsd:string .
e:units a owl:DatatypeProperty ; rdfs:domain e:PurchaseOrder ; rdfs:range xsd:integer .
e:held a owl:DatatypeProperty ; rdfs:domain e:Customer ; rdfs:range xsd:boolean .
e:orderedFor a owl:ObjectProperty ; rdfs:domain e:PurchaseOrder ; rdfs:range e:Product ; n:inverse "orders" .
e:raisedBy a owl:ObjectProperty ; rdfs:domain e:Ticket ; rdfs:range e:Customer ; n:inverse "tickets" .
"""
#: What may happen: everything but what is said here.
RULES = (
    '@id("agents-may") permit(principal in Role::"agents", action == Action::"apply", resource);',
    '@id("people-may") permit(principal in Role::"managers", action == Action::"approve", resource);',
    '@id("big-po") @requires("purchasing") @approvers("managers:1") forbid(principal, action == Action::"apply", '
    'resource is Product) when { context.operation == "order.create" && context has amount && '
    'context.amount.greaterThan(decimal("1000.0")) };',
    '@id("no-gifts") forbid(principal, action == Action::"apply", resource) when { context.operation == "gift" };',
)
AUTHOR = Principal("Service", "setup")


@cache
def ontology(*more: str) -> Ontology:
    """The plant's classes with those of governance and coordination; loaded once a process."""
    texts = {name: (ROOT / name / "platform.ttl").read_text() for name in ("governance", "coordination")}
    return load({"plant.ttl": TURTLE, **texts, **{f"{i}.ttl": text for i, text in enumerate(more)}})


Act = Callable[[Change, Entity, GraphStore, int], Sequence[Draft]]
Reply = Callable[[Assignment], Answer]


@dataclass(frozen=True)
class Scripted:
    """Port Acting over plain functions."""

    store: GraphStore
    cards: Mapping[str, AgentCard]
    acts: Mapping[str, Act]
    replies: Mapping[str, Reply] = field(default_factory=dict)

    def agents(self) -> Mapping[str, AgentCard]:
        return self.cards

    def act(
        self, agent: str, change: Change, entity: Entity, at: int, within: Within = NOWHERE
    ) -> tuple[tuple[Draft, ...], ContextRecord]:
        drafts = tuple(self.acts[agent](change, entity, self.store, at))
        return drafts, ContextRecord("hash", at, (Input(entity.id, entity.version),))

    def ask(self, agent: str, assignment: Assignment, at: int) -> tuple[Answer, ContextRecord]:
        if agent not in self.replies:
            raise AnswerError(f"agent {agent!r} answers no tasks")
        return self.replies[agent](assignment), ContextRecord("hash", at)


def low(before: Entity | None, now: Entity) -> bool:
    """Stock fell under ten just now."""
    return number(now, "stock") < 10 and (before is None or number(before, "stock") >= 10)


def number(entity: Entity, name: str) -> int:
    value = entity.get(name, 0)
    assert isinstance(value, int)
    return value


def reorder(change: Change, entity: Entity, store: GraphStore, at: int) -> Sequence[Draft]:
    """Order what is missing; the order's id follows from the change."""
    order = f"po-{entity.id}-{change.position}"
    return [
        Draft(
            "order.create",
            entity.id,
            writes=(
                Put(order, "PurchaseOrder", {"units": 100}),
                Link(order, "orderedFor", entity.id),
                Put(entity.id, entity.cls, {"onOrder": number(entity, "onOrder") + 100}),
            ),
            rationale="stock is low",
            evidence=(Input(entity.id, entity.version),),
            amount=Money(Decimal(number(entity, "stock") * 500), "EUR"),
            confidence=Decimal("0.9"),
        )
    ]


def card(name: str, *wakes: Wake, priority: int = 0, operations: tuple[str, ...] = ()) -> AgentCard:
    return AgentCard(name, "1", None, wakes, operations, priority, "digest")


@dataclass
class Telling:
    """An outside effector that keeps what it was told, by key if it honours keys, and fails as told to."""

    kind: str = "telling"
    idempotent: bool = True
    can_look_up: bool = False
    told: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def act(self, effect: Effect) -> Receipt:
        self.before()
        if self.faults:
            raise self.faults.pop(0)
        if not (self.idempotent and effect.key in self.told):
            self.told.append(effect.key)
        self.after()
        return Receipt(f"ref-{effect.key}", {"status": 200})

    def look_up(self, effect: Effect) -> Receipt | None:
        return Receipt(f"ref-{effect.key}") if effect.key in self.told else None

    def compensation(self, effect: Effect, receipt: Receipt) -> Undo | None:
        return undo_of(self.kind, effect, receipt)

    def simulate(self, effect: Effect) -> Receipt:
        return Receipt("", {"would": dict(effect.payload)})


@dataclass
class Plant:
    """The runtime with its queue of messages, drained by hand."""

    store: Any
    clock: ManualClock
    runtime: Runtime
    queue: deque[str] = field(default_factory=deque)

    def put(self, *writes: Write, depth: int = 0) -> int:
        """Commit facts as a source would; the last position."""
        cause = Cause(self.clock.id(), "ingest", 'Service::"ingest"', attributes={"depth": depth})
        return int(self.store.commit(list(writes), cause).last)

    def product(self, id: str, **properties: Value) -> int:
        return self.put(Put(id, "Product", properties))

    def run(self, rounds: int = 200) -> None:
        """Pump and handle until nothing is left that is due."""
        for _ in range(rounds):
            read = self.runtime.pump()
            while self.queue:
                self.runtime.handle(self.queue.popleft())
            if not read and not self.queue:
                return
        raise AssertionError("it does not come to rest")

    def later(self, seconds: float = 600) -> None:
        """Let time pass, send what is due again, and run."""
        self.clock.advance(seconds)
        self.runtime.reconcile()
        self.run()

    def proposals(self, state: str | None = None) -> list[Entity]:
        found = self.store.find(PROPOSAL, first=1_000).items
        return [p for p in found if state is None or p["state"] == state]

    def one(self) -> Entity:
        (proposal,) = self.proposals()
        return proposal

    def decisions(self, proposal: str) -> list[Entity]:
        return sorted((e.entity for e in self.store.expand([proposal], "decidedBy")[proposal]), key=lambda d: d.since)

    def answer(self, proposal: str, who: str = "anna", verdict: Any = "approve") -> None:
        decision = self.decisions(proposal)[-1]
        rules = load_rules(self.store, ontology())
        approve(self.store, self.clock, rules, decision.id, load_principal(self.store, f'User::"{who}"'), verdict)

    def stop(self, scope: str = "global") -> Acknowledgement:
        return stop(self.store, self.clock, AUTHOR, scope, "test")

    def resume(self, scope: str = "global") -> None:
        resume(self.store, self.clock, AUTHOR, scope, "test")


def populate(
    store: GraphStore, clock: Clock, agents: Sequence[str], rules: Sequence[str] = RULES, words: Ontology | None = None
) -> None:
    """People and rules."""
    for name in agents:
        ensure_principal(store, clock, "Agent", name, AUTHOR, roles=["agents"])
    ensure_principal(store, clock, "User", "anna", AUTHOR, roles=["managers"])
    ensure_principal(store, clock, "User", "ben", AUTHOR)
    for text in rules:
        add(store, clock, words or ontology(), text, AUTHOR, "test")


def plant(
    cards: Sequence[AgentCard] = (card("buyer", Wake("Product", properties=("stock",), condition=low)),),
    acts: Mapping[str, Act] | None = None,
    *,
    store: Any = None,
    effectors: Sequence[Effector] = (),
    bounds: Bounds | None = None,
    rules: Sequence[str] = RULES,
    seed: int = 7,
    words: Ontology | None = None,
) -> Plant:
    """A plant with these agents; `acts` defaults to reordering."""
    clock = ManualClock(seed=seed)
    store = store(clock) if store else place.make(words or ontology(), clock)
    populate(store, clock, [c.name for c in cards], rules, words)
    queue: deque[str] = deque()
    acting = Scripted(store, {c.name: c for c in cards}, acts or {c.name: reorder for c in cards})
    runtime = Runtime(store, clock, words or ontology(), acting, effectors, queue.append, bounds or Bounds())
    made = Plant(store, clock, runtime, queue)
    made.run()
    return made


__all__ = ["Plant", "Scripted", "Telling", "card", "low", "ontology", "plant", "populate", "reorder"]
