"""Credit holds. The rule: overdue exposure (open amounts of overdue invoices, if there are any, plus all open orders) above
the credit limit puts the customer on hold, unless the CRM holds a payment plan that is agreed and still valid. Where sales
plans a discount for the same customer, two proposals will meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from random import Random

from examples.distributor.clock import at, days
from examples.distributor.company import Client, Company, OrderDraft
from examples.distributor.live import event
from examples.distributor.orders import basket, outbound_route
from examples.distributor.systems.crm import DiscountOffer, PaymentPlan
from examples.distributor.truth import Decoy, Expected, Situation

KIND = "credit_hold"


@dataclass(frozen=True, slots=True)
class Case:
    """How often to plant what; `share` is the credit limit as a share of the overdue exposure after the live phase."""

    variant: str
    phase: str
    count: int
    holds: bool
    share: tuple[float, float] = (0.55, 0.9)
    plan: str | None = None
    discount: bool = False


OVER, UNDER = (0.55, 0.9), (1.05, 1.3)
CASES = (
    Case("overdue", "base", 9, True),
    Case("overdue_with_planned_discount", "base", 6, True, discount=True),
    Case("plan_expired", "base", 2, True, plan="expired"),
    Case("plan_only_proposed", "base", 2, True, plan="proposed"),
    Case("becomes_overdue", "live", 6, True),
    Case("becomes_overdue_with_planned_discount", "live", 4, True, discount=True),
    Case("payment_plan", "base", 7, False, plan="agreed"),
    Case("payment_plan_with_planned_discount", "base", 2, False, plan="agreed", discount=True),
    Case("below_limit", "base", 6, False, UNDER),
    Case("open_but_not_due", "base", 6, False, UNDER),
    Case("becomes_overdue_payment_plan", "live", 5, False, plan="agreed"),
    Case("becomes_overdue_below_limit", "live", 4, False, UNDER),
)


@dataclass(slots=True)
class Planted:
    """A case with what was made for it; amounts in EUR."""

    case: Case
    client: Client
    overdue: list[OrderDraft]
    exposure: float
    offer: DiscountOffer | None
    plan: PaymentPlan | None


def plant(company: Company) -> list[Planted]:
    """Draft the orders and invoices of every case and set its customer's limit."""
    chance = company.chance(KIND)
    clients = iter(company.pool("hold"))
    planted = [_plant_one(company, chance, case, next(clients)) for case in CASES for _ in range(case.count)]
    for client in chance.sample(company.pool("plain"), 30):
        _offer(company, chance, client)
    return planted


def _plant_one(company: Company, chance: Random, case: Case, client: Client) -> Planted:
    live = case.phase == "live"
    due_days = [chance.randint(3, 40) for _ in range(chance.randint(2, 3))]
    if live:
        due_days = [0] * len(due_days)
    overdue = [_invoiced(company, chance, client, company.day - days(count)) for count in due_days]
    if case.variant == "open_but_not_due":
        for _ in range(4):
            _invoiced(company, chance, client, company.day + days(chance.randint(4, 12)))
    running = _running(company, chance, client)
    exposure = round(sum(order.net for order in overdue) + running.net, 2)
    low = running.net * 1.02 if live else 0.0
    client.customer.credit_limit = float(max(round(exposure * chance.uniform(*case.share)), round(low)))
    plan = _payment_plan(company, chance, client, case.plan) if case.plan else None
    offer = _offer(company, chance, client) if case.discount else None
    return Planted(case, client, overdue, exposure, offer, plan)


def _invoiced(company: Company, chance: Random, client: Client, due: date) -> OrderDraft:
    """Draft a delivered order whose invoice is unpaid and due on a day."""
    delivered_on = due - days(client.customer.payment_terms_days)
    delivered_on = min(delivered_on, company.day - days(1))
    ordered = at(delivered_on - days(chance.randint(5, 9)), chance.randint(7, 17), chance.randint(0, 59))
    promised = at(delivered_on, 17)
    order = OrderDraft(client, ordered, promised, "delivered", basket(company, chance), outbound_route(chance))
    order.delivered, order.due, order.paid = at(delivered_on, 15), due, False
    company.orders.append(order)
    return order


def _running(company: Company, chance: Random, client: Client) -> OrderDraft:
    """Draft an order that is not delivered yet and not late."""
    ordered = at(company.day - days(chance.randint(1, 3)), chance.randint(7, 17), chance.randint(0, 59))
    promised = at(company.day + days(chance.randint(3, 8)), 17)
    order = OrderDraft(client, ordered, promised, "picking", basket(company, chance), outbound_route(chance))
    company.orders.append(order)
    return order


def _payment_plan(company: Company, chance: Random, client: Client, state: str) -> PaymentPlan:
    end = company.day + days(-5 if state == "expired" else chance.randint(60, 200))
    agreed = None if state == "proposed" else (company.day - days(chance.randint(20, 90))).isoformat()
    status = "proposed" if state == "proposed" else "agreed"
    return company.crm.plan(client.account.account_id, status, chance.randint(5, 40) * 5_000, agreed, end.isoformat())


def _offer(company: Company, chance: Random, client: Client) -> DiscountOffer:
    start = (company.day - days(chance.randint(1, 10))).isoformat()
    end = (company.day + days(chance.randint(15, 60))).isoformat()
    account = client.account
    return company.crm.offer(
        account.account_id, account.owner_rep_id, chance.randint(3, 40) * 5_000, start, end, "planned"
    )


def add_events(company: Company, planted: list[Planted]) -> None:
    """Let the business day end: what was due on it is overdue on the next."""
    night = at(company.day, 23, 59)
    tomorrow = (company.day + days(1)).isoformat()
    code = company.erp.calendar[0].company_code
    for item in planted:
        for order in item.overdue if item.case.phase == "live" else ():
            row = {"invoice_no": f"RE-{order.number:06d}", "status": "overdue"}
            company.live.append(event(night, "erp.invoices", "update", "invoice_no", row))
    row = {"company_code": code, "business_date": tomorrow}
    company.live.append(event(night, "erp.calendar", "update", "company_code", row))


def reveal(planted: list[Planted]) -> Iterator[Situation | Decoy]:
    """Tell the truth of what was planted."""
    for number, item in enumerate(planted, 1):
        case, client = item.case, item.client
        keys = {
            **client.keys,
            "invoices": [f"RE-{order.number:06d}" for order in item.overdue],
            "payment_plan": item.plan.plan_id if item.plan else None,
            "discount_offer": item.offer.offer_id if item.offer else None,
        }
        target = client.customer.customer_no
        if not case.holds:
            yield Decoy(f"D-HOLD-{number:03d}", KIND, case.variant, case.phase, target, keys)
            continue
        params = {"overdue_exposure_eur": item.exposure, "credit_limit_eur": client.customer.credit_limit}
        expected = Expected("credit-hold", "hold", target, params=params)
        needs = ("crm", "erp") if item.plan or item.offer else ("erp",)
        conflict = None
        if item.offer:
            conflict = {"agent": "sales-discount", "action": "grant_discount", "offer": item.offer.offer_id}
        yield Situation(f"S-HOLD-{number:03d}", KIND, case.variant, case.phase, keys, expected, needs, conflict)
