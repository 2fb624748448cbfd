"""Feed: writes events into the graph, a batch a commit; each event is a version of its incident and says its row.

Invariant: the cursor moves in the commit that takes the batch, at the revision it was read, so a feed that was killed goes on
where it was and two feeds never take one batch twice. It knows nothing of agents: whoever wants them to act between batches
does so between two steps of `steps`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from coordination.codec import derive
from kg.model import ABSENT, Cause, Entity, Link, Put, StateWrite, Write
from kg.store import GraphStore
from kg.values import Ref, Value

from .events import Event, batches

CURSOR = ("cursor", "incident-feed")
SOURCE = "bpic2013"
PRINCIPAL = 'Service::"incident-feed"'
USER = "Wait - User"
CALENDAR = derive("calendar", SOURCE)


def incident_id(number: str) -> str:
    """The id of an incident in the graph."""
    return derive("incident", number)


@dataclass(slots=True)
class Standing:
    """What the feed must know of an incident to write its next event."""

    team: str
    person: str
    path: tuple[str, ...]
    waiting: datetime | None
    waits: tuple[str, ...]


@dataclass(slots=True)
class Feed:
    """Brings events into one store."""

    store: GraphStore
    events: Sequence[Event]
    _standing: dict[str, Standing] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)

    def steps(self) -> Iterator[Sequence[Event]]:
        """Take batch after batch, from where the last feed of this store stopped; yields each after it is committed."""
        row = self.store.state(CURSOR[0], [CURSOR[1]]).get(CURSOR[1])
        done, revision = (int(row.value), row.revision) if row is not None else (0, ABSENT)
        taken = done
        for batch in batches(self.events[done:]):
            self._load(batch)
            writes = [write for event in batch for write in self._writes(event)]
            if taken == 0 or batch[0].at.date() != self.events[taken - 1].at.date():
                writes.insert(0, _tick(batch[0].at))
            if taken + len(batch) == len(self.events):
                writes.append(_tick(batch[-1].at))
            span = f"{taken + 1}-{taken + len(batch)}"
            cause = Cause(
                derive("incident-feed", SOURCE, span, revision),
                "ingest",
                PRINCIPAL,
                f"events {span} of the feed",
                attributes={"source": SOURCE, "rows": [event.row for event in batch]},
            )
            taken += len(batch)
            self.store.commit(writes, cause, state=[StateWrite(*CURSOR, taken, expect=revision)])
            revision += 1
            yield batch

    def _load(self, batch: Sequence[Event]) -> None:
        """What the graph knows of incidents that this feed has not yet met."""
        unknown = {e.incident for e in batch if not e.first and e.incident not in self._standing}
        known = self.store.get([incident_id(number) for number in unknown]) if unknown else {}
        self._standing |= {str(entity["incidentNo"]): _standing(entity) for entity in known.values()}

    def _writes(self, event: Event) -> Iterator[Write]:
        id, team, person = incident_id(event.incident), derive("team", event.team), derive("person", event.person)
        origin = f"{SOURCE}.events/{event.row}"
        values: dict[str, Value] = {
            "changedAt": event.at,
            "status": event.status,
            "transition": event.transition,
            "team": event.team,
        }
        yield from self._name(team, "Team", {"name": event.team}, origin)
        yield from self._name(person, "Person", {"firstName": event.person}, origin)
        if event.first:
            product = derive("product", event.product)
            yield from self._name(product, "Product", {"productNo": event.product}, origin)
            now = self._standing[event.incident] = Standing("", "", (), None, ())
            values |= {
                "incidentNo": event.incident,
                "product": event.product,
                "impact": event.impact,
                "country": event.country,
                "firstTeam": event.team,
                "firstPerson": Ref(person),
                "openedAt": event.at,
            }
        now = self._standing[event.incident]
        if not now.path or now.path[-1] != event.team:
            values["path"] = now.path = (*now.path, event.team)
        gone = _wait(now, event, values)
        yield Put(id, "Incident", values, gone, origin)
        if event.first:
            yield Link(id, "concerns", product)
            yield Link(id, "startedAt", team)
        if event.team != now.team:
            yield Link(id, "handledBy", team, exclusive=True)
        if event.person != now.person:
            yield Link(id, "assignedTo", person, exclusive=True)
        now.team, now.person = event.team, event.person

    def _name(self, id: str, cls: str, values: dict[str, Value], origin: str) -> Iterator[Put]:
        if id not in self._named:
            self._named.add(id)
            yield Put(id, cls, values, origin=origin)


def _wait(now: Standing, event: Event, values: dict[str, Value]) -> frozenset[str]:
    """Begins or ends a wait for the user; which properties go."""
    if event.transition == USER:
        if now.waiting is None:
            values["waitingSince"] = now.waiting = event.at
        return frozenset()
    if now.waiting is None:
        return frozenset()
    values["userWaits"] = now.waits = (*now.waits, f"{now.waiting.isoformat()}/{event.at.isoformat()}")
    now.waiting = None
    return frozenset({"waitingSince"})


def _tick(at: datetime) -> Put:
    return Put(CALENDAR, "Calendar", {"desk": SOURCE, "at": at})


def _standing(entity: Entity) -> Standing:
    """As the graph holds it. The person is only known by id there, so the next event names it again, which changes nothing."""
    path, waits, waiting = entity.get("path", ()), entity.get("userWaits", ()), entity.get("waitingSince")
    assert isinstance(path, tuple)
    assert isinstance(waits, tuple)
    assert waiting is None or isinstance(waiting, datetime)
    return Standing(str(entity["team"]), "", tuple(map(str, path)), waiting, tuple(map(str, waits)))
