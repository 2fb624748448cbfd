"""Credit exposure: a customer's unshipped orders are worth more than twice its average order so far: finance should look.

The limit is twice the mean value of the orders already shipped to the customer. Values are those of the order lines, discounts
taken off, in exact decimals. A customer without shipped orders has no limit to exceed: a new customer is sales' matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Neighbour, Wake
from kg.model import Change, Entity, Op, Put, Where
from kg.values import Money

from .facts import CURRENCY, EDGES_MAX, calendar, cents, dollars, lines_of, pending, sources, value_of

REVIEW = "credit.review"
#: Average orders that may be open at once.
AVERAGE_ORDERS = 2


def _is_open(order: Entity) -> bool:
    return "shippedOn" not in order.properties


@dataclass(frozen=True, slots=True)
class CreditExposure:
    """Works for finance; reads sales."""

    name: str = "credit-exposure"
    version: str = "1.0"
    department: str = "finance"
    capabilities: tuple[str, ...] = (REVIEW,)
    priority: int = 30
    wakes: tuple[Wake, ...] = (
        Wake(
            "Order",
            properties=("shippedOn",),
            condition=lambda _, now: _is_open(now),
            subject=Neighbour("placedBy"),
        ),
        Wake("Calendar", properties=("today",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the customer, or as a day opens every customer with an unshipped order."""
        del change
        if calendar(context) is None:
            return ()
        customers = _owing(context) if entity.cls == "Calendar" else [entity]
        drafts = (_check(customer, context) for customer in customers)
        return [draft for draft in drafts if draft is not None]


def _owing(context: Context) -> list[Entity]:
    orders = context.find("Order", [Where("shippedOn", Op.ABSENT)], first=EDGES_MAX)
    found = context.expand_many([order.id for order in orders], "placedBy", first=1) if orders else {}
    return list({edge.entity.id: edge.entity for edges in found.values() for edge in edges}.values())


def _check(customer: Entity, context: Context) -> Draft | None:
    if customer.get("onCreditReview") is True:
        return None
    orders = sources(context, customer.id, "placedBy")
    open_orders, shipped = [o for o in orders if _is_open(o)], [o for o in orders if not _is_open(o)]
    if not open_orders or not shipped:
        return None
    lines = lines_of(context, orders)
    exposure = sum((value_of(lines[order.id]) for order in open_orders), Decimal(0))
    total = sum((value_of(lines[order.id]) for order in shipped), Decimal(0))
    limit = AVERAGE_ORDERS * total / len(shipped)
    if exposure <= limit or pending(context, customer.id, (REVIEW,)):
        return None
    reason = (
        f"{dollars(exposure)} in {len(open_orders)} unshipped orders, above {dollars(limit)}, {AVERAGE_ORDERS} times the average "
        f"of the {len(shipped)} orders shipped so far"
    )
    return Draft(
        REVIEW,
        customer.id,
        (Put(customer.id, "Customer", {"onCreditReview": True, "creditReviewReason": reason}),),
        rationale=f"{customer.get('companyName')}: {reason}.",
        evidence=context.evidence(
            customer, *open_orders, *(line for order in open_orders for line in lines[order.id]), *shipped
        ),
        amount=Money(cents(exposure), CURRENCY),
        alternatives=("ask for payment in advance", "ship one order at a time"),
    )
