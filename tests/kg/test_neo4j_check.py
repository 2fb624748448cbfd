"""What `noesis doctor` sees of a Neo4j database: what is missing, altered or otherwise, each with its remedy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.errors import StoreError
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_check import Finding, examine, expected
from kg.stores.neo4j_migrate import migrations, statements
from kg.stores.neo4j_server import fetch
from tests.parts import FreeSchema, ManualClock
from tests.services.graph import fresh
from tests.services.server import running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Neo4jStore]:
    made = fresh(tmp_path, FreeSchema(), ManualClock())
    yield made
    made.close()


def findings() -> list[Finding]:
    server = running("neo4j")
    return examine(server.url, server.user, server.password)


def wrong() -> list[Finding]:
    return [finding for finding in findings() if not finding.ok]


def test_everything_is_as_it_should_be(store: Neo4jStore) -> None:
    assert wrong() == []
    told = {finding.name: finding.detail for finding in findings()}
    assert told["graph server"].startswith("Neo4j 5.")
    assert told["graph migrations"].startswith(str(len(migrations())))


def test_every_statement_that_defines_something_is_expected() -> None:
    defining = [text for _, _, whole in migrations() for text in statements(whole) if text.startswith("CREATE")]
    assert len(expected()) == len(defining) >= 20
    assert expected()["change_target"].properties == ("target", "position")
    assert expected()["current_text"].properties == ("text",)
    assert expected()["current_link"].properties == ("subject", "relation", "target")


@pytest.mark.parametrize("name", ["change_target", "entity_id", "current_text"])
def test_what_is_missing_is_named_with_the_statement_that_mends_it(store: Neo4jStore, name: str) -> None:
    kind = "CONSTRAINT" if "CONSTRAINT" in expected()[name].statement else "INDEX"
    store._server.define(f"DROP {kind} {name}")
    try:
        (found,) = wrong()
        assert name in found.name
        statement = found.detail.split("`", 1)[1].rsplit("`", 1)[0]
        assert statement == expected()[name].statement
    finally:
        store._server.define(expected()[name].statement)
        store._server.define("CALL db.awaitIndexes(60)")
    assert wrong() == []


def test_an_index_of_that_name_over_something_else_is_found(store: Neo4jStore) -> None:
    store._server.define("DROP INDEX change_target")
    store._server.define("CREATE INDEX change_target FOR (n:Change) ON (n.target)")
    try:
        (found,) = wrong()
        assert "defined otherwise" in found.detail
    finally:
        store._server.define("DROP INDEX change_target")
        store._server.define(expected()["change_target"].statement)
        store._server.define("CALL db.awaitIndexes(60)")


@pytest.mark.parametrize(
    ("edit", "undo", "said"),
    [
        ("SET m.checksum = 'x' + m.checksum", "SET m.checksum = substring(m.checksum, 1)", "was altered"),
        ("SET m.number = -2", "SET m.number = 2", "newer Noesis"),
    ],
)
def test_migrations_are_compared(store: Neo4jStore, edit: str, undo: str, said: str) -> None:
    one = "MATCH (m:Migration) WHERE abs(m.number) = 2 "
    store._server.write(lambda tx: fetch(tx, one + edit))
    try:
        (found,) = wrong()
        assert said in found.detail
    finally:
        store._server.write(lambda tx: fetch(tx, one + undo))


def test_a_server_that_is_away_is_one_sentence() -> None:
    with pytest.raises(StoreError, match="cannot be reached"):
        examine("bolt://127.0.0.1:1", "neo4j", "x")
