"""Facts that several agents ask for in one way: the day, an entity's neighbours, the value of orders, open proposals.

Invariant: the day is the calendar's, never the machine's; while there is none, nobody concludes anything about today.
"""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from agents.context import Context
from coordination.proposals import OPEN
from kg.model import Direction, Entity, Op, Where
from kg.values import Money, Ref

CURRENCY = "USD"
CENT = Decimal("0.01")
#: Edges of one name read at one entity; a customer or product with more is beyond this example.
EDGES_MAX = 1_000


def calendar(context: Context) -> tuple[Entity, date] | None:
    """The calendar and the day it stands at."""
    found = context.find("Calendar", first=1)
    return (found[0], cast(date, found[0]["today"])) if found else None


def sources(context: Context, id: str, relation: str) -> list[Entity]:
    """The entities that point to this one by a relation."""
    return [edge.entity for edge in context.expand(id, relation, Direction.IN, EDGES_MAX)]


def target(context: Context, id: str, relation: str) -> Entity | None:
    """The one entity that this one points to by a relation."""
    return next((edge.entity for edge in context.expand(id, relation, first=1)), None)


def lines_of(context: Context, orders: Sequence[Entity]) -> dict[str, list[Entity]]:
    """The lines of each of these orders, by the order's id."""
    found = context.expand_many([order.id for order in orders], "ofOrder", Direction.IN, EDGES_MAX) if orders else {}
    return {id: [edge.entity for edge in edges] for id, edges in found.items()}


def value_of(lines: Sequence[Entity]) -> Decimal:
    """What these order lines are worth, discounts taken off, in exact decimals."""
    return sum((_line_value(line) for line in lines), Decimal(0))


def _line_value(line: Entity) -> Decimal:
    price, quantity = cast(Money, line["unitPrice"]).amount, cast(int, line["quantity"])
    return price * quantity * (1 - cast(Decimal, line.get("discount", Decimal(0))))


def pending(context: Context, id: str, operations: Sequence[str]) -> bool:
    """Whether one of these operations is already proposed for an entity and not yet settled."""
    found = context.find("Proposal", [Where("target", Op.EQ, Ref(id)), Where("state", Op.IN, OPEN)])
    return any(proposal.get("operation") in operations for proposal in found)


def cents(value: Decimal) -> Decimal:
    """An amount rounded to what can be paid."""
    return value.quantize(CENT, ROUND_HALF_UP)


def dollars(value: Decimal) -> str:
    """An amount for people."""
    return f"{cents(value):,.2f} {CURRENCY}"
