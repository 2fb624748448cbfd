"""What is ordinary about the live day: goods that were on the road arrive, in the ERP and at the carriers, and are invoiced."""

from __future__ import annotations

from dataclasses import asdict

from examples.distributor.clock import at, berlin_day, days, erp_text, logistics_text
from examples.distributor.company import Company
from examples.distributor.live import event
from examples.distributor.orders import invoice

LIVE_DELIVERIES = 15


def add_deliveries(company: Company) -> None:
    """Deliver some of the orders that are on their way and not late."""
    chance = company.chance("deliveries")
    under_way = [o for o in company.orders if o.status == "shipped" and berlin_day(o.promised) > company.day]
    refs = {row.order_ref: row.shipment_id for row in company.logistics.shipments}
    planted = {item.keys.get("order") for item in company.situations} | {
        item.keys.get("order") for item in company.decoys
    }
    ordinary = [order for order in under_way if order.order_no not in planted]
    for order in chance.sample(ordinary, LIVE_DELIVERIES):
        moment = at(company.day, chance.randint(8, 17), chance.randint(0, 59))
        row = {"order_no": order.order_no, "delivered_at": erp_text(moment), "status": "delivered"}
        company.live.append(event(moment, "erp.sales_orders", "update", "order_no", row))
        shipment = {"shipment_id": refs[str(order.number)], "status": "delivered"}
        shipment |= {"delivered_at": logistics_text(moment), "eta": logistics_text(moment)}
        company.live.append(event(moment, "logistics.logistics", "update", "shipment_id", shipment))
        order.paid = False
        due = company.day + days(order.client.customer.payment_terms_days)
        billed = asdict(invoice(company.day, order, company.day, due))
        company.live.append(event(moment, "erp.invoices", "insert", "invoice_no", billed))
