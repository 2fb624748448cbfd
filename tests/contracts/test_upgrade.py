"""A graph that an older Noesis made: it is brought up to date, verifies and goes on; a newer one is left alone."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kg.clock import SystemClock
from kg.errors import StoreError, StoreVersionError
from kg.model import Cause, Kind, Put
from kg.stores import neo4j_migrate, sqlite_migrate
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_server import Server as Connection
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema
from tests.services.graph import open_store
from tests.services.server import Server, running

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
#: Made once by the code of that time, from the same commits; the SQL by migration 0001 alone, the JSON by 0001 and 0002.
SQL, JSON = FIXTURES / "graph_0001.sql", FIXTURES / "graph_0002.json"
ROOT = "9d9eba380fda570e53315bd4265dece959c1bd97e24b395377e704493c2147f7"
CHANGES = 12
SCHEMA = FreeSchema(text={"Thing": ("name",)}, indexed={"Thing": ("name",)}, personal={"Thing": frozenset({"mail"})})


def older_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SQL.read_text(encoding="utf-8"))


def session(server: Server, work: Callable[[Any], Any]) -> Any:
    from neo4j import GraphDatabase

    with GraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver, driver.session() as opened:
        return work(opened)


def wipe(server: Server) -> None:
    """Remove everything, constraints, indexes and the record of migrations too."""

    def work(opened: Any) -> None:
        opened.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS").consume()
        for (name,) in opened.run("SHOW CONSTRAINTS YIELD name RETURN name").values():
            opened.run(f"DROP CONSTRAINT `{name}`").consume()
        for (name,) in opened.run("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name").values():
            opened.run(f"DROP INDEX `{name}`").consume()

    session(server, work)


#: How a value that JSON does not have is written in the fixture, and what makes it again.
_TAGS = ("bytes", "datetime", "date", "duration")


def value_of(found: Any) -> tuple[Any, str]:
    """The parameter of a stored value, and the Cypher function around it."""
    if isinstance(found, dict):
        ((tag, text),) = found.items()
        assert tag in _TAGS
        return (bytes.fromhex(text), "") if tag == "bytes" else (text, tag)
    return found, ""


def setting(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The SET clauses and parameters for properties as the fixture has them."""
    texts, values = [], {}
    for place, (key, found) in enumerate(properties.items()):
        values[f"p{place}"], function = value_of(found)
        texts.append(f"{name}.`{key}` = {function}($p{place})")
    return f" SET {', '.join(texts)}" if texts else "", values


def older_server(server: Server) -> None:
    """The server as that Noesis left it."""
    wipe(server)
    document = json.loads(JSON.read_text(encoding="utf-8"))

    def work(opened: Any) -> None:
        for statement in document["schema"]:
            opened.run(statement).consume()
        opened.run("CALL db.awaitIndexes(60)").consume()
        for number, (labels, properties) in enumerate(document["nodes"]):
            text, values = setting("n", properties)
            marks = "".join(f":`{label}`" for label in labels)
            opened.run(f"CREATE (n{marks} {{fixture: $number}}){text}", number=number, **values).consume()
        for source, kind, target, properties in document["relationships"]:
            text, values = setting("r", properties)
            ends = "MATCH (s {fixture: $source}) MATCH (t {fixture: $target})"
            opened.run(f"{ends} CREATE (s)-[r:`{kind}`]->(t){text}", source=source, target=target, **values).consume()
        opened.run("MATCH (n) REMOVE n.fixture").consume()

    session(server, work)


@pytest.fixture
def server() -> Iterator[Server]:
    found = running("neo4j")
    yield found
    wipe(found)


