"""SQL effects on SQLite and PostgreSQL: key and statements in one transaction, so truly once."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coordination.effectors.sql import CREATE, Database, Outbox, Sql, named, percent
from coordination.effectors.sql_postgres import PostgresOutbox
from coordination.effectors.sql_sqlite import SqliteOutbox
from coordination.errors import GiveUp, RetryLater
from tests.coordination.effectors.parts import effect
from tests.services.server import running

SECONDS_MAX = 60
STATEMENTS = {
    "post": ("INSERT INTO invoice (id, amount) VALUES (:id, :amount) RETURNING id",),
    "both": (
        "INSERT INTO invoice (id, amount) VALUES (:id, 1)",
        "UPDATE account SET balance = balance + :by WHERE id = :id",
    ),
    "wrong": ("INSERT INTO nowhere VALUES (:id)",),
    "raise": ("UPDATE account SET balance = balance + :by",),
}
TABLES = (
    "DROP TABLE IF EXISTS invoice",
    "DROP TABLE IF EXISTS account",
    "DROP TABLE IF EXISTS noesis_outbox",
    "CREATE TABLE invoice (id VARCHAR(20) PRIMARY KEY, amount INTEGER NOT NULL)",
    "CREATE TABLE account (id VARCHAR(20) PRIMARY KEY, balance INTEGER NOT NULL)",
    "INSERT INTO account VALUES ('a', 0), ('b', 0)",
)
Ask = Callable[[str], list[tuple[Any, ...]]]


def sqlite(folder: Path) -> tuple[Outbox, Ask]:
    path = folder / "erp.db"

    def ask(text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return list(connection.execute(text))

    for text in TABLES:
        ask(text)
    return SqliteOutbox(path, 5), ask


def postgres(_: Path) -> tuple[Outbox, Ask]:
    import psycopg

    url = running("postgres").url

    def ask(text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            cursor = connection.execute(text)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    for text in TABLES:
        ask(text)
    return PostgresOutbox(url), ask


@pytest.fixture(name="target", params=[sqlite, postgres], ids=["sqlite", "postgres"])
def _target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Sql, Ask]:
    outbox, ask = request.param(tmp_path)
    return Sql({"erp": Database(outbox, STATEMENTS)}), ask


def payload(statement: str, **parameters: Any) -> dict[str, Any]:
    return {"database": "erp", "statement": statement, "parameters": parameters}


def test_the_same_key_happens_once_and_is_looked_up(target: tuple[Sql, Ask]) -> None:
    sql, ask = target
    order = effect(payload("post", id="i1", amount=5))
    assert sql.look_up(order) is None
    first = sql.act(order)
    assert first.reference == "i1"
    assert first.detail == {"rows": 1, "returned": {"id": "i1"}}
    assert sql.act(order) == first == sql.look_up(order)
    assert ask("SELECT id, amount FROM invoice") == [("i1", 5)]
    assert ask("SELECT key, operation FROM noesis_outbox") == [("key1", "thing.do")]


def test_of_many_at_once_one_changes_anything(target: tuple[Sql, Ask]) -> None:
    sql, ask = target
    receipts: list[Any] = []

    def act() -> None:
        end = time.monotonic() + SECONDS_MAX
        while time.monotonic() < end:
            try:
                receipts.append(sql.act(effect(payload("raise", by=1))))
            except RetryLater:
                # As the runtime does: not at once, or all that collided collide again.
                threading.Event().wait(0.05)
                continue
            return

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 8
    assert all(receipt == receipts[0] for receipt in receipts)
    assert ask("SELECT balance FROM account") == [(1,), (1,)]


def test_those_who_come_first_at_once_make_one_table_and_none_is_refused(tmp_path: Path) -> None:
    outbox, ask = postgres(tmp_path)
    sql = Sql({"erp": Database(outbox, STATEMENTS)})
    start = threading.Barrier(4)
    said: list[object] = []

    def act(number: int) -> None:
        start.wait()
        try:
            sql.act(effect(payload("raise", by=1), key=f"key{number}"))
        except Exception as error:
            said.append(error)

    for _ in range(12):
        ask("DROP TABLE IF EXISTS noesis_outbox")
        threads = [threading.Thread(target=act, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == []
        assert ask("SELECT count(*) FROM noesis_outbox") == [(4,)]


def test_a_table_that_another_program_makes_meanwhile_is_no_refusal(tmp_path: Path) -> None:
    import psycopg

    outbox, ask = postgres(tmp_path)
    sql = Sql({"erp": Database(outbox, STATEMENTS)})
    said: list[object] = []

    def act() -> None:
        try:
            said.append(sql.act(effect(payload("raise", by=1))))
        except Exception as error:
            said.append(error)

    with psycopg.connect(running("postgres").url) as other:
        other.execute(CREATE)
        thread = threading.Thread(target=act)
        thread.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        end = time.monotonic() + SECONDS_MAX
        while ask(waiting) == [(0,)] and time.monotonic() < end and thread.is_alive():
            threading.Event().wait(0.01)
        other.commit()
    thread.join()
    assert isinstance(said[0], RetryLater), said
    act()
    assert ask("SELECT balance FROM account") == [(1,), (1,)]


def test_all_statements_or_none_and_the_key_with_them(target: tuple[Sql, Ask]) -> None:
    sql, ask = target
    ask("INSERT INTO invoice VALUES ('b', 9)")
    with pytest.raises(GiveUp):
        sql.act(effect(payload("both", id="b", by=5)))
    assert sql.look_up(effect(payload("both", id="b", by=5))) is None
    assert ask("SELECT balance FROM account WHERE id = 'b'") == [(0,)]
    assert sql.act(effect(payload("both", id="a", by=5))).detail["rows"] == 2


def test_another_number_of_rows_than_said_changes_nothing(target: tuple[Sql, Ask]) -> None:
    sql, ask = target
    with pytest.raises(GiveUp, match="2 rows would change, not 1"):
        sql.act(effect({**payload("raise", by=1), "rows": 1}))
    assert ask("SELECT balance FROM account") == [(0,), (0,)]
    sql.act(effect({**payload("raise", by=1), "rows": 2}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"database": "other"}, "known are erp"),
        ({"statement": "DROP TABLE invoice"}, "known are both, post"),
        ({"parameters": {"id": "x"}}, "'amount' is missing"),
        ({"parameters": {"id": "x", "amount": 1, "more": 1}}, "'more' is missing or unknown"),
        ({"parameters": {"id": ["x"], "amount": 1}}, "one value"),
    ],
)
def test_what_is_not_in_the_settings_is_not_run(target: tuple[Sql, Ask], given: dict[str, Any], said: str) -> None:
    sql, ask = target
    for call in (sql.act, sql.simulate):
        with pytest.raises(GiveUp, match=said):
            call(effect({**payload("post", id="i", amount=1), **given}))
    assert ask("SELECT * FROM invoice") == []


def test_a_parameter_is_a_value_never_sql(target: tuple[Sql, Ask]) -> None:
    sql, ask = target
    sql.act(effect(payload("post", id="'); DROP --", amount=1)))
    assert ask("SELECT id FROM invoice") == [("'); DROP --",)]


def test_a_wrong_statement_is_final_and_an_absent_database_is_not(target: tuple[Sql, Ask], tmp_path: Path) -> None:
    sql, _ = target
    with pytest.raises(GiveUp, match="refuses"):
        sql.act(effect(payload("wrong", id="i")))
    away = [SqliteOutbox(tmp_path / "none.db"), PostgresOutbox("postgresql://x:s3cret@127.0.0.1:1/none", 2)]
    for outbox in away:
        gone = Sql({"erp": Database(outbox, STATEMENTS)})
        for call in (gone.act, gone.look_up):
            with pytest.raises(RetryLater) as error:
                call(effect(payload("post", id="i", amount=1)))
            assert "s3cret" not in str(error.value) + repr(outbox)


def test_parameters_are_found_outside_of_quotes_and_casts_only() -> None:
    text = "SELECT ':no', \":no\", now()::text, a%b, :yes -- :no\n/* :no */"
    assert named(text) == ["yes"]
    assert percent(text) == "SELECT ':no', \":no\", now()::text, a%%b, %(yes)s -- :no\n/* :no */"


def test_the_twin_asks_nobody(tmp_path: Path) -> None:
    sql = Sql({"erp": Database(SqliteOutbox(tmp_path / "none.db"), STATEMENTS)})
    would = sql.simulate(effect(payload("post", id="i", amount=1))).detail["would"]
    assert would == {"database": "erp", "statement": "post", "parameters": ["amount", "id"]}
