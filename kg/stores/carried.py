"""A graph on its way between two stores: what one gives and the other takes, with rows as they are stored.

Invariant: what arrives is saved by the same code as a commit, so that no store can tell a moved graph from a grown one. Compares
nothing and decides nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from kg.stores.rows import CauseRow, ChangeRow, HeadRow, RelationRow, StateRow, VersionRow

#: Whether a machine row (kind, key) moves with the graph.
Moves = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Carried:
    """One state of a graph. `states` are read before anything else; `changes` have the columns of a verified Record.

    `causes` and `changes` go no further than `head`, in order; `inputs` gives those of the cause read last.
    """

    head: HeadRow
    root: bytes
    states: Iterator[StateRow]
    causes: Iterator[tuple[Any, ...]]
    inputs: Callable[[int], list[tuple[str, int]]]
    changes: Iterator[tuple[Any, ...]]


@dataclass(slots=True)
class Batch:
    """Whole causes with their changes, and state rows; `head` is the end of the log after them."""

    head: HeadRow
    causes: list[CauseRow] = field(default_factory=list)
    changes: list[ChangeRow] = field(default_factory=list)
    versions: dict[int, VersionRow] = field(default_factory=dict)
    relations: dict[int, RelationRow] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    cut: dict[int, int] = field(default_factory=dict)
    state: dict[tuple[str, str], StateRow | None] = field(default_factory=dict)

    def add(self, change: ChangeRow, version: VersionRow | None, relation: RelationRow | None) -> None:
        """Take in a change with what it made."""
        self.changes.append(change)
        if version is not None:
            self.versions[change.position] = version
            if version.until is not None:
                self.ended[change.position] = version.until
        if relation is not None:
            self.relations[change.position] = relation
            if relation.until is not None:
                self.cut[change.position] = relation.until


class Carrier(Protocol):
    """What a store offers to whoever moves a graph, beside the port."""

    def carry(self, moves: Moves) -> AbstractContextManager[Carried]:
        """One state of the whole graph, for the length of the block; commits go on meanwhile."""

    def vacancy(self) -> tuple[HeadRow, bool]:
        """The end of the log, and whether there are no machine rows."""

    def receive(self, batches: Iterator[Batch]) -> None:
        """Save batches in order behind what is there and verify the whole before the last one, which ends the work.

        Raises LedgerError, ArchiveError or what the batches raise; then the graph is empty. After a StoreError it may hold
        a part, which the same batches behind it complete.
        """
