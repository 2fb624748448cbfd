"""The distributor's rules once more, written over the source files alone: what a person with all four systems on the desk
would find. It shares no code with the generator, so that data and truth can be checked against each other.
"""

import csv
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
ORDER = re.compile(r"\bso[ -]?#?0*([1-9]\d{3,5})\b", re.IGNORECASE)
Row = dict[str, Any]


@dataclass
class Desk:
    """All rows of the four systems as they stand in a folder."""

    tables: dict[str, list[Row]]

    @property
    def today(self) -> date:
        return date.fromisoformat(self.tables["calendar"][0]["business_date"])

    def by(self, table: str, column: str) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = {}
        for row in self.tables[table]:
            groups.setdefault(row[column], []).append(row)
        return groups


def read(folder: Path) -> Desk:
    tables: dict[str, list[Row]] = {}
    for name in ("crm", "erp"):
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            database.row_factory = sqlite3.Row
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                tables[table] = [dict(row) for row in database.execute(f"SELECT * FROM {table}")]
    for name in ("logistics", "route_incidents"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables[name] = list(csv.DictReader(file))
    lines = (folder / "helpdesk.jsonl").read_text(encoding="utf-8").splitlines()
    tables["tickets"] = [json.loads(line) for line in lines]
    return Desk(tables)


def vat(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def accounts_by_customer(desk: Desk) -> dict[str, Row]:
    accounts = {vat(row["vat_number"]): row for row in desk.tables["accounts"]}
    return {row["customer_no"]: accounts[vat(row["vat_no"])] for row in desk.tables["customers"]}


def blocked_routes(desk: Desk) -> set[str]:
    return {row["route"] for row in desk.tables["route_incidents"] if not row["to"]}


def replenishments(desk: Desk) -> dict[str, str]:
    """Product to action."""
    blocked, found = blocked_routes(desk), {}
    purchases, shipments = desk.by("purchase_orders", "product_no"), desk.by("logistics", "purchase_ref")
    for product in desk.tables["products"]:
        available = product["stock"]
        for purchase in purchases.get(product["product_no"], []):
            ref = "P" + str(int(purchase["po_no"].split("-")[1]))
            stuck = any(s["status"] == "delayed" and s["route"] in blocked for s in shipments.get(ref, []))
            if purchase["status"] == "open" and not stuck:
                available += purchase["quantity"]
        if product["stock"] < product["reorder_level"] and available < product["reorder_level"]:
            found[product["product_no"]] = "create_purchase_order"
    return found


def late_orders(desk: Desk) -> dict[str, str]:
    """Order to action."""
    blocked, accounts, found = blocked_routes(desk), accounts_by_customer(desk), {}
    shipments = desk.by("logistics", "order_ref")
    named: set[tuple[str, str]] = set()
    for ticket in desk.tables["tickets"]:
        if ticket["status"] == "open":
            domain = ticket["requester_email"].split("@")[1].lower()
            named |= {(domain, number) for number in ORDER.findall(ticket["subject"] + " " + ticket["body"])}
    for order in desk.tables["sales_orders"]:
        days_late = (desk.today - datetime.fromisoformat(order["promised_at"]).date()).days
        if order["status"] in ("delivered", "cancelled") or days_late <= 0:
            continue
        number = str(int(order["order_no"].split("-")[1]))
        account = accounts[order["customer_no"]]
        on_blocked = any(not s["delivered_at"] and s["route"] in blocked for s in shipments.get(number, []))
        if on_blocked and (account["domain"], number) in named:
            small = "expedite" if days_late >= 7 else "apology"
            found[order["order_no"]] = {"A": "credit", "B": "expedite"}.get(account["segment"], small)
    return found


def holds(desk: Desk) -> dict[str, str]:
    """Customer to action."""
    accounts, plans, found = accounts_by_customer(desk), desk.by("payment_plans", "account_id"), {}
    invoices, orders = desk.by("invoices", "customer_no"), desk.by("sales_orders", "customer_no")
    for customer in desk.tables["customers"]:
        number = customer["customer_no"]
        due = [
            i for i in invoices.get(number, []) if i["open_amount"] and date.fromisoformat(i["due_date"]) < desk.today
        ]
        running = [o for o in orders.get(number, []) if o["status"] not in ("delivered", "cancelled")]
        exposure = sum(i["open_amount"] for i in due) + sum(o["net_amount"] for o in running)
        agreed = any(
            p["status"] == "agreed" and date.fromisoformat(p["valid_until"]) >= desk.today
            for p in plans.get(accounts[number]["account_id"], [])
        )
        if due and exposure > customer["credit_limit"] and not agreed:
            found[number] = "hold"
    return found
