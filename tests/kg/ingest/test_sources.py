"""Sources as they are: odd files, broken files, locked and hostile databases. One clear error, or rejects and the rest."""

import json
import logging
import os
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.errors import MappingError, SourceError
from kg.ingest.sources.credentials import redact, scrub
from kg.ingest.sources.location import open_source
from tests.kg.ingest.parts import ORDERS, Desk, company, write_csv, write_database
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

SIMPLE = """
source: erp
tables:
  - from: {}
    class: Order
    key: {{ orderNo: no }}
    properties: {{ pieces: pieces }}
"""


def simple(table: str) -> str:
    return SIMPLE.format(table)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("no,pieces\nA,1\nB,2\n", ""),
        ("no;pieces\nA;1\nB;2\n", ""),
        ("no\tpieces\r\nA\t1\r\nB\t2\r\n", ""),
        ("no|pieces\nA|1\n\nB|2", ""),
        ("\ufeffno,pieces\nA,1\nB,2\n", ""),
        ("no~pieces\nA~1\nB~2\n", "    delimiter: '~'\n"),
        ('no,pieces,text\nA,1,"two\nlines, ""quoted"""\nB,2,x\n', ""),
        ("pieces,no,a:b\n1,A,x\n2,B,y\n", ""),
        ("\ufeffsep=;\r\nno;pieces;a,b,c,d\r\nA;1;x\r\nB;2;y\r\n", ""),
    ],
)
def test_csv_as_systems_write_it(desk: Desk, text: str, more: str) -> None:
    (desk.folder / "orders.csv").write_text(text, newline="")
    assert desk.run(simple("orders.csv") + more).created == 2
    assert desk.all("Order", "orderNo")["B"]["pieces"] == 2


def test_another_encoding_is_declared(desk: Desk) -> None:
    (desk.folder / "orders.csv").write_bytes("no,pieces\nÄ,1\n".encode("latin-1"))
    assert desk.run(simple("orders.csv")).rejected == 1
    assert desk.run(simple("orders.csv") + "    encoding: latin-1\n").created == 1
    assert "Ä" in desk.all("Order", "orderNo")


def test_bad_lines_of_a_csv_are_rejects(desk: Desk) -> None:
    data = b'no,pieces\nA,1\nB,2,3\nC\n\xff\xfe,4\n"D"x,5\nE,6\n'
    (desk.folder / "orders.csv").write_bytes(data)
    report = desk.run(simple("orders.csv"))
    assert (report.created, report.rejected) == (2, 4)
    reasons = " / ".join(reject["reason"] for reject in desk.rejects())
    assert "line 3 has 3 fields, the header has 2" in reasons
    assert "line 4 has 1 fields" in reasons
    assert "broken character" in reasons
    assert "no valid CSV" in reasons


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_another_encoding_than_the_declared_one_is_said(desk: Desk, encoding: str) -> None:
    (desk.folder / "orders.csv").write_bytes("no,pieces,größe\nA,1,2\n".encode(encoding))
    with pytest.raises(SourceError, match=r"the column names are no utf-8 text; say what .* `encoding` in the mapping"):
        desk.run(simple("orders.csv"))


def test_wrong_columns_are_named_with_the_nearest(desk: Desk) -> None:
    write_csv(desk.folder / "orders.csv", "No pieces", [])
    with pytest.raises(SourceError, match="no column 'no'; did you mean 'No'"):
        desk.run(simple("orders.csv"))
    (desk.folder / "orders.csv").write_text("")
    with pytest.raises(SourceError, match="is empty"):
        desk.run(simple("orders.csv"))
    write_csv(desk.folder / "orders.csv", "no no pieces", [])
    with pytest.raises(SourceError, match="two columns 'no'"):
        desk.run(simple("orders.csv"))
    (desk.folder / "orders.jsonl").write_text('{"nr": "A", "pieces": 1}\n')
    with pytest.raises(SourceError, match="did you mean 'nr'"):
        desk.run(simple("orders.jsonl"))
    place = write_database(desk.folder / "x.db", {"orders": ("nr pieces", [])})
    with pytest.raises(SourceError, match="did you mean 'nr'"):
        desk.run(simple("orders"), place)
    with pytest.raises(SourceError, match="no table 'order'; did you mean 'orders'"):
        desk.run(simple("order"), place)


