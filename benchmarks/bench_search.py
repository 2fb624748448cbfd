"""Hybrid search over 20,000 items, each hit read from the store and decided by real rules; the query's embedding is made before.

Beside it the same points asked of the raw engine: dense and BM25 prefetch, fused by the engine, no store and no rules.
"""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import Result, interleaved_us, within
from governance.principals import Principal
from governance.rules import compile_rules
from governance.view import GovernedView
from kg.clock import SystemClock
from kg.embedders.hashing import HashingEmbedder
from kg.indexer import Indexer
from kg.indexes.edge import EdgeIndex
from kg.indexes.edge_bm25 import LANGUAGE
from kg.model import Cause, Entity, Link, Put
from kg.ontology import Ontology, load
from kg.search import search
from kg.stores.sqlite import SqliteStore

ITEMS = 20_000
QUERIES = 60
DIMENSION = 384
TARGET_MS = 15.0
FIRST = 10
PLATFORM = Path(__file__).resolve().parents[1] / "governance" / "platform.ttl"
TURTLE = """
@prefix : <urn:bench#> . @prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix n: <urn:noesis:ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:Ticket a owl:Class ; n:department "support" .
:Order a owl:Class ; n:department "sales" .
:text a owl:DatatypeProperty ; rdfs:domain :Ticket , :Order ; rdfs:range xsd:string ; n:searchable true .
:level a owl:DatatypeProperty ; rdfs:domain :Ticket , :Order ; rdfs:range xsd:integer .
:phone a owl:DatatypeProperty ; rdfs:domain :Ticket ; rdfs:range xsd:string ; n:sensitivity "pii" ; n:personal true .
:about a owl:ObjectProperty ; rdfs:domain :Ticket ; rdfs:range :Order ; n:inverse "tickets" .
"""
RULES = (
    '@id("read") permit(principal, action == Action::"read", resource) when { !(resource is Label) };',
    '@id("high") forbid(principal, action == Action::"read", resource is Ticket) when '
    "{ resource has level && resource.level > 8 };",
)


class _Ready:
    """An embedder whose query vectors are made beforehand."""

    def __init__(self, embedder: HashingEmbedder, texts: Sequence[str]) -> None:
        self.model, self.revision, self.dimension = embedder.model, embedder.revision, embedder.dimension
        self._vectors = dict(zip(texts, embedder.embed(texts), strict=True))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vectors[text] for text in texts]


def _texts(chance: random.Random, count: int, length: int) -> list[str]:
    """Texts over 5,000 made-up words whose frequencies fall as those of a language do."""
    words = [f"{chance.choice('bdfgklmnprst')}{chance.choice('aeiou')}{n:x}" for n in range(5_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    return [" ".join(chance.choices(words, weights, k=length)) for _ in range(count)]


def _fill(store: SqliteStore, texts: Sequence[str], chance: random.Random) -> None:
    for start in range(0, len(texts), 1_000):
        writes: list[Put | Link] = []
        for n in range(start, start + 1_000):
            values = {"text": texts[n], "level": n % 10}
            if n % 2:
                writes.append(Put(f"t{n:06}", "Ticket", {**values, "phone": f"030 {n}"}))
                writes.append(Link(f"t{n:06}", "about", f"o{chance.randrange(0, n, 2):06}"))
            else:
                writes.append(Put(f"o{n:06}", "Order", values))
        store.commit(writes, Cause(f"fill-{start}", "fill", 'Service::"bench"'))


def _view(ontology: Ontology) -> GovernedView:
    rules = [
        Entity(f"r{n}", "Rule", 1, {"name": f"r{n}", "text": text, "status": "active"}, 1)
        for n, text in enumerate(RULES)
    ]
    return GovernedView(Principal("User", "anna", frozenset(), frozenset()), compile_rules(rules, ontology), ontology)


def run() -> list[Result]:
    """The median of a whole search, and of one narrowed to a class."""
    import qdrant_edge as vendor

    chance = random.Random(7)
    texts, queries = _texts(chance, ITEMS, 14), _texts(random.Random(7), ITEMS + QUERIES, 4)[ITEMS:]
    ontology = load({"bench.ttl": TURTLE, "platform.ttl": PLATFORM.read_text(encoding="utf-8")})
    embedder = HashingEmbedder(DIMENSION)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "graph.db", ontology, SystemClock(), durable=False)
        index = EdgeIndex(Path(folder) / "index", embedder)
        _fill(store, texts, chance)
        Indexer(store, index, embedder, ontology).run()
        ready = _Ready(embedder, queries)
        bm25 = vendor.Bm25(vendor.Bm25Config(language=LANGUAGE))

        def raw(n: int) -> object:
            text = queries[n % QUERIES]
            dense = vendor.Query.Nearest(ready.embed([text])[0], using="dense")
            sparse = vendor.Query.Nearest(bm25.embed_query(text), using="bm25")
            exact = vendor.SearchParams(exact=True)
            fetches = [vendor.Prefetch(limit=50, query=query, params=exact) for query in (dense, sparse)]
            fused = vendor.Fusion.Rrf(k=60)
            request = vendor.QueryRequest(limit=FIRST, query=fused, prefetches=fetches, with_payload=True)
            return index._shard.query(request)

        def ours(n: int, classes: Sequence[str] = ()) -> object:
            # A view lives as long as a request, so each search makes its own.
            view = _view_of()
            found = search(store, index, ready, view, ontology, queries[n % QUERIES], classes, FIRST)
            assert found.fallback is None
            assert len(found.hits) == FIRST
            return found

        first = _view(ontology)

        def _view_of() -> GovernedView:
            return GovernedView(first._principal, first._rules, ontology)

        whole, floor = interleaved_us(ours, raw, QUERIES, 3)
        narrow, _ = interleaved_us(lambda n: ours(n, ["Ticket"]), raw, QUERIES, 3)
        index.close()
        store.close()
    peer = "raw qdrant-edge, dense + BM25 fused"
    return [
        within(f"hybrid search, {ITEMS:,} items", whole / 1_000, "ms", TARGET_MS, peer, floor / 1_000),
        within("hybrid search narrowed to a class", narrow / 1_000, "ms", TARGET_MS, peer, floor / 1_000),
    ]
