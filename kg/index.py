"""Ports SemanticIndex and Embedder: what search asks of a vector engine and of an embedding model.

The index is derived from the change feed: it may be lost at any time and is rebuilt alike (I8). It holds for each entity the
version that it was built from; an older version never replaces a newer one, and a removed entity leaves a mark with its
version, so that a late write cannot bring it back. It decides nothing about who may see what: hits are ids, and whoever
searches reads the entities from the store through a View.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

#: Hits of one list; a caller that wants more narrows the search.
HITS_MAX = 1_000
#: Points of one write or one page.
POINTS_MAX = 1_000


class Embedder(Protocol):
    """Turns texts into vectors; the same text always gives the same vector of the same model and revision."""

    @property
    def model(self) -> str:
        """The model's published name."""

    @property
    def revision(self) -> str:
        """The exact revision: vectors of two revisions are never mixed."""

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector of length one for each text, in order. Raises ModelMismatchError where the model is not the named one."""


@dataclass(frozen=True, slots=True)
class Point:
    """One entity version as the index holds it: its text for keyword search and its vector for meaning."""

    id: str
    cls: str
    version: int
    text: str
    vector: Sequence[float]
    department: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """One hit: the entity, the version its text was taken from, and a score that falls along the list."""

    id: str
    version: int
    score: float


@dataclass(frozen=True, slots=True)
class Info:
    """What an index was built with. `mapping` names the text mapping, `bound` the run of the indexer that fills it."""

    model: str
    revision: str
    dimension: int
    mapping: str
    bound: str


@dataclass(frozen=True, slots=True)
class Held:
    """One entity as the index holds it: the version, and whether it is only the mark of a removed one."""

    id: str
    version: int
    gone: bool


class SemanticIndex(Protocol):
    """A disposable index over entity texts. Every method is safe to call from several threads; all raise SearchIndexError."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, each only where the index holds an older version of its entity, or none."""

    def remove(self, gone: Mapping[str, int]) -> None:
        """Mark entities as gone at these versions, each only where the index holds an older version, or none."""

    def search_dense(self, vector: Sequence[float], classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The entities of these classes (None: all) whose vectors are nearest, best first, ties by id."""

    def search_sparse(self, text: str, classes: Sequence[str] | None, first: int) -> list[Scored]:
        """The entities of these classes (None: all) whose words match best (BM25), best first, ties by id."""

    def held(self, after: str = "", first: int = POINTS_MAX) -> tuple[list[Held], str]:
        """A page of everything held, marks included, and the place to go on from ("" at the end)."""

    def info(self) -> Info:
        """What the index was built with; cheap enough to ask at every search."""

    def reset(self, mapping: str, bound: str) -> None:
        """Drop every point and mark, and note the mapping and run that fill it from now on."""

    def begin(self, mapping: str, bound: str) -> Info:
        """Start an empty successor beside this index, which goes on answering; an earlier successor is dropped.

        Returns what the successor is built with.
        """

    def fill(self, bound: str, points: Sequence[Point]) -> None:
        """Write points into the successor of this run; SearchIndexError where another took its place."""

    def finish(self, bound: str) -> None:
        """Answer from the successor of this run from now on, at once, and drop what answered before."""

    def close(self) -> None:
        """Write everything to disk and release it; later calls raise SearchIndexError."""
