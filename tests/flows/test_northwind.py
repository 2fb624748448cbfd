"""Northwind in full, from its database to applied decisions, each count compared with what SQL says of the same database."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from coordination.proposals import Proposal
from governance.approvals import approve
from governance.errors import DeniedError
from governance.principals import load_principal
from governance.rules import load_rules
from kg.embedders.hashing import HashingEmbedder
from kg.indexer import Indexer
from kg.indexes.edge import EdgeIndex
from kg.ingest import entity_id
from kg.lineage import why
from kg.model import Direction, Entity, Op, Where
from kg.search import search
from kg.values import Money, Ref
from tests.flows.desk import DATA, ROOT, Desk, need
from tests.parts import OpenView

PROJECT = ROOT / "examples" / "northwind"
DATABASE = DATA / "northwind" / "northwind.db"
#: Class -> table of the source, or what makes as many rows.
TABLES = {
    "Customer": "Customers",
    "Order": "Orders",
    "OrderLine": '"Order Details"',
    "Product": "Products",
    "Supplier": "Suppliers",
    "Employee": "Employees",
    "Shipper": "Shippers",
    "Category": "Categories",
    "Region": "Regions",
    "Territory": "Territories",
}
LINE_VALUE = "UnitPrice * Quantity * (1 - Discount)"


@pytest.fixture(scope="module")
def source() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{need(DATABASE)}?mode=ro", uri=True)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def desk(source: sqlite3.Connection, place: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Northwind with all its work done; the tests go on from it in the order of this file."""
    desk = Desk(PROJECT, tmp_path_factory.mktemp("northwind"), place)
    desk.ingest()
    desk.settle()
    yield desk
    desk.platform.close()


def entity(desk: Desk, cls: str, **key: str | int) -> Entity:
    id = entity_id(desk.platform.store, desk.platform.ontology, cls, **key)
    assert id is not None
    return desk.reader.get([id])[id]


def ids(desk: Desk, cls: str, key: str, values: list[str | int]) -> set[str]:
    return {entity(desk, cls, **{key: value}).id for value in values}


def column(source: sqlite3.Connection, sql: str) -> list[str | int]:
    return [row[0] for row in source.execute(sql)]


def targets(proposals: list[Proposal]) -> set[str]:
    named = [str(cast(Ref, proposal.entity["target"])) for proposal in proposals]
    assert len(named) == len(set(named)), "a target has two proposals that want the same"
    return set(named)


def decision_of(desk: Desk, proposal: Proposal) -> Entity:
    return desk.reader.expand([proposal.id], "decidedBy")[proposal.id][0].entity


def test_every_row_is_in_the_graph_and_again_changes_nothing(desk: Desk, source: sqlite3.Connection) -> None:
    rows = {cls: source.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for cls, table in TABLES.items()}
    for cls, count in rows.items():
        held = desk.platform.store.count(cls, at_most=10_000)
        assert held == count, cls
    before = desk.platform.store.head().position
    again = desk.ingest()
    assert sum(report.records for report in again) == sum(rows.values()) + 1
    assert all(report.unchanged == report.records for report in again)
    assert desk.settle() == Counter()
    assert desk.platform.store.head().position == before


def test_relations_are_those_of_the_foreign_keys(desk: Desk, source: sqlite3.Connection) -> None:
    order = entity(desk, "Order", orderId=10248)
    for relation, name, value in (
        ("placedBy", "customerId", "VINET"),
        ("takenBy", "employeeId", 5),
        ("shippedVia", "shipperId", 3),
    ):
        assert [edge.entity[name] for edge in desk.reader.expand([order.id], relation)[order.id]] == [value]
    fuller = entity(desk, "Employee", employeeId=2)
    assert len(desk.reader.expand([fuller.id], "reportsTo", Direction.IN)[fuller.id]) == 5
    covered = [edge.entity["territoryId"] for edge in desk.reader.expand([fuller.id], "covers")[fuller.id]]
    assert sorted(covered) == sorted(column(source, "SELECT TerritoryID FROM EmployeeTerritories WHERE EmployeeID = 2"))


