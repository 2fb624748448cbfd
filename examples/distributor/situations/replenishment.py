"""Replenishment. The rule: stock is below the reorder level, and stock plus the open purchase orders that count is below it
too; then order the reorder quantity, above 5,000 EUR with a purchasing manager's approval. A purchase order does not count
while its inbound shipment is delayed on a route with an incident still open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from examples.distributor import names
from examples.distributor.clock import at, days, erp_text, logistics_text
from examples.distributor.company import Company
from examples.distributor.live import event
from examples.distributor.systems.erp import Product, PurchaseOrder
from examples.distributor.systems.logistics import POUNDS_PER_KG, Shipment
from examples.distributor.truth import PRICE_OF_APPROVAL_EUR, Decoy, Expected, Situation

KIND = "replenishment"
ORDINARY_PURCHASES = 220


@dataclass(frozen=True, slots=True)
class Case:
    """How often to plant what; `covered` by an open order, `shipment` that order's inbound one, `falls` in the live phase."""

    variant: str
    phase: str
    count: int
    orders_more: bool
    covered: str = "none"
    shipment: str | None = None
    routes: str = "clear"
    falls: bool = False


CASES = (
    Case("no_open_order", "base", 8, True),
    Case("open_order_too_small", "base", 4, True, "part", "in_transit"),
    Case("inbound_blocked", "base", 10, True, "full", "delayed", "open"),
    Case("stock_falls", "live", 4, True, falls=True),
    Case("stock_falls_inbound_blocked", "live", 4, True, "full", "delayed", "open", falls=True),
    Case("incident_opens", "live", 4, True, "full", "delayed", "live"),
    Case("covered_on_the_way", "base", 5, False, "full", "in_transit"),
    Case("covered_not_shipped", "base", 4, False, "full"),
    Case("delayed_incident_over", "base", 6, False, "full", "delayed", "over"),
    Case("delayed_no_incident", "base", 4, False, "full", "delayed"),
    Case("incident_not_delayed", "base", 4, False, "full", "in_transit", "open"),
    Case("stock_falls_covered", "live", 6, False, "full", "in_transit", falls=True),
    Case("stock_falls_above_level", "live", 4, False, falls=True),
)


@dataclass(slots=True)
class Planted:
    """A case with the rows made for it."""

    case: Case
    product: Product
    purchase: PurchaseOrder | None
    route: str | None


def plant(company: Company) -> list[Planted]:
    """Set stock, purchase orders and inbound shipments of every case, and add the ordinary purchases."""
    chance = company.chance(KIND)
    products = chance.sample(company.erp.products, len(company.erp.products))
    numbers = chance.sample(range(101, 999), ORDINARY_PURCHASES + sum(case.count for case in CASES))
    rest = iter(products)
    planted = [
        _plant_one(company, chance, case, next(rest), numbers.pop()) for case in CASES for _ in range(case.count)
    ]
    _ordinary_purchases(company, chance, list(rest), numbers)
    company.erp.purchase_orders.sort(key=lambda row: row.po_no)
    return planted


