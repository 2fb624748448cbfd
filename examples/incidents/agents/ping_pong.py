"""Ping-pong: an incident comes back to the team that had it just before. One proposal a turn.

A turn is any place of the path, in which a team that kept the incident stands once, whose team is that of two places before:
A, B, A is one turn; A, B, A, B are two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Link, Put

from .findings import TOGETHER, Found, found, fresh

ESCALATE = "incident.escalate"


def path_of(incident: Entity | None) -> tuple[str, ...]:
    """The teams that an incident went through."""
    path = incident.get("path", ()) if incident is not None else ()
    return tuple(map(str, path)) if isinstance(path, tuple) else ()


def turns(path: Sequence[str]) -> list[int]:
    """The places of a path at which the incident came back."""
    return [place for place in range(2, len(path)) if path[place] == path[place - 2]]


def _came_back(before: Entity | None, now: Entity) -> bool:
    return len(turns(path_of(now))) > len(turns(path_of(before)))


@dataclass(frozen=True, slots=True)
class PingPong:
    """Works for support; reads the incident."""

    name: str = "ping-pong"
    version: str = "1.0"
    department: str = "support"
    capabilities: tuple[str, ...] = (ESCALATE,)
    priority: int = 10
    wakes: tuple[Wake, ...] = (Wake("Incident", properties=("path",), condition=_came_back),)

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Say each turn that was not said before."""
        del change
        path = path_of(entity)
        said = [found(entity, "ping-pong", place, _detail(path, place)) for place in turns(path)]
        return [_draft(entity, one, context) for one in fresh(context, entity, said)]


def _detail(path: Sequence[str], place: int) -> str:
    nth = len([turn for turn in turns(path) if turn <= place])
    return f"turn {nth}: {path[place - 2]} to {path[place - 1]} and back, step {place + 1}"


def _draft(incident: Entity, one: Found, context: Context) -> Draft:
    return Draft(
        ESCALATE,
        incident.id,
        (Put(one.id, "Finding", {"kind": "ping-pong", "detail": one.detail}), Link(one.id, "about", incident.id)),
        rationale=f"{incident['incidentNo']}, {one.detail}: somebody should own it.",
        evidence=context.evidence(incident),
        compatible=TOGETHER,
    )