def test_each_order_shipped_late_gets_an_apology(desk: Desk, source: sqlite3.Connection) -> None:
    late = column(source, "SELECT OrderID FROM Orders WHERE ShippedDate > RequiredDate")
    assert len(late) == 37
    apologies = desk.proposals("apology.send")
    assert targets(apologies) == ids(desk, "Order", "orderId", late)
    assert {proposal.state for proposal in apologies} == {"applied"}
    days = dict(
        source.execute(
            "SELECT OrderID, CAST(julianday(ShippedDate) - julianday(RequiredDate) AS INTEGER) FROM Orders "
            "WHERE ShippedDate > RequiredDate"
        ).fetchall()
    )
    for number in late:
        order = entity(desk, "Order", orderId=number)
        followed = [edge.entity for edge in desk.reader.expand([order.id], "followsUp", Direction.IN)[order.id]]
        assert [(one["kind"], one["days"]) for one in followed] == [("apology", days[number])]


def test_each_unshipped_order_is_followed_up_by_how_urgent_it_is(desk: Desk, source: sqlite3.Connection) -> None:
    unshipped = column(source, "SELECT OrderID FROM Orders WHERE ShippedDate IS NULL")
    assert len(unshipped) == 21
    urgent = column(
        source,
        "SELECT OrderID FROM Orders WHERE ShippedDate IS NULL AND "
        "date(RequiredDate) <= date((SELECT max(OrderDate) FROM Orders), '+7 days')",
    )
    assert targets(desk.proposals("order.expedite")) == ids(desk, "Order", "orderId", urgent)
    assert targets(desk.proposals("order.expedite", "order.remind")) == ids(desk, "Order", "orderId", unshipped)
    today = desk.reader.find("Calendar").items[0]["today"]
    assert today == date.fromisoformat(str(column(source, "SELECT substr(max(OrderDate), 1, 10) FROM Orders")[0]))
    assert desk.reader.count("FollowUp") == 37 + 21


def test_what_runs_out_is_ordered_and_a_large_order_waits(desk: Desk, source: sqlite3.Connection) -> None:
    sold = (
        'SELECT sum(d.Quantity) FROM "Order Details" d JOIN Orders o USING (OrderID) WHERE d.ProductID = p.ProductID '
        "AND o.OrderDate > (SELECT datetime(max(OrderDate), '-90 days') FROM Orders)"
    )
    wanted = {
        number: (max(quantity, least), price)
        for number, quantity, least, price in source.execute(
            f"SELECT ProductID, ({sold}), ReorderLevel - UnitsInStock - UnitsOnOrder, UnitPrice FROM Products p "
            "WHERE UnitsInStock + UnitsOnOrder < ReorderLevel AND Discontinued = '0'"
        )
    }
    assert len(wanted) == 2
    purchases = desk.proposals("purchase_order.create")
    assert targets(purchases) == ids(desk, "Product", "productId", list(wanted))
    for number, (quantity, price) in wanted.items():
        product = entity(desk, "Product", productId=number)
        proposal = next(p for p in purchases if p.entity["target"] == Ref(product.id))
        amount = quantity * Decimal(str(price))
        assert proposal.amount == Money(amount, "USD")
        assert proposal.state == ("waiting_approval" if amount > 3_000 else "applied")
        made = [edge.entity for edge in desk.reader.expand([product.id], "restocks", Direction.IN)[product.id]]
        assert [one["quantity"] for one in made] == ([] if amount > 3_000 else [quantity])
    assert Counter(proposal.state for proposal in purchases) == {"applied": 1, "waiting_approval": 1}


def test_customers_with_more_open_than_twice_their_average_are_reviewed(desk: Desk, source: sqlite3.Connection) -> None:
    exposed = {
        customer: round(exposure, 2)
        for customer, exposure in source.execute(
            f'WITH worth AS (SELECT OrderID, sum({LINE_VALUE}) AS value FROM "Order Details" GROUP BY OrderID) '
            "SELECT CustomerID, sum(value) FILTER (WHERE ShippedDate IS NULL) AS exposure FROM Orders JOIN worth "
            "USING (OrderID) GROUP BY CustomerID HAVING exposure > 2 * avg(value) FILTER (WHERE ShippedDate IS NOT NULL)"
        )
    }
    assert exposed.keys() == {"ERNSH", "LINOD", "BLAUS"}
    reviews = desk.proposals("credit.review")
    assert targets(reviews) == ids(desk, "Customer", "customerId", list(exposed))
    for proposal in reviews:
        customer = desk.reader.get([str(cast(Ref, proposal.entity["target"]))]).popitem()[1]
        amount = cast(Money, proposal.amount).amount
        assert float(amount) == pytest.approx(exposed[str(customer["customerId"])], abs=0.01)
        assert proposal.state == ("waiting_approval" if amount > 5_000 else "applied")
        assert customer.get("onCreditReview") is (None if amount > 5_000 else True)


