"""Tells what kind of source a location names, and opens it."""

from pathlib import Path
from urllib.parse import unquote

from kg.errors import SourceError
from kg.ingest.sources.credentials import SCHEME, redact
from kg.ingest.sources.row import Source

SUFFIXES_SQLITE = {".db", ".sqlite", ".sqlite3"}
SUFFIXES_FILE = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet"}
_SQLITE_HEADER = b"SQLite format 3\x00"


def open_source(location: str | Path, *, single: bool = False) -> Source:
    """The source at a location: a database address, a SQLite file, a data file, or a folder of data files.

    `single` says that the mapping has one table, so that a data file of any name is that table.
    """
    from kg.ingest.sources.files import FileSource
    from kg.ingest.sources.sql import SqlSource

    text = str(location)
    scheme = SCHEME.match(text)
    if scheme:
        kind = scheme.group(1).lower().partition("+")[0]
        if kind == "sqlite":
            return SqlSource.sqlite(Path(unquote(text[scheme.end() :].partition("?")[0].removeprefix("/"))))
        if kind in {"postgresql", "postgres"}:
            return SqlSource.postgresql(text)
        raise SourceError(f"{redact(text)}: {kind}:// is not supported; use sqlite:///…, postgresql://…, or a path")
    path = Path(text)
    try:
        if path.is_dir():
            return FileSource(path, None, single=False)
        if not path.is_file():
            raise SourceError(f"{path} does not exist; check the location")
        with path.open("rb") as file:
            header = file.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); check the permissions") from None
    if path.suffix.lower() in SUFFIXES_SQLITE or header == _SQLITE_HEADER:
        return SqlSource.sqlite(path)
    if path.suffix.lower() not in SUFFIXES_FILE:
        known = ", ".join(sorted(SUFFIXES_FILE | SUFFIXES_SQLITE))
        raise SourceError(f"{path} is of an unknown kind; its name must end in one of {known}")
    return FileSource(path.parent, path.name, single=single)
