"""Contract of port Evidence over every adapter: SqliteStore and Neo4jStore."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kg import ledger
from kg.evidence import Evidence, Forgetting, Forgotten
from kg.leaf import commitment
from kg.ledger import leaf_hash
from kg.model import Cause, Link, Put, Unlink
from kg.store import Request
from kg.stores.neo4j import Neo4jStore
from kg.stores.sqlite import SqliteStore
from tests.parts import FreeSchema, ManualClock
from tests.services.graph import fresh

SCHEMA = FreeSchema(personal={"Person": frozenset({"name"})}, text={"Person": ("name",)})
Store = SqliteStore | Neo4jStore
STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: SqliteStore(folder / "graph.db", SCHEMA, ManualClock(), durable=False),
    "neo4j": lambda folder: fresh(folder, SCHEMA, ManualClock()),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = STORES[request.param](tmp_path)
    for n in range(9):
        person = Put("p", "Person", {"name": f"Ermintrude Huckleberry {n}", "n": n}, origin=f"crm/{n}")
        made.commit([person, Link("p", "has", f"t{n}"), Unlink("p", "has", f"t{n}")], Cause(f"c{n}", "t", "S", "why"))
    yield made
    made.close()


def record(forgotten: Forgotten) -> Request:
    return Request([Put("x", "Erasure", {"rowsDigest": forgotten.digest})], Cause("forget", "f", "S"), {})


def test_nodes_are_the_roots_of_complete_subtrees(store: Store) -> None:
    port: Evidence = store
    leaves = [leaf for _, leaf in store.ledger()]
    assert port.nodes([(0, 4), (1, 0), (3, 1), (9, 0)]) == {
        (0, 4): leaves[4],
        (1, 0): ledger.root(leaves[:2]),
        (3, 1): ledger.root(leaves[8:16]),
    }
    assert port.nodes([]) == {}


def test_an_opening_is_what_was_hashed(store: Store) -> None:
    leaves = dict(store.ledger())
    found = store.openings([3, 1, 2, 999])
    assert [one.position for one in found] == [1, 2, 3]
    for one in found:
        assert leaf_hash(one.leaf.encode()) == leaves[one.position]
    salt, text = found[0].personal["name"]
    assert text == '"Ermintrude Huckleberry 0"'
    assert commitment(bytes.fromhex(salt), text) in found[0].leaf
    assert found[0].rest is not None
    assert commitment(bytes.fromhex(found[0].rest[0]), found[0].rest[1]) in found[0].leaf
    assert found[2].rest is None
    assert found[0].cause.prior == bytes(32).hex()
    assert (found[0].cause.first, found[0].cause.last) == (1, 3)


def test_forgetting_takes_values_and_salts_and_leaves_every_leaf(store: Store) -> None:
    leaves = store.ledger()
    forgotten, commit = store.forget(Forgetting("x", frozenset({"p"})), lambda _: None, record)
    assert forgotten.touched == ("p",)
    assert forgotten.counts["Person"] == 9
    assert commit.versions == {"x": 1}
    assert store.ledger()[: len(leaves)] == leaves
    assert store.verify() == store.head().position
    assert [entity.properties for entity in store.history("p")] == [{"n": n} for n in range(9)]
    assert not any(one.personal for one in store.openings(range(1, 28)))
    assert all(one.cause.salt is None for one in store.openings([1]))
    assert store.residue(["Huckleberry"]) == []


def test_a_refused_record_erases_nothing(store: Store) -> None:
    again = Request([Put("x", "Erasure", {})], Cause("c0", "f", "S"), {})
    with pytest.raises(Exception, match="already used for other writes"):
        store.forget(Forgetting("x", frozenset({"p"})), lambda _: None, lambda _: again)
    assert store.get(["p"])["p"]["name"] == "Ermintrude Huckleberry 8"
    assert store.verify() == store.head().position
