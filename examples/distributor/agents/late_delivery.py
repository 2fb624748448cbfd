"""Late delivery: an order is late, an incident blocks its route, and its customer has an open ticket that names it.

Then by segment: A gets a credit of 5 % (finance approves), B an expedited shipment, C one from 7 days late on and an apology
before. It takes four departments: no single one knows the order, the route, the ticket and the segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from agents.context import Context
from coordination.codec import derive
from coordination.proposals import Draft
from coordination.wakes import Neighbour, Wake
from kg.model import Change, Entity, Link, Op, Put, Where
from kg.values import Money, Value

from .facts import (
    BERLIN,
    CURRENCY,
    EDGES_MAX,
    ORDER_OPEN,
    across,
    amount,
    calendar,
    euros,
    open_incidents,
    pending,
    sensed,
    sources,
    target,
)  # fmt: skip

OPERATIONS = {"credit": "credit.grant", "expedite": "shipment.expedite", "apology": "apology.send"}
REMEDIES = {"expedite": "an expedited shipment", "apology": "an apology"}
CREDIT_SHARE = Decimal("0.05")
LONG_DELAY_DAYS = 7
CENT = Decimal("0.01")


def _is_open(ticket: Entity) -> bool:
    return ticket.get("status") == "open"


def _is_out(shipment: Entity) -> bool:
    return shipment.get("direction") == "OUT" and "deliveredAt" not in shipment.properties


@dataclass(frozen=True, slots=True)
class LateDelivery:
    """Works for sales; reads sales, finance, logistics and support."""

    name: str = "late-delivery"
    version: str = "1.0"
    department: str = "sales"
    capabilities: tuple[str, ...] = tuple(OPERATIONS.values())
    priority: int = 10
    wakes: tuple[Wake, ...] = (
        *sensed("Ticket", "mentions", _is_open, Neighbour("mentions"), ("status",)),
        Wake("Ticket", relation="raisedBy", condition=lambda _, now: _is_open(now), subject=Neighbour("mentions")),
        *sensed("Shipment", "delivers", _is_out, Neighbour("delivers"), ("status", "route")),
        Wake(
            "SalesOrder",
            properties=("status", "promisedAt"),
            condition=lambda _, now: now.get("status") in ORDER_OPEN,
        ),
        Wake("SalesOrder", relation="placedBy", condition=lambda _, now: now.get("status") in ORDER_OPEN),
        Wake("Customer", properties=("segment",), condition=lambda _, now: "customerNo" in now.properties),
        Wake("RouteIncident", properties=("ended", "route"), condition=lambda _, now: "ended" not in now.properties),
        Wake("Calendar", properties=("businessDate",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the order, or every order that the incident, the customer or the new day may have made late."""
        del change
        day = calendar(context)
        if day is None:
            return ()
        drafts = (_check(order, day[0], day[1], context) for order in _orders(entity, context))
        return [draft for draft in drafts if draft is not None]


def _orders(entity: Entity, context: Context) -> list[Entity]:
    if entity.cls == "SalesOrder":
        return [entity]
    if entity.cls == "Customer":
        tickets = [ticket.id for ticket in sources(context, entity.id, "raisedBy") if _is_open(ticket)]
        return across(context, tickets, "mentions")
    incidents = (entity,) if entity.cls == "RouteIncident" else open_incidents(context)
    routes = tuple(sorted({str(incident["route"]) for incident in incidents}))
    if not routes:
        return []
    moving = [Where("route", Op.IN, routes), Where("deliveredAt", Op.ABSENT), Where("direction", Op.EQ, "OUT")]
    shipments = context.find("Shipment", moving, first=EDGES_MAX)
    return across(context, [shipment.id for shipment in shipments], "delivers")


def _check(order: Entity, books: Entity, today: date, context: Context) -> Draft | None:
    if order.get("status") not in ORDER_OPEN or "promisedAt" not in order.properties:
        return None
    late = (today - cast(datetime, order["promisedAt"]).astimezone(BERLIN).date()).days
    customer = target(context, order.id, "placedBy") if late > 0 else None
    if customer is None or "segment" not in customer.properties:
        return None
    blocked = _blocked(order, context)
    tickets = [ticket for ticket in sources(context, order.id, "mentions") if _is_open(ticket)] if blocked else []
    raised = context.expand_many([ticket.id for ticket in tickets], "raisedBy")
    asked = [ticket for ticket in tickets if any(edge.entity.id == customer.id for edge in raised[ticket.id])]
    if blocked is None or not asked:
        return None
    if sources(context, order.id, "compensates") or pending(context, order.id, tuple(OPERATIONS.values())):
        return None
    return _draft(order, customer, late, today, (*blocked, *asked, books), context)


def _blocked(order: Entity, context: Context) -> tuple[Entity, Entity] | None:
    """A shipment of the order that is still out, and the open incident on its route."""
    out = [shipment for shipment in sources(context, order.id, "delivers") if _is_out(shipment)]
    held = ((shipment, incident) for shipment in out for incident in open_incidents(context, str(shipment["route"])))
    return next(held, None)


def _draft(order: Entity, customer: Entity, late: int, today: date, facts: Sequence[Entity], context: Context) -> Draft:
    small = "expedite" if late >= LONG_DELAY_DAYS else "apology"
    kind = {"A": "credit", "B": "expedite"}.get(str(customer["segment"]), small)
    shipment, incident, ticket = facts[:3]
    values: dict[str, Value] = {"kind": kind, "daysLate": late, "decidedOn": today}
    credit = None
    if kind == "credit":
        share = (amount(order, "netAmount") * CREDIT_SHARE).quantize(CENT, ROUND_HALF_UP)
        credit = values["credit"] = Money(share, CURRENCY)
    # One order gets one remedy, whichever fact woke the agent.
    made = derive("remedy", order.id)
    what = f"a credit of {euros(credit.amount)}" if credit else REMEDIES[kind]
    return Draft(
        OPERATIONS[kind],
        order.id,
        (Put(made, "Remedy", values), Link(made, "compensates", order.id), Link(made, "owedTo", customer.id)),
        rationale=(
            f"{order['orderNo']} of {customer.get('name')} (segment {customer['segment']}) is {late} days late, "
            f"{incident['route']} is blocked by {incident['incidentId']} ({incident.get('kind')}), and ticket {ticket['ticketId']} "
            f"asks for it: {what}."
        ),
        evidence=context.evidence(order, customer, shipment, incident, *facts[2:]),
        amount=credit,
        alternatives=tuple(sorted(set(OPERATIONS.values()) - {OPERATIONS[kind]})),
    )
