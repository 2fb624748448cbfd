"""Reads data files of one folder: CSV, JSON, JSON lines, Parquet, chosen by the file's suffix.

Invariant: a file is streamed, a bad line is one row with a fault, and no file outside the folder is opened.
"""

from collections.abc import Iterator
from pathlib import Path

from kg.errors import SourceError
from kg.ingest.mapping import TableMap
from kg.ingest.sources.delimited import read_csv
from kg.ingest.sources.json_rows import read_json, read_lines
from kg.ingest.sources.parquet import read_parquet
from kg.ingest.sources.row import CHUNK_ROWS, Row, Wanted, check_columns

_HEADED = {".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".parquet": read_parquet}
_HEADLESS = {".json": read_json, ".jsonl": read_lines, ".ndjson": read_lines}


class FileSource:
    """A folder of data files, or one file of it."""

    def __init__(self, folder: Path, file: str | None, *, single: bool) -> None:
        self._folder = folder
        self._file = file
        self._single = single

    @property
    def name(self) -> str:
        """The path."""
        return str(self._folder / self._file if self._file else self._folder)

    def close(self) -> None:
        """Nothing stays open between tables."""

    def rows(self, table: TableMap, wanted: Wanted) -> Iterator[Row]:
        """The rows of one file in order."""
        if table.query is not None or wanted.cursor is not None:
            what = "query" if table.query is not None else "cursor"
            raise SourceError(f"{table.table}: a {what} works only on a database; remove it for files")
        path = self._path(table)
        read = _HEADED.get(path.suffix.lower()) or _HEADLESS.get(path.suffix.lower())
        if read is None:
            known = ", ".join(sorted(_HEADED | _HEADLESS))
            raise SourceError(f"{path} is of an unknown kind; its name must end in one of {known}")
        try:
            rows = read(path, table, wanted)
            yield from rows if path.suffix.lower() in _HEADED else _checked(rows, path, wanted)
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror}); check the path and the permissions") from None

    def _path(self, table: TableMap) -> Path:
        if self._file is not None:
            if not self._single and table.table not in {self._file, Path(self._file).stem}:
                raise SourceError(
                    f"{self._folder / self._file} is not the table {table.table!r}; name the folder that holds all files"
                )
            return self._folder / self._file
        path = self._folder / table.table
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise SourceError(f"{table.table!r} lies outside {self._folder}; files of a mapping lie in its location")
        if not path.is_file():
            raise SourceError(f"{path} does not exist; check `from` and the location")
        return path


def _checked(rows: Iterator[Row], path: Path, wanted: Wanted) -> Iterator[Row]:
    """The rows, after the first ones together showed every needed column."""
    first: list[Row] = []
    for row in rows:
        first.append(row)
        if len(first) >= CHUNK_ROWS:
            break
    found = {name for row in first if row.fault is None for name in row.data}
    if found:
        check_columns(str(path), found, wanted.needed)
    yield from first
    yield from rows
