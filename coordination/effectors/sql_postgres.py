"""Outbox in a PostgreSQL database: see `coordination.effectors.sql` for what it promises. Alone imports psycopg."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coordination.effectors.sql import CREATE, TABLE, Order, percent, told, unless_other
from coordination.errors import EffectorError, GiveUp, RetryLater
from kg.values import Json, canonical

# One at a time: two that create a table at once both pass IF NOT EXISTS, and the server then refuses one of them.
_TURN = "SELECT pg_advisory_xact_lock(hashtext(%s))"
_ASK = "SELECT receipt FROM noesis_outbox WHERE key = %s"
_ENTER = "INSERT INTO noesis_outbox VALUES (%s, %s, %s, %s, '{}') ON CONFLICT (key) DO NOTHING"
_SAY = "UPDATE noesis_outbox SET receipt = %s WHERE key = %s"


@dataclass(frozen=True, slots=True)
class PostgresOutbox:
    """A database by its address; `seconds` bounds connecting and each statement."""

    url: str
    seconds: float = 10.0

    def __repr__(self) -> str:
        return "PostgresOutbox(…)"

    def perform(self, order: Order) -> Mapping[str, Json]:
        """Do it with its key in one transaction, or give the receipt of then."""
        import psycopg

        connection = self._open()
        committing = False
        try:
            said, fresh = self._once(connection, order)
            committing = fresh
            connection.commit() if fresh else connection.rollback()
        except GiveUp:
            connection.rollback()
            raise
        except (psycopg.OperationalError, psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject) as error:
            if committing:
                raise EffectorError(
                    f"the connection was lost at the commit ({_said(error)}); it is looked up by key"
                ) from error
            if not isinstance(error, psycopg.OperationalError) and TABLE not in str(error):
                raise GiveUp(f"the database refuses the values: {_said(error)}") from error
            raise RetryLater(f"the database did not take it now: {_said(error)}") from error
        except psycopg.Error as error:
            raise GiveUp(f"the database refuses it: {_said(error)}") from error
        finally:
            connection.close()
        return said

    def look_up(self, key: str) -> Mapping[str, Json] | None:
        """The receipt under this key."""
        import psycopg

        connection = self._open()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s)", (TABLE,))
                if (cursor.fetchone() or (None,))[0] is None:
                    return None
                cursor.execute(_ASK, (key,))
                row = cursor.fetchone()
        except psycopg.Error as error:
            raise RetryLater(f"the database cannot be asked: {_said(error)}") from error
        finally:
            connection.close()
        return None if row is None else dict(json.loads(row[0]))

    def _once(self, connection: Any, order: Order) -> tuple[Mapping[str, Json], bool]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", (TABLE,))
            if cursor.fetchone()[0] is None:
                cursor.execute(_TURN, (TABLE,))
                cursor.execute(CREATE)
            # INVARIANT I3: the key goes first; whoever brings the same key at the same time waits here for this commit.
            cursor.execute(_ENTER, (order.key, order.effect, order.operation, order.intended))
            if not cursor.rowcount:
                cursor.execute(_ASK, (order.key,))
                return dict(json.loads(cursor.fetchone()[0])), False
            rows, returned = 0, {}
            for statement in order.statements:
                cursor.execute(percent(statement), order.parameters)
                first = cursor.fetchone() if cursor.description else None
                if first is not None:
                    returned = dict(zip((column.name for column in cursor.description), first, strict=True))
                rows += max(0, cursor.rowcount)
            unless_other(order, rows)
            said = told(rows, returned)
            cursor.execute(_SAY, (canonical(said), order.key))
        return said, True

    def _open(self) -> Any:
        try:
            import psycopg
        except ImportError:
            raise GiveUp("a postgresql:// database needs the package psycopg; install noesis[connectors]") from None
        try:
            limit = f"-c statement_timeout={int(self.seconds * 1000)}"
            return psycopg.connect(self.url, connect_timeout=max(2, int(self.seconds)), options=limit)
        except psycopg.Error as error:
            raise RetryLater(f"the database cannot be reached: {_said(error)}") from error


def _said(error: Exception) -> str:
    """The first line of what the server said, which holds no address and no password."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
