"""Writes a whole graph into one archive: one state of it, history, causes, machine rows and all, while commits go on.

Invariant: the file ends with the position, the seal and the root that the header names. It holds personal data in the clear, as the
store does. Verifies nothing: the reader of the file does.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kg.errors import StoreCorruptError
from kg.store import Progress
from kg.stores.archive import lines
from kg.stores.archive.file import Writer, written
from kg.stores.carried import Carried, Carrier, Moves

#: Changes between two calls of progress.
STEP = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What an archive holds: counts, the root of its ledger, and the digest of its lines."""

    causes: int
    changes: int
    states: int
    root: str
    digest: str


def export(store: Carrier, path: Path, moves: Moves, progress: Progress | None = None) -> Report:
    """Write the archive; ArchiveError where the file is there already or cannot be written."""
    with written(path) as writer, store.carry(moves) as carried:
        head = carried.head
        writer.line(lines.header(head, carried.root))
        states = 0
        for row in carried.states:
            writer.line(["state", row.kind, row.key, row.revision, row.due, row.value])
            states += 1
        position = 0
        for cause in itertools.islice(carried.causes, head.causes):
            writer.line(lines.cause_line(cause, carried.inputs(cause[0])))
            position = _changes(writer, carried, position, cause, progress)
        if position != head.position:
            raise StoreCorruptError
        digest = writer.end([head.causes, head.position, states])
    return Report(head.causes, head.position, states, carried.root.hex(), digest)


def _changes(writer: Writer, carried: Carried, position: int, cause: tuple[Any, ...], progress: Progress | None) -> int:
    """Write the changes of a cause; returns the position after them."""
    last, total = cause[4], carried.head.position
    for row in itertools.islice(carried.changes, max(last - position, 0)):
        writer.line(lines.change_line(row, total))
        position += 1
        if progress is not None and position % STEP == 0:
            progress(position, total)
    return position
