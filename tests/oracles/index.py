"""The oracle of port SemanticIndex: a dictionary, compared one by one. Adapters must agree with it."""

import math
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kg.errors import SearchIndexError
from kg.index import POINTS_MAX, Embedder, Held, Info, Point, Scored

_WORD = re.compile(r"\w+")


class MemoryIndex:
    """Port SemanticIndex in memory; BM25 with k1 = 1.2 and b = 0.75, words as they stand."""

    def __init__(self, embedder: Embedder) -> None:
        self._info = Info(embedder.model, embedder.revision, embedder.dimension, "", "")
        self._points: dict[str, Point] = {}
        self._gone: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._next: MemoryIndex | None = None
        self._embedder = embedder

    def _version(self, id: str) -> int:
        point = self._points.get(id)
        return max(point.version if point else 0, self._gone.get(id, 0))

    def _ready(self) -> None:
        if self._closed:
            raise SearchIndexError

    def upsert(self, points: Sequence[Point]) -> None:
        self._ready()
        with self._lock:
            for point in sorted(points, key=lambda p: p.version):
                if len(point.vector) != self._info.dimension:
                    raise SearchIndexError
                if self._version(point.id) < point.version:
                    self._gone.pop(point.id, None)
                    self._points[point.id] = point

    def remove(self, gone: Mapping[str, int]) -> None:
        self._ready()
        with self._lock:
            for id, version in gone.items():
                if self._version(id) < version:
                    self._points.pop(id, None)
                    self._gone[id] = version

    def search_dense(self, vector: Sequence[float], classes: Sequence[str] | None, first: int) -> list[Scored]:
        self._ready()
        if len(vector) != self._info.dimension:
            raise SearchIndexError
        return self._best({p.id: _cosine(p.vector, vector) for p in self._of(classes)}, first)

    def search_sparse(self, text: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        self._ready()
        texts = {p.id: Counter(_WORD.findall(p.text.casefold())) for p in self._points.values()}
        average = sum(sum(words.values()) for words in texts.values()) / max(len(texts), 1)
        scores: dict[str, float] = {}
        for word in set(_WORD.findall(text.casefold())):
            having = sum(1 for words in texts.values() if word in words)
            idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            for point in self._of(classes):
                count, length = texts[point.id][word], sum(texts[point.id].values())
                if count:
                    weight = count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / average))
                    scores[point.id] = scores.get(point.id, 0.0) + idf * weight
        return self._best(scores, first)

    def _of(self, classes: Sequence[str] | None) -> list[Point]:
        with self._lock:
            return [p for p in self._points.values() if classes is None or p.cls in classes]

    def _best(self, scores: Mapping[str, float], first: int) -> list[Scored]:
        ranked = [id for _, id in sorted((-score, id) for id, score in scores.items())][:first]
        return [Scored(id, self._points[id].version, scores[id]) for id in ranked]

    def held(self, after: str = "", first: int = POINTS_MAX) -> tuple[list[Held], str]:
        self._ready()
        every = sorted({*self._points, *self._gone})
        page = [id for id in every if id >= after][: first + 1]
        items = [Held(id, self._version(id), id in self._gone) for id in page[:first]]
        return items, page[first] if len(page) > first else ""

    def info(self) -> Info:
        self._ready()
        return self._info

    def reset(self, mapping: str, bound: str) -> None:
        self._ready()
        self._points, self._gone = {}, {}
        self._info = replace(self._info, mapping=mapping, bound=bound)

    def begin(self, mapping: str, bound: str) -> Info:
        self._ready()
        self._next = MemoryIndex(self._embedder)
        self._next.reset(mapping, bound)
        return self._next.info()

    def fill(self, bound: str, points: Sequence[Point]) -> None:
        self._successor(bound).upsert(points)

    def finish(self, bound: str) -> None:
        successor = self._successor(bound)
        with self._lock:
            self._points, self._gone, self._info = successor._points, successor._gone, successor._info
            self._next = None

    def _successor(self, bound: str) -> "MemoryIndex":
        self._ready()
        if self._next is None or self._next.info().bound != bound:
            raise SearchIndexError
        return self._next

    def close(self) -> None:
        self._closed = True


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
