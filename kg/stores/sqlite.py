"""The embedded GraphStore: one SQLite file in WAL mode, safe for many threads and processes on one machine.

Invariants I1, I2, I3 and I7 are held in the planning and writing of commits; this facade lends connections, bounds the
turn to write and translates errors. It does not group the commits of several threads: that is the Committer's part.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from kg import ledger
from kg.clock import Clock
from kg.errors import StoreError
from kg.evidence import Forgetting, Forgotten, Node, Opening, Revise
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
from kg.store import PAGE_MAX, Head, Progress, Request, Schema
from kg.stores import sqlite_evidence as evidence
from kg.stores import sqlite_graph as graph
from kg.stores import sqlite_move as move
from kg.stores import sqlite_read as read
from kg.stores import sqlite_text as text
from kg.stores.carried import Batch, Carried, Moves
from kg.stores.prepare import Prepared, prepare
from kg.stores.rows import HeadRow, at_time
from kg.stores.sqlite_file import PATIENCE, Database, translated
from kg.stores.sqlite_index import ensure_indexes
from kg.stores.sqlite_migrate import migrate
from kg.stores.sqlite_verify import verify
from kg.stores.sqlite_write import Frontier, frontier, head_row, write
from kg.values import instant


class SqliteStore:
    """Port GraphStore over one SQLite file; `durable=False` gives up fsync and is for tests only."""

    def __init__(
        self, path: Path | str, schema: Schema, clock: Clock, *, durable: bool = True, patience: float = PATIENCE
    ) -> None:
        self.schema = schema
        self._clock = clock
        with translated():
            self._database = Database(Path(path), durable, patience)
            try:
                migrate(self._database)
            except BaseException:
                self._database.close()
                raise
        self._frontier: Frontier | None = None
        self._indexed: set[str] | None = None

    def use(self, schema: Schema) -> None:
        """Take another ontology from now on; the indexes follow with the next commit."""
        self.schema = schema
        self._indexed = None

    def commit(
        self,
        writes: Sequence[Write],
        cause: Cause | None,
        expects: Mapping[str, int] | None = None,
        state: Sequence[StateWrite] = (),
    ) -> Commit:
        """Write facts with their cause, and state rows, in one transaction or not at all."""
        outcome = self.commit_many([Request(writes, cause, expects or {}, state)])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
        """Commit several requests in order in one transaction, each with its own result."""
        results: list[Commit | Exception | None] = [None] * len(requests)
        batch: list[Prepared] = []
        places: list[int] = []
        for place, request in enumerate(requests):
            try:
                batch.append(prepare(request))
                places.append(place)
            except Exception as error:
                results[place] = error
        if batch:
            urgent = any(request.urgent for request in requests)
            for place, outcome in zip(places, self._write(batch, urgent), strict=True):
                results[place] = outcome
        return [result for result in results if result is not None]

    def _write(self, batch: Sequence[Prepared], urgent: bool) -> list[Commit | Exception]:
        schema = self.schema
        with self._database.writing(urgent) as connection:
            known, self._frontier = self._frontier, None
            classes = ensure_indexes(connection, schema, self._indexed, batch)
            results, edge = write(connection, batch, schema, self._clock, known)
        # Only what is committed may be remembered, and only in the order of commits.
        self._remember(edge, schema, classes)
        return results

    def _remember(self, edge: Frontier, schema: Schema, classes: set[str]) -> None:
        known = self._frontier
        if known is None or known[0] < edge[0]:
            self._frontier = edge
        if self.schema is schema:
            self._indexed = classes

    def head(self) -> Head:
        """The end of the log as committed."""
        with self._database.reading(snapshot=True) as connection:
            row = head_row(connection)
            root = ledger.root_of(frontier(connection, row.position), row.position)
        return Head(row.position, at_time(row.at) if row.at else None, root)

    def position_at(self, instant_: datetime) -> int:
        """The last position committed at or before the instant."""
        sql = "SELECT last FROM cause WHERE at <= ? AND last >= first ORDER BY at DESC, last DESC LIMIT 1"
        row = self._one(sql, instant(instant_))
        return int(row[0]) if row else 0

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        with self._database.reading() as connection:
            row: tuple[Any, ...] | None = connection.execute(sql, values).fetchone()
        return row

    def get(self, ids: Sequence[str], at: int | None = None) -> dict[str, Entity]:
        """The entities with these ids at a position, closed ones left out."""
        with self._database.reading() as connection:
            return read.get(connection, ids, at)

    def versions(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
        """These exact versions, closed ones included."""
        with self._database.reading() as connection:
            return read.versions(connection, wanted)

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
        with self._database.reading(snapshot=True) as connection:
            moment = read.moment(connection, at)
            return read.find(connection, self.schema, cls, where, order or Order(), after, first, moment)

    def count(self, cls: str, where: Sequence[Where] = (), at_most: int = PAGE_MAX, at: int | None = None) -> int:
        """How many entities `find` would give, counted no further than `at_most`."""
        with self._database.reading(snapshot=at is not None) as connection:
            return read.count(connection, self.schema, cls, where, at_most, read.moment(connection, at))

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
        """For each id its edges of that name, ordered by far id."""
        with self._database.reading(snapshot=len(ids) > 1 or at is not None) as connection:
            moment = read.moment(connection, at)
            return graph.expand(connection, ids, relation, direction, where, first, moment, after)

    def relations(self, ids: Sequence[str], at: int | None = None, first: int = PAGE_MAX) -> dict[str, list[Relation]]:
        """For each id every relation that leaves or enters it."""
        with self._database.reading(snapshot=len(ids) > 1) as connection:
            return graph.relations(connection, ids, at, first)

    def paths(
        self,
        source: str,
        target: str,
        relations: Sequence[str] = (),
        depth: int = 4,
        first: int = 10,
        at: int | None = None,
    ) -> list[list[Relation]]:
        """Shortest paths between two entities in either direction."""
        with self._database.reading(snapshot=True) as connection:
            return graph.paths(connection, source, target, relations, depth, first, at)

    def history(self, id: str) -> list[Entity]:
        """Every version of an entity, oldest first."""
        with self._database.reading() as connection:
            return read.history(connection, id)

    def changes(self, after: int, first: int = PAGE_MAX) -> list[Change]:
        """The next changes after a position, in order, without gaps."""
        # INVARIANT I2: positions appear only with their whole commit, in order, so none can be skipped.
        with self._database.reading() as connection:
            return read.changes(connection, after, first)

    def changes_of(self, id: str, first: int = PAGE_MAX) -> list[Change]:
        """The newest changes whose subject or target is this id."""
        with self._database.reading() as connection:
            return read.changes_of(connection, id, first)

    def causes(self, ids: Sequence[str]) -> dict[str, Cause]:
        """The causes with these ids."""
        with self._database.reading(snapshot=True) as connection:
            return read.causes(connection, ids)

    def caused(self, cause: str, first: int = PAGE_MAX) -> list[Change]:
        """The changes that one cause made, in order."""
        with self._database.reading() as connection:
            return read.caused(connection, cause, first)

    def state(self, kind: str, keys: Sequence[str]) -> dict[str, State]:
        """These machine rows, by key."""
        with self._database.reading() as connection:
            return read.state(connection, kind, keys)

    def scan(
        self, kind: str, prefix: str = "", after: str = "", due: int | None = None, first: int = 100
    ) -> list[State]:
        """Machine rows of a kind in key order, or those due, soonest first."""
        with self._database.reading() as connection:
            return read.scan(connection, kind, prefix, after, due, first)

    def search_text(self, query: str, classes: Sequence[str] = (), first: int = 50) -> list[tuple[str, float]]:
        """Ids of current entities whose searchable text matches, best first."""
        text.catch_up(self._database, self.schema)
        with self._database.reading() as connection:
            return text.search(connection, query, classes, first)

    def ledger(self, after: int = 0, first: int = PAGE_MAX) -> list[tuple[int, bytes]]:
        """Positions and stored leaf hashes, in order."""
        with self._database.reading() as connection:
            return read.leaves(connection, after, first)

    def verify(self, progress: Progress | None = None) -> int:
        """Recompute every leaf and the tree from the rows; raises LedgerError at the first that differs."""
        with self._database.reading(snapshot=True) as connection:
            return verify(connection, progress)

    @contextmanager
    def carry(self, moves: Moves) -> Iterator[Carried]:
        """One snapshot of the whole graph."""
        with self._database.reading(snapshot=True) as connection:
            yield move.carried(connection, moves)

    def vacancy(self) -> tuple[HeadRow, bool]:
        """The end of the log, and whether there are no machine rows."""
        with self._database.reading(snapshot=True) as connection:
            return move.vacancy(connection)

    def receive(self, batches: Iterator[Batch]) -> None:
        """Take in a whole graph in one transaction, or nothing."""
        with self._database.writing() as connection:
            self._frontier, self._indexed = None, None
            move.receive(connection, batches)

    def back_up(self, target: Path, progress: Progress | None = None) -> None:
        """Copy the database as it is now to another file, while writers go on."""
        with self._database.reading(snapshot=True) as connection:
            move.back_up(connection, target, progress)

    def nodes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        """The roots of these complete subtrees of the ledger."""
        with self._database.reading() as connection:
            return evidence.nodes(connection, wanted)

    def openings(self, positions: Sequence[int]) -> list[Opening]:
        """The changes at these positions with what opens them."""
        with self._database.reading(snapshot=True) as connection:
            return evidence.openings(connection, positions)

    def forget(
        self, forgetting: Forgetting, revise: Revise, record: Callable[[Forgotten], Request]
    ) -> tuple[Forgotten, Commit]:
        """Erase and record it in one transaction, then empty the write-ahead log."""
        return evidence.forget(self._database, self.schema, self._clock, forgetting, revise, record)

    def residue(self, texts: Sequence[str]) -> list[str]:
        """The files of this store that still hold one of these texts."""
        return evidence.residue(self._database.path, texts)

    def close(self) -> None:
        """Release files and threads."""
        try:
            self._database.close()
        except sqlite3.Error as error:
            raise StoreError(f"the store could not be closed cleanly ({error}); run `noesis doctor`") from error
