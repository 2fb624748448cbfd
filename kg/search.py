"""Search over the shared graph: meaning, words and neighbourhood, fused into one ranking of entities a reader may see.

Three ranked lists (dense vectors, BM25, relations of the best hits or of `near`) are each cut down to what the reader may
see, then fused by rank. Invariant I10: every hit is read from the store now and passes the View before it gets a rank, so
neither hits, nor ranks, nor scores tell of what is hidden; what was found by words is ordered anew among itself, since an
index knows how rare a word is by all that it holds. A hit counts in the text lists only if all the text it was found
by is open: an entity with a masked searchable property is in none of them (it may still be a neighbour), and a version that
is no longer current counts only where its text is still the current one. Without an index the store's own text search
answers, and the result says so. Writes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kg.errors import InputError, ModelMismatchError, SearchIndexError
from kg.index import HITS_MAX, Embedder, Scored, SemanticIndex
from kg.indexer import Standing, lag, standing
from kg.model import Entity
from kg.relevance import ordered
from kg.rrf import fuse
from kg.store import PAGE_MAX, GraphStore
from kg.texts import TextSource, indexed, is_indexed, text_names
from kg.view import View

#: Characters of one query.
QUERY_MAX = 2_000
#: Hits of one answer.
FIRST_MAX = 500
#: Visible hits that a list holds for each one wanted, and at least.
LIST_FACTOR = 5
LIST_MIN = 50
#: How much more than a list holds is asked for, so that a few hidden ones cost no second question; a further one asks for as many
#: more as the share of visible ones so far lets expect, at most so many times as many.
SPARE = 1.4
MORE_FACTOR = 5.0
#: Best hits whose neighbours are looked at, and visible relations of each.
SEEDS = 5
NEIGHBOURS_MAX = 50
DENSE, SPARSE, GRAPH, TEXT = "dense", "bm25", "graph", "text"


@dataclass(frozen=True, slots=True)
class Hit:
    """One entity as the reader may see it, its fused score, and the lists that held it."""

    entity: Entity
    score: float
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first. `behind` counts changes that the index has not taken; `fallback` says what was done without, and why."""

    hits: tuple[Hit, ...]
    behind: int = 0
    fallback: str | None = None


def search(
    store: GraphStore,
    index: SemanticIndex | None,
    embedder: Embedder | None,
    view: View,
    ontology: TextSource,
    text: str,
    classes: Sequence[str] = (),
    first: int = 10,
    near: Sequence[str] = (),
) -> SearchResult:
    """The best current entities of these classes (none: all that the index holds) for a text, near certain entities where given.

    Classes that the index does not hold, such as the platform's own, are searched by the store's text search.
    """
    words = text.strip()
    if not words and not near:
        raise InputError("the search has neither a text nor a place to look near; give one")
    if len(words) > QUERY_MAX:
        raise InputError(f"the search text has {len(words):,} characters; {QUERY_MAX:,} are the most")
    if not 1 <= first <= FIRST_MAX:
        raise InputError(f"{first} hits are outside 1 to {FIRST_MAX}; choose a number within")
    every = indexed(ontology)
    wanted = sorted({below for cls in classes for below in ontology.subclasses(cls)}) if classes else list(every)
    allowed = view.classes(wanted)
    question = _Question(store, view, ontology, words, frozenset(allowed), first, near)
    if not allowed:
        return SearchResult(())
    behind, reason = 0, "this installation has no semantic index"
    if index is not None:
        try:
            found = _usable(store, ontology, index, embedder)
            behind = found.behind
            if found.filled:
                vector = embedder.embed([words])[0] if embedder is not None and words else None
                hits = question.indexed(index, vector, None if set(allowed) >= set(every) else allowed)
                said = None if embedder is not None else "words and relations only: no embedding model is installed"
                return SearchResult(hits, behind, said)
            reason = f"the semantic index is being filled, {behind:,} changes to go"
        except SearchIndexError as error:
            behind = lag(store, ontology)
            reason = f"{error} (index_behind: {behind:,} changes)"
    return SearchResult(question.stored(), behind, f"store text search: {reason}")


def _usable(store: GraphStore, texts: TextSource, index: SemanticIndex, embedder: Embedder | None) -> Standing:
    """How far the index is; raises SearchIndexError where it cannot answer for this graph and model."""
    info = index.info()
    mine = (embedder.model, embedder.revision, embedder.dimension) if embedder is not None else None
    if mine is not None and (info.model, info.revision, info.dimension) != mine:
        raise ModelMismatchError
    return standing(store, texts, info)


