"""Replenishment: stock below the reorder level, also with the open purchase orders that count, asks for a purchase order.

A purchase order does not count while its inbound shipment is delayed on a route with an open incident: the ERP alone would
wait for goods that logistics knows to be stuck. Above 5,000 EUR a rule asks a purchasing manager.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from agents.context import Context
from coordination.codec import derive
from coordination.proposals import Draft
from coordination.wakes import Neighbour, Wake
from kg.model import Change, Entity, Link, Op, Put, Where, Write
from kg.values import Money, Value

from .facts import (
    CURRENCY,
    EDGES_MAX,
    across,
    amount,
    calendar,
    euros,
    open_incidents,
    pending,
    sensed,
    sources,
    target,
)

CREATE = "purchase_order.create"


def _is_low(product: Entity) -> bool:
    return cast(int, product.get("stock", 0)) < cast(int, product.get("reorderLevel", 0))


@dataclass(frozen=True, slots=True)
class Replenishment:
    """Works for purchasing; reads warehouse, purchasing and logistics."""

    name: str = "replenishment"
    version: str = "1.0"
    department: str = "purchasing"
    capabilities: tuple[str, ...] = (CREATE,)
    priority: int = 10
    wakes: tuple[Wake, ...] = (
        Wake("Product", properties=("stock", "reorderLevel"), condition=lambda _, now: _is_low(now)),
        Wake(
            "PurchaseOrder",
            on=frozenset({"updated", "closed"}),
            properties=("status", "quantity"),
            subject=Neighbour("restocks"),
        ),
        *sensed(
            "Shipment",
            "brings",
            lambda now: now.get("direction") == "IN" and now.get("status") == "delayed",
            Neighbour("brings", then=Neighbour("restocks")),
            ("status", "route"),
        ),
        Wake("RouteIncident", properties=("ended", "route"), condition=lambda _, now: "ended" not in now.properties),
        Wake("Calendar", properties=("businessDate",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the product, every product with goods stuck on the incident's route, or as the day opens every product."""
        del change
        day = calendar(context)
        if day is None:
            return ()
        drafts = (_check(product, day[1], context) for product in _products(entity, context) if _is_low(product))
        return [draft for draft in drafts if draft is not None]


def _products(entity: Entity, context: Context) -> Sequence[Entity]:
    if entity.cls == "Calendar":
        return context.find("Product", first=EDGES_MAX)
    return _stuck_products(entity, context) if entity.cls == "RouteIncident" else [entity]


def _stuck_products(incident: Entity, context: Context) -> list[Entity]:
    stuck = [
        Where("route", Op.EQ, incident["route"]),
        Where("status", Op.EQ, "delayed"),
        Where("direction", Op.EQ, "IN"),
    ]
    shipments = [shipment.id for shipment in context.find("Shipment", stuck, first=EDGES_MAX)]
    purchases = across(context, shipments, "brings")
    return across(context, [purchase.id for purchase in purchases], "restocks")


def _check(product: Entity, today: date, context: Context) -> Draft | None:
    level, stock = cast(int, product["reorderLevel"]), cast(int, product["stock"])
    coming = [p for p in sources(context, product.id, "restocks") if p.get("status") == "open"]
    stuck: list[tuple[Entity, Entity, Entity]] = []
    counted: list[Entity] = []
    for purchase in coming:
        blocked = _blocked(purchase, context)
        if blocked is None:
            counted.append(purchase)
        else:
            stuck.append((purchase, *blocked))
    available = stock + sum(cast(int, purchase["quantity"]) for purchase in counted)
    if available >= level or pending(context, product.id, (CREATE,)):
        return None
    return _draft(product, available, counted, stuck, today, context)


def _blocked(purchase: Entity, context: Context) -> tuple[Entity, Entity] | None:
    """The delayed shipment of a purchase order and the open incident that holds it."""
    for shipment in sources(context, purchase.id, "brings"):
        if shipment.get("status") == "delayed":
            for incident in open_incidents(context, str(shipment["route"])):
                return shipment, incident
    return None


def _draft(
    product: Entity,
    available: int,
    counted: Sequence[Entity],
    stuck: Sequence[tuple[Entity, Entity, Entity]],
    today: date,
    context: Context,
) -> Draft:
    quantity = cast(int, product["reorderQuantity"])
    cost = amount(product, "unitCost")
    supplier = target(context, product.id, "suppliedBy")
    # The same need gives the same purchase order, whichever fact woke the agent.
    made = derive("purchase-order", product.id, product.version)
    values: dict[str, Value] = {"quantity": quantity, "unitCost": Money(cost, CURRENCY), "status": "open"}
    writes: list[Write] = [Put(made, "PurchaseOrder", values), Link(made, "restocks", product.id)]
    if supplier is not None:
        writes.append(Link(made, "orderedFrom", supplier.id))
        values["expectedOn"] = today + timedelta(days=cast(int, supplier.get("leadTimeDays", 0)))
    waits = [f"{p['poNo']} is stuck on {s['route']} ({i.get('kind')}, {i['incidentId']})" for p, s, i in stuck]
    reason = f"{product['productNo']}: {product['stock']} in stock, {available} with what comes, below {product['reorderLevel']}"
    return Draft(
        CREATE,
        product.id,
        tuple(writes),
        rationale=f"{reason}{'; ' if waits else ''}{', '.join(waits)}; order {quantity} for {euros(quantity * cost)}.",
        evidence=context.evidence(product, *counted, *(fact for facts in stuck for fact in facts), supplier),
        amount=Money(quantity * cost, CURRENCY),
        alternatives=tuple(f"wait for {purchase['poNo']}" for purchase, _, _ in stuck),
    )
