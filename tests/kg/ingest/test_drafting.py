"""What is drafted for a source loads, fits it, and takes in every row that was looked at, whatever its tables are called."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from api.texts import platform_texts
from kg.clock import SystemClock
from kg.errors import SourceError
from kg.ingest import ingest, load_mapping
from kg.ingest.drafting import files
from kg.ingest.drafting.columns import columns_of
from kg.ingest.drafting.draft import Draft, draft
from kg.ingest.drafting.naming import plural, singular
from kg.ingest.drafting.tables import TABLES_MAX
from kg.ontology import load
from kg.stores.sqlite import SqliteStore

DATA = Path(__file__).parents[4] / "shared" / "data"
PLATFORM = platform_texts()
TAKEN = set(load(PLATFORM).classes)


def drafted(location: Path | str, *tables: str, encoding: str | None = None) -> Draft:
    return draft(str(location), tables, encoding=encoding, taken=TAKEN, personal=lambda text: "@" in text)


def taken_in(made: Draft, location: Path | str, folder: Path) -> Any:
    """The report of an ingest with nothing but the draft."""
    ontology = load({**PLATFORM, "draft.ttl": files.ontology(made, "draft")})
    (folder / "draft.yaml").write_text(files.mapping(made, "draft"), encoding="utf-8")
    store = SqliteStore(folder / "graph.db", ontology, SystemClock())
    try:
        return ingest(store, ontology, SystemClock(), load_mapping(folder / "draft.yaml"), location)
    finally:
        store.close()


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["1", "-20", ""], "integer"),
        (["007", "12"], "string"),
        (["+49", "1"], "string"),
        (["9007199254740993"], "string"),
        (["1", "2.5"], "decimal"),
        ([1, 2.5, Decimal("0.1")], "decimal"),
        ([1.5, float("inf")], "string"),
        ([1.5, 1e300], "string"),
        (["1.5", "9999999999999.5"], "string"),
        (["true", "False", None], "boolean"),
        (["yes", "n"], "boolean"),
        (["T", "f", "t"], "boolean"),
        (["t", "t"], "string"),
        (["f", "n"], "string"),
        ([0, 1], "integer"),
        ([True, False], "boolean"),
        (["2026-01-31"], "date"),
        (["2026-01-31 00:00:00", "2026-02-01T00:00:00"], "date"),
        (["2026-01-31 00:00:00", "2026-02-01 10:30"], "dateTime"),
        (["31.01.2026", "1.2.2026"], "date"),
        (["01/02/2026", "03/04/2026"], "string"),
        (["01/02/2026", "13/04/2026"], "date"),
        ([datetime(2026, 1, 31, 8, tzinfo=UTC)], "dateTime"),
        ([date(2026, 1, 31)], "date"),
        (["2026-01-31", "tomorrow"], "string"),
        (["1.234,56", "12", "-0,5"], "decimal"),
        (["1,234.56", "12"], "decimal"),
        (["1,234", "2,345"], "string"),
        (["100.200.300"], "string"),
        (["1.234,56", "1,234.56"], "string"),
        (["1.23,5"], "string"),
        (["01,5"], "string"),
        (["9.999.999.999.999.999,5"], "string"),
        ([b"\x89PNG"], ""),
        ([{"a": 1}, "text"], ""),
        ([None, ""], "string"),
    ],
)
def test_a_type_is_one_that_every_value_has(values: list[Any], type: str) -> None:
    [column] = columns_of({"x": value} for value in values)
    assert column.type == type


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["2026-01-31", "31.01.2026"], "in several ways (2026-01-31, 31.01.2026)"),
        (["2026-01-31 10:00", "31/01/2026", "1/2/2026"], "in several ways (2026-01-31, 31/01/2026)"),
        (["01/02/2026", "03/04/2026"], "whether day or month comes first"),
        (["13/04/2026", "04/13/2026"], "no one way of writing days reads all"),
        (["2026-01-31", "2026-02-01", "soon", ""], "1 of its 3 values seen are no days"),
        (["2026-01-31", "soon"], ""),
        (["31.01.2026", "1.2.2026"], ""),
        (["1.2.3", "10.0.12"], ""),
        (["2026-01-31", None], ""),
    ],
)
def test_days_that_stay_text_are_said(values: list[Any], said: str) -> None:
    [column] = columns_of({"x": value} for value in values)
    assert said in column.doubt
    assert bool(said) == bool(column.doubt)


def test_a_column_of_days_that_stays_text_is_in_the_report_without_its_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,born\n1,1976-03-19\n2,19.03.1976\n")
    made = drafted(tmp_path)
    [a] = made.classes
    assert a.doubts == (
        "born stays text: its days are written in several ways (2026-01-31, 31.01.2026): write them in one in the source, "
        "or make them one with jq",
    )
    assert "# born stays text" in files.mapping(made, "draft")
    assert taken_in(made, tmp_path, tmp_path).created == 2


def test_more_places_than_a_decimal_has_are_rounded_and_said_so() -> None:
    [column] = columns_of([{"x": "1.123456"}, {"x": "2.5"}])
    assert (column.type, column.round) == ("decimal", 4)


@pytest.mark.parametrize(
    ("several", "one"),
    [
        ("customers", "customer"),
        ("categories", "category"),
        ("boxes", "box"),
        ("addresses", "address"),
        ("branches", "branch"),
    ],
)
def test_numbers_of_words(several: str, one: str) -> None:
    assert (singular(several), plural(one)) == (one, several)
    assert singular("status") == "status"


def test_declared_keys_and_references_are_taken(tmp_path: Path) -> None:
    place = database(
        tmp_path / "erp.db",
        "CREATE TABLE kunden (nr TEXT PRIMARY KEY, name TEXT, e_mail TEXT)",
        "CREATE TABLE lines (po INTEGER, pos INTEGER, kunde TEXT REFERENCES kunden (nr), PRIMARY KEY (po, pos))",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, po INTEGER, pos INTEGER, note TEXT,"
        " FOREIGN KEY (pos, po) REFERENCES lines (pos, po))",
        "INSERT INTO kunden VALUES ('K1', 'Anna GmbH', 'a@b.example')",
        "INSERT INTO lines VALUES (1, 1, 'K1'), (1, 2, 'K1')",
        "INSERT INTO notes VALUES (1, 1, 2, 'handle with care')",
    )
    made = drafted(place)
    by_table = {cls.table: cls for cls in made.classes}
    assert by_table["lines"].key == ("po", "pos")
    [to_customer] = by_table["lines"].relations
    assert (to_customer.target, to_customer.columns) == (by_table["kunden"].name, ("kunde",))
    [to_line] = by_table["notes"].relations
    assert (to_line.target, to_line.columns, to_line.by) == ("Line", ("po", "pos"), ("po", "pos"))
    assert [one.name for one in by_table["kunden"].properties if one.personal] == ["eMail"]
    report = taken_in(made, place, tmp_path)
    assert (report.created, report.rejected, report.dangling) == (4, 0, 0)


def test_a_declared_key_with_a_day_in_it_is_taken(tmp_path: Path) -> None:
    place = database(
        tmp_path / "clinic.db",
        "CREATE TABLE stay (patient INTEGER, came DATE, note TEXT, PRIMARY KEY (patient, came))",
        "INSERT INTO stay VALUES (1, '2026-01-01', 'a'), (1, '2026-01-02', 'a'), (2, '2026-01-01', 'a')",
    )
    made = drafted(place)
    assert [cls.key for cls in made.classes] == [("patient", "came")]
    report = taken_in(made, place, tmp_path)
    assert (report.created, report.rejected) == (3, 0)


def test_of_files_references_are_told_by_name_and_value(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "customers.csv").write_text("id,name\n1,Anna\n2,Ben\n3,Cleo\n")
    (tmp_path / "data" / "orders.csv").write_text(
        "order_no,customer_id,status_id,manager\nA-1,1,7,2\nA-2,1,8,1\nA-3,3,7,9\n"
    )
    (tmp_path / "data" / "shipments.jsonl").write_text(
        '{"tracking": "T1", "order_no": "A-1"}\n{"tracking": "T2", "order_no": "A-3"}\n'
    )
    made = drafted(tmp_path / "data")
    by_name = {cls.name: cls for cls in made.classes}
    assert {name: [(r.name, r.target) for r in cls.relations] for name, cls in by_name.items()} == {
        "Customer": [],
        "Order": [("customer", "Customer")],
        "Shipment": [("order", "Order")],
    }
    assert [one.name for one in by_name["Order"].properties] == ["orderNo", "statusId", "manager"]
    assert by_name["Customer"].key == ("customerId",)
    report = taken_in(made, tmp_path / "data", tmp_path)
    assert (report.created, report.rejected, report.dangling) == (8, 0, 0)


def test_a_column_whose_values_are_no_keys_is_no_reference(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id,name\n1,Anna\n2,Ben\n")
    (tmp_path / "orders.csv").write_text("order_no,customer_id\nA-1,77\nA-2,78\n")
    [_, order] = drafted(tmp_path).classes
    assert order.relations == ()
    assert [one.name for one in order.properties] == ["orderNo", "customerId"]


def test_what_looks_like_a_relation_and_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id,name\n1,Anna\n2,Ben\n3,Cy\n")
    (tmp_path / "orders.csv").write_text("order_no,customer_id\nA-1,1\nA-2,2\nA-3,3\nA-4,9\n")
    (tmp_path / "tickets.csv").write_text("ticket_no,customer_id,note\nT-1,1,a\nT-2,unknown,b\n")
    made = drafted(tmp_path)
    assert {cls.table: cls.doubts for cls in made.classes} == {
        "customers.csv": (),
        "orders.csv": (
            "customer_id looks like a reference to customers.csv, but 1 of its 4 values seen are no id there; it stays a property: "
            "add the relation by hand if it is one",
        ),
        "tickets.csv": (
            "customer_id looks like a reference to customers.csv, but 1 of its 2 values seen are no id there; it stays a property: "
            "add the relation by hand if it is one",
        ),
    }
    assert "# customer_id looks like a reference to customers.csv" in files.mapping(made, "draft")
    assert taken_in(made, tmp_path, tmp_path).created == 9


def test_rows_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x,\n1,2,\n2\n3,4,\n")
    (tmp_path / "b.csv").write_text("id,x\n1\n2\n")
    (tmp_path / "c.csv").write_text(",".join(f"c{number}" for number in range(20_000)) + "\n" + "1," * 19_999 + "1\n")
    made = drafted(tmp_path)
    [a] = made.classes
    assert a.doubts == ("1 of its 3 rows seen cannot be read; line 3 has 1 fields, the header has 3; correct the line",)
    assert a.without == {"": "it has no name; name it in the source"}
    assert made.left["b.csv"].startswith("none of its rows can be read; line 2 has 1 fields")
    assert "more than 500 columns" in made.left["c.csv"]


def test_rows_that_nothing_tells_apart_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,1\n1,1\n")
    (tmp_path / "pairs.csv").write_text("a,b\n1,1\n1,2\n2,1\n")
    (tmp_path / "none.csv").write_text("a,b\n")
    made = drafted(tmp_path)
    assert [(cls.table, cls.key) for cls in made.classes] == [("pairs.csv", ("a", "b"))]
    assert set(made.left) == {"log.csv", "none.csv"}
    assert "no rows" in made.left["none.csv"]


def test_northwind_comes_in_whole(tmp_path: Path) -> None:
    place = DATA / "northwind" / "northwind.db"
    if not place.exists():
        pytest.skip("the real data is not beside the repository")
    made = drafted(place)
    assert {cls.name for cls in made.classes} >= {"Customer", "Order", "OrderDetail", "Product", "Supplier"}
    report = taken_in(made, place, tmp_path)
    assert (report.rejected, report.dangling) == (0, 0)
    assert report.created == sum(cls.rows for cls in made.classes)


def test_keys_are_told_apart_as_ingest_tells_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,x\ne\u0301,1\n\u00e9,2\n")
    (tmp_path / "b.csv").write_text('a,b,x\n"x ",1,1\nx,1,1\n')
    made = drafted(tmp_path)
    assert [(cls.table, cls.key) for cls in made.classes] == [("a.csv", ("x",))]
    assert set(made.left) == {"b.csv"}


def test_a_file_in_another_encoding_comes_in_whole(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = "KdNr;Straße;Umsatz €\n1;Große Gasse;1.234,56\n2;Übersee;0,5\n"
    (tmp_path / "data" / "a.csv").write_text(text, encoding="cp1252")
    (tmp_path / "data" / "b.csv").write_text(text, encoding="utf-8")
    assert "--encoding" in drafted(tmp_path / "data").left["a.csv"]
    made = drafted(tmp_path / "data", encoding="cp1252")
    assert [cls.encoding for cls in made.classes] == ["cp1252", None]
    assert [[one.column.name for one in cls.properties] for cls in made.classes] == [["KdNr", "Straße", "Umsatz €"]] * 2
    report = taken_in(made, tmp_path / "data", tmp_path)
    assert (report.created, report.rejected) == (4, 0)
    with closing(sqlite3.connect(tmp_path / "graph.db")) as graph:
        said = str(graph.execute("SELECT * FROM version WHERE cls = 'A'").fetchall())
    assert "Große Gasse" in said
    assert "1234.56" in said


def test_rows_that_hold_broken_letters_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,Anna\n2,Jörg\n", encoding="cp1252")
    [cls] = drafted(tmp_path).classes
    assert [doubt.partition(",")[0] for doubt in cls.doubts] == ["1 of its 2 rows seen hold letters that are no UTF-8"]
    [cls] = drafted(tmp_path, encoding="cp1252").classes
    assert (cls.doubts, cls.encoding) == ((), "cp1252")


def test_a_table_whose_key_repeats_is_told_which_column_comes_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("no,x\n1,a\n2,a\n3,b\n3,b\n")
    assert "no comes nearest with 3 values in 4 rows" in drafted(tmp_path).left["a.csv"]


def test_names_that_no_mapping_can_spell_are_left_out(tmp_path: Path) -> None:
    place = database(
        tmp_path / "x.db",
        'CREATE TABLE "\t" (id INTEGER PRIMARY KEY)',
        'CREATE TABLE ok (id INTEGER PRIMARY KEY, " " TEXT)',
        'INSERT INTO "\t" VALUES (1)',
        "INSERT INTO ok VALUES (1, 'x')",
    )
    made = drafted(place)
    assert [(cls.name, list(cls.without)) for cls in made.classes] == [("Ok", [" "])]
    assert "cannot spell" in made.left["\t"]
    assert taken_in(made, place, tmp_path).created == 1


def test_of_too_many_tables_some_are_named(tmp_path: Path) -> None:
    many = [f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY)" for n in range(TABLES_MAX + 1)]
    place = database(tmp_path / "x.db", *many, "INSERT INTO t5 VALUES (1)", "CREATE VIEW v AS SELECT id FROM t5")
    with pytest.raises(SourceError, match="more than 200 tables; choose some with --table"):
        drafted(place)
    assert [(cls.table, cls.key) for cls in drafted(place, "t5", "v").classes] == [("t5", ("t5Id",)), ("v", ("vId",))]


def test_only_the_tables_that_were_named(tmp_path: Path) -> None:
    place = database(tmp_path / "x.db", "CREATE TABLE a (id INTEGER PRIMARY KEY)", "CREATE TABLE b (id INTEGER PRIMARY KEY)",
                     "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)")  # fmt: skip
    assert [cls.table for cls in drafted(place, "b").classes] == ["b"]
    with pytest.raises(SourceError, match="has no table 'c'; it has a, b"):
        drafted(place, "c")


WORDS = st.one_of(
    st.sampled_from(
        [
            "id",
            "class",
            "version",
            "Order",
            "Query",
            "User",
            "true",
            "ID",
            "order",
            "orders",
            "日本",
            "a b",
            "x'y",
            "1st",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12),
)
CELLS = st.one_of(st.none(), st.integers(-(2**60), 2**60), st.floats(), st.text(max_size=8), st.binary(max_size=4),
                  st.sampled_from(["2026-01-31", "1.2.2026", "007", "yes", "1.5", "2026-01-31 10:00"]))  # fmt: skip


@settings(max_examples=20)
@given(data=st.data())
def test_whatever_tables_are_called_and_hold(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    tables = data.draw(st.lists(WORDS.filter(lambda name: not name.lower().startswith("sqlite_")), min_size=1, max_size=3,
                                unique_by=str.lower))  # fmt: skip
    with closing(sqlite3.connect(folder / "any.db")) as connection, connection:
        for table in tables:
            columns = data.draw(st.lists(WORDS, min_size=1, max_size=4, unique_by=str.lower))
            quoted = ['"' + name.replace('"', '""') + '"' for name in (table, *columns)]
            connection.execute(f"CREATE TABLE {quoted[0]} ({', '.join(quoted[1:])})")
            for row in data.draw(st.lists(st.tuples(*[CELLS] * len(columns)), max_size=4)):
                cells = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {quoted[0]} VALUES ({cells})", row)
    made = drafted(folder / "any.db")
    text = files.mapping(made, "any")
    read = yaml.safe_load(text)
    assert [one["from"] for one in read["tables"] or []] == [cls.table for cls in made.classes]
    if made.classes:
        report = taken_in(made, folder / "any.db", folder)
        assert report.created + report.rejected == sum(cls.rows for cls in made.classes)
