"""Rows become entities once, change once, close once; bad rows stay aside and nothing else suffers (I3)."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kg.errors import SourceError
from kg.ingest import entity_id
from kg.model import Close, Put
from kg.values import Money
from tests.kg.ingest.parts import ORDERS, Desk, write_csv, write_database

HEADER = "no customer pieces at"
ROWS = [["A", "7", 1, "2026-03-29 01:30"], ["B", "7", 2, ""], ["C", "8", 3, "2026-07-01 12:00"], ["D", "", 4, ""]]


def orders(desk: Desk, rows: list[list[object]]) -> None:
    write_csv(desk.folder / "orders.csv", HEADER, rows)


def test_the_same_source_again_makes_no_version(desk: Desk) -> None:
    orders(desk, ROWS)
    first = desk.run(ORDERS)
    assert (first.records, first.created, first.rejected, first.dangling) == (4, 4, 0, 3)
    head = desk.store.head().position
    again = desk.run(ORDERS)
    assert (again.unchanged, again.created, again.updated, again.dangling) == (4, 0, 0, 3)
    assert desk.store.head().position == head


def test_a_changed_row_makes_one_version_and_its_cause_names_the_row(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    head = desk.store.head().position
    orders(desk, [ROWS[0], ["B", "7", 99, ""], *ROWS[2:]])
    report = desk.run(ORDERS)
    assert (report.updated, report.unchanged) == (1, 3)
    (change,) = desk.store.changes(head)
    assert (change.changed, change.origin) == (("pieces",), "erp.orders.csv/B")
    cause = desk.store.causes([change.cause])[change.cause]
    assert (cause.activity, cause.agent) == ("ingest", 'Service::"ingest"')
    assert cause.attributes["first_row"] == cause.attributes["last_row"] == 2
    assert cause.attributes["source"] == "erp"


def test_values_get_their_types_and_the_declared_zone(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    assert desk.all("Order", "orderNo")["A"]["orderedAt"] == datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert desk.all("Order", "orderNo")["C"]["orderedAt"] == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    assert desk.all("Order", "orderNo")["B"].get("orderedAt") is None


def test_a_value_that_the_source_no_longer_gives_goes(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    orders(desk, [["A", "", 1, ""], *ROWS[1:]])
    desk.run(ORDERS)
    entity = desk.all("Order", "orderNo")["A"]
    assert entity.get("orderedAt") is None
    assert not [r for r in desk.store.relations([entity.id])[entity.id] if r.until is None]


def test_a_row_gone_from_a_full_snapshot_closes_and_reopens(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    id = desk.all("Order", "orderNo")["B"].id
    orders(desk, [ROWS[0], *ROWS[2:]])
    assert desk.run(ORDERS).closed == 1
    assert "B" not in desk.all("Order", "orderNo")
    assert desk.store.history(id)[-1].closed
    assert desk.run(ORDERS).closed == 0
    orders(desk, ROWS)
    assert desk.run(ORDERS).updated == 1
    assert desk.all("Order", "orderNo")["B"].id == id


def test_too_many_gone_rows_close_nothing_and_are_reported(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    orders(desk, ROWS[:1])
    report = desk.run(ORDERS)
    assert report.closed == 0
    assert "3 of 4 rows are gone" in report.problems[0]
    assert len(desk.all("Order", "orderNo")) == 4


def test_a_partial_snapshot_closes_nothing(desk: Desk) -> None:
    partial = ORDERS.replace("snapshot: full", "snapshot: partial")
    orders(desk, ROWS)
    desk.run(partial)
    orders(desk, ROWS[:3])
    assert desk.run(partial).closed == 0
    assert len(desk.all("Order", "orderNo")) == 4


def test_an_empty_export_does_not_empty_the_graph(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    orders(desk, [])
    assert desk.run(ORDERS).problems
    assert len(desk.all("Order", "orderNo")) == 4


def test_a_row_without_readable_key_forbids_closing(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    orders(desk, [*ROWS[:2], ROWS[2], ["", "7", 4, ""]])
    report = desk.run(ORDERS)
    assert (report.closed, report.rejected) == (0, 1)
    assert "could not be read" in report.problems[0]


def test_a_bad_row_is_no_gone_row(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    orders(desk, [*ROWS[:3], ["D", "", "many", ""]])
    report = desk.run(ORDERS)
    assert (report.rejected, report.closed, report.problems) == (1, 0, ())
    assert desk.all("Order", "orderNo")["D"]["pieces"] == 4


def test_bad_rows_stay_aside_with_reason_and_the_rest_goes_in(desk: Desk) -> None:
    rows = [
        ["A", "7", "x", ""],
        ["B", "7", -1, ""],
        ["", "7", 1, ""],
        ["C", "7", 1, "2026-03-29 02:30"],
        ["D", "7", 1, ""],
    ]
    orders(desk, rows)
    report = desk.run(ORDERS)
    assert (report.created, report.rejected) == (1, 4)
    found = {reject["number"]: reject for reject in desk.rejects() if reject["reason"] != "relation target unknown"}
    assert "no whole number" in found[1]["reason"]
    assert "shape OrderShape" in found[2]["reason"]
    assert "needs its key" in found[3]["reason"]
    assert "clock skips it" in found[4]["reason"]
    assert found[1]["row"] == {"no": "A", "customer": "7", "pieces": "x", "at": ""}
    assert (found[1]["source"], found[1]["table"], found[1]["key"]) == ("erp", "orders.csv", "A")
    desk.run(ORDERS)
    assert len(desk.rejects()) == 4 + 1


def test_a_repaired_row_clears_its_reject(desk: Desk) -> None:
    orders(desk, [["A", "", "x", ""], ["", "", 1, ""]])
    desk.run(ORDERS)
    assert len(desk.rejects()) == 2
    orders(desk, [["A", "", 1, ""], ["B", "", 1, ""]])
    assert desk.run(ORDERS).rejected == 0
    assert desk.rejects() == []


def test_rejects_run_again_without_the_source(desk: Desk) -> None:
    strict = ORDERS.replace("pieces: pieces", 'pieces: { jq: ".pieces | tonumber" }')
    orders(desk, [["A", "7", "x", ""], ["B", "7", "3 pc", ""]])
    assert desk.run(strict).rejected == 2
    (desk.folder / "orders.csv").unlink()
    lenient = ORDERS.replace("pieces: pieces", 'pieces: { jq: ".pieces | split(\\" \\")[0] | tonumber? // null" }')
    report = desk.run(lenient, retry_rejects=True)
    assert (report.records, report.created, report.rejected) == (2, 2, 0)
    assert desk.all("Order", "orderNo")["B"]["pieces"] == 3
    assert [reject["reason"] for reject in desk.rejects()] == ["relation target unknown"] * 2


def test_the_first_of_two_rows_with_one_key_counts(desk: Desk) -> None:
    orders(desk, [["A", "", 1, ""], ["A", "", 2, ""], ["A", "", 1, ""], ["B", "", 1, ""]])
    report = desk.run(ORDERS)
    assert (report.created, report.rejected, report.unchanged) == (2, 1, 1)
    assert desk.all("Order", "orderNo")["A"]["pieces"] == 1
    assert "row 2 has the key of row 1" in desk.rejects()[0]["reason"]
    assert desk.run(ORDERS).unchanged == 3


def test_two_keys_that_are_the_same_in_unicode_are_one(desk: Desk) -> None:
    orders(desk, [["Ä", "", 1, ""], ["A\u0308", "", 1, ""], [" Ä ", "", 1, ""]])
    assert desk.run(ORDERS).created == 1


def test_a_large_table_of_bad_and_good_rows(desk: Desk) -> None:
    orders(desk, [[f"N{i}", "", -1 if i % 3 == 0 else i, ""] for i in range(2_500)])
    report = desk.run(ORDERS)
    assert (report.created, report.rejected) == (1_666, 834)
    assert desk.run(ORDERS).unchanged == 1_666


def test_what_was_closed_by_hand_stays_closed_until_the_row_changes(desk: Desk) -> None:
    from kg.model import Cause

    orders(desk, ROWS)
    desk.run(ORDERS)
    id = desk.all("Order", "orderNo")["A"].id
    desk.store.commit([Close(id)], Cause("by-hand", "correction", 'User::"anna"'))
    desk.run(ORDERS)
    assert "A" not in desk.all("Order", "orderNo")


def test_what_others_wrote_stays(desk: Desk) -> None:
    from kg.model import Cause

    orders(desk, ROWS)
    desk.run(ORDERS)
    id = desk.all("Order", "orderNo")["A"].id
    desk.store.commit([Put(id, "Order", {"weight": Decimal("1.5")})], Cause("c", "agent", 'Agent::"x"'))
    orders(desk, [["A", "7", 5, ""], *ROWS[1:]])
    desk.run(ORDERS)
    entity = desk.all("Order", "orderNo")["A"]
    assert (entity["weight"], entity["pieces"]) == (Decimal("1.5"), 5)


def test_where_leaves_rows_out(desk: Desk) -> None:
    orders(desk, ROWS)
    report = desk.run(ORDERS + "    where: '.customer == \"7\"'\n")
    assert (report.records, report.created) == (2, 2)
    with_error = desk.run(ORDERS + "    where: .customer\n")
    assert with_error.rejected == 4


def test_a_cursor_reads_only_what_is_new(desk: Desk) -> None:
    mapping = """
