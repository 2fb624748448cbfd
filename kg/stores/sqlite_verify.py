"""Verifies the ledger of a SQLite store offline: hands its rows to the check, then asks what contradicts the log.

Invariant I13: any altered, removed, reordered or added row of a fact table is found, and the first position that differs is
named; so is an index that leads past one of them. Whoever rewrites rows, seals, leaves and nodes together is caught by a signed
checkpoint, not here.
"""

import sqlite3
from typing import Final

from kg.errors import LedgerError
from kg.store import Progress
from kg.stores.check import Record, Row, broken, check
from kg.stores.sqlite_write import head_row

#: Every change with the version and the relation that it made, in the columns of a Record.
CHANGES: Final = (
    "SELECT c.position, c.kind, c.cls, c.subject, c.version, c.changed, c.relation, c.target, c.origin, c.cause, c.leaf,"
    " v.since, v.id, v.version, v.cls, v.until, v.closed, v.valid_from, v.valid_to, v.salts, v.props, v.personal,"
    " v.erased, r.since, r.source, r.name, r.target, r.until, r.salt, r.props, r.erased FROM change c"
    " LEFT JOIN version v ON v.since = c.position LEFT JOIN relation r ON r.since = c.position ORDER BY c.position"
)
CAUSES: Final = (
    "SELECT number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt, request, seal,"
    " erased FROM cause ORDER BY number"
)

#: The tables of facts, with what finds their rows.
_TABLES: Final = ("head", "cause", "cause_input", "change", "version", "relation", "node")
#: Statements that give the first position at which a set of rows contradicts the log, or no row or NULL.
_CONTRADICTIONS: Final = (
    ("a version without its change", "SELECT min(since) FROM version WHERE since NOT IN (SELECT position FROM change)"),
    (
        "a relation without its change",
        "SELECT min(since) FROM relation WHERE since NOT IN (SELECT position FROM change)",
    ),
    (
        "a version that ends at another position than its successor begins",
        "SELECT min(v.since) FROM version v LEFT JOIN version n ON n.id = v.id AND n.version = v.version + 1"
        " WHERE v.until IS NOT n.since",
    ),
    (
        "a relation that ends where the log does not end it",
        "SELECT min(r.since) FROM relation r LEFT JOIN change c ON c.position = r.until AND c.kind = 'unlinked' AND"
        " c.subject = r.source AND c.relation = r.name AND c.target = r.target"
        " WHERE r.until IS NOT NULL AND (c.position IS NULL OR r.until <= r.since)",
    ),
    (
        "an end of a relation that no relation has",
        "SELECT min(position) FROM change WHERE kind = 'unlinked' AND position NOT IN"
        " (SELECT until FROM relation WHERE until IS NOT NULL)",
    ),
)


def verify(connection: sqlite3.Connection, progress: Progress | None = None) -> int:
    """The number of changes checked; raises LedgerError naming the first position that differs."""
    inputs = Inputs(connection)
    record = Record(
        head_row(connection),
        connection.execute(CAUSES),
        connection.execute(CHANGES),
        inputs.of,
        lambda level: connection.execute("SELECT place, hash FROM node WHERE level = ? ORDER BY place", (level,)),
    )
    position = check(record, progress)
    inputs.finish(position)
    (nodes,) = connection.execute("SELECT count(*) FROM node").fetchone()
    if nodes != sum(position >> level for level in range(1, position.bit_length() + 1)):
        raise broken(position + 1, "the tree has nodes that no change made")
    for what, sql in _CONTRADICTIONS:
        (found,) = connection.execute(sql).fetchone()
        if found is not None:
            raise broken(found, what)
    _found_whole(connection)
    return position


def _found_whole(connection: sqlite3.Connection) -> None:
    """Raise LedgerError where an index leads past a row, so that what is on record would not be found."""
    for table in _TABLES:
        # One finding is enough, and its words quote the database's own.
        if connection.execute(f"PRAGMA integrity_check({table})").fetchone() != ("ok",):
            raise LedgerError(
                f"every change is as it was committed, yet an index of table {table} is damaged, so that rows may not be "
                "found; keep this file as evidence and restore a backup"
            )


class Inputs:
    """The inputs of causes, read once in order."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._rows = connection.execute("SELECT cause, place, id, version FROM cause_input ORDER BY cause, place")
        self._next: Row | None = self._rows.fetchone()

    def of(self, number: int) -> list[tuple[str, int]]:
        """The inputs of the next cause; raises ValueError where their places have a gap."""
        found: list[tuple[str, int]] = []
        while self._next is not None and self._next[0] <= number:
            cause, place, id, version = self._next
            if cause != number or place != len(found):
                raise ValueError
            found.append((id, version))
            self._next = self._rows.fetchone()
        return found

    def finish(self, position: int) -> None:
        """Raise LedgerError where inputs are left over."""
        if self._next is not None:
            raise broken(position, "inputs of a cause that is not there")
