"""Events of the log, in the order of a live feed.

Source: BPI Challenge 2013, incidents, doi:10.4121/uuid:a7ce5c55-03a7-4583-b855-98b86e1a2b07. The column `organization country`
is not read: it is stamped on an incident's events afterwards and gives away who completed it.
Invariant: events are ordered by instant, within one instant the incidents that begin come first, then by row. So whoever acts
as an incident begins has seen every earlier event and none of the same instant, except that others begin too.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

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
    """The log in the order of the feed, or its first events."""
    with path.open(encoding="utf-8", newline="") as file:
        events = sorted((_event(row, fields) for row, fields in enumerate(csv.reader(file)) if row), key=_in_time)
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


def _event(row: int, fields: Sequence[str]) -> Event:
    incident, team, country, _, person, _, _, status, impact, product, transition, at = fields
    instant = datetime.fromisoformat(at).astimezone(UTC)
    return Event(row, incident, instant, team, person, country, product, impact, status, transition)
