"""The ERP of purchasing, warehouse and finance: customers keyed `0000123` under shortened upper-case names, orders keyed
`SO-004711`, money in EUR, quantities in pieces, weights in kg, times in Berlin local time without a zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from examples.distributor.systems.table import write_database

COMPANY_CODE = "1000"


@dataclass(slots=True)
class Calendar:
    """The business day the books stand at; one row."""

    company_code: str
    business_date: str


@dataclass(slots=True)
class Customer:
    """One customer as finance sees it."""

    customer_no: str
    name: str
    vat_no: str
    credit_limit: float
    payment_terms_days: int
    currency: str


@dataclass(slots=True)
class Supplier:
    """One supplier."""

    supplier_no: str
    name: str
    lead_time_days: int


@dataclass(slots=True)
class Product:
    """One article with its stock, in pieces."""

    product_no: str
    description: str
    supplier_no: str
    stock: int
    reorder_level: int
    reorder_qty: int
    unit: str
    unit_price: float
    unit_cost: float
    weight_kg: float


@dataclass(slots=True)
class SalesOrder:
    """One order; open until it is `delivered` or `cancelled`."""

    order_no: str
    customer_no: str
    ordered_at: str
    promised_at: str
    delivered_at: str | None
    status: str
    net_amount: float


@dataclass(slots=True)
class OrderLine:
    """One line of an order."""

    line_id: str
    order_no: str
    product_no: str
    quantity: int
    unit_price: float


@dataclass(slots=True)
class Invoice:
    """One invoice; `overdue` once its due date has passed with something open."""

    invoice_no: str
    order_no: str
    customer_no: str
    invoice_date: str
    due_date: str
    amount: float
    open_amount: float
    status: str


@dataclass(slots=True)
class PurchaseOrder:
    """One purchase of one article; `open` until `received`."""

    po_no: str
    supplier_no: str
    product_no: str
    quantity: int
    unit_cost: float
    ordered_at: str
    expected_on: str
    status: str


@dataclass(slots=True)
class Erp:
    """All rows of the ERP."""

    calendar: list[Calendar] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    suppliers: list[Supplier] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    sales_orders: list[SalesOrder] = field(default_factory=list)
    order_lines: list[OrderLine] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    purchase_orders: list[PurchaseOrder] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write erp.db."""
        write_database(
            folder / "erp.db",
            {
                "calendar": (Calendar, self.calendar),
                "customers": (Customer, self.customers),
                "suppliers": (Supplier, self.suppliers),
                "products": (Product, self.products),
                "sales_orders": (SalesOrder, self.sales_orders),
                "order_lines": (OrderLine, self.order_lines),
                "invoices": (Invoice, self.invoices),
                "purchase_orders": (PurchaseOrder, self.purchase_orders),
            },
        )
