"""The stores that the contract suite of port GraphStore runs over: every adapter, and the oracle that they must agree with."""

from collections.abc import Callable
from pathlib import Path

from kg.clock import Clock
from kg.committer import Committer
from kg.store import GraphStore, Schema
from kg.stores.neo4j import Neo4jStore
from kg.stores.sqlite import SqliteStore
from tests.oracles.graph import DictStore
from tests.services.graph import fresh

Make = Callable[[Path, Schema, Clock], GraphStore]


def _sqlite(folder: Path, schema: Schema, clock: Clock) -> GraphStore:
    return SqliteStore(folder / "graph.db", schema, clock, durable=False)


def _committer(folder: Path, schema: Schema, clock: Clock) -> GraphStore:
    return Committer(_sqlite(folder, schema, clock))


def _oracle(folder: Path, schema: Schema, clock: Clock) -> GraphStore:
    return DictStore(schema, clock)


def _neo4j(folder: Path, schema: Schema, clock: Clock) -> Neo4jStore:
    return fresh(folder, schema, clock)


STORES: dict[str, Make] = {"sqlite": _sqlite, "committer": _committer, "neo4j": _neo4j, "oracle": _oracle}