def goes_on(store: SqliteStore | Neo4jStore) -> None:
    """The older graph reads right, verifies, and takes commits."""
    head = store.head()
    assert (head.position, head.root.hex()) == (CHANGES, ROOT)
    assert store.verify() == CHANGES
    assert [change.kind for change in store.changes(0)][:4] == [Kind.CREATED, Kind.CREATED, Kind.LINKED, Kind.LINKED]
    assert [entity["name"] for entity in store.history("a")] == ["Ä b", "c"]
    assert store.history("a")[0]["mail"] == "a@example.com"
    assert store.state("cursor", ["coordination"])["coordination"].value == 7
    assert [id for id, _ in store.search_text("again")] == ["b"]
    made = store.commit([Put("a", "Thing", {"name": "new"})], Cause("upgrade", "test", "Service"), {"a": 2})
    assert made.first == CHANGES + 1
    assert store.commit(
        [Put("b", "Thing", {"name": "again"})], Cause("5", "test", 'Service::"test"', "because")
    ).repeated
    assert store.verify() == CHANGES + 1


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "graph.db"
    older_file(path)
    with closing(sqlite3.connect(path)) as before:
        assert before.execute("SELECT max(number) FROM migration").fetchone() == (1,)
    store = SqliteStore(path, SCHEMA, SystemClock())
    goes_on(store)
    store.close()
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT max(number) FROM migration").fetchone() == (len(sqlite_migrate.migrations()),)


def test_an_older_server_is_brought_up_to_date(server: Server) -> None:
    older_server(server)
    store = open_store(SCHEMA, SystemClock(), server)
    goes_on(store)
    store.close()
    ((newest,),) = session(server, lambda opened: opened.run("MATCH (m:Migration) RETURN max(m.number)").values())
    assert newest == len(neo4j_migrate.migrations())


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "graph.db"
    SqliteStore(path, SCHEMA, SystemClock()).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO migration VALUES (99, 'tomorrow', 'x')")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match="newer"):
        SqliteStore(path, SCHEMA, SystemClock())
    assert path.read_bytes() == before


def test_a_newer_server_is_left_alone(server: Server) -> None:
    open_store(SCHEMA, SystemClock(), server).close()
    session(server, lambda opened: opened.run("CREATE (:Migration {number: 99, name: 'x', checksum: 'y'})").consume())
    count = "MATCH (n) RETURN count(n)"
    before = session(server, lambda opened: opened.run(count).values())
    with pytest.raises(StoreVersionError, match="newer"):
        open_store(SCHEMA, SystemClock(), server)
    assert session(server, lambda opened: opened.run(count).values()) == before


def test_a_migration_of_a_file_that_breaks_off_leaves_it_as_it_was_and_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "graph.db"
    older_file(path)
    checksum, left = sqlite_migrate.checksum, 3

    def breaking(text: str) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return checksum(text)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_migrate, "checksum", breaking)
        with pytest.raises(KeyboardInterrupt):
            SqliteStore(path, SCHEMA, SystemClock())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(number) FROM migration").fetchone() == (1,)
    store = SqliteStore(path, SCHEMA, SystemClock())
    goes_on(store)
    store.close()


def test_a_migration_of_a_server_that_breaks_off_anywhere_is_taken_up_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    define = Connection.define
    for start in (wipe, older_server):
        start(server)
        for allowed in (0, 1, 3, 1, 20):
            left = allowed

            def breaking(self: Connection, text: str, **values: Any) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise StoreError("broken off")
                define(self, text, **values)

            with monkeypatch.context() as patch:
                patch.setattr(Connection, "define", breaking)
                with contextlib.suppress(StoreError):
                    open_store(SCHEMA, SystemClock(), server).close()
        store = open_store(SCHEMA, SystemClock(), server)
        if start is older_server:
            goes_on(store)
        store.close()


def test_processes_that_start_at_once_on_an_empty_server_migrate_it_once(server: Server) -> None:
    wipe(server)
    failed: list[BaseException] = []

    def start() -> None:
        try:
            open_store(SCHEMA, SystemClock(), server).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    numbers = session(
        server, lambda opened: opened.run("MATCH (m:Migration) RETURN m.number ORDER BY m.number").values()
    )
    assert numbers == [[number] for number, _, _ in neo4j_migrate.migrations()]
    assert session(server, lambda opened: opened.run("MATCH (h:Head) RETURN count(h)").values()) == [[1]]