def test_only_a_purchasing_manager_lets_the_large_order_through(desk: Desk) -> None:
    platform = desk.platform
    waiting = next(p for p in desk.proposals("purchase_order.create") if p.state == "waiting_approval")
    decision, rules = decision_of(desk, waiting), load_rules(platform.store, platform.ontology)
    people = {name: load_principal(platform.store, f'User::"{name}"') for name in ("sam", "fritz", "priya")}
    with pytest.raises(DeniedError):
        approve(platform.store, platform.clock, rules, decision.id, people["sam"], "approve")
    assert not approve(platform.store, platform.clock, rules, decision.id, people["fritz"], "approve").met
    desk.settle()
    assert Proposal(desk.reader.get([waiting.id])[waiting.id]).state == "waiting_approval"
    assert approve(platform.store, platform.clock, rules, decision.id, people["priya"], "approve", "Needed.").met
    desk.settle()
    assert Proposal(desk.reader.get([waiting.id])[waiting.id]).state == "applied"
    product = str(cast(Ref, waiting.entity["target"]))
    made = [edge.entity["status"] for edge in desk.reader.expand([product], "restocks", Direction.IN)[product]]
    assert made == ["open"]


def test_why_leads_from_the_purchase_order_to_the_source_records_and_the_person(desk: Desk) -> None:
    product = entity(desk, "Product", productId=30)
    made = desk.reader.expand([product.id], "restocks", Direction.IN)[product.id][0].entity
    told = why(desk.platform.store, OpenView(), made.id, depth=12)
    text = str(told)
    for part in ("northwind.Products", "northwind.Orders", "northwind.Order Details", "big-purchase", "priya"):
        assert part in text, part


def test_personal_data_is_masked_for_whoever_does_not_need_it(desk: Desk) -> None:
    davolio = entity(desk, "Employee", employeeId=1)
    private = {"homePhone", "birthDate", "homeAddress", "notes"}
    assert private <= davolio.properties.keys()
    plain = desk.reader_of("sam").get([davolio.id])[davolio.id]
    assert plain["title"] == "Sales Representative"
    assert not private & plain.properties.keys()
    assert private <= plain.masked
    assert desk.reader_of("hanna").get([davolio.id])[davolio.id]["homePhone"] == "(206) 555-9857"
    # What is masked cannot be asked for either.
    where = [Where("birthDate", Op.LT, date(1950, 1, 1))]
    assert desk.reader_of("sam").find("Employee", where).items == ()
    assert davolio.id in {one.id for one in desk.reader_of("hanna").find("Employee", where).items}
    customer = entity(desk, "Customer", customerId="ALFKI")
    assert "phone" in desk.reader_of("sam").get([customer.id])[customer.id].masked


def test_the_index_finds_what_the_graph_holds(desk: Desk, tmp_path: Path) -> None:
    platform, embedder = desk.platform, HashingEmbedder()
    index = EdgeIndex(tmp_path / "index", embedder)
    try:
        indexer = Indexer(platform.store, index, embedder, platform.ontology)
        indexer.run()
        assert indexer.check().alike
        view = desk.reader_of("sam").view
        found = search(platform.store, index, embedder, view, platform.ontology, "Matjeshering", ("Product",), 3)
        assert found.fallback is None
        assert found.hits[0].entity["productId"] == 30
        # Notes about employees are personal: nobody finds a person by them.
        found = search(platform.store, index, embedder, view, platform.ontology, "BA in psychology", ("Employee",), 3)
        assert found.hits == ()
    finally:
        index.close()


def test_the_ledger_holds_and_every_decision_names_its_rules(desk: Desk) -> None:
    store = desk.platform.store
    assert store.verify() == store.head().position
    for proposal in desk.proposals():
        decision = decision_of(desk, proposal)
        assert decision["rules"], proposal.id
        assert proposal.evidence
        assert proposal.text("rationale").endswith(".")
