"""Verifies the ledger of a SQLite store offline: every fact row is recomputed into seals, leaves and tree nodes.

Invariant I13: any altered, removed, reordered or added row of a fact table is found, and the first position that differs is
named. Whoever rewrites rows, seals, leaves and nodes together is caught by a signed checkpoint, not here.
"""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from kg import ledger
from kg.errors import LedgerError
from kg.leaf import NO_SEAL, cause_text, commitment, leaf_prefix, seal
from kg.model import Kind
from kg.store import Progress
from kg.stores.plan import link_leaf, version_leaf
from kg.stores.rows import ChangeRow, RelationRow, VersionRow
from kg.stores.sqlite_write import head_row

#: Changes between two calls of progress.
STEP: Final = 10_000
Row = tuple[Any, ...]

_CHANGES = (
    "SELECT c.position, c.kind, c.cls, c.subject, c.version, c.changed, c.relation, c.target, c.origin, c.cause, c.leaf,"
    " v.since, v.id, v.version, v.cls, v.until, v.closed, v.valid_from, v.valid_to, v.salts, v.props, v.personal,"
    " v.erased, r.since, r.source, r.name, r.target, r.until, r.salt, r.props FROM change c"
    " LEFT JOIN version v ON v.since = c.position LEFT JOIN relation r ON r.since = c.position ORDER BY c.position"
)
_CAUSES = (
    "SELECT number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt, request, seal"
    " FROM cause ORDER BY number"
)

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
    head = head_row(connection)
    log = _Log(connection, head.position, progress)
    sealed, number, last_time = NO_SEAL, 0, None
    inputs = _Inputs(connection)
    for row in connection.execute(_CAUSES):
        number += 1
        position = log.position + 1
        if row[0] != number:
            raise _broken(position, f"cause {number} is missing")
        sealed = _checked(position, partial(_sealed, row, inputs, sealed))
        first, last = row[3], row[4]
        if sealed != row[12] or first != position or last < first - 1:
            raise _broken(position, f"cause {row[1]!r} is not what was sealed")
        if last >= first:
            last_time = row[2]
            log.take(last, number, leaf_prefix(row[2], sealed))
    log.finish()
    inputs.finish(log.position)
    if (head.position, head.at, head.causes, head.seal) != (log.position, last_time, number, sealed):
        raise _broken(min(head.position, log.position) + 1, "the head of the log is another than its rows give")
    for what, sql in _CONTRADICTIONS:
        (found,) = connection.execute(sql).fetchone()
        if found is not None:
            raise _broken(found, what)
    return log.position


def _broken(position: int, what: str) -> LedgerError:
    return LedgerError(
        f"the ledger differs at position {position}: {what}; restore a backup and keep this file as evidence"
    )


def _checked(position: int, compute: Callable[[], bytes]) -> bytes:
    try:
        return compute()
    except (TypeError, ValueError, KeyError, AttributeError):
        raise _broken(position, "a row holds what was never written") from None


def _sealed(row: Row, inputs: "_Inputs", prior: bytes) -> bytes:
    number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt, request, _ = row
    text = cause_text(id, activity, agent, reason, on_behalf_of, inputs.of(number), attributes)
    return seal(prior, at, commitment(salt, text), request, first, last)


class _Inputs:
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
            raise _broken(position, "inputs of a cause that is not there")


class _Log:
    """The changes, read once in order, their leaves growing the tree that is compared with the stored nodes."""

    def __init__(self, connection: sqlite3.Connection, total: int, progress: Progress | None) -> None:
        self.position = 0
        self._rows = connection.execute(_CHANGES)
        self._total = total
        self._progress = progress
        self._pending: dict[int, bytes] = {}
        self._connection = connection
        self._levels: list[Iterator[Row]] = []

    def take(self, last: int, cause: int, prefix: str) -> None:
        """Check the changes of one cause, up to its last position."""
        for row in itertools.islice(self._rows, last - self.position):
            position = self.position + 1
            if row[0] != position or row[9] != cause:
                raise _broken(position, "the change is missing, moved or of another cause")
            leaf = _checked(position, partial(_leaf, row, prefix))
            if leaf != row[10]:
                raise _broken(position, "the change is not what was recorded")
            for level, place, root in ledger.append(self._pending, self.position, (leaf,)):
                if next(self._level(level), None) != (place, root):
                    raise _broken(position, f"node {place} of level {level} of the tree is another")
            self.position = position
            if self._progress is not None and position % STEP == 0:
                self._progress(position, self._total)
        if self.position != last:
            raise _broken(self.position + 1, "the change is missing")

    def _level(self, level: int) -> Iterator[Row]:
        while len(self._levels) < level:
            number = len(self._levels) + 1
            self._levels.append(
                self._connection.execute("SELECT place, hash FROM node WHERE level = ? ORDER BY place", (number,))
            )
        return self._levels[level - 1]

    def finish(self) -> None:
        """Raise LedgerError where changes or nodes are left over."""
        if next(self._rows, None) is not None:
            raise _broken(self.position + 1, "a change that no cause made")
        (extra,) = self._connection.execute("SELECT count(*) FROM node").fetchone()
        if extra != sum(self.position >> level for level in range(1, self.position.bit_length() + 1)):
            raise _broken(self.position + 1, "the tree has nodes that no change made")
        if self._progress is not None:
            self._progress(self.position, self._total)


def _leaf(row: Row, prefix: str) -> bytes:
    """The leaf of a joined row; raises ValueError where change, version and relation do not name the same."""
    position, kind, cls, subject, version, changed, relation, target, origin, cause, leaf = row[:11]
    change = ChangeRow(position, kind, cls, subject, version, changed, relation, target, origin, cause, leaf)
    if relation is None:
        stored = VersionRow(*row[11:23])
        closed = 1 if kind == Kind.CLOSED else 0
        same = (stored.id, stored.version, stored.cls, stored.closed) == (subject, version, cls, closed)
        if not same or target is not None or row[23] is not None or kind not in _ENTITY_KINDS:
            raise ValueError
        return version_leaf(prefix, change, stored)
    link = RelationRow(*row[23:30]) if kind == Kind.LINKED else None
    if row[11] is not None or version != 0 or changed != "[]" or origin is not None:
        raise ValueError
    if link is None:
        if row[23] is not None or kind != Kind.UNLINKED:
            raise ValueError
    elif (link.source, link.name, link.target) != (subject, relation, target):
        raise ValueError
    return link_leaf(prefix, change, link)


_ENTITY_KINDS = frozenset({Kind.CREATED.value, Kind.UPDATED.value, Kind.CLOSED.value})
