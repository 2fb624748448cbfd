"""What every source gives: rows with their number, and the port Source."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

from kg.errors import SourceError
from kg.ingest.mapping import TableMap

#: Rows that a source reads at once; also how many rows of a source without header are looked at for missing columns.
CHUNK_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the source has it, counted from 1. With `fault` it could not be read, and `data` is what there is of it."""

    number: int
    data: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read: every column (`columns` None) or these; `needed` must exist; rows whose `cursor` is at or after `since`."""

    columns: Collection[str] | None
    needed: Collection[str]
    cursor: str | None = None
    since: Any = None


class Source(Protocol):
    """A place that holds tables."""

    @property
    def name(self) -> str:
        """The location without credentials, for causes and messages."""

    def rows(self, table: TableMap, wanted: Wanted) -> Iterator[Row]:
        """The rows in order; SourceError where the table or a needed column is missing or the source fails."""

    def close(self) -> None:
        """Release connections."""


def check_columns(place: str, found: Collection[str], needed: Collection[str]) -> None:
    """Raise SourceError, naming the nearest, where a needed column is not there."""
    for name in needed:
        if name not in found:
            near = get_close_matches(name, found, 1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(found)[:12])}"
            raise SourceError(f"{place} has no column {name[:80]!r}; {hint}")
