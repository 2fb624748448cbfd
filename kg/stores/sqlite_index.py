"""Expression indexes for the properties that the ontology declares indexed, made with the first commit that meets a class.

Invariant: an index only makes `find` faster; every answer is the same without it. One partial index a class and property, so
that a class pays for its own properties only.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from kg.errors import InputError
from kg.model import Put
from kg.store import Schema
from kg.stores.prepare import Prepared
from kg.stores.sqlite_where import sort_sql

_PREFIX = "find:"


def ensure_indexes(
    connection: sqlite3.Connection, schema: Schema, known: set[str] | None, batch: Sequence[Prepared]
) -> set[str]:
    """Make missing indexes, drop those no longer declared; returns the classes looked at so far."""
    classes = {write.cls for prepared in batch for write in prepared.request.writes if isinstance(write, Put)}
    if known is not None:
        if classes <= known:
            return known
        _make(connection, schema, classes - known)
        return known | classes
    stored = _stored_classes(connection)
    wanted = _make(connection, schema, stored | classes)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall():
        if name.startswith(_PREFIX) and name not in wanted:
            connection.execute(f"DROP INDEX {_identifier(name)}")
            connection.execute("DELETE FROM sqlite_stat1 WHERE idx = ?", (name,))
    return stored | classes


def _stored_classes(connection: sqlite3.Connection) -> set[str]:
    """The classes that have entities, one step of the index each."""
    sql = (
        "WITH RECURSIVE step (cls) AS (SELECT min(cls) FROM version WHERE until IS NULL AND closed = 0 UNION ALL "
        "SELECT (SELECT min(cls) FROM version WHERE until IS NULL AND closed = 0 AND cls > step.cls) FROM step "
        "WHERE cls IS NOT NULL) SELECT cls FROM step WHERE cls IS NOT NULL"
    )
    return {cls for (cls,) in connection.execute(sql)}


def _make(connection: sqlite3.Connection, schema: Schema, classes: Iterable[str]) -> set[str]:
    wanted: set[str] = set()
    for cls in sorted(classes):
        try:
            properties = schema.indexed(cls)
        except InputError:
            # A class that the ontology no longer knows keeps its entities and needs no index.
            continue
        for name in properties:
            index = f"{_PREFIX}{cls}:{name}"
            wanted.add(index)
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (index,)).fetchone():
                continue
            literal = "'" + cls.replace("'", "''") + "'"
            connection.execute(
                f"CREATE INDEX {_identifier(index)} ON version ({sort_sql(name)}, id) "
                f"WHERE cls = {literal} AND until IS NULL AND closed = 0"
            )
            # What the planner should think of it; real statistics of a small graph would mislead it later.
            connection.execute("INSERT INTO sqlite_stat1 VALUES ('version', ?, '100000 10 1')", (index,))
    return wanted


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