def _plant_one(company: Company, chance: Random, case: Case, product: Product, number: int) -> Planted:
    low = chance.randint(1, max(2, product.reorder_level - 3))
    if not case.falls:
        product.stock = low
    else:
        _let_stock_fall(company, chance, case, product, low)
    if case.covered == "none":
        return Planted(case, product, None, None)
    enough = max(product.reorder_level, product.reorder_qty)
    # Too small: even with it the stock stays below the level.
    quantity = enough if case.covered == "full" else max(1, (product.reorder_level - product.stock) // 2)
    ordered_on = company.day - days(chance.randint(10, 30))
    delayed = case.shipment == "delayed"
    expected = company.day + days(-chance.randint(1, 6) if delayed else chance.randint(2, 12))
    purchase = _purchase(product, number, quantity, (erp_text(at(ordered_on, 11)), expected.isoformat()), "open")
    company.erp.purchase_orders.append(purchase)
    route = None
    if case.shipment:
        route = chance.choice(names.INBOUND[case.routes])
        _add_shipment(company, chance, purchase, product, route, case.shipment)
    return Planted(case, product, purchase, route)


def _let_stock_fall(company: Company, chance: Random, case: Case, product: Product, low: int) -> None:
    """Keep the stock above the level for now and add the event that lowers it."""
    level = product.reorder_level
    product.stock = level + chance.randint(6, 40)
    after = level + chance.randint(0, 4) if case.variant == "stock_falls_above_level" else low
    moment = at(company.day, chance.randint(8, 17), chance.randint(0, 59))
    row = {"product_no": product.product_no, "stock": after}
    company.live.append(event(moment, "erp.products", "update", "product_no", row))


def _purchase(product: Product, number: int, quantity: int, dates: tuple[str, str], status: str) -> PurchaseOrder:
    key = f"PO-{number:05d}"
    return PurchaseOrder(key, product.supplier_no, product.product_no, quantity, product.unit_cost, *dates, status)


def _add_shipment(
    company: Company, chance: Random, purchase: PurchaseOrder, product: Product, route: str, status: str
) -> None:
    """Add the inbound shipment of a purchase order."""
    number = int(purchase.po_no.removeprefix("PO-"))
    promised = at(company.day + days(-chance.randint(1, 6) if status == "delayed" else chance.randint(1, 10)), 12)
    eta = at(company.day + days(chance.randint(4, 15)), 12) if status == "delayed" else promised
    arrived = None
    if status == "delivered":
        promised = eta = at(company.day - days(chance.randint(10, 200)), 12)
        arrived = logistics_text(eta)
    row = Shipment(
        shipment_id=f"SHP9{number * 11:07d}",
        direction="IN",
        order_ref=None,
        purchase_ref=f"P{number}",
        carrier=chance.choice(names.CARRIERS),
        route=route,
        promised_at=logistics_text(promised),
        eta=logistics_text(eta),
        delivered_at=arrived,
        weight_lb=round(purchase.quantity * product.weight_kg * POUNDS_PER_KG, 1),
        status=status,
    )
    company.logistics.shipments.append(row)


def _ordinary_purchases(company: Company, chance: Random, products: list[Product], numbers: list[int]) -> None:
    """Add purchases of the past, a few still open, of articles with stock enough; and ordinary changes of their stock."""
    inbound = [route for routes in names.INBOUND.values() for route in routes]
    for number in numbers[:ORDINARY_PURCHASES]:
        product = chance.choice(products)
        still_open = chance.random() < 0.1
        ordered_on = company.day - days(chance.randint(3, 9) if still_open else chance.randint(60, 260))
        expected_on = ordered_on + days(chance.randint(12, 40))
        dates = (erp_text(at(ordered_on, 10)), expected_on.isoformat())
        purchase = _purchase(product, number, product.reorder_qty, dates, "open" if still_open else "received")
        company.erp.purchase_orders.append(purchase)
        status = chance.choice(("in_transit", "delayed")) if still_open else "delivered"
        _add_shipment(company, chance, purchase, product, chance.choice(inbound), status)
    for product in chance.sample(products, 20):
        moment = at(company.day, chance.randint(8, 17), chance.randint(0, 59))
        row = {"product_no": product.product_no, "stock": product.stock - chance.randint(1, product.reorder_level // 2)}
        company.live.append(event(moment, "erp.products", "update", "product_no", row))


def reveal(company: Company, planted: list[Planted]) -> Iterator[Situation | Decoy]:
    """Tell the truth of what was planted."""
    for number, item in enumerate(planted, 1):
        case, product = item.case, item.product
        incident = company.open_incidents.get(item.route or "")
        keys = {
            "product": product.product_no,
            "purchase_order": item.purchase.po_no if item.purchase else None,
            "route": item.route,
            "incident": incident.incident_id if incident else None,
        }
        if not case.orders_more:
            yield Decoy(f"D-STOCK-{number:03d}", KIND, case.variant, case.phase, product.product_no, keys)
            continue
        amount = round(product.reorder_qty * product.unit_cost, 2)
        large = amount > PRICE_OF_APPROVAL_EUR
        params = {"quantity": product.reorder_qty, "amount_eur": amount, "supplier": product.supplier_no}
        approver = "purchasing-manager" if large else None
        expected = Expected("replenishment", "create_purchase_order", product.product_no, large, approver, params)
        needs = ("erp", "logistics") if case.covered == "full" else ("erp",)
        yield Situation(f"S-STOCK-{number:03d}", KIND, case.variant, case.phase, keys, expected, needs)
