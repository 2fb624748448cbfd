"""The example of docs/mapping.md, run as it stands, and every field it should explain."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from kg.ingest import ingest, load_mapping, mapping_file
from kg.ontology import load
from kg.values import Money
from tests.kg.ingest.parts import write_database
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

DOCUMENT = Path(__file__).parents[3] / "docs" / "mapping.md"


def test_the_example_runs(tmp_path: Path) -> None:
    found = dict(re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
    (tmp_path / "mapping.yaml").write_text(found["yaml"])
    ontology, clock = load({"trade.ttl": found["turtle"]}), ManualClock()
    customers = [("0000007", "DE 12.3", "Acme", 5000.0), ("0000008", None, "Bolt", 10)]
    orders = [
        ("SO-1", "0000007", "2026-03-01 08:00", "31.03.2026", 10, None, "open", "2026-03-01"),
        ("SO-2", "0000008", "2026-03-02 08:00", "01.04.2026", 20, "SO-1", "open", "2026-03-02"),
        ("SO-3", "0000008", "2026-03-02 08:00", "01.04.2026", 20, "SO-1", "draft", "2026-03-02"),
        ("XX-4", "0000008", "2026-03-02 08:00", "01.04.2026", 20, "SO-1", "open", "2026-03-03"),
    ]
    place = write_database(
        tmp_path / "erp.db",
        {
            "customers": ("kunnr vat_no name1 limit_eur", customers),
            "orders": ("vbeln kunnr created due lbs previous status changed_at", orders),
        },
    )
    store = DictStore(ontology, clock)
    report = ingest(store, ontology, clock, load_mapping(tmp_path / "mapping.yaml"), place)
    assert (report.created, report.rejected, report.problems) == (4, 1, ())
    two = {order["orderNo"]: order for order in store.find("Order").items}["SO-2"]
    assert two["orderedAt"] == datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    assert two["dueOn"] == date(2026, 4, 1)
    assert two["weightKg"] == Decimal("9.072")
    (edge,) = store.expand([two.id], "placedBy")[two.id]
    assert edge.entity["creditLimit"] == Money(Decimal(10), "EUR")
    assert len(store.expand([two.id], "follows")[two.id]) == 1


def test_every_field_is_explained() -> None:
    text = DOCUMENT.read_text()
    fields = {*mapping_file._TABLE_FIELDS, *mapping_file._PROPERTY_FIELDS, *mapping_file.UNITS, "source", "time_zone"}
    assert {field for field in fields if f"`{field}`" not in text and f"{field}:" not in text} == set()