def test_json_lines_with_faults(desk: Desk) -> None:
    lines = [
        b'{"no": "A", "pieces": 1}', b"", b'{"no": "B", "pieces": NaN}', b'{"no": "C", "pieces": Infinity}', b"[1]", b'{"no": "D"',
        b'{"no": "\xff", "pieces": 1}', b"[" * 100_000, b'{"no": "E", "pieces": 1e400}', b'{"no": "F", "pieces": {"a": 1}}',
        b'{"no": "G", "pieces": 2}', b'{"no": "\\ud800", "pieces": 1}', b'{"no": "H\\u0000", "pieces": 1}',
        b'{"no": 9007199254740993, "pieces": 9007199254740993}', b'{"no": "I", "pieces": ' + b"9" * 5_000 + b"}",
    ]  # fmt: skip
    (desk.folder / "orders.jsonl").write_bytes(b"\n".join(lines))
    report = desk.run(simple("orders.jsonl"))
    assert (report.created, report.rejected) == (2, 12)
    reasons = {reject["number"]: reject["reason"] for reject in desk.rejects()}
    assert "NaN" in reasons[3]
    assert "no valid JSON" in reasons[6]
    assert "not utf-8" in reasons[7]
    assert "line 8" in reasons[8]
    assert reasons[15] == "line 15 holds a number of too many digits; write it as text"
    assert desk.run(simple("orders.jsonl")).unchanged == 2
    assert len(desk.rejects()) == 12


@pytest.mark.parametrize(
    "text", ["[", "{}", "[{} {}]", '[{"no": "A", "pieces": 1}', "nope", "", '[{"no": NaN}]', "[" * 10_000]
)
def test_a_broken_json_file_is_one_source_error(desk: Desk, text: str) -> None:
    (desk.folder / "orders.json").write_text(text)
    with pytest.raises(SourceError, match=r"orders\.json"):
        desk.run(simple("orders.json"))


