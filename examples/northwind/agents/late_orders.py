"""Late orders: one that was shipped after it was required gets an apology; one that has not left the house is followed up.

An unshipped order is expedited when it is required within seven days (or was before today), and the shipper is reminded
of it otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

from agents.context import Context
from coordination.codec import derive
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Link, Op, Put, Where

from .facts import EDGES_MAX, calendar, pending, sources, target

OPERATIONS = {"apology": "apology.send", "expedite": "order.expedite", "reminder": "order.remind"}
#: An unshipped order that is required within so many days cannot wait.
URGENT_DAYS = 7


def shipped_late(order: Entity) -> bool:
    """Whether the order left the house after the day it was required."""
    if not {"shippedOn", "requiredOn"} <= order.properties.keys():
        return False
    return cast(date, order["shippedOn"]) > cast(date, order["requiredOn"])


def _matters(order: Entity) -> bool:
    return "shippedOn" not in order.properties or shipped_late(order)


@dataclass(frozen=True, slots=True)
class LateOrders:
    """Works for logistics; reads sales and logistics."""

    name: str = "late-orders"
    version: str = "1.0"
    department: str = "logistics"
    capabilities: tuple[str, ...] = tuple(OPERATIONS.values())
    priority: int = 20
    wakes: tuple[Wake, ...] = (
        Wake("Order", properties=("shippedOn", "requiredOn"), condition=lambda _, now: _matters(now)),
        Wake("Calendar", properties=("today",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the order, or as a day opens every order that has not been shipped."""
        del change
        day = calendar(context)
        if day is None:
            return ()
        waiting = [Where("shippedOn", Op.ABSENT)]
        orders = context.find("Order", waiting, first=EDGES_MAX) if entity.cls == "Calendar" else (entity,)
        drafts = (_check(order, *day, context) for order in orders)
        return [draft for draft in drafts if draft is not None]


def _check(order: Entity, books: Entity, today: date, context: Context) -> Draft | None:
    if "requiredOn" not in order.properties or not _matters(order):
        return None
    required, late = cast(date, order["requiredOn"]), shipped_late(order)
    days = (cast(date, order["shippedOn"]) - required).days if late else (required - today).days
    kind = "apology" if late else "expedite" if days <= URGENT_DAYS else "reminder"
    done = {followed.get("kind") for followed in sources(context, order.id, "followsUp")}
    # Whoever was hurried is not reminded again; an order that was hurried and still came late gets its apology.
    if kind in done or (kind == "reminder" and done) or pending(context, order.id, tuple(OPERATIONS.values())):
        return None
    customer, shipper = target(context, order.id, "placedBy"), target(context, order.id, "shippedVia")
    made = derive("follow-up", order.id, kind)
    name = customer.get("companyName") if customer else "an unknown customer"
    if late:
        told = f"was shipped {days} days after it was required: apologise"
    else:
        by = shipper.get("companyName") if shipper else "no shipper"
        left = f"required in {days} days" if days >= 0 else f"{-days} days overdue"
        told = (
            f"is not shipped on {today} ({by}), {left}: {'expedite it' if kind == 'expedite' else 'remind the shipper'}"
        )
    return Draft(
        OPERATIONS[kind],
        order.id,
        (
            Put(made, "FollowUp", {"kind": kind, "days": days, "decidedOn": today}),
            Link(made, "followsUp", order.id),
        ),
        rationale=f"Order {order['orderId']} of {name} {told}.",
        evidence=context.evidence(order, customer, shipper, books),
        priority=0 if late else max(0, URGENT_DAYS - days),
    )
