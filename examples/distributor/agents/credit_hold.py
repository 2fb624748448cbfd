"""Credit hold: something is overdue, and overdue invoices with open orders exceed the credit limit: put the customer on hold.

Finance alone would also hold those with whom sales has agreed on instalments; a payment plan that is agreed and still valid
keeps the customer free. A discount that sales proposes for the same customer conflicts, and the hold has the higher priority.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import cast

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Neighbour, Wake
from kg.model import Change, Direction, Entity, Op, Put, Where
from kg.values import Money

from .facts import CURRENCY, EDGES_MAX, ORDER_OPEN, across, amount, calendar, euros, pending, sensed, sources

HOLD = "credit.hold"


def _was_lowered(before: Entity | None, now: Entity) -> bool:
    return (
        before is not None
        and "creditLimit" in before.properties
        and amount(now, "creditLimit") < amount(before, "creditLimit")
    )


@dataclass(frozen=True, slots=True)
class CreditHold:
    """Works for finance; reads finance and sales."""

    name: str = "credit-hold"
    version: str = "1.0"
    department: str = "finance"
    capabilities: tuple[str, ...] = (HOLD,)
    priority: int = 30
    wakes: tuple[Wake, ...] = (
        *sensed(
            "Invoice",
            "billedTo",
            lambda now: now.get("status") == "overdue",
            Neighbour("billedTo"),
            ("status", "openAmount", "dueDate"),
        ),
        *sensed(
            "SalesOrder",
            "placedBy",
            lambda now: now.get("status") in ORDER_OPEN,
            Neighbour("placedBy"),
            ("status", "netAmount"),
        ),
        Wake(
            "PaymentPlan",
            on=frozenset({"updated", "closed"}),
            properties=("status", "validUntil"),
            subject=Neighbour("agreedWith"),
        ),
        Wake("Customer", on=frozenset({"updated"}), properties=("creditLimit",), condition=_was_lowered),
        Wake("Calendar", properties=("businessDate",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the customer, or after a change of the day every customer with an overdue invoice."""
        del change
        day = calendar(context)
        if day is None:
            return ()
        customers = _owing(day[1], context) if entity.cls == "Calendar" else [entity]
        drafts = (_check(customer, day[0], day[1], context) for customer in customers)
        return [draft for draft in drafts if draft is not None]


def _owing(today: date, context: Context) -> list[Entity]:
    """Every customer with an unpaid invoice due before today."""
    unpaid = [Where("status", Op.IN, ("open", "overdue")), Where("dueDate", Op.LT, today)]
    invoices = [invoice.id for invoice in context.find("Invoice", unpaid, first=EDGES_MAX)]
    return across(context, invoices, "billedTo")


def _check(customer: Entity, books: Entity, today: date, context: Context) -> Draft | None:
    if "creditLimit" not in customer.properties or customer.get("onHold") is True:
        return None
    overdue = [
        invoice
        for invoice in sources(context, customer.id, "billedTo")
        if amount(invoice, "openAmount") > 0 and cast(date, invoice["dueDate"]) < today
    ]
    if not overdue:
        return None
    running = [order for order in sources(context, customer.id, "placedBy") if order.get("status") in ORDER_OPEN]
    late = sum((amount(invoice, "openAmount") for invoice in overdue), Decimal(0))
    exposure = late + sum((amount(order, "netAmount") for order in running), Decimal(0))
    if exposure <= amount(customer, "creditLimit"):
        return None
    plans = [edge.entity for edge in context.expand(customer.id, "agreedWith", Direction.IN)]
    agreed = any(p.get("status") == "agreed" and cast(date, p["validUntil"]) >= today for p in plans)
    if agreed or pending(context, customer.id, (HOLD,)):
        return None
    reason = (
        f"{euros(late)} overdue on {len(overdue)} invoices, {euros(exposure)} with open orders, above the limit of "
        f"{euros(amount(customer, 'creditLimit'))}"
    )
    plan = f"payment plan {plans[0]['planId']} ({plans[0]['status']}) does not hold" if plans else "no payment plan"
    return Draft(
        HOLD,
        customer.id,
        (Put(customer.id, "Customer", {"onHold": True, "holdReason": reason}),),
        rationale=f"{customer.get('name') or customer['billingName']}: {reason}; {plan}.",
        evidence=context.evidence(customer, *overdue, *running, *plans, books),
        amount=Money(exposure, CURRENCY),
        alternatives=("agree on a payment plan", "raise the credit limit"),
    )
