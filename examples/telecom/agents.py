"""Two agents over one graph: billing sees the network's outage, fraud sees support, behaviour and transactions together."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import cast

from agents.context import Context
from agents.reasoners.called import Called
from coordination.proposals import Draft
from kg.model import Direction, Entity, Put
from kg.values import Money

#: A transaction counts as caused by a swapped SIM when it follows it within so many days.
DAYS = timedelta(days=3)
#: Times the usual minutes abroad.
UNUSUAL = 10
MONTH = 30


def fraud(subscriber: Entity, context: Context) -> Iterator[Draft]:
    """A SIM was swapped, and right after it the line does what it never did. Each of the two alone means nothing."""
    swaps = [case for case in _from(subscriber, "raisedBy", context) if case["about"] == "sim-swap"]
    booked = _from(subscriber, "bookedTo", context)
    usual = cast(int, subscriber["usualMinutes"])
    for swap in swaps:
        odd = [
            one for one in booked if _follows(swap, one) and cast(int, one["minutesAbroad"]) > UNUSUAL * max(usual, 1)
        ]
        if odd:
            minutes = sum(cast(int, one["minutesAbroad"]) for one in odd)
            why = f"SIM swapped in {swap['caseNo']}, then {minutes} minutes abroad; usual are {usual} a week."
            writes = (Put(subscriber.id, "Subscriber", {"onHold": True}),)
            evidence = context.evidence(subscriber, swap, *odd)
            yield Draft("line.hold", subscriber.id, writes, rationale=why, evidence=evidence, priority=20)
            return


def billing(subscriber: Entity, context: Context) -> Iterator[Draft]:
    """The fee of the days without a network, for outages where the subscriber lives."""
    if "credited" in subscriber.properties:
        return
    (region,) = (edge.entity for edge in context.expand(subscriber.id, "livesIn"))
    outages = _from(region, "struck", context)
    days = sum(cast(int, outage["days"]) for outage in outages)
    if days:
        fee = cast(Money, subscriber["monthlyFee"])
        credit = Money((fee.amount * days / MONTH).quantize(Decimal("0.01"), ROUND_HALF_EVEN), fee.currency)
        why = f"{days} days without a network in {region['region']}: {', '.join(str(o['outageNo']) for o in outages)}."
        writes = (Put(subscriber.id, "Subscriber", {"credited": credit}),)
        evidence = context.evidence(subscriber, region, *outages)
        yield Draft("bill.credit", subscriber.id, writes, rationale=why, evidence=evidence, amount=credit)


def _from(entity: Entity, relation: str, context: Context) -> list[Entity]:
    return [edge.entity for edge in context.expand(entity.id, relation, Direction.IN)]


def _follows(case: Entity, booked: Entity) -> bool:
    swapped, day = cast(date, case["day"]), cast(date, booked["day"])
    return swapped <= day <= swapped + DAYS


AGENTS = (Called("fraud", "billing", ("line.hold",), fraud), Called("billing", "billing", ("bill.credit",), billing))
