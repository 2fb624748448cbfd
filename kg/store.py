"""Port GraphStore: the verbs of the shared graph. Its docstrings are the contract that every adapter and the oracle keep.

Invariants: I1 no write without a Cause; I2 a reader of the feed never skips a committed change; I7 a stale expectation never
writes. The port holds no query text and no shared logic. `Schema` is what a store asks of the ontology.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kg.model import (
    Cause,
    Change,
    Commit,
    Cursor,
    Direction,
    Edge,
    Entity,
    Order,
    Page,
    Relation,
    State,
    StateWrite,
    Where,
    Write,
)
from kg.values import Value

#: Bounds of single calls; a caller that wants more asks again.
PAGE_MAX = 1_000
WRITES_MAX = 20_000
PATH_DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One commit as it waits in a group: facts with their cause, expected versions, and state rows.

    An `urgent` one (a stop) goes before all that wait, in a transaction without them.
    """

    writes: Sequence[Write]
    cause: Cause | None
    expects: Mapping[str, int]
    state: Sequence[StateWrite] = ()
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the change log: last position, its commit time (None when empty) and the ledger's root hash."""

    position: int
    at: datetime | None
    root: bytes


class Schema(Protocol):
    """What a store asks of the ontology when it commits and searches."""

    def check(self, cls: str, properties: Mapping[str, Value]) -> None:
        """Raise ShapeError, naming the shape, where these whole properties do not fit the class."""

    def check_relation(self, source_cls: str, relation: str, target_cls: str | None) -> None:
        """Raise ShapeError where the class has no such relation or, if known, the target's class does not fit it."""

    def personal(self, cls: str) -> frozenset[str]:
        """The properties whose values a person may ask to erase."""

    def text(self, cls: str) -> tuple[str, ...]:
        """The properties that text search may read (never a personal or sensitive one unless declared searchable)."""

    def indexed(self, cls: str) -> tuple[str, ...]:
        """The properties that `find` should answer without reading every entity of the class."""

    def subclasses(self, cls: str) -> tuple[str, ...]:
        """The class itself and all below it; raise ShapeError where it is unknown."""

    def superclasses(self, cls: str) -> tuple[str, ...]:
        """The class itself and all above it; raise ShapeError where it is unknown."""


class GraphStore(Protocol):
    """The one place that holds facts. Every method is safe to call from several threads and processes."""

    def commit(
        self,
        writes: Sequence[Write],
        cause: Cause | None,
        expects: Mapping[str, int] | None = None,
        state: Sequence[StateWrite] = (),
    ) -> Commit:
        """Write facts, their Change rows, cause and ledger leaves, and state rows, in one transaction or not at all.

        `cause` is None only where `writes` is empty. `expects` maps entity id to the version it must have now (0: it was
        never put); a mismatch, or a state row's, raises ConflictError with what was found. A cause id seen before
        with the same content (writes and cause) returns the first Commit with `repeated` and does nothing, state rows
        included; with other content raises CauseReusedError. A cause whose writes change nothing is kept all the
        same. A Put on a closed entity opens it again as a whole new set of properties; a Put with another class than
        before raises ShapeError. Commit time is max(now, last). Raises ShapeError, ValueDomainError, StoreError.
        """

    def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
        """Commit several requests in order in one transaction, each with its own result; a refused one leaves no trace."""

    def head(self) -> Head:
        """The end of the log as committed."""

    def position_at(self, instant: datetime) -> int:
        """The last position committed at or before the instant (0 where none was); reads take it as `at`."""

    def get(self, ids: Sequence[str], at: int | None = None) -> dict[str, Entity]:
        """The entities with these ids at a position (None: now), closed ones left out."""

    def versions(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
        """These exact versions, closed ones included."""

    def find(
        self,
        cls: str,
        where: Sequence[Where] = (),
        order: Order | None = None,
        after: Cursor | None = None,
        first: int = 100,
        at: int | None = None,
    ) -> Page:
        """One page of the entities of a class and its subclasses that meet every condition."""

    def count(self, cls: str, where: Sequence[Where] = (), at_most: int = PAGE_MAX, at: int | None = None) -> int:
        """How many entities `find` would give, counted no further than `at_most`."""

    def expand(
        self,
        ids: Sequence[str],
        relation: str,
        direction: Direction = Direction.OUT,
        where: Sequence[Where] = (),
        first: int = 100,
        at: int | None = None,
        after: str | None = None,
    ) -> dict[str, list[Edge]]:
        """For each id its edges of that name, ordered by far id, at most `first` each, starting after the far id `after`."""

    def relations(self, ids: Sequence[str], at: int | None = None, first: int = PAGE_MAX) -> dict[str, list[Relation]]:
        """For each id every relation that leaves or enters it, ordered by (name, source, target), at most `first` each."""

    def paths(
        self,
        source: str,
        target: str,
        relations: Sequence[str] = (),
        depth: int = 4,
        first: int = 10,
        at: int | None = None,
    ) -> list[list[Relation]]:
        """Shortest paths between two entities in either direction, over these relations (none: all), all of one length."""

    def history(self, id: str) -> list[Entity]:
        """Every version of an entity, oldest first, the closing one included."""

    def changes(self, after: int, first: int = PAGE_MAX) -> list[Change]:
        """The next changes after a position, in order, without gaps (I2)."""

    def changes_of(self, id: str, first: int = PAGE_MAX) -> list[Change]:
        """The newest changes whose subject or target is this id, newest first."""

    def causes(self, ids: Sequence[str]) -> dict[str, Cause]:
        """The causes with these ids."""

    def caused(self, cause: str, first: int = PAGE_MAX) -> list[Change]:
        """The changes that one cause made, in order."""

    def state(self, kind: str, keys: Sequence[str]) -> dict[str, State]:
        """These machine rows, by key."""

    def scan(
        self, kind: str, prefix: str = "", after: str = "", due: int | None = None, first: int = 100
    ) -> list[State]:
        """Machine rows of a kind in key order after a key; with `due`, those due at or before it, soonest first."""

    def search_text(self, query: str, classes: Sequence[str] = (), first: int = 50) -> list[tuple[str, float]]:
        """Ids of current entities whose searchable text matches, best first, with a score that falls."""

    def ledger(self, after: int = 0, first: int = PAGE_MAX) -> list[tuple[int, bytes]]:
        """Positions and stored leaf hashes, in order."""

    def verify(self, progress: "Progress | None" = None) -> int:
        """Recompute every leaf and the tree from the rows; returns the changes checked or raises LedgerError."""

    def close(self) -> None:
        """Release files and threads; later calls raise StoreError."""


class Progress(Protocol):
    """Told how far a long work is: done and total, in items."""

    def __call__(self, done: int, total: int) -> None:
        """Take note; must not raise."""
