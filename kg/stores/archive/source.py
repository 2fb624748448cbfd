"""The rows of an open archive in order, in the shape that the check of the ledger wants and in the shape that is saved.

Invariant: changes are numbered without gaps and each belongs to the cause before it; counts and digest of the end line are those
of what was read. Holds one cause at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from kg import ledger
from kg.errors import ArchiveError
from kg.stores.archive import lines
from kg.stores.archive.file import Lines, damaged
from kg.stores.check import Row
from kg.stores.rows import CauseRow, ChangeRow, HeadRow, RelationRow, StateRow, VersionRow

Made = tuple[ChangeRow, VersionRow | None, RelationRow | None]
#: Changes of one cause at most, so that memory is bounded.
CAUSE_CHANGES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Fact:
    """One cause with its changes."""

    row: CauseRow
    changes: list[Made]


class Source:
    """Reads one archive from its beginning."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._lines = Lines(raw)
        self.head, self.root = self._header(self._lines.header())
        self.states = 0
        self._position = 0
        self._cause: CauseRow | None = None
        self._causes = 0
        self._pending: dict[int, bytes] = {}
        self._levels: dict[int, list[Row]] = {}

    def _header(self, found: dict[str, Any]) -> tuple[HeadRow, bytes]:
        if found.get("noesis") != "archive":
            raise ArchiveError("the file is no archive of Noesis; name one that `noesis export` made")
        if found.get("format") != lines.FORMAT:
            raise ArchiveError(f"the archive has format {str(found.get('format'))[:20]}; import it with a newer Noesis")
        names = ("position", "causes", "at", "seal", "root")
        read = lines.Columns([found.get(name) for name in names], len(names), 1)
        position, causes, at = read.number(), read.number(), read.time_or_none()
        return HeadRow(position, at, causes, read.data(lines.HASH_BYTES)), read.data(lines.HASH_BYTES)

    def state_rows(self) -> Iterator[StateRow]:
        """The machine rows."""
        for values in self._lines.take("state"):
            self.states += 1
            yield lines.read_state(values, self._lines.number)

    def _next_causes(self) -> Iterator[CauseRow]:
        for values in self._lines.take("cause"):
            self._cause = lines.read_cause(values, self._lines.number)
            self._causes += 1
            yield self._cause

    def _next_changes(self) -> Iterator[Made]:
        """The changes of the cause read last; asked again after another cause, its own."""
        for values in self._lines.take("change"):
            made = lines.read_change(values, self._lines.number)
            change = made[0]
            self._position += 1
            if change.position != self._position or self._cause is None:
                raise damaged(self._lines.number)
            change.cause = self._cause.number
            yield made

    def facts(self, told: Callable[[], None]) -> Iterator[Fact]:
        """The causes with their changes."""
        for row in self._next_causes():
            changes: list[Made] = []
            for made in self._next_changes():
                changes.append(made)
                told()
                if len(changes) > CAUSE_CHANGES_MAX:
                    raise ArchiveError(f"cause {row.number:,} made more changes than one file may carry")
            yield Fact(row, changes)

    def cause_rows(self) -> Iterator[Row]:
        """The causes in the columns of a Record; each is followed by its changes."""
        for row in self._next_causes():
            yield (
                row.number, row.id, row.at, row.first, row.last, row.activity, row.agent, row.reason, row.on_behalf_of,
                row.attributes, row.salt, row.request, row.seal, row.erased,
            )  # fmt: skip

    def inputs(self, number: int) -> list[tuple[str, int]]:
        """The inputs of the cause read last."""
        return self._cause.inputs if self._cause is not None and self._cause.number == number else []

    def change_rows(self, told: Callable[[], None]) -> Iterator[Row]:
        """The changes in the columns of a Record; the roots that each completes are kept until the tree asks for them."""
        for change, version, link in self._next_changes():
            for level, place, root in ledger.append(self._pending, self._position - 1, (change.leaf,)):
                self._levels.setdefault(level, []).append((place, root))
            told()
            own: Row = (None,) * 12
            if version is not None:
                own = (
                    version.since, version.id, version.version, version.cls, version.until, version.closed,
                    version.valid_from, version.valid_to, version.salts, version.props, version.personal,
                    version.erased,
                )  # fmt: skip
            edge: Row = (None,) * 8
            if link is not None:
                edge = (
                    link.since, link.source, link.name, link.target, link.until, link.salt, link.props, link.erased,
                )  # fmt: skip
            yield (
                change.position, change.kind, change.cls, change.subject, change.version, change.changed,
                change.relation, change.target, change.origin, change.cause, change.leaf, *own, *edge,
            )  # fmt: skip

    def nodes(self, level: int) -> Iterator[Row]:
        """The roots of a level, each as it was kept."""
        while self._levels.get(level):
            yield self._levels[level].pop(0)

    def end(self) -> str:
        """The digest of the archive after its last row; ArchiveError where the header or the end line tell otherwise."""
        if list(self._lines.peek()[1:-1]) != [self._causes, self._position, self.states] or not self._lines.digest:
            raise damaged(self._lines.number)
        # A tree that was built in this pass is compared with the header; a pass that only saves builds none.
        if self._pending and ledger.root_of(self._pending, self._position) != self.root:
            raise damaged(1)
        return self._lines.digest
