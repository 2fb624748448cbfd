"""Sales discount: proposes the discount that sales planned for a customer, once it is valid.

It does not look at what finance thinks of the customer: where a credit hold is proposed too, the two meet on the customer and
the hold wins. A customer already on hold gets none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

from agents.context import Context
from coordination.proposals import Draft
from coordination.wakes import Wake
from kg.model import Change, Entity, Op, Put, Where
from kg.values import Money

from .facts import EDGES_MAX, calendar, euros, pending, target

GRANT = "discount.grant"


@dataclass(frozen=True, slots=True)
class SalesDiscount:
    """Works for sales; reads sales."""

    name: str = "sales-discount"
    version: str = "1.0"
    department: str = "sales"
    capabilities: tuple[str, ...] = (GRANT,)
    priority: int = 10
    wakes: tuple[Wake, ...] = (
        Wake(
            "DiscountOffer", properties=("status", "validFrom"), condition=lambda _, now: now.get("status") == "planned"
        ),
        Wake("Calendar", properties=("businessDate",)),
    )

    def act(self, change: Change, entity: Entity, context: Context) -> Sequence[Draft]:
        """Check the offer, or after a change of the day every planned one."""
        del change
        day = calendar(context)
        if day is None:
            return ()
        planned = [Where("status", Op.EQ, "planned"), Where("granted", Op.ABSENT)]
        offers = context.find("DiscountOffer", planned, first=EDGES_MAX) if entity.cls == "Calendar" else (entity,)
        drafts = (_check(offer, day[0], day[1], context) for offer in offers)
        return [draft for draft in drafts if draft is not None]


def _check(offer: Entity, books: Entity, today: date, context: Context) -> Draft | None:
    if offer.get("status") != "planned" or offer.get("granted") is True:
        return None
    if not cast(date, offer["validFrom"]) <= today <= cast(date, offer["validUntil"]):
        return None
    customer = target(context, offer.id, "offeredTo")
    if customer is None or customer.get("onHold") is True or pending(context, customer.id, (GRANT,)):
        return None
    discount = cast(Money, offer["discount"])
    return Draft(
        GRANT,
        customer.id,
        (Put(offer.id, "DiscountOffer", {"granted": True}),),
        rationale=f"Sales planned {offer['offerId']}, {euros(discount.amount)} for {customer.get('name')}, and it is valid today.",
        evidence=context.evidence(offer, customer, books),
        amount=discount,
    )
