"""Governed ingest of 100,000 rows from a SQL source, end to end, beside the floor: the same rows read and inserted raw.

Run in a child process, so that the peak memory measured is that of the ingest alone.
"""

import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.result import Result

ROWS = 100_000
RATE_TARGET = 5_000
MEMORY_TARGET_MB = 400

ONTOLOGY = """
@prefix : <urn:bench#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix n: <urn:noesis:ns#> .
:Customer a owl:Class ; n:key "customerNo" .
:Order a owl:Class ; n:key "orderNo" .
:customerNo a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:name a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:orderNo a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:string .
:status a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:string .
:pieces a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:integer .
:weight a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:decimal .
:amount a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range n:money .
:orderedAt a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:dateTime .
:dueOn a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:date .
:placedBy a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Order ; rdfs:range :Customer ; n:inverse "orders" .
:OrderShape a sh:NodeShape ; sh:targetClass :Order ;
  sh:property [ sh:path :orderNo ; sh:minCount 1 ] ; sh:property [ sh:path :pieces ; sh:minInclusive 0 ] .
"""
MAPPING = """
source: erp
time_zone: Europe/Berlin
tables:
  - from: customers
    class: Customer
    key: { customerNo: no }
    properties: { name: name }
  - from: orders
    class: Order
    key: { orderNo: no }
    properties:
      status: status
      pieces: pieces
      weight: weight
      amount: { column: amount, currency: EUR }
      orderedAt: ordered_at
      dueOn: due_on
    relations: { placedBy: customer_no }
    snapshot: full
"""


def fill(path: Path, rows: int) -> None:
    """A source database: orders of one customer in fifty."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE customers (no TEXT PRIMARY KEY, name TEXT)")
        database.execute(
            "CREATE TABLE orders (no TEXT PRIMARY KEY, customer_no TEXT, status TEXT, pieces INTEGER, weight REAL,"
            " amount REAL, ordered_at TEXT, due_on TEXT)"
        )
        customers = rows // 50
        database.executemany(
            "INSERT INTO customers VALUES (?, ?)", ((f"{i:07d}", f"Customer {i}") for i in range(customers))
        )
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    f"SO-{i:06d}",
                    f"{i % customers:07d}",
                    "open",
                    i % 97,
                    (i % 1000) / 8,
                    (i % 5000) / 4,
                    f"2026-03-{i % 28 + 1:02d} 10:00:00",
                    f"2026-04-{i % 28 + 1:02d}",
                )
                for i in range(rows - customers)
            ),
        )


def floor(folder: Path) -> float:
    """Rows/s when the same rows are read and inserted raw into another SQLite file, in batches of 1,000, with fsync."""
    started = time.perf_counter()
    count = 0
    with (
        closing(sqlite3.connect(folder / "source.db")) as source,
        closing(sqlite3.connect(folder / "raw.db")) as target,
    ):
        target.execute("PRAGMA journal_mode=WAL")
        target.execute("PRAGMA synchronous=FULL")
        for table, columns in (("customers", 2), ("orders", 8)):
            marks = ", ".join("?" * columns)
            target.execute(f"CREATE TABLE {table} ({', '.join(f'c{i}' for i in range(columns))})")
            rows = source.execute(f"SELECT * FROM {table}")
            while batch := rows.fetchmany(1000):
                with target:
                    target.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
                count += len(batch)
    return count / (time.perf_counter() - started)


def measure(folder: Path) -> None:
    """Ingest twice and print rates and memory as JSON: what the child process runs."""
    from kg.clock import SystemClock
    from kg.ingest import ingest, load_mapping
    from kg.ontology import load
    from kg.stores.sqlite import SqliteStore

    (folder / "mapping.yaml").write_text(MAPPING)
    ontology = load({"bench.ttl": ONTOLOGY})
    store = SqliteStore(folder / "graph.db", ontology, SystemClock())
    mapping = load_mapping(folder / "mapping.yaml")
    half: list[int] = []

    def progress(done: int, _: int) -> None:
        if done >= ROWS // 2 and not half:
            half.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    first = ingest(store, ontology, SystemClock(), mapping, folder / "source.db", progress=progress)
    again = ingest(store, ontology, SystemClock(), mapping, folder / "source.db")
    store.close()
    if first.created != ROWS or again.unchanged != ROWS or again.created or again.updated:
        raise SystemExit(f"wrong counts: {first} {again}")
    print(
        json.dumps(
            {
                "rate": ROWS / first.seconds,
                "again": ROWS / again.seconds,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "half_mb": half[0] / 1024,
            }
        )
    )


def run() -> list[Result]:
    """The rows of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "source.db", ROWS)
        raw = floor(folder)
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.bench_ingest", name],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
    found = json.loads(child.stdout)
    return [
        Result(
            "ingest 100,000 records from SQL",
            found["rate"],
            "records/s",
            "the same rows read and inserted raw into SQLite",
            raw,
            found["rate"] / raw,
            f">= {RATE_TARGET:,} records/s",
            found["rate"] >= RATE_TARGET,
        ),
        Result(
            "ingest 100,000 unchanged records",
            found["again"],
            "records/s",
            "the same rows read and inserted raw into SQLite",
            raw,
            found["again"] / raw,
            f">= {RATE_TARGET:,} records/s",
            found["again"] >= RATE_TARGET,
        ),
        Result(
            "ingest peak memory",
            found["peak_mb"],
            "MB",
            "memory after half of the rows",
            found["half_mb"],
            found["peak_mb"] / found["half_mb"],
            f"<= {MEMORY_TARGET_MB} MB and flat",
            found["peak_mb"] <= MEMORY_TARGET_MB,
        ),
    ]


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
