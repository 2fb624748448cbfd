"""The database file: how connections are opened, shared and closed, and how SQLite's errors become ours.

Invariant: one writing connection, used only under the FileLock; reading connections are lent to one thread at a time, each
read a snapshot. Every sqlite3 error that leaves a store passes `translated`.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kg.errors import (
    InputError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)
from kg.stores.sqlite_checkpoint import Checkpoints
from kg.stores.sqlite_lock import FileLock

#: The first SQLite with STRICT tables.
SQLITE_MIN: Final = (3, 37, 0)
#: Reading connections kept open while idle.
IDLE_MAX: Final = 32
#: Seconds to wait for the turn to write, and for a foreign program that holds the database.
PATIENCE: Final = 30.0
PAGE_CACHE_KIB: Final = 65_536
#: Pages in the log after which a commit moves them itself: the bound of the log where the checkpoints beside it do not keep up.
CHECKPOINT_PAGES: Final = 16_000

_ERRORS: Final[dict[int, type[StoreError]]] = {
    sqlite3.SQLITE_BUSY: StoreBusyError,
    sqlite3.SQLITE_LOCKED: StoreBusyError,
    sqlite3.SQLITE_READONLY: StoreReadOnlyError,
    sqlite3.SQLITE_CANTOPEN: StoreReadOnlyError,
    sqlite3.SQLITE_PERM: StoreReadOnlyError,
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_CORRUPT: StoreCorruptError,
    sqlite3.SQLITE_NOTADB: StoreCorruptError,
}


def engine() -> str:
    """The version of SQLite that this Python was built with."""
    return sqlite3.sqlite_version


@contextmanager
def translated() -> Iterator[None]:
    """Turn sqlite3 errors into errors of `kg.errors`, one sentence each."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(error) from error


def meaning(error: sqlite3.Error) -> Exception:
    """Our error for one of sqlite3's."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreError("the store is closed; open it again")
    if code is None:
        return StoreError(f"the store cannot serve ({error}); run `noesis doctor`")
    if code & 0xFF == sqlite3.SQLITE_TOOBIG:
        return InputError("a value is larger than the store can hold; keep it outside and store a link")
    kind = _ERRORS.get(code & 0xFF)
    return kind() if kind else StoreError(f"the store cannot serve ({error}); run `noesis doctor`")


class Database:
    """One SQLite file with its lock, its writing connection and its reading connections."""

    def __init__(self, path: Path, durable: bool, patience: float = PATIENCE) -> None:
        if sqlite3.sqlite_version_info < SQLITE_MIN:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; use a Python built with 3.37 or later")
        self.path = path
        self._durable = durable
        self.patience = patience
        self._lock = FileLock(path.with_name(path.name + ".lock"), patience)
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        self._checkpoints = Checkpoints(self._mover, self._lock.held)

    def _mover(self) -> sqlite3.Connection:
        """A connection for checkpoints, as careful about fsync as the writer's."""
        connection = self._connect(write=False)
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'OFF'}")
        return connection

    def _connect(self, write: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self.patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if write:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'OFF'}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        else:
            connection.execute("PRAGMA query_only = ON")
        return connection

    @contextmanager
    def writing(self, urgent: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction in the writer's turn, the next where urgent: committed after the block, rolled back on any error."""
        self._check()
        with translated(), self._lock.held(urgent):
            self._check()
            if self._writer is None:
                self._writer = self._connect(write=True)
            connection = self._writer
            before = connection.total_changes
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            rows = connection.total_changes - before
        self._checkpoints.wrote(rows)

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The writing connection in the writer's turn, outside a transaction (migrations, journal mode)."""
        with translated(), self._lock.held():
            if self._writer is None:
                self._writer = self._connect(write=True)
            yield self._writer

    @contextmanager
    def reading(self, snapshot: bool = False) -> Iterator[sqlite3.Connection]:
        """A reading connection; with `snapshot` all statements of the block see one state of the graph."""
        self._check()
        with translated():
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect(write=False)
            try:
                if snapshot:
                    connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            if not self._closed and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _check(self) -> None:
        if self._closed:
            raise StoreError("the store is closed; open it again")

    def close(self) -> None:
        """Close every idle connection now and the others when they come back."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        self._checkpoints.close()
        for connection in idle:
            connection.close()
        with self._lock.held():
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._lock.close()
