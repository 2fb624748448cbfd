"""What only the SQLite adapter promises: indexes that serve, a schema that may change, errors in one sentence, no leftovers."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.errors import InputError, ShapeError, StoreError
from kg.model import Cause, Close, Input, Link, Op, Order, Put, StateWrite, Where
from kg.stores import sqlite_read
from kg.stores.sqlite import SqliteStore
from kg.stores.sqlite_file import meaning
from kg.stores.sqlite_where import sort_sql, sort_text
from kg.stores.sqlite_write import ROWS_MAX
from kg.values import Value, canonical, encode
from tests.oracles.graph import sort_key
from tests.parts import FreeSchema, ManualClock
from tests.properties import values

SCHEMA = FreeSchema(indexed={"Thing": ("size",)}, text={"Thing": ("name",)}, personal={"Thing": frozenset({"secret"})})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "graph.db", SCHEMA, ManualClock(), durable=False)
    yield made
    made.close()


def test_a_copy_put_back_is_written_beside_its_readers(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    store.back_up(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db", isolation_level=None)) as other:
        # Who writes just while it is opened is waited for, which SQLite itself does not do here.
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("kg.write_ahead.time.sleep", lambda _: other.execute("ROLLBACK"))
        back = SqliteStore(tmp_path / "copy.db", SCHEMA, ManualClock(), durable=False, patience=0.2)
        other.execute("BEGIN")
        before = other.execute("SELECT position FROM head").fetchone()
        back.commit([Put("more", "Thing", {})], Cause("more", "test", "Service"))
        assert other.execute("SELECT position FROM head").fetchone() == before
    back.close()


def fill(store: SqliteStore, count: int = 50) -> None:
    puts = [Put(f"t{n:03}", "Thing", {"size": n, "name": f"name {n}"}) for n in range(count)]
    store.commit([*puts, *(Link("t000", "uses", put.id) for put in puts)], Cause("fill", "test", "Service"))


def plans(store: SqliteStore, where: list[Where], order: Order) -> str:
    """How SQLite answers a find."""
    told: list[str] = []
    with store._database.reading() as connection:

        class Spy:
            def execute(self, sql: str, parameters: tuple[object, ...]) -> sqlite3.Cursor:
                told.extend(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))
                return connection.execute(sql, parameters)

        sqlite_read.find(Spy(), store.schema, "Thing", where, order, None, 5, None)  # type: ignore[arg-type]
    return " | ".join(told)


@pytest.mark.parametrize(
    ("where", "order"),
    [
        ([Where("size", Op.EQ, 7)], Order()),
        ([Where("size", Op.GT, 7)], Order("size")),
        ([], Order("size", descending=True)),
    ],
)
def test_an_indexed_property_is_not_scanned(store: SqliteStore, where: list[Where], order: Order) -> None:
    fill(store)
    plan = plans(store, where, order)
    assert "find:Thing:size" in plan
    assert "SCAN v " not in plan
    if order.property:
        assert "TEMP B-TREE" not in plan


def test_indexes_follow_the_ontology(store: SqliteStore) -> None:
    fill(store)
    before = store.find("Thing", [Where("name", Op.PREFIX, "name 4")], Order("size"))
    store.use(FreeSchema(indexed={"Thing": ("name", "secret")}))
    store.commit([Put("x", "Other", {})], Cause("next", "test", "Service"))
    with store._database.reading() as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'find:*'")}
    assert names == {"find:Thing:name", "find:Thing:secret"}
    assert store.find("Thing", [Where("name", Op.PREFIX, "name 4")], Order("size")) == before


def test_text_search_follows_the_ontology(store: SqliteStore) -> None:
    store.commit([Put("a", "Thing", {"name": "bolt", "note": "rusty"})], Cause("1", "test", "Service"))
    assert store.search_text("rusty") == []
    store.use(FreeSchema(text={"Thing": ("note",)}))
    assert [id for id, _ in store.search_text("rusty")] == ["a"]
    assert store.search_text("bolt") == []


def test_personal_values_lie_apart_and_follow_a_changed_ontology(store: SqliteStore, tmp_path: Path) -> None:
    store.commit([Put("a", "Thing", {"secret": "x@y", "size": 1})], Cause("1", "test", "Service"))
    with store._database.reading() as connection:
        row = connection.execute("SELECT props, personal FROM version").fetchone()
    assert row == ('{"size":1}', '{"secret":"x@y"}')
    store.use(FreeSchema())
    assert [e.id for e in store.find("Thing", [Where("secret", Op.EQ, "x@y")]).items] == ["a"]
    store.commit([Put("a", "Thing", {"size": 2})], Cause("2", "test", "Service"))
    assert store.get(["a"])["a"].properties == {"secret": "x@y", "size": 2}
    assert store.verify() == 2


@given(values.values, values.values)
def test_sort_texts_order_as_values_do(one: Value, two: Value) -> None:
    texts, keys = (sort_text(one).encode(), sort_text(two).encode()), (sort_key(one), sort_key(two))
    assert (texts[0] == texts[1]) == (canonical(encode(one)) == canonical(encode(two)))
    assert (texts[0] < texts[1]) == (keys[0] < keys[1])


@given(st.lists(values.values, min_size=1, max_size=8))
def test_sql_makes_the_same_sort_texts(many: list[Value]) -> None:
    connection = sqlite3.connect(":memory:")
    for value in many:
        props = canonical({"na me": encode(value)})
        sql = f"SELECT {sort_sql('na me')} FROM (SELECT ? AS props, NULL AS personal)"
        assert connection.execute(sql, (props,)).fetchone()[0] == sort_text(value)
    connection.close()


@pytest.mark.parametrize("name", ['a"b', "a\\b", "", "a\nb"])
def test_a_property_name_cannot_break_out_of_a_query(store: SqliteStore, name: str) -> None:
    with pytest.raises(ShapeError):
        store.find("Thing", [Where(name, Op.EQ, 1)])


def test_quotes_in_names_are_data(store: SqliteStore) -> None:
    store.commit([Put("it's", "O'Hara", {"o'name": "x"})], Cause("'", "test", "Service"))
    assert store.find("O'Hara", [Where("o'name", Op.EQ, "x")], Order("o'name")).items[0].id == "it's"


def test_pages_are_bounded(store: SqliteStore) -> None:
    with pytest.raises(InputError, match="page"):
        store.changes(0, 10**9)


CODES = sorted({value for name, value in vars(sqlite3).items() if name.startswith("SQLITE_") and type(value) is int})


@pytest.mark.parametrize("code", [code for code in CODES if 1 <= code & 0xFF <= 26])
def test_every_error_of_sqlite_becomes_one_sentence_of_ours(code: int) -> None:
    error = sqlite3.OperationalError("vendor words")
    error.sqlite_errorcode = code
    ours = meaning(error)
    assert isinstance(ours, StoreError | InputError)
    assert "\n" not in str(ours)
    assert ";" in str(ours) or "." in str(ours)


def test_readers_in_many_threads_see_whole_commits(store: SqliteStore) -> None:
    store.commit([Put("a", "Thing", {"size": 0}), Put("b", "Thing", {"size": 0})], Cause("0", "test", "Service"))
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = store.get(["a", "b"])
            if found["a"]["size"] != found["b"]["size"]:
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(1, 100):
        store.commit([Put(id, "Thing", {"size": n}) for id in "ab"], Cause(str(n), "test", "Service"))
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_was_deleted_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    """Values that erasure removes later must be gone from the pages too (secure_delete)."""
    path = tmp_path / "graph.db"
    store = SqliteStore(path, SCHEMA, ManualClock(), durable=False)
    store.commit([Put("a", "Thing", {"secret": "unmistakable-words"})], Cause("1", "test", "Service"))
    store.commit([Close("a")], Cause("2", "test", "Service"))
    with store._database.writing() as connection:
        connection.execute("UPDATE version SET personal = NULL")
    store.close()
    assert b"unmistakable-words" not in path.read_bytes()


def test_decimals_at_the_ends_order_exactly() -> None:
    ends = [Decimal("900719925474.0990"), Decimal("900719925474.0991")]
    assert sort_text(ends[0]) < sort_text(ends[1])


@pytest.mark.parametrize("count", [1, 2, 3, 7, ROWS_MAX - 1, ROWS_MAX, ROWS_MAX + 1, 2 * ROWS_MAX + 3])
def test_as_many_rows_are_kept_as_were_written(store: SqliteStore, count: int) -> None:
    written = [Put(f"t{n}", "Thing", {"size": n}) for n in range(count)]
    linked = [Link("t0", "near", f"t{n}", {"at": n}) for n in range(count)]
    inputs = tuple(Input(f"t{n}", 1) for n in range(count))
    state = [StateWrite("row", f"k{n}", n) for n in range(count)]
    store.commit([*written, *linked], Cause("c", "test", "Service", inputs=inputs), state=state)
    found = store.get([f"t{n}" for n in range(count)])
    assert [(found[f"t{n}"]["size"], found[f"t{n}"].version) for n in range(count)] == [(n, 1) for n in range(count)]
    edges = store.expand(["t0"], "near", first=count)["t0"]
    assert sorted((one.entity.id, one.relation.properties["at"]) for one in edges) == sorted(
        (f"t{n}", n) for n in range(count)
    )
    assert store.causes(["c"])["c"].inputs == inputs
    assert {row.key: row.value for row in store.scan("row", first=count)} == {f"k{n}": n for n in range(count)}
    assert store.verify() == 2 * count
