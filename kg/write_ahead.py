"""The write-ahead log of an SQLite file: switched on once, by whoever opens the file first.

Invariant: processes that open a file at once all get through. SQLite's busy handler does not wait where two that have begun to read
both go on to write, and the switch is that: one of them is refused at once. Chooses nothing else about a connection.
"""

import sqlite3
import time
from typing import Final

#: Seconds between two tries.
_WAIT: Final = 0.01


def write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers and one writer go on beside each other; raises OperationalError where others keep it from that too long."""
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_WAIT)


def is_ahead(connection: sqlite3.Connection) -> bool:
    """Whether the file has such a log already; a copy that `noesis backup` made has none."""
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")
