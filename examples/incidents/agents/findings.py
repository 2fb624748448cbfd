"""Findings: how the detectors say something once about an incident.

Invariant: a finding's id follows from what it is about, so the same turn or wait is never found twice, whichever change woke
the agent and however often.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agents.context import Context
from coordination.codec import derive
from coordination.proposals import OPEN
from kg.model import Direction, Entity, Op, Where
from kg.values import Ref

#: Operations that may be open on one incident side by side: they do not exclude each other.
TOGETHER = ("incident.escalate", "incident.route", "user.remind")
#: Findings and proposals of one incident that are looked at.
FINDINGS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """One thing to say of an incident: the finding's id, and the detail in words."""

    id: str
    detail: str


def found(incident: Entity, kind: str, what: object, detail: str) -> Found:
    """A finding of an incident; `what` tells it from others of its kind."""
    return Found(derive("finding", kind, incident.id, what), detail)


def fresh(context: Context, incident: Entity, founds: Iterable[Found]) -> list[Found]:
    """Those that are neither in the graph nor proposed and still open."""
    wanted = list(founds)
    if not wanted:
        return []
    known = {edge.entity.id for edge in context.expand(incident.id, "about", Direction.IN, FINDINGS_MAX)}
    where = [Where("target", Op.EQ, Ref(incident.id)), Where("state", Op.IN, OPEN)]
    waiting = [str(proposal.get("writes", "")) for proposal in context.find("Proposal", where, first=FINDINGS_MAX)]
    return [one for one in wanted if one.id not in known and not any(one.id in writes for writes in waiting)]
