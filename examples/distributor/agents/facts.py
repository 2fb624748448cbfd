"""Facts that several agents ask for in one way: the business day, open incidents, open proposals, and wakes on a thing or its link.

Invariant: the day is the calendar's, never the machine's. The calendar comes last when a day is loaded, so while there is none
nobody concludes anything from facts that are still missing.
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from agents.context import Context
from coordination.proposals import OPEN
from coordination.wakes import Subject, Wake
from kg.model import Direction, Edge, Entity, Op, Where
from kg.values import Money, Ref

CURRENCY = "EUR"
BERLIN = ZoneInfo("Europe/Berlin")
#: Edges of one name read at one entity; a customer or product with more is beyond this example.
EDGES_MAX = 1_000
#: Orders that are neither delivered nor cancelled.
ORDER_OPEN = ("open", "picking", "shipped")


def calendar(context: Context) -> tuple[Entity, date] | None:
    """The calendar and the business day it stands at."""
    found = context.find("Calendar", first=1)
    return (found[0], cast(date, found[0]["businessDate"])) if found else None


def open_incidents(context: Context, route: str | None = None) -> tuple[Entity, ...]:
    """The incidents that still block a route, or any route."""
    where = [Where("ended", Op.ABSENT)]
    if route is not None:
        where.append(Where("route", Op.EQ, route))
    return context.find("RouteIncident", where, first=EDGES_MAX)


def sources(context: Context, id: str, relation: str) -> list[Entity]:
    """The entities that point to this one by a relation."""
    return far(context.expand(id, relation, Direction.IN, EDGES_MAX))


def target(context: Context, id: str, relation: str) -> Entity | None:
    """The one entity that this one points to by a relation."""
    return next(iter(far(context.expand(id, relation, first=1))), None)


def across(context: Context, ids: Sequence[str], relation: str) -> list[Entity]:
    """The entities that these point to by a relation, each once."""
    found = context.expand_many(ids, relation).values() if ids else ()
    return list({entity.id: entity for edges in found for entity in far(edges)}.values())


def far(edges: Sequence[Edge]) -> list[Entity]:
    """The entities at the far ends."""
    return [edge.entity for edge in edges]


def pending(context: Context, id: str, operations: Sequence[str]) -> bool:
    """Whether one of these operations is already proposed for an entity and not yet settled."""
    found = context.find("Proposal", [Where("target", Op.EQ, Ref(id)), Where("state", Op.IN, OPEN)])
    return any(proposal.get("operation") in operations for proposal in found)


def amount(entity: Entity, name: str) -> Decimal:
    """The amount of a money property, 0 where it is absent."""
    value = cast("Money | None", entity.get(name))
    return Decimal(0) if value is None else value.amount


def euros(value: Decimal) -> str:
    """An amount for people."""
    return f"{value:,.2f} EUR"


def sensed(
    cls: str,
    relation: str,
    condition: Callable[[Entity], bool],
    subject: Subject,
    properties: Sequence[str] = (),
) -> tuple[Wake, Wake]:
    """Wakes on a thing and on its link to another, since either may be what arrives last."""

    def holds(_: Entity | None, now: Entity) -> bool:
        return condition(now)

    return (
        Wake(cls, properties=tuple(properties), condition=holds, subject=subject),
        Wake(cls, relation=relation, condition=holds, subject=subject),
    )
