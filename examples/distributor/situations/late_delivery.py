"""Late deliveries. The rule: an order is late (promised before the business day, not delivered), an incident is still open on its
route, and the customer has an open ticket that names it. Then by CRM segment: A gets a credit of 5 % that finance approves, B
an expedited shipment, C an expedited shipment from 7 days late on and an apology before. Every decoy lacks one of the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from examples.distributor import names
from examples.distributor.clock import at, days
from examples.distributor.company import Client, Company, OrderDraft, TicketDraft
from examples.distributor.orders import basket
from examples.distributor.tickets import waiting_ticket
from examples.distributor.truth import CREDIT_SHARE, Decoy, Expected, Situation

KIND = "late_delivery"
NEEDS = ("crm", "erp", "helpdesk", "logistics")
SHORT, LONG, ANY = (1, 4), (9, 20), (2, 15)


@dataclass(frozen=True, slots=True)
class Case:
    """How often to plant what; `routes` is a state of routes, `ticket` one of none, open, live, closed and other (order)."""

    variant: str
    phase: str
    routes: str
    ticket: str
    count: int
    segment: str | None = None
    late_days: tuple[int, int] = ANY
    action: str | None = None
    arrived: bool = False


CASES = (
    Case("key_account", "base", "open", "open", 8, "A", ANY, "credit"),
    Case("medium_account", "base", "open", "open", 6, "B", ANY, "expedite"),
    Case("small_account_long", "base", "open", "open", 4, "C", LONG, "expedite"),
    Case("small_account_short", "base", "open", "open", 4, "C", SHORT, "apology"),
    Case("ticket_arrives", "live", "open", "live", 3, "A", ANY, "credit"),
    Case("ticket_arrives", "live", "open", "live", 2, "B", ANY, "expedite"),
    Case("ticket_arrives", "live", "open", "live", 2, "C", SHORT, "apology"),
    Case("incident_opens", "live", "live", "open", 2, "A", ANY, "credit"),
    Case("incident_opens", "live", "live", "open", 2, "B", ANY, "expedite"),
    Case("incident_opens", "live", "live", "open", 2, "C", SHORT, "apology"),
    Case("no_ticket", "base", "open", "none", 8),
    Case("not_late", "base", "open", "open", 6, None, (-6, -2)),
    Case("incident_over", "base", "over", "open", 6),
    Case("no_incident", "base", "clear", "open", 4),
    Case("ticket_closed", "base", "open", "closed", 4),
    Case("ticket_names_other_order", "base", "open", "other", 4),
    Case("carrier_has_delivered", "base", "open", "open", 3, arrived=True),
    Case("ticket_arrives_no_incident", "live", "clear", "live", 4),
    Case("incident_opens_no_ticket", "live", "live", "none", 3),
)


@dataclass(slots=True)
class Planted:
    """A case with the drafts made for it."""

    case: Case
    late_days: int
    order: OrderDraft
    ticket: TicketDraft | None


def plant(company: Company) -> list[Planted]:
    """Draft the orders and tickets of every case, each for a customer of its own."""
    chance = company.chance(KIND)
    clients = iter(company.pool("late"))
    return [_plant_one(company, chance, case, next(clients)) for case in CASES for _ in range(case.count)]


def _plant_one(company: Company, chance: Random, case: Case, client: Client) -> Planted:
    if case.segment:
        client.account.segment = case.segment
    late_days = chance.randint(*case.late_days)
    promised = at(company.day - days(late_days), 17)
    ordered = at(company.day - days(late_days + chance.randint(6, 12)), chance.randint(7, 17), chance.randint(0, 59))
    route = chance.choice(names.OUTBOUND[case.routes])
    order = OrderDraft(client, ordered, promised, "shipped", basket(company, chance), route)
    order.shipment_status = "delayed" if late_days > 0 else "in_transit"
    if case.arrived:
        order.shipment_status, order.shipment_delivered = "delivered", at(company.day - days(1), 19)
    earlier = next(o for o in company.orders if o.client is client and o.status == "delivered")
    company.orders.append(order)
    ticket = _ticket(company, chance, case, order, earlier)
    if ticket:
        company.tickets.append(ticket)
    return Planted(case, late_days, order, ticket)


def _ticket(company: Company, chance: Random, case: Case, order: OrderDraft, earlier: OrderDraft) -> TicketDraft | None:
    """Draft the ticket that the case has, if any."""
    if case.ticket == "none":
        return None
    live = case.ticket == "live"
    created = at(company.day - days(0 if live else 1), chance.randint(8, 16), chance.randint(0, 59))
    named = earlier if case.ticket == "other" else order
    return waiting_ticket(order.client, created, named, "closed" if case.ticket == "closed" else "open", live)


def reveal(company: Company, planted: list[Planted]) -> Iterator[Situation | Decoy]:
    """Tell the truth of what was planted, once orders and tickets have their numbers."""
    for number, item in enumerate(planted, 1):
        case, order, account = item.case, item.order, item.order.client.account
        incident = company.open_incidents.get(order.route)
        keys = {
            **order.client.keys,
            "order": order.order_no,
            "route": order.route,
            "incident": incident.incident_id if incident else None,
            "ticket": item.ticket.ticket_id if item.ticket else None,
        }
        if case.action is None:
            yield Decoy(f"D-LATE-{number:03d}", KIND, case.variant, case.phase, order.order_no, keys)
            continue
        credit = case.action == "credit"
        params = {"days_late": item.late_days, "segment": account.segment}
        if credit:
            params["amount_eur"] = round(order.net * CREDIT_SHARE, 2)
        approver = "finance" if credit else None
        expected = Expected("late-delivery", case.action, order.order_no, credit, approver, params)
        yield Situation(f"S-LATE-{number:03d}", KIND, case.variant, case.phase, keys, expected, NEEDS)
