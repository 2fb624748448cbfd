"""Bars of the whole platform on a Neo4j server: ingest of 100,000 records, and a GraphQL query of three levels of 100 rows.

Round trips are counted by a TCP proxy between the store and its server: each time that the store speaks after the server has.
All of a query count, also those for knowing who asks and by which rules; a query that reads nothing pays for these alone.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import bench_ingest
from benchmarks.result import Result, at_least, within
from kg.clock import SystemClock
from kg.ingest import ingest, load_mapping
from kg.ontology import load
from kg.stores.neo4j import Neo4jStore
from tests.api import parts
from tests.api.client import Client
from tests.faults.proxy import Proxy
from tests.services.graph import empty
from tests.services.server import Server, kept, start, stop

ROWS = bench_ingest.ROWS
RATE_TARGET = 2_500
QUERIES = 40
WARM = 10
QUERY = "{ customers(first: 100) { nodes { number orders(first: 5) { nodes { number lines(first: 5) { nodes { weight } } } } } } }"

NOTHING = "{ __typename }"


def _ingest(server: Server) -> list[Result]:
    empty(server)
    ontology = load({"bench.ttl": bench_ingest.ONTOLOGY})
    store = Neo4jStore(server.url, ontology, SystemClock(), user=server.user, password=server.password)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mapping.yaml").write_text(bench_ingest.MAPPING)
        bench_ingest.fill(folder / "source.db", ROWS)
        mapping = load_mapping(folder / "mapping.yaml")
        first = ingest(store, ontology, SystemClock(), mapping, folder / "source.db")
        again = ingest(store, ontology, SystemClock(), mapping, folder / "source.db")
    store.close()
    if (first.created, again.unchanged, again.created, again.updated) != (ROWS, ROWS, 0, 0):
        raise SystemExit(f"wrong counts: {first} {again}")
    return [
        at_least("Neo4j: ingest 100,000 records from SQL", ROWS / first.seconds, "records/s", RATE_TARGET),
        at_least("Neo4j: ingest 100,000 unchanged records", ROWS / again.seconds, "records/s", RATE_TARGET),
    ]


def _query(server: Server) -> list[Result]:
    empty(server)
    proxy = Proxy(int(server.url.rsplit(":", 1)[1]))
    words, clock = parts.ontology(), SystemClock()
    url = replace(server, url=f"bolt://127.0.0.1:{proxy.port}").url
    store = Neo4jStore(url, words, clock, user=server.user, password=server.password)
    platform = parts.platform(store, clock, words)
    parts.company(store, clock, customers=100, orders=1, lines=1)
    client = Client(platform)
    for _ in range(WARM):
        found = client.data(QUERY)["customers"]["nodes"]
    if sum(len(order["lines"]["nodes"]) for row in found for order in row["orders"]["nodes"]) != 100:
        raise SystemExit("the query did not find its hundred lines")
    taken, trips, asking = [], [], []
    for _ in range(QUERIES):
        before, started = proxy.turns, time.perf_counter()
        client.data(QUERY)
        taken.append((time.perf_counter() - started) * 1_000)
        trips.append(proxy.turns - before)
        before = proxy.turns
        client.data(NOTHING)
        asking.append(proxy.turns - before)
    store.close()
    proxy.close()
    known = statistics.median(asking)
    peer = "knowing who asks"
    return [
        within(
            "Neo4j: GraphQL 3 levels x 100 rows, round trips", statistics.median(trips), "round trips", 4, peer, known
        ),
        within("Neo4j: GraphQL 3 levels x 100 rows, p50", statistics.median(taken), "ms", 150),
    ]


def run() -> list[Result]:
    """Measure on the server that is kept up, or on one of its own."""
    up = kept("neo4j")
    server = up or start("neo4j")
    try:
        return [*_query(server), *_ingest(server)]
    finally:
        if up is None:
            stop(server)
