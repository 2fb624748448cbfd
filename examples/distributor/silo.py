"""The same agents with one department's data only, for comparison: what would each system's owner find alone?

Invariant: a department sees exactly what its own source system holds (the table below, taken from the mappings), plus the business
day, which everybody knows. What agents made is hidden too, so a department does not profit from decisions that others' facts
led to. Nothing is written: the agents act, and their drafts are scored.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from agents.agent import Agent
from agents.context import Context, Search
from coordination.proposals import Draft
from coordination.wakes import Neighbour, Wake
from examples.distributor.claims import of_drafts
from examples.distributor.scoring import Score, score
from examples.distributor.truth import Truth
from kg.errors import ShapeError
from kg.model import Change, Cursor, Entity, Kind
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore
from kg.view import View

#: System -> class -> the properties that this system holds; the first is the key, without which the system does not know it.
SYSTEMS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "crm": {
            "Customer": ("accountId", "vatNumber", "domain", "name", "segment", "city", "customerSince"),
            "SalesRep": ("repId", "*"),
            "Contact": ("contactId", "*"),
            "Opportunity": ("opportunityId", "*"),
            "DiscountOffer": ("offerId", "discount", "validFrom", "validUntil", "status"),
            "PaymentPlan": ("planId", "*"),
        },
        "erp": {
            "Customer": ("customerNo", "vatNumber", "billingName", "creditLimit", "paymentTermsDays"),
            "Supplier": ("supplierNo", "*"),
            "Product": ("productNo", "*"),
            "SalesOrder": ("orderNo", "*"),
            "OrderLine": ("lineId", "*"),
            "Invoice": ("invoiceNo", "*"),
            "PurchaseOrder": ("poNo", "*"),
        },
        "helpdesk": {
            "Customer": ("domain",),
            "Ticket": ("ticketId", "createdAt", "subject", "body", "category", "team", "status"),
        },
        "logistics": {"Shipment": ("shipmentId", "*"), "RouteIncident": ("incidentId", "*")},
    }
)
SHARED: Mapping[str, tuple[str, ...]] = MappingProxyType({"Calendar": ("companyCode", "*")})


@dataclass(frozen=True, slots=True)
class SiloView:
    """A View that shows one system's classes and properties."""

    system: str

    @property
    def principal(self) -> str:
        """Who reads."""
        return f'Service::"silo-{self.system}"'

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        """Each entity as the system holds it, None for what it does not hold."""
        known = {**SHARED, **SYSTEMS[self.system]}
        return [_part(entity, known.get(entity.cls)) for entity in entities]

    def classes(self, names: Sequence[str]) -> list[str]:
        """The classes the system holds."""
        known = {**SHARED, **SYSTEMS[self.system]}
        return [name for name in names if name in known]


def _part(entity: Entity, names: tuple[str, ...] | None) -> Entity | None:
    if names is None or names[0] not in entity.properties:
        return None
    if "*" in names:
        return entity
    kept = {name: value for name, value in entity.properties.items() if name in names}
    return replace(entity, properties=kept, masked=frozenset(entity.properties.keys() - kept.keys()))


def sweep(
    store: GraphStore, agents: Iterable[Agent], view: View, classes: Iterable[str], searching: Search | None = None
) -> list[Draft]:
    """What the agents propose where every visible entity has just arrived: each acts once on each subject that wakes it."""
    at = store.head().position
    reader = Reader(store, view, at)
    things = {cls: _all(reader, cls) for cls in classes}
    drafts: list[Draft] = []
    for agent in agents:
        subjects: dict[str, Entity] = {}
        for wake in agent.wakes:
            woken = [thing for thing in things.get(wake.cls, ()) if _wakes(wake, thing)]
            for subject in _redirected(reader, wake, woken):
                subjects[subject.id] = subject
        for subject in subjects.values():
            drafts += agent.act(_arrival(subject, at), subject, _context(store, view, agent, subject, at, searching))
    return drafts


def _all(reader: Reader, cls: str) -> list[Entity]:
    found: list[Entity] = []
    after: Cursor | None = None
    while True:
        try:
            page = reader.find(cls, after=after, first=PAGE_MAX - 1)
        except ShapeError:
            return found
        found += page.items
        after = page.next
        if after is None:
            return found


def _wakes(wake: Wake, thing: Entity) -> bool:
    return Kind.CREATED.value in wake.on and wake.matches(None, thing) is not None


def _redirected(reader: Reader, wake: Wake, woken: Sequence[Entity]) -> list[Entity]:
    place: Neighbour | Callable[[Entity], Iterable[str]] | None = wake.subject
    if place is None:
        return list(woken)
    if not isinstance(place, Neighbour):
        return list(reader.get([id for thing in woken for id in place(thing)]).values())
    ids = [thing.id for thing in woken]
    near: list[Entity] = []
    step: Neighbour | None = place
    while step is not None:
        near = [edge.entity for start in range(0, len(ids), 500) for edges in
                reader.expand(ids[start : start + 500], step.relation, step.direction).values() for edge in edges]  # fmt: skip
        ids = list(dict.fromkeys(entity.id for entity in near))
        step = step.then
    return near


def _arrival(subject: Entity, at: int) -> Change:
    now = datetime(1970, 1, 1, tzinfo=UTC)
    return Change(at, now, Kind.CREATED, subject.cls, subject.id, subject.version, "sweep")


def _context(
    store: GraphStore, view: View, agent: Agent, subject: Entity, at: int, searching: Search | None
) -> Context:
    context = Context(
        work=f"{agent.name}\x1f{at}\x1f{subject.id}",
        agent=agent.name,
        position=at,
        now=datetime(1970, 1, 1, tzinfo=UTC),
        reader=Reader(store, view, at),
        searching=searching,
    )
    context.note(subject)
    return context


def score_alone(
    store: GraphStore,
    agents: Sequence[Agent],
    truth: Truth,
    searches: Callable[[View], Search] | None = None,
    phases: tuple[str, ...] = ("base", "live"),
) -> dict[str, Score]:
    """The score of each system on its own."""
    scores = {}
    for system, known in SYSTEMS.items():
        view = SiloView(system)
        drafts = sweep(store, agents, view, (*SHARED, *known), searches(view) if searches else None)
        scores[system] = score(of_drafts(Reader(store, view), drafts), truth, phases)
    return scores


def best_alone(scores: Mapping[str, Score]) -> tuple[str, Score]:
    """The system that finds most on its own; ties go to fewer false alarms, then by name."""
    system = min(scores, key=lambda name: (-scores[name].total.recall, len(scores[name].total.false), name))
    return system, scores[system]