def test_a_json_list_is_streamed(desk: Desk) -> None:
    rows = [{"no": f"N{i}", "pieces": i, "text": "ä" * (i % 50)} for i in range(3_000)]
    (desk.folder / "orders.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    assert desk.run(simple("orders.json")).created == 3_000
    (desk.folder / "orders.json").write_text(
        json.dumps([{"no": "L", "pieces": 1, "text": "x" * 5_000_000}, {"no": "M", "pieces": 2}])
    )
    assert desk.run(simple("orders.json")).created == 2


def test_parquet_keeps_exact_types(desk: Desk) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "no": ["A", "B"],
            "pieces": [1, None],
            "weight": [Decimal("1.2500"), Decimal("2.1234")],
            "photo": [b"\xff", b"x"],
        }
    )
    pyarrow.parquet.write_table(table, desk.folder / "orders.parquet")
    assert desk.run(simple("orders.parquet").replace("pieces: pieces", "pieces: pieces, weight: weight")).created == 2
    assert desk.all("Order", "orderNo")["B"]["weight"] == Decimal("2.1234")
    (desk.folder / "orders.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(SourceError, match="no readable Parquet"):
        desk.run(simple("orders.parquet"))


def test_a_value_of_ten_megabytes_is_a_reject(desk: Desk) -> None:
    huge = "x" * 10_000_000
    mapping = (
        simple("t").replace("Order", "Ticket").replace("orderNo", "ticketNo").replace("pieces: pieces", "subject: text")
    )
    mapping = mapping.replace("class: Ticket", "class: Ticket").replace("pieces", "text")
    rows = [["A", huge], ["B", "short"]]
    write_csv(desk.folder / "t.csv", "no text", rows)
    assert desk.run(mapping.replace("from: t", "from: t.csv")).created == 1
    place = write_database(desk.folder / "x.db", {"t": ("no text", [["C", huge], ["D", "short"]])})
    report = desk.run(mapping, place)
    assert (report.created, report.rejected) == (1, 1)
    (reject, _) = desk.rejects()
    assert "10,000,000 characters" in reject["reason"]
    assert len(json.dumps(reject)) < 50_000
    assert desk.run(mapping, place, retry_rejects=True).records == 0


def test_locations_that_do_not_work(desk: Desk, tmp_path: Path) -> None:
    mapping = simple("orders.csv")
    for place, words in [
        (tmp_path / "nothing", "does not exist"),
        ("sqlite:////nowhere/x.db", "does not exist"),
        ("mysql://u:secret@h/db", "mysql:// is not supported"),
        (write_csv(tmp_path / "data.xyz", "no pieces", []), "unknown kind"),
        (desk.folder, "does not exist; check `from`"),
    ]:
        with pytest.raises(SourceError, match=words) as caught:
            desk.run(mapping, place)
        assert "secret" not in str(caught.value)
    write_csv(tmp_path / "outside.csv", "no pieces", [["A", 1]])
    for name in ("../outside.csv", str(tmp_path / "outside.csv")):
        with pytest.raises(SourceError, match="lies outside"):
            desk.run(simple(name))
    os.symlink(tmp_path / "outside.csv", desk.folder / "link.csv")
    with pytest.raises(SourceError, match="lies outside"):
        desk.run(simple("link.csv"))


def test_one_file_as_location(desk: Desk) -> None:
    path = write_csv(desk.folder / "export-2026.csv", "no pieces", [["A", 1]])
    assert desk.run(simple("orders.csv"), path).created == 1


def test_a_damaged_or_locked_database(desk: Desk) -> None:
    place = write_database(desk.folder / "x.db", {"orders": ("no pieces", [[f"N{i}", i] for i in range(5_000)])})
    with closing(sqlite3.connect(place)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="locked"):
            desk.run(simple("orders"), place)
    data = bytearray(place.read_bytes())
    data[4096:20_480] = os.urandom(16_384)
    place.write_bytes(bytes(data))
    with pytest.raises(SourceError, match=r"x\.db"):
        desk.run(simple("orders"), place)
    place.write_bytes(b"SQLite format 3\x00" + b"x" * 100)
    with pytest.raises(SourceError, match=r"x\.db"):
        desk.run(simple("orders"), place)


def test_sqlite_with_odd_names_and_values(desk: Desk) -> None:
    place = desk.folder / "x.db"
    with closing(sqlite3.connect(place)) as database, database:
        database.execute('CREATE TABLE "Order Details" ("no" TEXT, "pieces:now" DATETIME, photo BLOB)')
        database.execute(
            "INSERT INTO \"Order Details\" VALUES ('A', 5, x'ff'), (CAST(x'ff41' AS TEXT), 6, NULL), ('B', 'six', NULL)"
        )
    before = place.read_bytes()
    report = desk.run(simple("Order Details").replace("pieces: pieces", 'pieces: "pieces:now"'), place)
    assert (report.created, report.rejected) == (1, 2)
    assert place.read_bytes() == before
    assert not list(desk.folder.glob("x.db-*"))


def test_a_query_is_a_table(desk: Desk) -> None:
    place = write_database(desk.folder / "x.db", {"o": ("no pieces", [["A", 1], ["B", 5]])})
    mapping = simple("large") + '    query: "SELECT no, pieces FROM o WHERE pieces > 2"\n'
    assert desk.run(mapping, f"sqlite:///{place}").created == 1
    with pytest.raises(SourceError, match="no such table"):
        desk.run(mapping.replace("FROM o", "FROM nope"), place)
    with pytest.raises(SourceError, match=r"readonly|read-only|not a query|returns? rows"):
        desk.run(simple("x") + '    query: "DELETE FROM o"\n', place)
    with closing(sqlite3.connect(place)) as database:
        assert database.execute("SELECT count(*) FROM o").fetchone() == (2,)


@pytest.mark.parametrize("program", ["[repeat(1)]", '"x" * 1000000000'])
def test_a_hostile_program_ends_the_run_with_its_line(
    desk: Desk, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kg import jq

    monkeypatch.setattr(jq.Jq.__init__, "__kwdefaults__", {"deadline_seconds": 0.5, "memory_bytes": 400_000_000})
    write_csv(desk.folder / "orders.csv", "no pieces", [["A", 1]])
    mapping = simple("orders.csv").replace("pieces: pieces", f"pieces: {{ jq: '{program}' }}")
    with pytest.raises(MappingError, match=r"mapping.yaml line 7: .*(longer than|more than)"):
        desk.run(mapping)
    assert desk.run(simple("orders.csv")).created == 1


def test_a_password_shows_nowhere(
    desk: Desk, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    place = "postgresql://anna:sw%2Ford%40fish@127.0.0.1:9/db?sslmode=disable"
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError, match=r"127\.0\.0\.1") as caught:
        desk.run(simple("orders"), place)
    said = str(caught.value) + caplog.text + "".join(capfd.readouterr())
    for secret in ("sw%2Ford%40fish", "sw/ord@fish", "anna"):
        assert secret not in said
    assert redact(place) == "postgresql://127.0.0.1:9/db"
    assert redact("postgresql://h/db?password=swordfish") == "postgresql://h/db"
    assert "swordfish" not in scrub("cannot: swordfish", "postgresql://h/db?password=swordfish")
    assert open_source("postgres://u:p@h/db").name == "postgres://h/db"


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["csv", "json", "jsonl"]), st.data())
def test_a_damaged_file_gives_rejects_or_one_source_error(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    rows = [{"no": f"N{i}", "customer": "7", "pieces": i, "at": ""} for i in range(4)]
    path = tmp_path / f"orders.{suffix}"
    text = {
        "csv": "no,customer,pieces,at\n" + "".join(f"{r['no']},7,{r['pieces']},\n" for r in rows),
        "json": json.dumps(rows),
        "jsonl": "\n".join(map(json.dumps, rows)),
    }[suffix].encode()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.binary(max_size=5)) + text[at + data.draw(st.integers(0, 5)) :]
    path.write_bytes(text)
    ontology, clock = company(), ManualClock()
    desk = Desk(DictStore(ontology, clock), ontology, clock, tmp_path)
    try:
        report = desk.run(ORDERS.replace("orders.csv", path.name))
    except SourceError as error:
        report, message = None, str(error)
    if report is None:
        assert path.name in message
        return
    assert report.created + report.rejected + report.unchanged == report.records
