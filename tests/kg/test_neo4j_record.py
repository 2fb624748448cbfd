"""The record in Neo4j, broken on purpose: whatever is altered, cut or led elsewhere, verification says so in one sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kg.errors import LedgerError
from kg.model import Cause, Close, Input, Link, Put, Unlink
from kg.stores import neo4j_verify
from kg.stores.neo4j import Neo4jStore
from kg.stores.neo4j_server import fetch
from tests.kg.test_neo4j_store import SCHEMA, ask, cause
from tests.parts import ManualClock
from tests.services.graph import fresh

#: What verification does not hold: whose turn it is to write, captions, and the text that search reads, which is made anew.
LOOSE = {"settled", "turn", "name", "text"}
#: The ways that a change leads by, and another end for each.
WAYS = {
    "CAUSED_BY": "(o:Cause {number: 4})",
    "VERSION_OF": "(o:Entity {id: 'c'})",
    "SOURCE": "(o:Entity {id: 'c'})",
    "TARGET": "(o:Entity {id: 'c'})",
    "REVISION_OF": "(o:Version {subject: 'b'})",
    "ENDS": "(o:CurrentLink)",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Neo4jStore]:
    made = fresh(tmp_path, SCHEMA, ManualClock())
    yield made
    made.close()


class UndoneError(Exception):
    """Rolls an edit back."""


def unnoticed(store: Neo4jStore, text: str, **values: Any) -> bool:
    """Whether verification says yes after an edit, which is rolled back."""
    from neo4j.exceptions import ConstraintError

    found = []

    def tried(tx: Any) -> None:
        try:
            fetch(tx, text, values)
        except ConstraintError:
            # The database itself does not let it be.
            raise UndoneError from None
        try:
            neo4j_verify.verify(tx, SCHEMA)
        except LedgerError:
            raise UndoneError from None
        found.append(True)
        raise UndoneError

    with pytest.raises(UndoneError):
        store._server.write(tried)
    return bool(found)


def altered(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, bytes | bytearray):
        return bytes([value[0] ^ 1]) + bytes(value[1:]) if value else b"x"
    if isinstance(value, list):
        return value[:-1] if value else ["x"]
    return value + "x" if isinstance(value, str) else value + 1


def test_every_property_and_every_way_of_the_record_is_held(store: Neo4jStore) -> None:
    """I13: each property of each kind of node altered and removed, each way cut, doubled and led elsewhere."""
    store.commit(
        [Put("a", "Thing", {"name": "x", "mail": "m@example.org"}), Put("b", "Thing", {"name": "y"})], cause("1")
    )
    used = Cause("2", "test", 'Service::"test"', "why", 'User::"u"', (Input("a", 1),))
    store.commit([Put("a", "Thing", {"name": "z"}), Link("a", "uses", "b"), Link("b", "uses", "a")], used)
    store.commit([Unlink("a", "uses", "b"), Put("c", "Thing", {"name": "w"})], cause("3"))
    store.commit([Close("c")], cause("4"))
    loose, kinds = [], set()
    nodes = ask(
        store,
        "MATCH (n) WHERE n:Head OR n:Cause OR n:Change OR n:Entity"
        " RETURN elementId(n), labels(n), properties(n), n.kind ORDER BY n.position",
    )
    for id, labels, properties, kind in nodes:
        if (sort := (*sorted(labels), kind, *sorted(properties))) in kinds:
            continue
        kinds.add(sort)
        which = "MATCH (n) WHERE elementId(n) = $id "
        for name in sorted(properties.keys() - LOOSE) if "Entity" not in labels else sorted(properties):
            if unnoticed(store, f"{which} REMOVE n.`{name}`", id=id):
                loose.append(f"{sort} without {name}")
            if unnoticed(store, f"{which} SET n.`{name}` = $value", id=id, value=altered(properties[name])):
                loose.append(f"{sort} with another {name}")
    for way, other in WAYS.items():
        which = f"MATCH (n)-[r:{way}]->(m) WITH n, r, m ORDER BY n.position LIMIT 1 "
        for what, text in (
            ("cut", "DELETE r"),
            ("doubled", f"CREATE (n)-[:{way}]->(m)"),
            ("elsewhere", f"DELETE r WITH n MATCH {other} CREATE (n)-[:{way}]->(o)"),
        ):
            if unnoticed(store, which + text):
                loose.append(f"{way} {what}")
    assert loose == []
    assert len(kinds) > 6
    assert store.verify() == 8
