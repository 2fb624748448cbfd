"""Which tables a location holds: names, declared keys and references, of a database or of data files.

Invariant: nothing is written, and of a file only its name is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kg.errors import SourceError
from kg.ingest.sources.location import SUFFIXES_FILE, open_source
from kg.ingest.sources.row import Source
from kg.ingest.sources.sql import SqlSource

#: More tables than this are refused; nobody reads a draft of so many.
TABLES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns that name the row of another table by the columns `theirs`."""

    columns: tuple[str, ...]
    table: str
    theirs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as its source declares it; a file declares no key and no reference."""

    name: str
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()


def tables_of(location: str, names: Sequence[str] = ()) -> tuple[Source, list[Table]]:
    """The open source at a location and its tables in order of name, or those named; SourceError where there is none."""
    path = Path(location)
    folder = "://" not in location and path.is_dir()
    source = open_source(location)
    if isinstance(source, SqlSource):
        found = [_declared(one) for one in source.declared(names, TABLES_MAX + 1)]
    elif folder:
        found = [Table(file.name) for file in sorted(path.iterdir()) if _readable(file)]
    else:
        found = [Table(path.name)]
    known = {table.name: table for table in found}
    for name in names:
        if name not in known:
            source.close()
            raise SourceError(
                f"{source.name} has no table {name[:80]!r}; it has {', '.join(list(known)[:12]) or 'none of those'}"
            )
    if names:
        found = [known[name] for name in dict.fromkeys(names)]
    if not found:
        source.close()
        raise SourceError(f"{source.name} has no table; name a database, a data file or a folder of data files")
    if len(found) > TABLES_MAX:
        source.close()
        raise SourceError(f"{source.name} has more than {TABLES_MAX} tables; choose some with --table")
    return source, found


def _readable(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES_FILE and file.is_file() and not file.name.startswith(".")


def _declared(one: dict[str, Any]) -> Table:
    references = tuple(
        Reference(tuple(key["constrained_columns"]), key["referred_table"], tuple(key["referred_columns"]))
        for key in one["references"]
        if key["referred_columns"] and not key.get("referred_schema")
    )
    return Table(one["name"], tuple(one["key"]), references)
