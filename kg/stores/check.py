"""Checks the ledger of a store offline: every fact row is recomputed into seals, leaves and tree nodes. Shared by stores.

Invariant I13: any altered, removed, reordered or added row of a fact is found, and the first position that differs is
named. Whoever rewrites rows, seals, leaves and nodes together is caught by a signed checkpoint, not here. Reads no store:
an adapter hands in its rows as `Record`.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kg import ledger
from kg.errors import LedgerError
from kg.leaf import NO_SEAL, cause_text, commitment, leaf_prefix, seal
from kg.model import Kind
from kg.store import Progress
from kg.stores.plan import link_leaf, version_leaf
from kg.stores.redaction import CLASS, Notes
from kg.stores.rows import CauseRow, ChangeRow, HeadRow, RelationRow, VersionRow

#: Changes between two calls of progress.
STEP: Final = 10_000
Row = tuple[Any, ...]
_ENTITY_KINDS = frozenset({Kind.CREATED.value, Kind.UPDATED.value, Kind.CLOSED.value})


@dataclass(frozen=True, slots=True)
class Record:
    """The rows of a store, each kind read once in its order.

    `causes`: number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt, request, seal, erased.
    `changes`: the 11 columns of a change, the 12 of its version and the 8 of its relation, None where there is none.
    `inputs` gives the inputs of a cause by its number, asked in order; `nodes` the (place, root) of a level of the tree.
    """

    head: HeadRow
    causes: Iterator[Row]
    changes: Iterator[Row]
    inputs: Callable[[int], list[tuple[str, int]]]
    nodes: Callable[[int], Iterator[Row]]


def check(record: Record, progress: Progress | None = None) -> int:
    """The number of changes checked; raises LedgerError naming the first position that differs."""
    head = record.head
    log = _Log(record, progress)
    sealed, number, last_time = NO_SEAL, 0, None
    for row in record.causes:
        number += 1
        position = log.position + 1
        if row[0] != number:
            raise broken(position, f"cause {number} is missing")
        sealed = _checked(position, partial(_sealed, row, record.inputs, sealed, log.notes, position))
        first, last = row[3], row[4]
        if sealed != row[12] or first != position or last < first - 1:
            raise broken(position, f"cause {row[1]!r} is not what was sealed")
        if last >= first:
            last_time = row[2]
            log.take(last, number, leaf_prefix(row[2], sealed))
    log.finish()
    if (head.position, head.at, head.causes, head.seal) != (log.position, last_time, number, sealed):
        raise broken(min(head.position, log.position) + 1, "the head of the log is another than its rows give")
    if (unsaid := log.notes.wrong()) is not None:
        raise broken(unsaid, "values were erased without a record that says so, or otherwise than it says")
    return log.position


def broken(position: int, what: str) -> LedgerError:
    """The error that names where and how the record differs."""
    return LedgerError(
        f"the ledger differs at position {position}: {what}; restore a backup and keep this file as evidence"
    )


def _checked(position: int, compute: Callable[[], bytes]) -> bytes:
    try:
        return compute()
    except (TypeError, ValueError, KeyError, AttributeError):
        raise broken(position, "a row holds what was never written") from None


def _sealed(
    row: Row, inputs: Callable[[int], list[tuple[str, int]]], prior: bytes, notes: Notes, position: int
) -> bytes:
    number, id, at, first, last, activity, agent, reason, on_behalf_of, attributes, salt, request, _, erased = row
    used = inputs(number)
    if erased is not None:
        notes.take(CauseRow(*[*row[:13], used, erased]), None, position)
        return seal(prior, at, json.loads(erased)["cause"], request, first, last)
    text = cause_text(id, activity, agent, reason, on_behalf_of, used, attributes)
    return seal(prior, at, commitment(salt, text), request, first, last)


class _Log:
    """The changes, read once in order, their leaves growing the tree that is compared with the stored nodes."""

    def __init__(self, record: Record, progress: Progress | None) -> None:
        self.position = 0
        self.notes = Notes()
        self._rows = record.changes
        self._total = record.head.position
        self._progress = progress
        self._pending: dict[int, bytes] = {}
        self._nodes = record.nodes
        self._levels: list[Iterator[Row]] = []

    def take(self, last: int, cause: int, prefix: str) -> None:
        """Check the changes of one cause, up to its last position."""
        for row in itertools.islice(self._rows, last - self.position):
            position = self.position + 1
            if row[0] != position or row[9] != cause:
                raise broken(position, "the change is missing, moved or of another cause")
            leaf = _checked(position, partial(_leaf, row, prefix, self.notes))
            if leaf != row[10]:
                raise broken(position, "the change is not what was recorded")
            for level, place, root in ledger.append(self._pending, self.position, (leaf,)):
                if next(self._level(level), None) != (place, root):
                    raise broken(position, f"node {place} of level {level} of the tree is another")
            self.position = position
            if self._progress is not None and position % STEP == 0:
                self._progress(position, self._total)
        if self.position != last:
            raise broken(self.position + 1, "the change is missing")

    def _level(self, level: int) -> Iterator[Row]:
        while len(self._levels) < level:
            self._levels.append(self._nodes(len(self._levels) + 1))
        return self._levels[level - 1]

    def finish(self) -> None:
        """Raise LedgerError where changes are left over."""
        if next(self._rows, None) is not None:
            raise broken(self.position + 1, "a change that no cause made")
        if self._progress is not None:
            self._progress(self.position, self._total)


def _leaf(row: Row, prefix: str, notes: Notes) -> bytes:
    """The leaf of a joined row; raises ValueError where change, version and relation do not name the same."""
    position, kind, cls, subject, version, changed, relation, target, origin, cause, leaf = row[:11]
    change = ChangeRow(position, kind, cls, subject, version, changed, relation, target, origin, cause, leaf)
    if relation is None:
        stored = VersionRow(*row[11:23])
        closed = 1 if kind == Kind.CLOSED else 0
        same = (stored.id, stored.version, stored.cls, stored.closed) == (subject, version, cls, closed)
        if not same or target is not None or row[23] is not None or kind not in _ENTITY_KINDS:
            raise ValueError
        if stored.erased is not None:
            notes.take(stored, origin, position)
        if cls == CLASS:
            notes.said(stored)
        return version_leaf(prefix, change, stored)
    link = RelationRow(*row[23:31]) if kind == Kind.LINKED else None
    if row[11] is not None or version != 0 or changed != "[]" or origin is not None:
        raise ValueError
    if link is None:
        if row[23] is not None or kind != Kind.UNLINKED:
            raise ValueError
    elif (link.source, link.name, link.target) != (subject, relation, target):
        raise ValueError
    elif link.erased is not None:
        notes.take(link, None, position)
    return link_leaf(prefix, change, link)
