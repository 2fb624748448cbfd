"""Outbox in an SQLite file: see `coordination.effectors.sql` for what it promises."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from coordination.effectors.sql import CREATE, Order, told, unless_other
from coordination.errors import GiveUp, RetryLater
from kg.values import Json, canonical

_ASK = "SELECT receipt FROM noesis_outbox WHERE key = ?"
_ENTER = "INSERT INTO noesis_outbox VALUES (?, ?, ?, ?, '{}') ON CONFLICT (key) DO NOTHING"
_SAY = "UPDATE noesis_outbox SET receipt = ? WHERE key = ?"


@dataclass(frozen=True, slots=True)
class SqliteOutbox:
    """A database file that is there already; `seconds` bounds the wait for its lock."""

    path: Path
    seconds: float = 5.0

    def perform(self, order: Order) -> Mapping[str, Json]:
        """Do it with its key in one transaction, or give the receipt of then."""
        with closing(self._open()) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return self._once(connection, order)
            except GiveUp:
                connection.rollback()
                raise
            except sqlite3.OperationalError as error:
                # Before COMMIT nothing is written; what cannot be begun or locked may be tried again.
                connection.rollback()
                if "locked" in str(error) or "busy" in str(error):
                    raise RetryLater(f"{self.path.name} is locked: {error}") from error
                raise GiveUp(f"{self.path.name} refuses the statement: {error}") from error
            except sqlite3.Error as error:
                connection.rollback()
                raise GiveUp(f"{self.path.name} refuses the values: {error}") from error

    def look_up(self, key: str) -> Mapping[str, Json] | None:
        """The receipt under this key."""
        try:
            with closing(self._open()) as connection:
                connection.execute(CREATE)
                row = connection.execute(_ASK, (key,)).fetchone()
        except sqlite3.Error as error:
            raise RetryLater(f"{self.path.name} cannot be asked: {error}") from error
        return None if row is None else dict(json.loads(row[0]))

    def _once(self, connection: sqlite3.Connection, order: Order) -> Mapping[str, Json]:
        connection.execute(CREATE)
        # INVARIANT I3: the key goes first, so of several that perform the same order one changes anything.
        if not connection.execute(_ENTER, (order.key, order.effect, order.operation, order.intended)).rowcount:
            row = connection.execute(_ASK, (order.key,)).fetchone()
            connection.rollback()
            return dict(json.loads(row[0]))
        rows, returned = 0, {}
        for statement in order.statements:
            cursor = connection.execute(statement, order.parameters)
            first = cursor.fetchone() if cursor.description else None
            if first is not None:
                returned = dict(zip((column[0] for column in cursor.description), first, strict=True))
                cursor.fetchall()
            rows += max(0, cursor.rowcount)
        unless_other(order, rows)
        said = told(rows, returned)
        connection.execute(_SAY, (canonical(said), order.key))
        connection.execute("COMMIT")
        return said

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"file:{self.path}?mode=rw",
                uri=True,
                timeout=self.seconds,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise RetryLater(f"{self.path.name} cannot be opened: {error}; check the path") from error
