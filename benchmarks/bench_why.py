"""`why` ten levels back on a graph of 1,000,000 edges, beside a recursive SQL query over plain provenance tables.

Each level holds three entities of three versions; each version was made from the three entities of the next level. The floor
reads ids only: no values, no records, no agents, no View.
"""

import random
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import Result, interleaved_us, within
from benchmarks.shop import customer, schema
from kg.clock import SystemClock
from kg.lineage import why
from kg.model import Cause, Entity, Input, Link, Put
from kg.stores.sqlite import SqliteStore

ENTITIES = 50_000
EDGES_EACH = 20
BATCH = 500
LEVELS = 10
WIDTH = 3
VERSIONS = 3
TIMES = 30
TARGET_MS = 50.0
_PEER = """
WITH RECURSIVE back (entity, level) AS (
    VALUES (?, 0)
    UNION
    SELECT used.entity, back.level + 1 FROM back
    JOIN generated ON generated.entity = back.entity JOIN used ON used.activity = generated.activity
    WHERE back.level < ?
)
SELECT back.level, generated.* FROM back JOIN generated ON generated.entity = back.entity
"""


class _Open:
    """A View that shows everything: deciding is measured with search."""

    principal = 'User::"auditor"'

    def see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        return list(entities)

    def classes(self, names: Sequence[str]) -> list[str]:
        return list(names)


def _id(number: int) -> str:
    return customer(number).id


def _fill(store: SqliteStore) -> None:
    chance = random.Random(1)
    for start in range(0, ENTITIES, BATCH):
        numbers = range(start, start + BATCH)
        ties = [Link(_id(n), "knows", _id(chance.randrange(ENTITIES))) for n in numbers for _ in range(EDGES_EACH)]
        store.commit([*map(customer, numbers), *ties], Cause(f"fill-{start}", "ingest", 'Service::"ingest"'))


def _chain(store: SqliteStore, peer: sqlite3.Connection) -> str:
    """Make the levels, deepest first; returns an entity of the last."""
    peer.execute("CREATE TABLE generated (entity TEXT, activity TEXT, PRIMARY KEY (entity, activity)) WITHOUT ROWID")
    peer.execute("CREATE TABLE used (activity TEXT, entity TEXT, PRIMARY KEY (activity, entity)) WITHOUT ROWID")
    behind = [Input(_id(n), 1) for n in range(WIDTH)]
    for level in range(LEVELS):
        numbers = [ENTITIES + level * WIDTH + n for n in range(WIDTH)]
        for version in range(VERSIONS):
            for n in numbers:
                cause = f"level-{level}-{version}-{n}"
                fact = (
                    customer(n)
                    if version == 0
                    else Put(_id(n), "Customer", {("city", "rating")[version - 1]: _new(version)})
                )
                store.commit([fact], Cause(cause, "decide", 'Agent::"bench"', "because", inputs=tuple(behind)))
                peer.execute("INSERT INTO generated VALUES (?, ?)", (_id(n), cause))
                peer.executemany("INSERT INTO used VALUES (?, ?)", [(cause, used.id) for used in behind])
        behind = [Input(_id(n), VERSIONS) for n in numbers]
    return behind[0].id


def _new(version: int) -> str | int:
    return "Bremen" if version == 1 else 5


def run() -> list[Result]:
    """The median of one question, answered as a tree."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "graph.db", schema(), SystemClock(), durable=False)
        peer = sqlite3.connect(Path(folder) / "peer.db")
        _fill(store)
        subject = _chain(store, peer)
        answer = why(store, _Open(), subject, depth=LEVELS)
        explained = {node.node for node in answer.walk() if node.kind == "entity" and not node.repeated}
        assert len(explained - {""}) == (LEVELS - 1) * WIDTH + 1, len(explained)
        mine, floor = interleaved_us(
            lambda _: why(store, _Open(), subject, depth=LEVELS),
            lambda _: peer.execute(_PEER, (subject, LEVELS)).fetchall(),
            TIMES,
            3,
        )
        peer.close()
        store.close()
    name = f"why, {LEVELS} levels, {ENTITIES * EDGES_EACH:,} edges"
    return [within(name, mine / 1_000, "ms", TARGET_MS, "recursive SQL, ids only", floor / 1_000)]
