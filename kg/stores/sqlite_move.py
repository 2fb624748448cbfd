"""A whole graph out of a SQLite store, and into an empty one.

Invariant: what leaves is one snapshot; what arrives is one transaction that is verified before it is committed, so a file that
contradicts itself leaves nothing behind.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from kg import ledger
from kg.errors import ArchiveError
from kg.store import Progress
from kg.stores.carried import Batch, Carried, Moves
from kg.stores.rows import HeadRow, StateRow
from kg.stores.sqlite_verify import CAUSES, CHANGES, Inputs, verify
from kg.stores.sqlite_write import frontier, head_row, save

#: Pages copied at once: 4 MiB.
PAGES: Final = 1_024
_STATES = "SELECT kind, key, revision, due, value FROM state ORDER BY kind, key"


def carried(connection: sqlite3.Connection, moves: Moves) -> Carried:
    """The graph as one snapshot of the connection has it."""
    head = head_row(connection)
    root = ledger.root_of(frontier(connection, head.position), head.position)
    states = (StateRow(*row) for row in connection.execute(_STATES) if moves(row[0], row[1]))
    return Carried(head, root, states, connection.execute(CAUSES), Inputs(connection).of, connection.execute(CHANGES))


def vacancy(connection: sqlite3.Connection) -> tuple[HeadRow, bool]:
    """The end of the log, and whether there are no machine rows."""
    return head_row(connection), connection.execute("SELECT 1 FROM state LIMIT 1").fetchone() is None


def receive(connection: sqlite3.Connection, batches: Iterator[Batch]) -> None:
    """Save batches inside a transaction, then verify the whole."""
    size = head_row(connection).position
    pending = frontier(connection, size)
    try:
        for batch in batches:
            nodes = ledger.append(pending, size, [change.leaf for change in batch.changes])
            save(connection, batch, nodes)
            size = batch.head.position
    except (sqlite3.IntegrityError, OverflowError) as error:
        raise ArchiveError(f"the archive contradicts itself ({error}); make it again with `noesis export`") from None
    verify(connection)


def back_up(connection: sqlite3.Connection, target: Path, progress: Progress | None) -> None:
    """Copy the database page by page as the connection's snapshot has it."""

    def told(_: int, left: int, total: int) -> None:
        if progress is not None:
            progress(total - left, total)

    # The snapshot stands still, so that SQLite need not begin again whenever a writer commits.
    connection.execute("SELECT position FROM head").fetchone()
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy, pages=PAGES, progress=told)
        copy.execute("PRAGMA journal_mode = DELETE")