source: erp
tables:
  - from: orders
    class: Order
    key: { orderNo: no }
    properties: { pieces: pieces }
    cursor: changed
"""
    rows = [("A", 1, "2026-01-01"), ("B", 2, "2026-01-03"), ("C", 3, "2026-01-02")]
    place = write_database(desk.folder / "erp.db", {"orders": ("no pieces changed", rows)})
    assert desk.run(mapping, place).created == 3
    write_database(
        place, {"orders": ("no pieces changed", [("A", 9, "2026-01-01"), *rows[1:], ("D", 4, "2026-01-04")])}
    )
    report = desk.run(mapping, place)
    assert (report.created, report.unchanged, report.records) == (1, 1, 2)
    assert desk.all("Order", "orderNo")["A"]["pieces"] == 1


def test_money_and_floats(desk: Desk) -> None:
    mapping = """
source: erp
tables:
  - from: c
    class: Customer
    key: { customerNo: no }
    properties: { creditLimit: { column: credit, currency: { column: cur } } }
  - from: o
    class: Order
    key: { orderNo: no }
    properties: { weight: { jq: ".lb * 0.45359237", round: 3 } }
"""
    place = write_database(
        desk.folder / "x.db",
        {
            "c": ("no credit cur", [(1, 0.1 + 0.2, "eur"), (2, "1.23456", "EUR"), (3, "5", None)]),
            "o": ("no lb", [("A", 1.5)]),
        },
    )
    report = desk.run(mapping, place)
    customers = desk.all("Customer", "customerNo")
    assert customers["1"]["creditLimit"] == Money(Decimal("0.3000"), "EUR")
    assert desk.all("Order", "orderNo")["A"]["weight"] == Decimal("0.680")
    assert report.rejected == 2
    assert {"decimal places" in r["reason"] or "currency" in r["reason"] for r in desk.rejects()} == {True}


def test_a_source_that_breaks_in_the_middle_goes_on_where_it_was(desk: Desk) -> None:
    lines = [f'{{"no": "N{i}", "pieces": {i}}}' for i in range(2_500)]
    path = desk.folder / "orders.json"
    mapping = ORDERS.replace("orders.csv", "orders.json").replace("customer, to", "customer, optional: true, to")
    path.write_text("[" + ",".join(lines) + ", {broken")
    with pytest.raises(SourceError, match="no valid JSON"):
        desk.run(mapping)
    assert len(desk.store.find("Order", first=1000).items) == 1000
    path.write_text("[" + ",".join(lines) + "]")
    report = desk.run(mapping)
    assert (report.created, report.unchanged) == (500, 2_000)


def test_the_key_leads_to_the_entity(desk: Desk) -> None:
    orders(desk, ROWS)
    desk.run(ORDERS)
    id = entity_id(desk.store, desk.ontology, "Order", orderNo="A")
    assert id == desk.all("Order", "orderNo")["A"].id
    assert entity_id(desk.store, desk.ontology, "Order", orderNo="nope") is None


def test_a_personal_key_stands_nowhere_but_in_its_property(desk: Desk) -> None:
    write_csv(
        desk.folder / "people.csv", "mail name", [["ann@example.com", "Ann"], ["bob@example.com", "x" * 2_000_000]]
    )
    mapping = """
source: hr
tables:
  - from: people.csv
    class: Person
    key: { mail: mail }
    properties: { name: name }
"""
    desk.run(mapping)
    assert desk.all("Person", "mail")["ann@example.com"]["name"] == "Ann"
    (change,) = desk.store.changes(0)
    assert "ann@" not in str(change.origin)
    for kind in ("key", "row", "gives"):
        assert all("@" not in state.key + str(state.value) for state in desk.store.scan(kind))
    cause = desk.store.causes([change.cause])[change.cause]
    assert "ann@" not in str(cause)
