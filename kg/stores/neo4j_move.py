"""A whole graph out of a Neo4j store, and into an empty one.

Invariant: what leaves is the log up to one position, which never changes, and the machine rows of that same moment, read under
the lock of the head. What arrives is saved in batches, each a transaction; it is verified before the batch that ends it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from kg import ledger
from kg.errors import ArchiveError, ConflictError, LedgerError, StoreCorruptError
from kg.store import Schema
from kg.stores.carried import Batch, Carried, Moves
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import TRIES_MAX, Asking, Server, UnsureError, fetch
from kg.stores.neo4j_verify import change_row, verify
from kg.stores.neo4j_write import frontier, head_row, save
from kg.stores.rows import HeadRow, StateRow

if TYPE_CHECKING:
    from neo4j import ManagedTransaction, Transaction

#: Rows read at once.
PAGE: Final = 2_000
#: Seconds for all machine rows, while writers wait.
LOCK_SECONDS: Final = 300.0
_NODES: Final = (
    "MATCH (n) WHERE NOT n:Migration AND NOT n:Head CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"
)
_HEAD: Final = (
    "MATCH (h:Head {one: 1}) SET h.position = 0, h.settled = 0, h.causes = 0, h.at = null, h.seal = $seal RETURN h.one"
)


class Leaving:
    """Reads one state of the graph, the machine rows first and in one transaction."""

    def __init__(self, server: Server, transaction: "Transaction", moves: Moves) -> None:
        fetch(transaction, query("lock"), {"token": 0})
        self._server = server
        self._transaction = transaction
        self._moves = moves
        self._head = head_row(transaction)
        self._inputs: list[tuple[str, int]] = []

    def carried(self) -> Carried:
        """What moves."""
        position = self._head.position
        root = ledger.root_of(frontier(self._transaction, position), position)
        return Carried(self._head, root, self._states(), self._causes(), lambda _: self._inputs, self._changes())

    def _states(self) -> Iterator[StateRow]:
        kind = ""
        while found := fetch(self._transaction, query("carried_kinds"), {"after": kind}):
            kind, key = found[0][0], ""
            while page := fetch(
                self._transaction, query("carried_states"), {"kind": kind, "after": key, "first": PAGE}
            ):
                key = page[-1][1]
                yield from (StateRow(*row) for row in page if self._moves(row[0], row[1]))
        # Writers go on from here: what is behind the head is not read.
        self._transaction.rollback()

    def _causes(self) -> Iterator[tuple[Any, ...]]:
        after, last = 0, self._head.causes
        while page := self._server.rows(query("carried_causes"), after=after, last=last, first=PAGE):
            after = page[-1][0]
            for row in page:
                self._inputs = list(zip(row[13], row[14], strict=True))
                yield (*row[:10], bytes(row[10]), row[11], bytes(row[12]), row[15])

    def _changes(self) -> Iterator[tuple[Any, ...]]:
        after, last = 0, self._head.position
        while page := self._server.rows(query("carried_changes"), after=after, last=last, first=PAGE):
            for node, labels in page:
                after = node["position"]
                yield change_row(node, set(labels))


def vacancy(tx: Asking) -> tuple[HeadRow, bool]:
    """The end of the log, and whether there are no machine rows."""
    return head_row(tx), not fetch(tx, query("carried_kinds"), {"after": ""})


def receive(server: Server, schema: Schema, batches: Iterator[Batch]) -> None:
    """Save batches, each in a transaction; empties the graph again where they contradict themselves."""
    waiting: Batch | None = None
    try:
        for batch in batches:
            if waiting is not None:
                _save(server, schema, waiting)
            waiting = batch
        server.long_read(lambda tx: verify(tx, schema))
    except StoreCorruptError:
        _clear(server)
        raise ArchiveError("the archive contradicts itself; make it again with `noesis export`") from None
    except (ArchiveError, LedgerError):
        _clear(server)
        raise
    if waiting is not None:
        _save(server, schema, waiting)


def _save(server: Server, schema: Schema, batch: Batch) -> None:
    def work(tx: "ManagedTransaction") -> None:
        fetch(tx, query("lock"), {"token": 0})
        head = head_row(tx)
        if head.causes >= batch.head.causes and batch.causes:
            # Done before, and its answer was lost.
            return
        if head.causes != batch.head.causes - len(batch.causes):
            raise ConflictError("somebody else wrote to the graph during the import; empty it and import again")
        start = head.position
        nodes = ledger.append(frontier(tx, start), start, [change.leaf for change in batch.changes])
        save(tx, batch, nodes, schema)

    for _ in range(TRIES_MAX):
        try:
            return server.write(work)
        except UnsureError:
            continue
    raise UnsureError


def _clear(server: Server) -> None:
    server.define(_NODES)
    server.define(_HEAD, seal=b"\0" * 32)
