"""Real data: the whole of Northwind, and the first events of a service desk.

The incidents are the BPI Challenge 2013 log, doi:10.4121/uuid:a7ce5c55-03a7-4583-b855-98b86e1a2b07.
"""

import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from kg.ingest import entity_id, ingest, load_mapping
from kg.model import Direction
from kg.ontology import load
from kg.stores.sqlite import SqliteStore
from kg.values import Money
from tests.kg.ontology.test_load import PREFIXES
from tests.parts import ManualClock

DATA = Path(__file__).parents[4] / "shared" / "data"
EVENTS = 10_000

NORTHWIND = (
    PREFIXES
    + """
:Customer a owl:Class ; n:key "customerId" .
:Employee a owl:Class ; n:key "employeeId" .
:Order a owl:Class ; n:key "orderId" .
:OrderLine a owl:Class ; n:key ( "orderId" "productId" ) .
:Product a owl:Class ; n:key "productId" .
:customerId a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:name a owl:DatatypeProperty ; rdfs:domain :Customer, :Employee, :Product ; rdfs:range xsd:string .
:employeeId a owl:DatatypeProperty ; rdfs:domain :Employee ; rdfs:range xsd:integer .
:born a owl:DatatypeProperty ; rdfs:domain :Employee ; rdfs:range xsd:date ; n:personal true .
:orderId a owl:DatatypeProperty ; rdfs:domain :Order, :OrderLine ; rdfs:range xsd:integer .
:productId a owl:DatatypeProperty ; rdfs:domain :Product, :OrderLine ; rdfs:range xsd:integer .
:orderedAt a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:dateTime .
:freight a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range n:money .
:unitPrice a owl:DatatypeProperty ; rdfs:domain :OrderLine, :Product ; rdfs:range n:money .
:quantity a owl:DatatypeProperty ; rdfs:domain :OrderLine ; rdfs:range xsd:integer .
:discount a owl:DatatypeProperty ; rdfs:domain :OrderLine ; rdfs:range xsd:decimal .
:discontinued a owl:DatatypeProperty ; rdfs:domain :Product ; rdfs:range xsd:boolean .
:reportsTo a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Employee ; rdfs:range :Employee ; n:inverse "reports" .
:placedBy a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Order ; rdfs:range :Customer ; n:inverse "orders" .
:ofOrder a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :OrderLine ; rdfs:range :Order ; n:inverse "lines" .
:ofProduct a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :OrderLine ; rdfs:range :Product ; n:inverse "lines" .
"""
)
NORTHWIND_MAPPING = """
source: northwind
time_zone: UTC
tables:
  - from: Order Details
    class: OrderLine
    key: { orderId: OrderID, productId: ProductID }
    properties: { unitPrice: { column: UnitPrice, currency: USD }, quantity: Quantity, discount: Discount }
    relations: { ofOrder: OrderID, ofProduct: ProductID }
    snapshot: full
  - from: Employees
    class: Employee
    key: { employeeId: EmployeeID }
    properties: { name: { jq: '.FirstName + " " + .LastName' }, born: BirthDate }
    relations: { reportsTo: ReportsTo }
    snapshot: full
  - from: Orders
    class: Order
    key: { orderId: OrderID }
    properties: { orderedAt: OrderDate, freight: { column: Freight, currency: USD } }
    relations: { placedBy: CustomerID }
  - from: Customers
    class: Customer
    key: { customerId: CustomerID }
    properties: { name: CompanyName }
  - from: Products
    class: Product
    key: { productId: ProductID }
    properties: { name: ProductName, unitPrice: { column: UnitPrice, currency: USD }, discontinued: Discontinued }
"""
INCIDENTS = (
    PREFIXES
    + """
:Event a owl:Class ; n:key ( "incidentNo" "at" ) .
:incidentNo a owl:DatatypeProperty ; rdfs:domain :Event ; rdfs:range xsd:string .
:at a owl:DatatypeProperty ; rdfs:domain :Event ; rdfs:range xsd:dateTime .
:status a owl:DatatypeProperty ; rdfs:domain :Event ; rdfs:range xsd:string .
:team a owl:DatatypeProperty ; rdfs:domain :Event ; rdfs:range xsd:string .
"""
)
INCIDENTS_MAPPING = """
source: desk
tables:
  - from: incidents.csv
    class: Event
    key: { incidentNo: "case:concept:name", at: "time:timestamp" }
    properties: { status: "lifecycle:transition", team: "org:group" }
    snapshot: full
"""


@pytest.fixture(autouse=True)
def _data() -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not beside the repository")


def test_northwind(tmp_path: Path) -> None:
    ontology, clock = load({"northwind.ttl": NORTHWIND}), ManualClock()
    store = SqliteStore(tmp_path / "graph.db", ontology, clock, durable=False)
    (tmp_path / "mapping.yaml").write_text(NORTHWIND_MAPPING)
    mapping = load_mapping(tmp_path / "mapping.yaml")
    first = ingest(store, ontology, clock, mapping, DATA / "northwind" / "northwind.db")
    assert (first.records, first.created, first.rejected, first.dangling, first.problems) == (3164, 3164, 0, 0, ())
    head = store.head().position
    assert ingest(store, ontology, clock, mapping, DATA / "northwind" / "northwind.db").unchanged == 3164
    assert store.head().position == head
    boss = entity_id(store, ontology, "Employee", employeeId=2)
    assert boss is not None
    assert len(store.expand([boss], "reportsTo", Direction.IN)[boss]) == 5
    order = entity_id(store, ontology, "Order", orderId=10248)
    assert order is not None
    lines = [edge.entity for edge in store.expand([order], "ofOrder", Direction.IN)[order]]
    assert sorted(str(line["quantity"]) for line in lines) == ["10", "12", "5"]
    assert store.get([order])[order]["freight"] == Money(Decimal("32.38"), "USD")
    store.close()


def test_incidents(tmp_path: Path) -> None:
    with (DATA / "incidents" / "bpic2013_incidents.csv").open() as file:
        (tmp_path / "incidents.csv").write_text("".join(itertools.islice(file, EVENTS + 1)))
    ontology, clock = load({"incidents.ttl": INCIDENTS}), ManualClock()
    store = SqliteStore(tmp_path / "graph.db", ontology, clock, durable=False)
    (tmp_path / "mapping.yaml").write_text(INCIDENTS_MAPPING)
    mapping = load_mapping(tmp_path / "mapping.yaml")
    report = ingest(store, ontology, clock, mapping, tmp_path)
    assert (report.records, report.created, report.rejected) == (EVENTS, EVENTS, 0)
    assert ingest(store, ontology, clock, mapping, tmp_path).unchanged == EVENTS
    store.close()
