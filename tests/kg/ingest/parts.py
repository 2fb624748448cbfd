"""A small company seen by three systems: what the ingest tests read."""

import csv
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from kg.clock import Clock
from kg.ingest import IngestReport, ingest, load_mapping
from kg.model import Entity
from kg.ontology import Ontology, load
from kg.store import GraphStore
from tests.kg.ontology.test_load import PREFIXES

COMPANY = (
    PREFIXES
    + """
:Customer a owl:Class ; n:key "customerNo" .
:Order a owl:Class ; n:key "orderNo" .
:Ticket a owl:Class ; n:key "ticketNo" .
:Person a owl:Class ; n:key "mail" .
:customerNo a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:accountId a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:name a owl:DatatypeProperty ; rdfs:domain :Customer, :Person ; rdfs:range xsd:string .
:segment a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range xsd:string .
:creditLimit a owl:DatatypeProperty ; rdfs:domain :Customer ; rdfs:range n:money .
:orderNo a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:string .
:pieces a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:integer .
:weight a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:decimal .
:orderedAt a owl:DatatypeProperty ; rdfs:domain :Order ; rdfs:range xsd:dateTime .
:ticketNo a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string .
:subject a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string .
:mail a owl:DatatypeProperty ; rdfs:domain :Person ; rdfs:range xsd:string ; n:personal true .
:placedBy a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Order ; rdfs:range :Customer ; n:inverse "orders" .
:follows a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Order ; rdfs:range :Order .
:about a owl:ObjectProperty, owl:FunctionalProperty ; rdfs:domain :Ticket ; rdfs:range :Customer ; n:inverse "tickets" .
:mentions a owl:ObjectProperty ; rdfs:domain :Ticket ; rdfs:range :Order .
:OrderShape a sh:NodeShape ; sh:targetClass :Order ; sh:property [ sh:path :pieces ; sh:minInclusive 0 ] .
"""
)

ORDERS = """
source: erp
time_zone: Europe/Berlin
tables:
  - from: orders.csv
    class: Order
    key: { orderNo: no }
    properties: { pieces: pieces, orderedAt: { column: at, optional: true } }
    relations: { placedBy: { column: customer, to: Customer, by: customerNo } }
    snapshot: full
    close_at_most: 0.5
"""


def company() -> Ontology:
    """The ontology of the company."""
    return load({"company.ttl": COMPANY})


def write_csv(path: Path, header: str, rows: Iterable[Iterable[Any]]) -> Path:
    """A CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split())
        writer.writerows(rows)
    return path


def write_database(path: Path, tables: Mapping[str, tuple[str, Iterable[Iterable[Any]]]]) -> Path:
    """A SQLite file with tables of untyped columns."""
    with closing(sqlite3.connect(path)) as database, database:
        for name, (columns, rows) in tables.items():
            names = columns.split()
            database.execute(f'DROP TABLE IF EXISTS "{name}"')
            database.execute(f'CREATE TABLE "{name}" ({", ".join(names)})')
            database.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(names))})', rows)
    return path


class Desk:
    """A store with everything to ingest into it, mapping texts written beside the data."""

    def __init__(self, store: GraphStore, ontology: Ontology, clock: Clock, folder: Path) -> None:
        self.store = store
        self.ontology = ontology
        self.clock = clock
        self.folder = folder

    def run(self, mapping: str, location: Path | str | None = None, **more: Any) -> IngestReport:
        """Ingest by a mapping text, from the folder unless told otherwise."""
        path = self.folder / "mapping.yaml"
        path.write_text(mapping)
        return ingest(self.store, self.ontology, self.clock, load_mapping(path), location or self.folder, **more)

    def all(self, cls: str, name: str) -> dict[Any, Entity]:
        """Every current entity of a class by one property."""
        return {entity.get(name): entity for entity in self.store.find(cls, first=1000).items}

    def ends(self, id: str, relation: str) -> list[str]:
        """The ids to which current relations lead, those without entity left out."""
        return [edge.entity.id for edge in self.store.expand([id], relation)[id]]

    def rejects(self) -> list[Any]:
        """The values of all rejects."""
        return [state.value for state in self.store.scan("reject", first=1000)]
