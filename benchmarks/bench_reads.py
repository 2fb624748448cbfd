"""Reading on a graph of 1,000,000 edges, against hand-written SQL over plain tables that hold the same JSON."""

import hashlib
import itertools
import json
import random
import sqlite3
import tempfile
from pathlib import Path

from benchmarks.result import Result, at_most, interleaved_us
from benchmarks.shop import schema
from kg.clock import SystemClock
from kg.stores.sqlite import SqliteStore

ENTITIES = 100_000
EDGES_EACH = 10
HUBS = 200
HUB_EDGES = 100
PROPS = '{"active":true,"city":"Hamburg","limit":{"currency":"EUR","money":"1000"},"number":"C-1","rating":3}'


def _id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:26]


def _edges() -> list[tuple[int, int]]:
    chance = random.Random(1)
    edges = {(n, chance.randrange(ENTITIES)) for n in range(HUBS, ENTITIES) for _ in range(EDGES_EACH)}
    for hub in range(HUBS):
        edges |= {(hub, target) for target in chance.sample(range(ENTITIES), HUB_EDGES)}
    return sorted(edges)


def _fill(path: Path, edges: list[tuple[int, int]], ids: list[str]) -> None:
    """Put the rows straight into the store's tables: reading is measured here, and the rows are those of commits."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    # Indexes are made after the rows, which sorts once instead of seeking a million times.
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND name GLOB 'relation_*'")
    statements = dict(indexes.fetchall())
    for name in statements:
        connection.execute(f"DROP INDEX {name}")
    connection.executemany(
        "INSERT INTO version (since, id, version, cls, closed, salts, props) VALUES (?, ?, 1, 'Customer', 0, x'', ?)",
        ((n + 1, id, PROPS) for n, id in enumerate(ids)),
    )
    connection.executemany(
        "INSERT INTO relation (since, source, name, target, salt, props) VALUES (?, ?, 'knows', ?, x'', '{}')",
        ((ENTITIES + n, ids[source], ids[target]) for n, (source, target) in enumerate(edges, 1)),
    )
    for statement in statements.values():
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.close()


def _peer(path: Path, edges: list[tuple[int, int]], ids: list[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("CREATE TABLE customer (id TEXT PRIMARY KEY, props TEXT) WITHOUT ROWID")
    connection.execute("CREATE TABLE edge (source TEXT, target TEXT, PRIMARY KEY (source, target)) WITHOUT ROWID")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO customer VALUES (?, ?)", sorted((id, PROPS) for id in ids))
    pairs = sorted((ids[source], ids[target]) for source, target in edges)
    connection.executemany("INSERT INTO edge VALUES (?, ?)", pairs)
    connection.execute("CREATE INDEX edge_in ON edge (target, source)")
    connection.execute("COMMIT")
    return connection


def _three_hops(edges: list[tuple[int, int]]) -> list[tuple[str, str]]:
    """Pairs that lie three hops apart along the direction of the edges."""
    onward: dict[int, list[int]] = {}
    for source, target in edges:
        onward.setdefault(source, []).append(target)
    chance, pairs = random.Random(2), []
    while len(pairs) < 100:
        walk = [chance.randrange(HUBS, ENTITIES)]
        for _ in range(3):
            walk.append(chance.choice(onward[walk[-1]]))
        if len(set(walk)) == 4:
            pairs.append((_id(walk[0]), _id(walk[-1])))
    return pairs


def _by_hand() -> str:
    """The same question in SQL: three steps, each in either direction (that no shorter path exists is not even asked)."""
    branches = []
    for ways in itertools.product((("source", "target"), ("target", "source")), repeat=3):
        (a, to_b), (b, to_c), (c, end) = ways
        branches.append(
            f"SELECT a.{to_b}, b.{to_c} FROM edge a JOIN edge b ON b.{b} = a.{to_b} JOIN edge c ON c.{c} = b.{to_c} "
            f"WHERE a.{a} = ?1 AND c.{end} = ?2"
        )
    return " UNION ALL ".join(branches) + " LIMIT 10"


_PATH = _by_hand()


def run() -> list[Result]:
    """get 1, expand 1 hop of 100, shortest path of 3 hops."""
    edges, everybody = _edges(), [_id(n) for n in range(ENTITIES)]
    with tempfile.TemporaryDirectory() as folder:
        path_ = Path(folder) / "graph.db"
        SqliteStore(path_, schema(), SystemClock(), durable=False).close()
        _fill(path_, edges, everybody)
        store = SqliteStore(path_, schema(), SystemClock(), durable=False)
        peer = _peer(Path(folder) / "peer.db", edges, everybody)
        ids = [_id(random.Random(3).randrange(ENTITIES)) for _ in range(1000)]
        hubs = [_id(n) for n in range(HUBS)]
        pairs = _three_hops(edges)

        def raw_get(n: int) -> object:
            row = peer.execute("SELECT id, props FROM customer WHERE id = ?", (ids[n % 1000],)).fetchone()
            return json.loads(row[1])

        def raw_expand(n: int) -> object:
            sql = "SELECT c.id, c.props FROM edge e JOIN customer c ON c.id = e.target WHERE e.source = ? ORDER BY 1 LIMIT 100"
            return [(id, json.loads(props)) for id, props in peer.execute(sql, (hubs[n % HUBS],))]

        def expand(n: int) -> object:
            return store.expand([hubs[n % HUBS]], "knows", first=100)

        def path(n: int) -> object:
            return store.paths(*pairs[n % 100], ["knows"], 3)

        def raw_path(n: int) -> object:
            return peer.execute(_PATH, pairs[n % 100]).fetchall()

        results = []
        for name, ours, floor, times in (
            ("get 1", lambda n: store.get([ids[n % 1000]]), raw_get, 400),
            ("expand 1 hop of 100", expand, raw_expand, 100),
            ("path of 3 hops", path, raw_path, 40),
        ):
            mine, raw = interleaved_us(ours, floor, times)
            results.append(at_most(f"{name}, {len(edges):,} edges", mine, "µs", "raw SQL", raw, 2.5))
        peer.close()
        store.close()
    return results
