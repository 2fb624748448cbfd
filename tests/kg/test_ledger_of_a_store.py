"""I13: no row or column of a fact table can be altered, removed, moved or added without `verify` naming a position."""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kg import ledger
from kg.errors import LedgerError
from kg.leaf import commitment
from kg.model import Cause, Close, Input, Link, Put, Unlink
from kg.stores import sqlite_verify
from kg.stores.sqlite import SqliteStore
from kg.values import canonical
from tests.parts import FreeSchema, ManualClock

#: Tables that hold no facts; every other table of the database is mutated, so that a new one cannot be forgotten.
NO_FACTS = {"state", "migration"}
PERSONAL = FreeSchema(personal={"Person": frozenset({"email", "phone"})})


def fill(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, PERSONAL, clock, durable=False)
    for number in range(1, 9):
        cause = Cause(
            f"c{number}", "test", "Service", "why", 'User::"a"', (Input("a", 1), Input("b", 2)), {"n": number}
        )
        person = Put("p", "Person", {"email": f"{number}@x", "phone": "1", "n": number}, origin=f"crm/{number}")
        thing = Put(f"t{number}", "Thing", {"n": number}, valid_from=clock.now(), valid_to=clock.now())
        store.commit(
            [person, thing, Link("p", "has", f"t{number}", {"n": 1}), Unlink("p", "has", f"t{number - 1}")], cause
        )
        clock.advance(1)
    store.commit([Close("t1"), Link("p", "has", "t1")], Cause("c9", "test", "Service"))
    store.commit([], Cause("c10", "nothing", "Service"))
    store.commit([Unlink("p", "has", "t1"), Put("t1", "Thing", {})], Cause("c11", "test", "Service"))
    store.commit([Link("p", "has", "t1")], Cause("c12", "test", "Service"))
    assert store.verify() == store.head().position
    store.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "graph.db"
    fill(path)
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    shutil.copy(whole, tmp_path / "graph.db")
    connection = sqlite3.connect(tmp_path / "graph.db", isolation_level=None)
    yield connection
    connection.close()


def columns() -> list[tuple[str, str, str, bool]]:
    """Table, column, type and whether it may be NULL, of every fact table as the migrations make it."""
    connection = sqlite3.connect(":memory:")
    for file in sorted((Path(ledger.__file__).parent / "migrations").glob("*.sql")):
        connection.executescript(file.read_text())
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = [
        (table, row[1], row[2], not row[3])
        for table in tables
        if table not in NO_FACTS and not table.startswith(("text_", "sqlite_"))
        for row in connection.execute(f"PRAGMA table_info({table})")
    ]
    connection.close()
    return found


COLUMNS = columns()
TABLES = sorted({table for table, *_ in COLUMNS})


def key(connection: sqlite3.Connection, table: str) -> str:
    info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return " || '/' || ".join(row[1] for row in info if row[5])


def others(kind: str, value: Any) -> list[object]:
    """Values that a column of this type might be changed to."""
    if kind == "INTEGER":
        return [(value or 0) + step for step in (1, -1, 1000)]
    if kind == "TEXT":
        return [(value or "") + "x", (value or "").replace(":", ": ", 1), "{}", "[]", '{"email":"00"}', '{"n":2}']
    return [bytes([value[0] ^ 1]) + value[1:], value[:-1], value + bytes(16), b""]


def differs(connection: sqlite3.Connection) -> None:
    found_in(Path(connection.execute("PRAGMA database_list").fetchone()[2]))


def found_in(path: Path) -> None:
    store = SqliteStore(path, PERSONAL, ManualClock(), durable=False)
    try:
        with pytest.raises(LedgerError, match=r"differs at position \d+"):
            store.verify()
    finally:
        store.close()


def test_the_fact_tables_are_all_here() -> None:
    assert {"head", "cause", "cause_input", "change", "version", "relation", "node"} <= set(TABLES)


