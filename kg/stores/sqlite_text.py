"""Text search by FTS5, brought up to date from the change log when somebody searches.

Invariant: commits never pay for it; it can be dropped and made again at any time. Only the properties that the ontology
declares searchable go in. The query is plain words, any of which may match; it has no syntax that could be malformed.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from kg.errors import InputError, StoreBusyError, StoreFullError, StoreReadOnlyError
from kg.store import Schema
from kg.stores import rows
from kg.stores.keys import page_size
from kg.stores.rows import ENTITY_COLUMNS
from kg.stores.sqlite_file import Database

#: Changes taken into the index in one transaction.
STEP: Final = 5_000
WORDS_MAX: Final = 64
_WORD = re.compile(r"\w+")


def catch_up(database: Database, schema: Schema) -> None:
    """Take the changes since the last search into the index; a store that cannot be written is searched as it is."""
    while True:
        with database.reading(snapshot=True) as connection:
            if not _behind(connection) and not _stale(connection, schema):
                return
        try:
            with database.writing() as connection:
                for cls in _stale(connection, schema):
                    _rebuild(connection, schema, cls)
                _follow(connection, schema)
        except (StoreReadOnlyError, StoreBusyError, StoreFullError):
            return


def _behind(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT (SELECT position FROM head) > (SELECT position FROM text_cursor)").fetchone()
    return bool(row[0])


def _texts(schema: Schema, cls: str) -> tuple[str, ...]:
    try:
        return tuple(schema.text(cls))
    except InputError:
        return ()


def _stale(connection: sqlite3.Connection, schema: Schema) -> list[str]:
    """Classes whose searchable properties are other than when they were indexed."""
    found = connection.execute("SELECT cls, properties FROM text_class").fetchall()
    return [cls for cls, properties in found if properties != "\n".join(_texts(schema, cls))]


def _rebuild(connection: sqlite3.Connection, schema: Schema, cls: str) -> None:
    connection.execute("DELETE FROM text_body WHERE rowid IN (SELECT number FROM text_entity WHERE cls = ?)", (cls,))
    connection.execute("DELETE FROM text_entity WHERE cls = ?", (cls,))
    names = _note(connection, schema, cls)
    found = connection.execute(
        f"SELECT {ENTITY_COLUMNS} FROM version v WHERE v.cls = ? AND v.until IS NULL AND v.closed = 0", (cls,)
    )
    for row in found:
        _put(connection, row, names)


def _note(connection: sqlite3.Connection, schema: Schema, cls: str) -> tuple[str, ...]:
    names = _texts(schema, cls)
    connection.execute("INSERT OR REPLACE INTO text_class (cls, properties) VALUES (?, ?)", (cls, "\n".join(names)))
    return names


def _follow(connection: sqlite3.Connection, schema: Schema) -> None:
    (after,) = connection.execute("SELECT position FROM text_cursor").fetchone()
    (until,) = connection.execute("SELECT min(position, ? + ?) FROM head", (after, STEP)).fetchone()
    changed = connection.execute(
        "SELECT DISTINCT subject FROM change WHERE position > ? AND position <= ? AND version > 0", (after, until)
    ).fetchall()
    _replace(connection, [id for (id,) in changed], lambda cls: _note(connection, schema, cls))
    connection.execute("UPDATE text_cursor SET position = ?", (until,))


def refresh(connection: sqlite3.Connection, schema: Schema, ids: Sequence[str]) -> None:
    """Take entities as they are now in place of what the index held of them; only where it held something."""
    held = connection.execute(
        "SELECT e.id FROM json_each(?) j CROSS JOIN text_entity e ON e.id = j.value", (json.dumps(ids),)
    ).fetchall()
    _replace(connection, [id for (id,) in held], lambda cls: _texts(schema, cls))


def _replace(connection: sqlite3.Connection, ids: Sequence[str], texts: Callable[[str], tuple[str, ...]]) -> None:
    # FTS5 writes what it holds in memory as a segment of its own whenever a row number is lower than the one before, so
    # all that goes is deleted first, in order, and what comes gets ascending numbers behind it.
    wanted = (json.dumps(ids),)
    of = "(SELECT value FROM json_each(?))"
    connection.execute(
        f"DELETE FROM text_body WHERE rowid IN (SELECT number FROM text_entity WHERE id IN {of})", wanted
    )
    connection.execute(f"DELETE FROM text_entity WHERE id IN {of}", wanted)
    found = connection.execute(
        f"SELECT {ENTITY_COLUMNS} FROM json_each(?) j CROSS JOIN version v ON v.id = j.value"
        " WHERE v.until IS NULL AND v.closed = 0",
        wanted,
    )
    names: dict[str, tuple[str, ...]] = {}
    for row in found:
        if row[1] not in names:
            names[row[1]] = texts(row[1])
        _put(connection, row, names[row[1]])


def _put(connection: sqlite3.Connection, row: tuple[Any, ...], names: Sequence[str]) -> None:
    values = rows.properties(row[3], row[4])
    body = " \n".join(_flat(values[name]) for name in names if name in values)
    if body:
        made = connection.execute("INSERT INTO text_entity (id, cls) VALUES (?, ?)", (row[0], row[1]))
        connection.execute("INSERT INTO text_body (rowid, body) VALUES (?, ?)", (made.lastrowid, body))


def _flat(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def search(connection: sqlite3.Connection, query: str, classes: Sequence[str], first: int) -> list[tuple[str, float]]:
    """Ids and scores (BM25, higher is better), best first, ties by id."""
    words = list(dict.fromkeys(_WORD.findall(query.lower())))[:WORDS_MAX]
    if not words:
        return []
    match = " OR ".join(f'"{word}"' for word in words)
    only = f"AND e.cls IN ({','.join('?' * len(classes))}) " if classes else ""
    sql = (
        "SELECT e.id, -bm25(text_body) FROM text_body JOIN text_entity e ON e.number = text_body.rowid "
        f"WHERE text_body MATCH ? {only}ORDER BY 2 DESC, 1 LIMIT ?"
    )
    return connection.execute(sql, (match, *classes, page_size(first))).fetchall()
