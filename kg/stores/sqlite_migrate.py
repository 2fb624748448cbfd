"""Brings a database file to the schema of this Noesis: numbered SQL files, each applied once and remembered by checksum.

Invariant: a file is migrated whole or not at all; a database of a newer Noesis is left alone and refused. An applied
migration whose text has changed since is refused too, because the tables may not be what the code thinks.
"""

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from kg.errors import StoreCorruptError, StoreError, StoreVersionError
from kg.stores.sqlite_file import Database
from kg.write_ahead import is_ahead, write_ahead

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"
#: Marks the file as ours ("Noes") in the SQLite header.
APPLICATION_ID: Final = 0x4E6F6573


def migrations(folder: Path = MIGRATIONS) -> list[tuple[int, str, str]]:
    """Number, name and text of every migration, in order."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    found = [(int(file.name[:4]), file.stem[5:], file.read_text(encoding="utf-8")) for file in files]
    if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
        raise StoreError("the migrations are not numbered 0001, 0002, …; reinstall Noesis")
    return found


def checksum(text: str) -> str:
    """What a migration is remembered by."""
    return hashlib.sha256(text.encode()).hexdigest()


def migrate(database: Database, folder: Path = MIGRATIONS) -> None:
    """Apply what is missing; raises StoreVersionError for a newer database, StoreError for an altered migration."""
    known = migrations(folder)
    if not _new(database.path):
        with database.reading() as connection:
            applied, ahead = _applied(connection), is_ahead(connection)
        if _missing(applied, known) == [] and (ahead or not os.access(database.path, os.W_OK)):
            return
    with database.alone() as connection:
        write_ahead(connection, database.patience)
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited.
            for number, name, text in _missing(_applied(connection), known):
                for statement in _statements(text):
                    connection.execute(statement)
                row = (number, name, checksum(text))
                connection.execute("INSERT INTO migration (number, name, checksum) VALUES (?, ?, ?)", row)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(known)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _new(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _applied(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "migration" in tables:
        return connection.execute("SELECT number, name, checksum FROM migration ORDER BY number").fetchall()
    if tables:
        raise StoreCorruptError("the file is a database of another program; choose another home for Noesis")
    if not connection.in_transaction:
        return []
    connection.execute(
        "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT"
    )
    return []


def _missing(applied: list[tuple[int, str, str]], known: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    if len(applied) > len(known):
        raise StoreVersionError(
            f"the store has {len(applied)} migrations and this Noesis knows {len(known)}: it was written by a newer "
            "Noesis; upgrade Noesis or use another home"
        )
    for (number, name, found), (_, _, text) in zip(applied, known, strict=False):
        if found != checksum(text):
            raise StoreError(f"migration {number:04} ({name}) was altered after it was applied; reinstall Noesis")
    return known[len(applied) :]


def _statements(text: str) -> list[str]:
    """The statements of a migration, one by one, since `executescript` would commit the transaction it runs in."""
    statements, current = [], ""
    for line in text.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
