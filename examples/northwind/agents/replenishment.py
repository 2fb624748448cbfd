"""Replenishment: stock and what is on order are under the reorder level of a product that is still sold: order again.

The quantity is what was sold in the last 90 days, and at least what fills the stock up to the reorder level. Above 3,000 USD a
rule asks a purchasing manager.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from agents.context import Context
from coordination.codec import derive
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Link, Put, Write
from kg.values import Money, Value

from .facts import CURRENCY, EDGES_MAX, calendar, cents, dollars, pending, sources, target

CREATE = "purchase_order.create"
#: Days whose sales are ordered again.
SALES_DAYS = 90


def available(product: Entity) -> int:
    """Pieces in stock and on order."""
    return cast(int, product.get("unitsInStock", 0)) + cast(int, product.get("unitsOnOrder", 0))


def is_low(product: Entity) -> bool:
    """Whether a product that is still sold is under its reorder level."""
    return product.get("discontinued") is not True and available(product) < cast(int, product.get("reorderLevel", 0))


@dataclass(frozen=True, slots=True)
class Replenishment:
    """Works for purchasing; reads purchasing and sales."""

    name: str = "replenishment"
    version: str = "1.0"
    department: str = "purchasing"
    capabilities: tuple[str, ...] = (CREATE,)
    priority: int = 10
    wakes: tuple[Wake, ...] = (
        Wake(
            "Product",
            properties=("unitsInStock", "unitsOnOrder", "reorderLevel", "discontinued"),
            condition=lambda _, now: is_low(now),
        ),
        Wake("Calendar", properties=("today",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the product, or as a day opens every product."""
        del change
        day = calendar(context)
        if day is None:
            return ()
        products = context.find("Product", first=EDGES_MAX) if entity.cls == "Calendar" else (entity,)
        drafts = (_check(product, *day, context) for product in products if is_low(product))
        return [draft for draft in drafts if draft is not None]


def _check(product: Entity, books: Entity, today: date, context: Context) -> Draft | None:
    ordered = [purchase for purchase in sources(context, product.id, "restocks") if purchase.get("status") == "open"]
    have, level = available(product), cast(int, product["reorderLevel"])
    coming = sum(cast(int, purchase["quantity"]) for purchase in ordered)
    if have + coming >= level or pending(context, product.id, (CREATE,)):
        return None
    sold, orders = _sold(product, today, context)
    quantity = max(sold, level - have - coming)
    price = cast(Money, product["unitPrice"]).amount
    supplier = target(context, product.id, "suppliedBy")
    # The same need gives the same purchase order, whichever fact woke the agent.
    made = derive("purchase-order", product.id, product.version)
    values: dict[str, Value] = {
        "quantity": quantity,
        "unitPrice": Money(price, CURRENCY),
        "orderedOn": today,
        "status": "open",
    }
    writes: list[Write] = [Put(made, "PurchaseOrder", values), Link(made, "restocks", product.id)]
    if supplier is not None:
        writes.append(Link(made, "orderedFrom", supplier.id))
    return Draft(
        CREATE,
        product.id,
        tuple(writes),
        rationale=(
            f"{product['productName']}: {product['unitsInStock']} in stock and {product['unitsOnOrder']} on order, under the "
            f"reorder level of {level}; {sold} were sold in the last {SALES_DAYS} days: order {quantity} for "
            f"{dollars(quantity * price)} from {supplier.get('companyName') if supplier else 'a supplier still to be found'}."
        ),
        evidence=context.evidence(product, supplier, *ordered, *orders, books),
        amount=Money(cents(quantity * price), CURRENCY),
    )


def _sold(product: Entity, today: date, context: Context) -> tuple[int, list[Entity]]:
    """Pieces ordered by customers in the last days, and the order lines and orders that say so."""
    lines = {line.id: line for line in sources(context, product.id, "ofProduct")}
    orders = context.expand_many(list(lines), "ofOrder", first=1) if lines else {}
    since = today - timedelta(days=SALES_DAYS)
    total, told = 0, []
    for id, edges in orders.items():
        for edge in edges:
            if since < cast(date, edge.entity["orderedOn"]) <= today:
                total += cast(int, lines[id]["quantity"])
                told += [lines[id], edge.entity]
    return total, told