@pytest.mark.parametrize(("table", "column", "kind", "optional"), COLUMNS, ids=[f"{c[0]}.{c[1]}" for c in COLUMNS])
def test_an_altered_value_is_found(
    whole: Path, tmp_path: Path, table: str, column: str, kind: str, optional: bool
) -> None:
    original = sqlite3.connect(whole)
    name = key(original, table)
    rows = original.execute(f"SELECT {name}, {column} FROM {table} ORDER BY 1").fetchall()
    original.close()
    picked = {rows[len(rows) // 2], *random.Random(column).sample(rows, min(2, len(rows)))}
    tried = 0
    for row, value in sorted(picked, key=repr):
        for other in [*others(kind, value), *([None] if optional else [])]:
            if other != value:
                path = tmp_path / f"{tried}.db"
                shutil.copy(whole, path)
                connection = sqlite3.connect(path, isolation_level=None)
                try:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {name} = ?", (other, row))
                except sqlite3.IntegrityError:
                    continue
                finally:
                    connection.close()
                tried += 1
                found_in(path)
    assert tried or (table, column) == ("head", "one")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_removed_row_is_found(copy: sqlite3.Connection, table: str, place: str) -> None:
    name = key(copy, table)
    rows = [row for (row,) in copy.execute(f"SELECT {name} FROM {table} ORDER BY {name.replace(' || ', ', ')}")]
    row = {"first": rows[0], "middle": rows[len(rows) // 2], "last": rows[-1]}[place]
    if table == "head":
        copy.execute("UPDATE head SET position = position - 1")
    else:
        assert copy.execute(f"DELETE FROM {table} WHERE {name} = ?", (row,)).rowcount == 1
    differs(copy)


@pytest.mark.parametrize("table", [table for table in TABLES if table != "head"])
@pytest.mark.parametrize("shift", [1, 1000])
@pytest.mark.parametrize("current", [False, True])
def test_an_added_row_is_found(copy: sqlite3.Connection, table: str, shift: int, current: bool) -> None:
    info = copy.execute(f"PRAGMA table_info({table})").fetchall()
    keys = [row[1] for row in info if row[5]]
    last = copy.execute(f"SELECT * FROM {table} ORDER BY {', '.join(f'{k} DESC' for k in keys)} LIMIT 1").fetchone()
    row = dict(zip([column[1] for column in info], last, strict=True))
    row[keys[0 if current else -1]] += shift
    fresh = {"version": 1 if current else 99, "id": "added", "target": "added"}
    fresh["until"] = None if current else row.get("since", 0) - 1
    row |= {column: value for column, value in fresh.items() if column in row and column not in keys}
    copy.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", list(row.values()))
    differs(copy)


@pytest.mark.parametrize(
    ("table", "one", "columns"),
    [("change", "position", None), ("version", "since", None), ("relation", "since", None), ("cause", "number", None)],
)
def test_two_swapped_rows_are_found(copy: sqlite3.Connection, table: str, one: str, columns: None) -> None:
    (low,), (high,) = copy.execute(f"SELECT {one} FROM {table} ORDER BY {one} LIMIT 2 OFFSET 2").fetchall()
    copy.execute(f"UPDATE {table} SET {one} = -1 WHERE {one} = ?", (low,))
    copy.execute(f"UPDATE {table} SET {one} = ? WHERE {one} = ?", (low, high))
    copy.execute(f"UPDATE {table} SET {one} = ? WHERE {one} = -1", (high,))
    differs(copy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE version SET until = NULL WHERE until IS NOT NULL AND id = 'p' AND version = 3",
        "INSERT INTO relation SELECT 1, 'x', 'has', 'y', NULL, salt, props, erased FROM relation LIMIT 1",
        "INSERT INTO version SELECT 3, 'x', 1, cls, NULL, 0, NULL, NULL, salts, props, personal, NULL FROM version LIMIT 1",
        "UPDATE version SET until = 1 WHERE until IS NULL AND id = 'p'",
        "UPDATE version SET closed = 1 - closed WHERE id = 't1' AND version = 1",
        "UPDATE relation SET until = NULL WHERE target = 't2'",
        "UPDATE relation SET until = (SELECT max(position) FROM change) WHERE until IS NULL",
        "UPDATE relation SET until = (SELECT sum(until) FROM relation WHERE target = 't1') - until WHERE target = 't1'",
        "UPDATE version SET props = replace(props, '2', '3') WHERE id = 't2'",
        "UPDATE version SET personal = replace(personal, '2@x', '3@x') WHERE id = 'p' AND version = 2",
    ],
)
def test_a_flipped_fact_is_found(copy: sqlite3.Connection, statement: str) -> None:
    copy.execute("DROP INDEX version_latest")
    copy.execute("DROP INDEX relation_out")
    assert copy.execute(statement).rowcount >= 1
    differs(copy)


def test_the_first_position_that_differs_is_named(copy: sqlite3.Connection) -> None:
    since = copy.execute("SELECT since FROM version WHERE id = 'p' AND version = 3").fetchone()[0]
    copy.execute("UPDATE version SET props = '{}' WHERE since >= ?", (since,))
    path = Path(copy.execute("PRAGMA database_list").fetchone()[2])
    store = SqliteStore(path, PERSONAL, ManualClock(), durable=False)
    with pytest.raises(LedgerError, match=f"differs at position {since}:"):
        store.verify()
    store.close()


def test_values_gone_without_a_record_of_it_are_found(copy: sqlite3.Connection) -> None:
    for since, salts, personal in copy.execute("SELECT since, salts, personal FROM version WHERE id = 'p'").fetchall():
        values = json.loads(personal)
        note = {"": {"by": [["nobody", "00"]], "rest": None}}
        kept = {
            name: commitment(salts[16 * n : 16 * n + 16], canonical(values[name])) for n, name in enumerate(values, 1)
        }
        copy.execute(
            "UPDATE version SET salts = ?, personal = NULL, erased = ? WHERE since = ?",
            (salts[:16], canonical(kept | note), since),
        )
    differs(copy)


INDEXES = ("version", "change", "relation", "cause")


@pytest.mark.parametrize("table", INDEXES)
def test_a_row_that_its_index_does_not_lead_to_is_found(whole: Path, tmp_path: Path, table: str) -> None:
    path = tmp_path / "graph.db"
    shutil.copy(whole, path)
    connection = sqlite3.connect(path)
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    roots = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND rootpage > 0", (table,)
    )
    pages = [root for (root,) in roots]
    connection.close()
    assert pages
    for page in pages:
        raw = bytearray(whole.read_bytes())
        # The number of cells of the index's root: one less, and its last entry is gone.
        place = (page - 1) * size + 3
        raw[place : place + 2] = (int.from_bytes(raw[place : place + 2]) - 1).to_bytes(2)
        path.write_bytes(raw)
        store = SqliteStore(path, PERSONAL, ManualClock(), durable=False)
        with pytest.raises(LedgerError):
            store.verify()
        store.close()


def test_the_tables_whose_indexes_are_looked_at_are_all_of_them() -> None:
    assert set(sqlite_verify._TABLES) == set(TABLES)


def test_the_tree_of_the_store_is_the_tree_of_its_leaves(whole: Path) -> None:
    store = SqliteStore(whole, PERSONAL, ManualClock(), durable=False)
    assert store.head().root == ledger.root([leaf for _, leaf in store.ledger()])
    store.close()


def test_an_empty_ledger_verifies(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.db", PERSONAL, ManualClock(), durable=False)
    assert store.verify() == 0
    assert store.head().root == ledger.EMPTY_ROOT
    store.close()
