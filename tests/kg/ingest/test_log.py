"""A log read by its mapping: rows of one key are states in time, typed like any row; one that does not fit ends the reading."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kg.errors import MappingError, SourceError
from kg.ingest import load_mapping, read_log
from kg.ingest.record import Record
from tests.kg.ingest.parts import Desk, company, write_csv

LOG = """
source: desk
time_zone: Europe/Berlin
tables:
  - from: events
    class: Order
    log: true
    valid_from: "time:at"
    key: { orderNo: "case:no" }
    properties: { pieces: pieces, orderedAt: "time:at" }
    relations:
      placedBy: customer
      follows: { column: before, by: orderNo }
"""
HEADER = "case:no time:at pieces customer before"
ROWS = [
    ("A", "2026-03-02T08:00:00+01:00", "2", "0007", ""),
    ("B", "2026-03-01T08:00:00", "1", "0008", "A"),
    ("A", "2026-03-01T09:30:00-05:00", "3", "0007", ""),
]


def read(folder: Path, rows: Sequence[tuple[str, ...]], mapping: str = LOG) -> list[Record]:
    (folder / "mapping.yaml").write_text(mapping)
    place = write_csv(folder / "desk.csv", HEADER, rows)
    return list(read_log(load_mapping(folder / "mapping.yaml"), company(), place))


def test_rows_of_one_key_are_its_states_typed_and_in_the_order_of_the_source(tmp_path: Path) -> None:
    records = read(tmp_path, ROWS)
    assert [(one.row.number, one.properties["orderNo"], one.properties["pieces"]) for one in records] == [
        (1, "A", 2),
        (2, "B", 1),
        (3, "A", 3),
    ]
    assert records[1].valid_from == datetime(2026, 3, 1, 7, tzinfo=UTC)  # without offset: in the declared zone
    assert records[2].valid_from == records[2].properties["orderedAt"] == datetime(2026, 3, 1, 14, 30, tzinfo=UTC)
    assert records[0].key == records[2].key != records[1].key


def test_the_targets_of_a_row_come_with_the_properties_of_their_key(tmp_path: Path) -> None:
    first, second, _ = read(tmp_path, ROWS)
    assert first.targets == {"placedBy": ({"customerNo": "0007"},), "follows": ()}
    assert second.targets == {"placedBy": ({"customerNo": "0008"},), "follows": ({"orderNo": "A"},)}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (("C", "yesterday", "1", "7", ""), "Order.orderedAt: 'yesterday' is not an ISO 8601 date"),
        (("C", "2026-03-03T08:00:00+01:00", "two", "7", ""), "Order.pieces: 'two' is no whole number"),
        (("", "2026-03-03T08:00:00+01:00", "1", "7", ""), "orderNo is empty"),
        (("C", "", "1", "7", ""), "valid_from is empty; a row of a log needs its time"),
        (("C", "2026-03-03T08:00:00+01:00", "1"), "line 5 has 3 fields, the header has 5"),
    ],
)
def test_a_row_that_does_not_fit_ends_the_reading_with_its_number_and_reason(
    tmp_path: Path, bad: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, [*ROWS, bad, *ROWS, bad])
    message = str(caught.value)
    assert f"{tmp_path / 'desk.csv'}: 2 of the log's rows do not fit, the first is row 4: {reason}" in message
    assert "correct them all" in message


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column 'time:att'; did you mean 'time:at'"):
        read(tmp_path, ROWS, LOG.replace('valid_from: "time:at"', 'valid_from: "time:att"'))


def test_only_a_mapping_of_one_log_can_be_fed(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="`log: true`"):
        read(tmp_path, ROWS, LOG.replace("log: true", "log: false"))
    with pytest.raises(MappingError, match="`log: true`"):
        read(tmp_path, ROWS, LOG + "  - { from: other, class: Ticket, key: { ticketNo: no } }\n")


def test_ingest_leaves_a_log_to_its_feed_and_writes_nothing(desk: Desk) -> None:
    place = write_csv(desk.folder / "desk.csv", HEADER, ROWS)
    with pytest.raises(MappingError, match=r"line 5: 'events' is a log, which a feed brings in"):
        desk.run(LOG, place)
    assert desk.all("Order", "orderNo") == {}
    assert desk.rejects() == []


def test_the_rows_of_a_table_carry_no_targets(desk: Desk) -> None:
    """Without `log` the same rows are one entity a key, and the second that says something else is a reject."""
    place = write_csv(desk.folder / "desk.csv", HEADER, ROWS)
    report = desk.run(LOG.replace("log: true", "log: false"), place)
    assert (report.created, report.rejected) == (2, 1)
