"""Tells what kind of source a location names, and shows locations without credentials."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kg.errors import SourceError
from kg.ingest.sources.row import Source

SUFFIXES_SQLITE = {".db", ".sqlite", ".sqlite3"}
SUFFIXES_FILE = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet"}
_SQLITE_HEADER = b"SQLite format 3\x00"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_source(location: str | Path, *, single: bool = False) -> Source:
    """The source at a location: a database address, a SQLite file, a data file, or a folder of data files.

    `single` says that the mapping has one table, so that a data file of any name is that table.
    """
    from kg.ingest.sources.files import FileSource
    from kg.ingest.sources.sql import SqlSource

    text = str(location)
    scheme = _SCHEME.match(text)
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


def redact(location: str) -> str:
    """The location without user, password and options."""
    if not _SCHEME.match(location):
        return location
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return location.partition("://")[0] + "://…"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def secrets(location: str) -> list[str]:
    """Every spelling of the secrets inside a location, longest first, so that messages can be scrubbed of them."""
    found: set[str] = set()
    authority = location.partition("://")[2]
    if "@" in authority:
        login = authority.rpartition("@")[0]
        password = login.partition(":")[2]
        found |= {password, unquote(password), login}
    for part in location.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        if name.lower() in {"password", "passfile", "sslpassword", "sslkey", "user"}:
            found |= {value, unquote(value)}
    return sorted((secret for secret in found if secret), key=len, reverse=True)


def scrub(message: str, location: str) -> str:
    """The message without any secret of the location."""
    for secret in secrets(location):
        message = message.replace(secret, "…")
    return message
