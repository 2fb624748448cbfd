"""Long wait: an incident waits for its user for more than seven days. One proposal a wait.

A wait begins with the first event that says `Wait - User` and ends with the next that says something else. It is found as it
passes seven days (each day begins with a look at all that wait), or else when it ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Link, Op, Put, Where

from .findings import TOGETHER, Found, found, fresh

REMIND = "user.remind"
LONG = timedelta(days=7)
#: Incidents that wait at once, at most.
WAITING_MAX = 5_000


def ended(incident: Entity | None) -> list[tuple[datetime, datetime]]:
    """The waits for the user that have ended."""
    waits = incident.get("userWaits", ()) if incident is not None else ()
    spans = [str(wait).partition("/") for wait in waits] if isinstance(waits, tuple) else []
    return [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, _, end in spans]


def _ended_one(before: Entity | None, now: Entity) -> bool:
    return any(end - start > LONG for start, end in ended(now)[len(ended(before)) :])


@dataclass(frozen=True, slots=True)
class LongWait:
    """Works for support; reads incidents and the calendar."""

    name: str = "long-wait"
    version: str = "1.0"
    department: str = "support"
    capabilities: tuple[str, ...] = (REMIND,)
    priority: int = 5
    wakes: tuple[Wake, ...] = (
        Wake("Incident", properties=("userWaits",), condition=_ended_one),
        Wake("Calendar", properties=("at",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the incident that was waiting, or as a day begins every one that waits."""
        del change
        if entity.cls == "Incident":
            return _drafts(entity, None, context)
        now = cast(datetime, entity["at"])
        where = [Where("waitingSince", Op.LT, now - LONG)]
        waiting = context.find("Incident", where, first=WAITING_MAX)
        return [draft for incident in waiting for draft in _drafts(incident, now, context)]


def _drafts(incident: Entity, now: datetime | None, context: Context) -> list[Draft]:
    return [_draft(incident, one, context) for one in fresh(context, incident, _long(incident, now))]


def _long(incident: Entity, now: datetime | None) -> Iterator[Found]:
    spans = [(start, end, "until it answered") for start, end in ended(incident)]
    if now is not None and "waitingSince" in incident.properties:
        spans.append((cast(datetime, incident["waitingSince"]), now, "and still"))
    for start, end, how in spans:
        if end - start > LONG:
            detail = f"waited for its user from {start:%Y-%m-%d} for {(end - start).days} days {how}"
            yield found(incident, "long-wait", start.isoformat(), detail)


def _draft(incident: Entity, one: Found, context: Context) -> Draft:
    return Draft(
        REMIND,
        incident.id,
        (Put(one.id, "Finding", {"kind": "long-wait", "detail": one.detail}), Link(one.id, "about", incident.id)),
        rationale=f"{incident['incidentNo']} {one.detail}: remind the user, or close it.",
        evidence=context.evidence(incident),
        compatible=TOGETHER,
    )
