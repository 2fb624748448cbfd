"""The GraphStore on a Neo4j server, Community or Enterprise, 5.26 and later; safe for many threads, processes and machines.

Invariants I1, I2, I3 and I7 are held in the planning and writing of commits; this facade lends transactions, settles what a
broken connection left open and knows up to where the log is whole. It does not group the commits of several threads:
that is the Committer's part.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kg import ledger
from kg.clock import Clock
from kg.errors import StoreBusyError, StoreError
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
from kg.stores import neo4j_evidence as evidence
from kg.stores import neo4j_graph as graph
from kg.stores import neo4j_labels as labels
from kg.stores import neo4j_move as move
from kg.stores import neo4j_read as read
from kg.stores import neo4j_text as text
from kg.stores.carried import Batch, Carried, Moves
from kg.stores.keys import searchable
from kg.stores.neo4j_migrate import migrate
from kg.stores.neo4j_queries import query, quoted
from kg.stores.neo4j_server import PATIENCE, TRIES_MAX, Server, UnsureError, fetch
from kg.stores.neo4j_verify import verify
from kg.stores.neo4j_write import Frontier, frontier, head_row, indexed, write
from kg.stores.prepare import Prepared, prepare
from kg.stores.rows import HeadRow, at_time
from kg.values import instant

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

#: Seconds that a reader at the end of the log waits for a commit that is being made visible.
SETTLE_SECONDS: Final = 1.0


class Neo4jStore:
    """Port GraphStore over one database of a Neo4j server."""

    def __init__(
        self,
        url: str,
        schema: Schema,
        clock: Clock,
        *,
        user: str = "neo4j",
        password: str,
        database: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.schema = schema
        self._clock = clock
        self._server = Server(url, user, password, database, patience)
        self._turn = threading.Lock()
        try:
            migrate(self._server)
            ((self._writer,),) = self._server.rows("RETURN randomUUID()")
        except BaseException:
            self._server.close()
            raise
        self._token = 0
        self._frontier: Frontier | None = None
        self._indexed: set[str] = set()
        #: Whether every entity has the labels that this ontology gives its class.
        self._labelled = False
        #: The ledger's root at a position; what is committed never changes.
        self._root: tuple[int, bytes] = (-1, b"")
        #: Every commit up to here is wholly visible to readers.
        self._settled = 0

    def use(self, schema: Schema) -> None:
        """Take another ontology from now on; the indexes follow with the next commit."""
        self.schema = schema
        self._labelled = False

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
            for place, outcome in zip(places, self._write(batch), strict=True):
                results[place] = outcome
        return [result for result in results if result is not None]

    def _write(self, batch: Sequence[Prepared]) -> list[Commit | Exception]:
        if not self._turn.acquire(timeout=self._server.patience):
            raise StoreBusyError
        try:
            self._ensure_labels()
            self._ensure_indexes(batch)
            return self._settle(batch)
        finally:
            self._turn.release()

    def _settle(self, batch: Sequence[Prepared]) -> list[Commit | Exception]:
        """Commit a batch once, also where the connection breaks while the server confirms it."""
        schema, known, self._frontier = self.schema, self._frontier, None
        self._token += 1
        receipt = {"writer": self._writer, "token": self._token}
        last: list[tuple[list[Commit | Exception], int, Frontier | None]] = []

        def work(tx: "ManagedTransaction") -> None:
            last[:] = [write(tx, batch, schema, self._clock, known, receipt)]

        for _ in range(TRIES_MAX):
            try:
                self._server.write(work)
            except UnsureError as unsure:
                if not self._received(unsure):
                    continue
            results, position, self._frontier = last[0]
            self._settled = max(self._settled, position)
            return results
        raise UnsureError

    def _received(self, unsure: UnsureError) -> bool:
        """Whether the last commit of this store was done, asked under the lock, so that none is still under way.

        Raises the error given where the server cannot say either.
        """

        def ask(tx: "ManagedTransaction") -> list[list[Any]]:
            fetch(tx, query("lock"), {"token": 0})
            return fetch(tx, query("received"), {"writer": self._writer})

        try:
            return self._server.write(ask) == [[self._token]]
        except StoreError as error:
            raise unsure from error

    def _ensure_labels(self) -> None:
        if not self._labelled:
            labels.refresh(self._server, self.schema)
            self._labelled = True

    def _ensure_indexes(self, batch: Sequence[Prepared]) -> None:
        for name in sorted(indexed(self.schema, batch) - self._indexed):
            column, title = quoted("~" + searchable(name)), quoted(f"find {name}")
            self._server.define(f"CREATE INDEX {title} IF NOT EXISTS FOR (n:Current) ON (n.cls, n.{column}, n.subject)")
            self._indexed.add(name)

    def _whole(self, position: int) -> bool:
        """Whether every commit up to this position is visible whole; waits for one that is just being made so.

        The server shows a commit piece by piece but keeps its locks until the last piece, so whoever gets the lock of
        the head once knows that all before is there.
        """
        if position <= self._settled:
            return True
        try:
            with self._server.attempt(SETTLE_SECONDS) as transaction:
                fetch(transaction, query("lock"), {"token": 0})
                ((found, _),) = fetch(transaction, query("tail"))
        except StoreError:
            return False
        self._settled = max(self._settled, found)
        return position <= self._settled

    def head(self) -> Head:
        """The end of the log as committed."""

        row = self._server.read(head_row)
        if row.position > self._settled:
            self._whole(row.position)
            row = self._server.read(head_row)
        known, root = self._root
        if known != row.position:
            root = self._server.read(lambda tx: ledger.root_of(frontier(tx, row.position), row.position))
            self._root = row.position, root
        return Head(row.position, at_time(row.at) if row.at else None, root)

    def position_at(self, instant_: datetime) -> int:
        """The last position committed at or before the instant."""
        found = self._server.rows(query("position_at"), at=instant(instant_))
        return int(found[0][0]) if found else 0

    def get(self, ids: Sequence[str], at: int | None = None) -> dict[str, Entity]:
        """The entities with these ids at a position, closed ones left out."""
        return self._server.read(lambda tx: read.get(tx, ids, at))

    def versions(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
        """These exact versions, closed ones included."""
        return self._server.read(lambda tx: read.versions(tx, wanted))

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
        return self._server.read(lambda tx: read.find(tx, self.schema, cls, where, order or Order(), after, first, at))

    def count(self, cls: str, where: Sequence[Where] = (), at_most: int = PAGE_MAX, at: int | None = None) -> int:
        """How many entities `find` would give, counted no further than `at_most`."""
        return self._server.read(lambda tx: read.count(tx, self.schema, cls, where, at_most, at))

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
        return self._server.read(lambda tx: graph.expand(tx, ids, relation, direction, where, first, at, after))

    def relations(self, ids: Sequence[str], at: int | None = None, first: int = PAGE_MAX) -> dict[str, list[Relation]]:
        """For each id every relation that leaves or enters it."""
        return self._server.read(lambda tx: graph.relations(tx, ids, at, first))

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
        return self._server.read(lambda tx: graph.paths(tx, source, target, relations, depth, first, at))

    def history(self, id: str) -> list[Entity]:
        """Every version of an entity, oldest first."""
        return self._server.read(lambda tx: read.history(tx, id))

    def changes(self, after: int, first: int = PAGE_MAX) -> list[Change]:
        """The next changes after a position, in order, without gaps."""
        # INVARIANT I2: what is not yet visible whole is not given, so a reader goes on where it stopped and skips nothing.
        found, position, settled = self._server.read(lambda tx: read.changes(tx, after, first))
        if min(position, after + first) <= self._settled and len(found) == min(position, after + first) - after:
            return found
        whole, size = self._whole(position), min(first, max(position - after, 0))
        found, _, _ = self._server.read(lambda tx: read.changes(tx, after, size))
        if whole or len(found) == size:
            # Where the lock did not come, another writer has it: what was there long before is there whole.
            self._settled = max(self._settled, position)
            return found
        return [change for change in found if change.position <= max(settled, self._settled)]

    def changes_of(self, id: str, first: int = PAGE_MAX) -> list[Change]:
        """The newest changes whose subject or target is this id."""
        return self._server.read(lambda tx: read.changes_of(tx, id, first))

    def causes(self, ids: Sequence[str]) -> dict[str, Cause]:
        """The causes with these ids."""
        return self._server.read(lambda tx: read.causes(tx, ids))

    def caused(self, cause: str, first: int = PAGE_MAX) -> list[Change]:
        """The changes that one cause made, in order."""
        return self._server.read(lambda tx: read.caused(tx, cause, first))

    def state(self, kind: str, keys: Sequence[str]) -> dict[str, State]:
        """These machine rows, by key."""
        return self._server.read(lambda tx: read.state(tx, kind, keys))

    def scan(
        self, kind: str, prefix: str = "", after: str = "", due: int | None = None, first: int = 100
    ) -> list[State]:
        """Machine rows of a kind in key order, or those due, soonest first."""
        return self._server.read(lambda tx: read.scan(tx, kind, prefix, after, due, first))

    def search_text(self, query: str, classes: Sequence[str] = (), first: int = 50) -> list[tuple[str, float]]:
        """Ids of current entities whose searchable text matches, best first."""
        text.refresh(self._server, self.schema)
        return text.search(self._server, query, classes, first)

    def ledger(self, after: int = 0, first: int = PAGE_MAX) -> list[tuple[int, bytes]]:
        """Positions and stored leaf hashes, in order."""
        return self._server.read(lambda tx: read.leaves(tx, after, first))

    def verify(self, progress: Progress | None = None) -> int:
        """Recompute every leaf, the tree and what people see from the rows; raises LedgerError at the first that differs."""
        labels.refresh(self._server, self.schema)
        return self._server.long_read(lambda tx: verify(tx, self.schema, progress))

    @contextmanager
    def carry(self, moves: Moves) -> Iterator[Carried]:
        """The graph up to one position with the machine rows of that moment."""
        with self._server.attempt(move.LOCK_SECONDS) as transaction:
            yield move.Leaving(self._server, transaction, moves).carried()

    def vacancy(self) -> tuple[HeadRow, bool]:
        """The end of the log, and whether there are no machine rows."""
        return self._server.read(move.vacancy)

    def receive(self, batches: Iterator[Batch]) -> None:
        """Take in a whole graph batch by batch."""
        with self._turn:
            self._frontier = None
            move.receive(self._server, self.schema, batches)

    def nodes(self, wanted: Sequence[Node]) -> dict[Node, bytes]:
        """The roots of these complete subtrees of the ledger."""
        return self._server.write(lambda tx: evidence.nodes(tx, wanted))

    def openings(self, positions: Sequence[int]) -> list[Opening]:
        """The changes at these positions with what opens them."""
        return self._server.write(lambda tx: evidence.openings(tx, positions))

    def forget(
        self, forgetting: Forgetting, revise: Revise, record: Callable[[Forgotten], Request]
    ) -> tuple[Forgotten, Commit]:
        """Erase and record it in one transaction."""
        if not self._turn.acquire(timeout=self._server.patience):
            raise StoreBusyError
        try:
            self._frontier, self._token = None, self._token + 1
            receipt = {"writer": self._writer, "token": self._token}
            return self._server.write(
                lambda tx: evidence.forget(tx, self.schema, self._clock, forgetting, revise, record, receipt)
            )
        finally:
            self._turn.release()

    def residue(self, texts: Sequence[str]) -> list[str]:
        """Nothing: the server's files are not ours to read."""
        del texts
        return []

    def close(self) -> None:
        """Close every connection."""
        try:
            self._server.write(lambda tx: fetch(tx, query("forget_writer"), {"writer": self._writer}))
        except StoreError:
            # Closed before, or the server is away: a receipt more in the graph does no harm.
            pass
        finally:
            self._server.close()
