"""A small graph to search: its ontology, and a store, index and indexer around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kg.embedders.hashing import HashingEmbedder
from kg.index import SemanticIndex
from kg.indexer import Indexer
from kg.model import Cause, Link, Put, Write
from kg.ontology import Ontology, load
from kg.search import SearchResult, search
from kg.store import GraphStore
from kg.stores.sqlite import SqliteStore
from kg.view import View
from tests.oracles.index import MemoryIndex
from tests.parts import ManualClock, OpenView

TURTLE = """
@prefix : <urn:test#> . @prefix n: <urn:noesis:ns#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Thing a owl:Class, sh:NodeShape ; rdfs:label "Thing" ; n:department "support" ; n:key "number" ; sh:property
  [ sh:path :number ; sh:datatype xsd:string ; n:searchable false ],
  [ sh:path :title ; sh:datatype xsd:string ; n:searchable true ],
  [ sh:path :note ; sh:datatype xsd:string ; n:searchable true ],
  [ sh:path :secret ; sh:datatype xsd:boolean ],
  [ sh:path :rank ; sh:datatype xsd:integer ],
  [ sh:path :about ; sh:class :Thing ; n:inverse "mentions" ] .
:Ticket a owl:Class ; rdfs:subClassOf :Thing ; rdfs:label "Ticket" ; n:department "support" .
:Verdict a owl:Class, sh:NodeShape ; rdfs:label "Verdict" ; n:platform true ; sh:property
  [ sh:path :reason ; sh:datatype xsd:string ; n:searchable true ] .
:Counter a owl:Class, sh:NodeShape ; rdfs:label "Counter" ; sh:property
  [ sh:path :value ; sh:datatype xsd:integer ] .
"""


def ontology() -> Ontology:
    """The ontology of the small graph."""
    return load({"world.ttl": TURTLE})


@dataclass
class World:
    """One store with its index, indexer and clock."""

    store: GraphStore
    index: SemanticIndex
    embedder: HashingEmbedder
    ontology: Ontology
    clock: ManualClock
    indexer: Indexer

    def write(self, *writes: Write) -> None:
        """Commit these writes for a cause of their own."""
        self.store.commit(writes, Cause(self.clock.id(), "test", 'Service::"test"'))

    def thing(self, id: str, title: str, cls: str = "Thing", about: str | None = None, **more: object) -> None:
        """Put a thing, and link it where `about` is given."""
        link = [Link(id, "about", about)] if about else []
        self.write(Put(id, cls, {"title": title, **more}), *link)  # type: ignore[dict-item]

    def search(self, text: str, view: View | None = None, **more: object) -> SearchResult:
        """Search as this View sees it."""
        return search(self.store, self.index, self.embedder, view or OpenView(), self.ontology, text, **more)  # type: ignore[arg-type]

    def ids(self, text: str, view: View | None = None, **more: object) -> list[str]:
        """The ids that a search finds."""
        return [hit.entity.id for hit in self.search(text, view, **more).hits]


def world(folder: Path, index: SemanticIndex | None = None) -> World:
    """An empty world on a real store."""
    shapes, clock, embedder = ontology(), ManualClock(), HashingEmbedder(64)
    store = SqliteStore(folder / "graph.db", shapes, clock, durable=False)
    index = index or MemoryIndex(embedder)
    return World(store, index, embedder, shapes, clock, Indexer(store, index, embedder, shapes))


def held(index: SemanticIndex) -> Mapping[str, tuple[int, bool]]:
    """Everything an index holds, by id: version, and whether it is a mark."""
    page, place = index.held()
    while place:
        more, place = index.held(place)
        page += more
    return {item.id: (item.version, item.gone) for item in page}
