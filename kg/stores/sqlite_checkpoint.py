"""Checkpoints of the write-ahead log beside the writers: what was committed is moved into the database file outside the turn.

Invariant: no writer waits for more than the last pages of a checkpoint; SQLite's own, inside a commit, kept everybody waiting for
all of them (4,000 pages: a sixth of a second). Loses nothing where it fails: what stands in the log is as durable as in the file.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Final

from kg.errors import StoreError

#: Rows that this process wrote since its last checkpoint, after which it begins one.
CHECKPOINT_ROWS: Final = 4_000
#: Passes beside the writers at most, and pages that may be left for the pass in the turn.
PASSES_MAX: Final = 3
REST_PAGES: Final = 100
_MOVE: Final = "PRAGMA wal_checkpoint(PASSIVE)"
_log = logging.getLogger(__name__)


class Checkpoints:
    """Begins a checkpoint in a thread of its own after enough was written, one at a time."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], turn: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connect, self._turn = connect, turn
        self._guard = threading.Lock()
        self._rows = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def wrote(self, rows: int) -> None:
        """So many rows were committed; called outside the turn."""
        with self._guard:
            self._rows += rows
            under_way = self._thread is not None and self._thread.is_alive()
            if self._rows < CHECKPOINT_ROWS or under_way or self._closed:
                return
            thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # What was committed stays committed; SQLite's own checkpoint comes at its bound.
                _log.warning("a checkpoint of the store could not begin: %r", error)
                return
            self._rows, self._thread = 0, thread

    def close(self) -> None:
        """Begin no more, and wait for the one under way."""
        with self._guard:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            with closing(self._connect()) as connection:
                for _ in range(PASSES_MAX):
                    _, pages, moved = connection.execute(_MOVE).fetchone()
                    if pages - moved <= REST_PAGES:
                        break
                # While writers go on there is always a rest, and a log that is never whole in the file never begins anew.
                with self._turn():
                    connection.execute(_MOVE)
        except (sqlite3.Error, StoreError, OSError) as error:
            _log.warning("a checkpoint of the store failed, the next one will do its part: %r", error)
