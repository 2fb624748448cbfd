"""Events of the log, in the order of a live feed; mapping.yaml says how a row reads, the ontology what type each value has.

Source: BPI Challenge 2013, incidents, doi:10.4121/uuid:a7ce5c55-03a7-4583-b855-98b86e1a2b07. The column `organization country`
is not mapped: it is stamped on an incident's events afterwards and gives away who completed it.
Invariant: events are ordered by instant, within one instant the incidents that begin come first, then by row. So whoever acts
as an incident begins has seen every earlier event and none of the same instant, except that others begin too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from kg.errors import SourceError
from kg.ingest import load_mapping, read_log
from kg.ingest.record import Record
from kg.ontology import load

PROJECT = Path(__file__).resolve().parent
#: What every event must say of its incident.
SAID = ("team", "country", "product", "impact", "status", "transition")
#: Events that one batch takes at most.
BATCH_MAX = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the log; `first` marks the one with which its incident begins."""

    row: int
    incident: str
    at: datetime
    team: str
    person: str
    country: str
    product: str
    impact: str
    status: str
    transition: str
    first: bool = False


def read_events(path: Path, limit: int | None = None) -> list[Event]:
    """The log in the order of the feed, or its first events; SourceError where a row of it does not fit the mapping."""
    ontology = load({"ontology.ttl": (PROJECT / "ontology.ttl").read_text(encoding="utf-8")})
    records = read_log(load_mapping(PROJECT / "mapping.yaml"), ontology, path)
    events = sorted(map(_event, records), key=_in_time)
    begun: set[str] = set()
    marked = []
    for event in events[:limit]:
        marked.append(replace(event, first=True) if event.incident not in begun else event)
        begun.add(event.incident)
    return sorted(marked, key=lambda event: (event.at, not event.first, event.row))


def batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Batches that end where incidents begin, where a day (UTC) ends, and at BATCH_MAX events."""
    start = 0
    for index, event in enumerate(events):
        following = events[index + 1] if index + 1 < len(events) else None
        begins = event.first and not (following is not None and following.first and following.at == event.at)
        day_ends = following is None or following.at.date() != event.at.date()
        if begins or day_ends or index + 1 - start == BATCH_MAX:
            yield events[start : index + 1]
            start = index + 1


def _in_time(event: Event) -> tuple[datetime, int]:
    return event.at, event.row


def _event(record: Record) -> Event:
    """The event of a record; SourceError where it lacks what every event must say."""
    said = record.properties
    people = [str(person["firstName"]) for person in record.targets["assignedTo"]]
    if missing := [name for name in SAID if name not in said] or ["assignedTo"] * (not people):
        raise SourceError(
            f"row {record.row.number} of the log says no {missing[0]}; every event needs one, complete it"
        )
    text = {name: str(said[name]) for name in SAID}
    return Event(
        record.row.number,
        str(said["incidentNo"]),
        cast(datetime, record.valid_from),
        text["team"],
        people[0],
        text["country"],
        text["product"],
        text["impact"],
        text["status"],
        text["transition"],
    )
