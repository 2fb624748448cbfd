"""Ordinary orders, and how every order becomes rows: order and lines and invoice in the ERP, a shipment at the carriers. No
ordinary order is late on the day, and none is promised for the day itself, so lateness is only what was planted.
"""

from __future__ import annotations

from datetime import date, datetime
from random import Random

from examples.distributor import names
from examples.distributor.clock import at, berlin_day, days, erp_text, logistics_text
from examples.distributor.company import Client, Company, OrderDraft
from examples.distributor.systems.erp import Invoice, OrderLine, Product, SalesOrder
from examples.distributor.systems.logistics import POUNDS_PER_KG, Shipment

ORDINARY_ORDERS = 5_200
HISTORY_DAYS = 270
QUIET_DAYS = 100
OVERDUE_SHARE = 0.04
SHIPMENT_STATUS = {"shipped": "in_transit", "delivered": "delivered"}


def basket(company: Company, chance: Random) -> list[tuple[Product, int]]:
    """Choose one to three articles and a quantity of each."""
    products = chance.sample(company.erp.products, chance.choices((1, 2, 3), (4, 4, 2))[0])
    return [(product, chance.randint(1, max(2, int(900 / product.unit_price)))) for product in products]


def outbound_route(chance: Random) -> str:
    """Choose any route to customers."""
    return chance.choice([route for routes in names.OUTBOUND.values() for route in routes])


def draft_orders(company: Company) -> None:
    """Draft the ordinary orders; a customer kept for credit situations has only old and paid ones."""
    chance = company.chance("orders")
    for index in range(ORDINARY_ORDERS):
        client = company.clients[index % len(company.clients)]
        newest = QUIET_DAYS if client.pool == "hold" else 1
        ordered = at(
            company.day - days(chance.randint(newest, HISTORY_DAYS)), chance.randint(7, 17), chance.randint(0, 59)
        )
        company.orders.append(_ordinary(company, chance, client, ordered))


def _ordinary(company: Company, chance: Random, client: Client, ordered: datetime) -> OrderDraft:
    promised_on = berlin_day(ordered) + days(chance.randint(4, 12))
    if promised_on == company.day:
        promised_on += days(1)
    draft = OrderDraft(client, ordered, at(promised_on, 17), "open", basket(company, chance), outbound_route(chance))
    if promised_on < company.day:
        latest = min(promised_on + days(chance.choice((-2, -1, -1, 0, 0, 0, 1))), company.day - days(1))
        draft.delivered = at(max(latest, berlin_day(ordered)), chance.randint(18, 20), chance.randint(0, 59))
        draft.status = "cancelled" if chance.random() < 0.01 else "delivered"
        if draft.status == "cancelled":
            draft.delivered = None
        else:
            _settle(company, chance, draft)
    elif company.day - berlin_day(ordered) > days(3):
        draft.status = "shipped"
    else:
        draft.status = chance.choice(("open", "picking"))
    return draft


def _settle(company: Company, chance: Random, draft: OrderDraft) -> None:
    """Set when the invoice is due and whether it has been paid."""
    assert draft.delivered is not None
    draft.due = berlin_day(draft.delivered) + days(draft.client.customer.payment_terms_days)
    if draft.due == company.day:
        draft.due += days(1)
    if draft.client.pool == "hold":
        return
    if draft.due > company.day:
        draft.paid = chance.random() < 0.3
    elif company.day - draft.due < days(45):
        draft.paid = chance.random() > OVERDUE_SHARE * 3


def number_orders(company: Company) -> None:
    """Number all drafted orders in the order they came in."""
    company.orders.sort(key=lambda draft: (draft.ordered, draft.client.account.account_id))
    for number, draft in enumerate(company.orders, 1_001):
        draft.number = number


def add_order_rows(company: Company) -> None:
    """Write every drafted order into the ERP and to the carriers."""
    chance = company.chance("shipments")
    for draft in company.orders:
        erp = company.erp
        delivered = erp_text(draft.delivered) if draft.delivered else None
        times = (erp_text(draft.ordered), erp_text(draft.promised), delivered)
        erp.sales_orders.append(
            SalesOrder(draft.order_no, draft.client.customer.customer_no, *times, draft.status, draft.net)
        )
        for position, (product, quantity) in enumerate(draft.lines, 1):
            key = f"{draft.order_no}/{position}"
            erp.order_lines.append(OrderLine(key, draft.order_no, product.product_no, quantity, product.unit_price))
        if draft.due is not None and draft.delivered is not None:
            erp.invoices.append(invoice(company.day, draft, berlin_day(draft.delivered), draft.due))
        status = draft.shipment_status or SHIPMENT_STATUS.get(draft.status)
        if status:
            company.logistics.shipments.append(_shipment(company, chance, draft, status))


def invoice(day: date, draft: OrderDraft, invoiced_on: date, due: date) -> Invoice:
    """Make the invoice of an order; the whole of it is open until it is paid."""
    status = "paid" if draft.paid else "overdue" if due < day else "open"
    amount = draft.net
    key, dates = f"RE-{draft.number:06d}", (invoiced_on.isoformat(), due.isoformat())
    number, open_amount = draft.client.customer.customer_no, 0.0 if draft.paid else amount
    return Invoice(key, draft.order_no, number, *dates, amount, open_amount, status)


def _shipment(company: Company, chance: Random, draft: OrderDraft, status: str) -> Shipment:
    arrived = draft.shipment_delivered or draft.delivered
    late = at(company.day + days(chance.randint(2, 6)), chance.randint(8, 17))
    eta = arrived or (late if status == "delayed" else draft.promised - days(chance.choice((0, 0, 1)) / 12))
    weight = round(sum(p.weight_kg * quantity for p, quantity in draft.lines) * POUNDS_PER_KG, 1)
    return Shipment(
        shipment_id=f"SHP{draft.number * 13:08d}",
        direction="OUT",
        order_ref=str(draft.number),
        purchase_ref=None,
        carrier=chance.choice(names.CARRIERS),
        route=draft.route,
        promised_at=logistics_text(draft.promised),
        eta=logistics_text(eta),
        delivered_at=logistics_text(arrived) if arrived else None,
        weight_lb=weight,
        status=status,
    )


def set_credit_limits(company: Company) -> None:
    """Give every customer without a planted limit one well above all that is open."""
    chance = company.chance("limits")
    used: dict[str, float] = {}
    for draft in company.orders:
        unpaid = draft.status not in ("delivered", "cancelled") or (draft.due is not None and not draft.paid)
        if unpaid:
            number = draft.client.customer.customer_no
            used[number] = used.get(number, 0.0) + draft.net
    for client in company.clients:
        if client.customer.credit_limit == 0.0:
            needed = used.get(client.customer.customer_no, 0.0) * chance.uniform(1.3, 2.5) + 2_000
            client.customer.credit_limit = float(round(needed / 500 + 0.5) * 500)