class _Question:
    """One search on its way: what was asked, and every entity met so far, as stored and as seen."""

    def __init__(
        self, store: GraphStore, view: View, texts: TextSource, words: str, classes: frozenset[str], first: int,
        near: Sequence[str],
    ) -> None:  # fmt: skip
        self._store = store
        self._view = view
        self._texts = texts
        self._words = words
        self._classes = classes
        self._first = first
        self._near = near
        self._stored: dict[str, Entity] = {}
        self._seen: dict[str, Entity] = {}

    def indexed(
        self, index: SemanticIndex, vector: list[float] | None, classes: Sequence[str] | None
    ) -> tuple[Hit, ...]:
        """Hits by the index."""
        asks: dict[str, Callable[[int], Sequence[Scored]]] = {}
        if vector is not None:
            asks[DENSE] = lambda size: index.search_dense(vector, classes, size)
        if self._words:
            asks[SPARSE] = lambda size: index.search_sparse(self._words, classes, size)
        lists = self._candidates(asks)
        if SPARSE in lists:
            lists[SPARSE] = self._by_words(lists[SPARSE])
        beside = sorted(cls for cls in self._classes if not is_indexed(self._texts, cls))
        return self._ranked(self._with_graph({**lists, TEXT: self._by_store(beside)} if beside else lists))

    def stored(self) -> tuple[Hit, ...]:
        """Hits by the store's own text search."""
        return self._ranked(self._with_graph({TEXT: self._by_store(sorted(self._classes))}))

    def _by_store(self, classes: Sequence[str]) -> list[str]:
        if not self._words:
            return []

        def found(size: int) -> list[Scored]:
            ids = [id for id, _ in self._store.search_text(self._words, classes, size)]
            self._meet(ids)
            return [Scored(id, self._stored[id].version, 0.0) for id in ids if id in self._stored]

        return self._by_words(self._candidates({TEXT: found})[TEXT])

    def _candidates(self, asks: Mapping[str, Callable[[int], Sequence[Scored]]]) -> dict[str, list[str]]:
        """The first so many hits of each list that the reader may see, best first."""
        wanted = min(max(LIST_MIN, self._first * LIST_FACTOR), HITS_MAX)
        size = min(int(wanted * SPARE), HITS_MAX)
        lists: dict[str, list[str]] = {}
        waiting = list(asks)
        while waiting:
            raw = {name: asks[name](size) for name in waiting}
            shown = self._open(raw)
            lists |= {name: ids[:wanted] for name, ids in shown.items()}
            # INVARIANT I10: as many visible ones whatever is hidden, else a hidden text would push a visible one out of a list.
            short = [name for name in waiting if len(shown[name]) < wanted and len(raw[name]) == size]
            waiting = short if size < HITS_MAX else []
            fewest = min((len(shown[name]) for name in waiting), default=wanted)
            size = min(int(size * min(MORE_FACTOR, SPARE * wanted / max(fewest, 1))), HITS_MAX)
        return lists

    def _open(self, raw: Mapping[str, Sequence[Scored]]) -> dict[str, list[str]]:
        """The lists without hits that the reader may not see or that were found by a text that is not theirs to read."""
        versions = {hit.id: hit.version for hits in raw.values() for hit in hits}
        self._meet(list(versions))
        shown = {id for id in versions if self._all_open(id)}
        old = [(id, versions[id]) for id in shown if self._stored[id].version != versions[id]]
        before = self._store.versions(old) if old else {}
        for key in old:
            # INVARIANT I10: a text that was replaced may have been replaced because it was not to be found.
            if key not in before or self._texts.text_of(before[key]) != self._texts.text_of(self._stored[key[0]]):
                shown.discard(key[0])
        return {name: [hit.id for hit in hits if hit.id in shown] for name, hits in raw.items()}

    def _by_words(self, ids: Sequence[str]) -> list[str]:
        """What was found by words, in an order that nothing but these very texts decides."""
        return ordered(self._words, {id: self._texts.text_of(self._stored[id]) for id in ids})

    def _meet(self, ids: Sequence[str]) -> None:
        """Read entities from the store and keep those that the View shows."""
        fresh = [id for id in dict.fromkeys(ids) if id not in self._stored]
        found = self._store.get(fresh) if fresh else {}
        self._stored |= found
        # INVARIANT I10: the same View as the detail path, on the current version, before anything is ranked.
        seen = zip(found, self._view.see(list(found.values())), strict=True)
        self._seen |= {id: entity for id, entity in seen if entity is not None}

    def _all_open(self, id: str) -> bool:
        entity = self._seen.get(id)
        if entity is None or entity.cls not in self._classes:
            return False
        return not entity.masked & text_names(self._texts, entity.cls)

    def _with_graph(self, lists: dict[str, list[str]]) -> dict[str, list[str]]:
        """The lists and the neighbours of `near`, or else of the best hits, those with most and best seeds first."""
        seeds = list(self._near) or [fused.id for fused in fuse(lists)[:SEEDS]]
        self._meet(seeds)
        seeds = [id for id in seeds if id in self._seen]
        if not seeds:
            return lists
        ends = self._neighbours(seeds)
        weight = {seed: 1.0 / rank for rank, seed in enumerate(seeds, 1)}
        scores: dict[str, float] = {}
        for seed, far in dict.fromkeys(ends):
            if far in self._seen and self._seen[far].cls in self._classes and far not in self._near:
                scores[far] = scores.get(far, 0.0) + weight[seed]
        return {**lists, GRAPH: [far for _, far in sorted((-score, far) for far, score in scores.items())]}

    def _neighbours(self, seeds: Sequence[str]) -> list[tuple[str, str]]:
        """Each seed with the far end of each of its first NEIGHBOURS_MAX visible relations among the first PAGE_MAX."""
        near: dict[str, list[str]] = {}
        waiting = list(seeds)
        for size in (NEIGHBOURS_MAX, PAGE_MAX):
            found = self._store.relations(waiting, None, size) if waiting else {}
            far = {seed: [r.target if r.source == seed else r.source for r in found[seed]] for seed in found}
            self._meet([id for ids in far.values() for id in ids])
            # INVARIANT I10: a hidden neighbour takes no visible one's place.
            near |= {seed: [id for id in ids if id in self._seen][:NEIGHBOURS_MAX] for seed, ids in far.items()}
            waiting = [seed for seed, ids in far.items() if len(ids) == size and len(near[seed]) < NEIGHBOURS_MAX]
        return [(seed, id) for seed in seeds for id in near.get(seed, ())]

    def _ranked(self, lists: Mapping[str, Sequence[str]]) -> tuple[Hit, ...]:
        return tuple(Hit(self._seen[f.id], f.score, f.lists) for f in fuse(lists)[: self._first])
