"""Reads of entities, changes, causes and machine rows, each one statement over a snapshot.

Invariant: "current" is the default, and what was superseded or closed shows only where a position is given. The functions
take a reading connection; the facade lends it and translates errors.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from kg.model import Cause, Change, Cursor, Entity, Input, Order, Page, State, Where
from kg.store import PAGE_MAX, Schema
from kg.stores import rows
from kg.stores.keys import page_size, sort_text
from kg.stores.rows import CHANGE_COLUMNS, ENTITY_COLUMNS
from kg.stores.sqlite_where import conditions, sort_sql

CURRENT: Final = "v.until IS NULL AND v.closed = 0"
#: The version that was current at position ?1 (given twice), closed ones left out.
_PAST: Final = "v.closed = 0 AND v.since <= ? AND (v.until IS NULL OR v.until > ?)"


def live(at: int | None, alias: str = "v") -> tuple[str, list[int]]:
    """The condition that an entity is there, now or at a position, with its parameters."""
    if at is None:
        return CURRENT.replace("v.", f"{alias}."), []
    return _PAST.replace("v.", f"{alias}."), [at, at]


def moment(connection: sqlite3.Connection, at: int | None) -> int | None:
    """The position to read at, None for the head or later: what is current now is found without the past."""
    if at is None:
        return None
    (head,) = connection.execute("SELECT position FROM head").fetchone()
    return None if at >= head else at


def get(connection: sqlite3.Connection, ids: Sequence[str], at: int | None) -> dict[str, Entity]:
    """The entities with these ids, closed ones left out."""
    term, values = live(at)
    if len(ids) == 1:
        sql = f"SELECT {ENTITY_COLUMNS} FROM version v WHERE v.id = ? AND {term}"
        found = connection.execute(sql, (ids[0], *values))
    else:
        sql = f"SELECT {ENTITY_COLUMNS} FROM json_each(?) j CROSS JOIN version v ON v.id = j.value WHERE {term}"
        found = connection.execute(sql, (json.dumps(list(dict.fromkeys(ids))), *values))
    entities = [rows.entity(row) for row in found]
    return {entity.id: entity for entity in entities}


def versions(connection: sqlite3.Connection, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
    """These exact versions, closed ones included."""
    sql = (
        f"SELECT {ENTITY_COLUMNS} FROM json_each(?) j CROSS JOIN version v "
        "ON v.id = json_extract(j.value, '$[0]') AND v.version = json_extract(j.value, '$[1]')"
    )
    found = [rows.entity(row) for row in connection.execute(sql, (json.dumps(sorted(set(wanted))),))]
    return {(entity.id, entity.version): entity for entity in found}


def history(connection: sqlite3.Connection, id: str) -> list[Entity]:
    """Every version of an entity, oldest first."""
    sql = f"SELECT {ENTITY_COLUMNS} FROM version v WHERE v.id = ? ORDER BY v.version"
    return [rows.entity(row) for row in connection.execute(sql, (id,))]


def _branches(classes: Sequence[str], where: Sequence[Where], at: int | None) -> list[tuple[str, list[Any]]]:
    """FROM and WHERE for each class, so that the partial index of a class can serve; two where the past is asked."""
    clause = conditions(where, "v.")
    found: list[tuple[str, list[Any]]] = []
    for cls in classes:
        name = "'" + cls.replace("'", "''") + "'"
        if at is None:
            terms: list[tuple[str, list[int]]] = [(CURRENT, [])]
        else:
            terms = [
                (f"{CURRENT} AND v.since <= ?", [at]),
                ("v.until IS NOT NULL AND v.closed = 0 AND v.since <= ? AND v.until > ?", [at, at]),
            ]
        for term, values in terms:
            found.append((f"FROM version v WHERE v.cls = {name} AND {term} AND {clause.sql}", values + clause.values))
    return found


def find(
    connection: sqlite3.Connection,
    schema: Schema,
    cls: str,
    where: Sequence[Where],
    order: Order,
    after: Cursor | None,
    first: int,
    at: int | None,
) -> Page:
    """One page of a class and its subclasses."""
    size = page_size(first)
    way, beyond = ("DESC", "<") if order.descending else ("ASC", ">")
    key = sort_sql(order.property, "v.") if order.property is not None else None
    more, bound = _beyond(key, beyond, after)
    selects, values = [], []
    for source, given in _branches(schema.subclasses(cls), where, at):
        selects.append(f"SELECT {ENTITY_COLUMNS}, {key or 'NULL'} AS sort {source}{more}")
        values += [*given, *bound]
    by = f"sort IS NULL, sort {way}, id {way}" if key else f"id {way}"
    parts = [f"SELECT * FROM ({' UNION ALL '.join(selects)})"]
    if key and len(selects) == 1:
        # Two runs in index order, those that have the property first, so that no page sorts the whole class.
        parts = [f"SELECT * FROM ({selects[0]} AND {key} {there})" for there in ("> ''", "IS NULL")]
        by = f"sort {way}, id {way}"
    found: list[tuple[Any, ...]] = []
    for part in parts:
        limit = size + 1 - len(found)
        if limit > 0:
            found += connection.execute(f"{part} ORDER BY {by} LIMIT ?", (*values, limit))
    items = tuple(rows.entity(row) for row in found[:size])
    if len(found) <= size or not items:
        return Page(items)
    last = items[-1]
    return Page(items, Cursor(last.get(order.property) if order.property else None, last.id))


def _beyond(key: str | None, beyond: str, after: Cursor | None) -> tuple[str, list[Any]]:
    if after is None:
        return "", []
    if key is None:
        return f" AND v.id {beyond} ?", [after.id]
    if after.value is None:
        return f" AND {key} IS NULL AND v.id {beyond} ?", [after.id]
    text = sort_text(after.value)
    return f" AND ({key} IS NULL OR ({key}, v.id) {beyond} (?, ?))", [text, after.id]


def count(
    connection: sqlite3.Connection, schema: Schema, cls: str, where: Sequence[Where], at_most: int, at: int | None
) -> int:
    """How many `find` would give, counted no further than `at_most`."""
    parts, values = [], []
    for source, given in _branches(schema.subclasses(cls), where, at):
        parts.append(f"SELECT 1 {source}")
        values += given
    sql = f"SELECT count(*) FROM ({' UNION ALL '.join(parts)} LIMIT ?)"
    return int(connection.execute(sql, (*values, max(at_most, 0))).fetchone()[0])


_CHANGES = f"SELECT {CHANGE_COLUMNS} FROM change c JOIN cause u ON u.number = c.cause"


def changes(connection: sqlite3.Connection, after: int, first: int) -> list[Change]:
    """The next changes after a position."""
    sql = f"{_CHANGES} WHERE c.position > ? ORDER BY c.position LIMIT ?"
    return [rows.change(row) for row in connection.execute(sql, (after, page_size(first)))]


def changes_of(connection: sqlite3.Connection, id: str, first: int) -> list[Change]:
    """The newest changes whose subject or target is this id, newest first."""
    size = page_size(first)
    sql = (
        f"{_CHANGES} WHERE c.position IN (SELECT position FROM (SELECT position FROM change WHERE subject = ? "
        "ORDER BY position DESC LIMIT ?) UNION SELECT position FROM (SELECT position FROM change WHERE target = ? "
        "ORDER BY position DESC LIMIT ?)) ORDER BY c.position DESC LIMIT ?"
    )
    return [rows.change(row) for row in connection.execute(sql, (id, size, id, size, size))]


def caused(connection: sqlite3.Connection, cause: str, first: int) -> list[Change]:
    """The changes that one cause made, in order."""
    sql = (
        f"SELECT {CHANGE_COLUMNS} FROM cause u CROSS JOIN change c ON c.position BETWEEN u.first AND u.last "
        "WHERE u.id = ? ORDER BY c.position LIMIT ?"
    )
    return [rows.change(row) for row in connection.execute(sql, (cause, page_size(first)))]


def causes(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Cause]:
    """The causes with these ids."""
    wanted = json.dumps(list(dict.fromkeys(ids)))
    used: dict[int, list[Input]] = {}
    sql = (
        "SELECT i.cause, i.id, i.version FROM json_each(?) j CROSS JOIN cause u ON u.id = j.value "
        "CROSS JOIN cause_input i ON i.cause = u.number ORDER BY i.cause, i.place"
    )
    for number, id, version in connection.execute(sql, (wanted,)):
        used.setdefault(number, []).append(Input(id, version))
    sql = (
        "SELECT u.number, u.id, u.activity, u.agent, u.reason, u.on_behalf_of, u.attributes "
        "FROM json_each(?) j CROSS JOIN cause u ON u.id = j.value"
    )
    return {
        id: Cause(id, activity, agent, reason, behalf, tuple(used.get(number, ())), json.loads(attributes))
        for number, id, activity, agent, reason, behalf, attributes in connection.execute(sql, (wanted,))
    }


def state(connection: sqlite3.Connection, kind: str, keys: Sequence[str]) -> dict[str, State]:
    """These machine rows, by key."""
    sql = "SELECT kind, key, value, revision, due FROM state WHERE kind = ? AND key IN (SELECT value FROM json_each(?))"
    found = [rows.state(row) for row in connection.execute(sql, (kind, json.dumps(list(keys))))]
    return {row.key: row for row in found}


def scan(
    connection: sqlite3.Connection, kind: str, prefix: str, after: str, due: int | None, first: int
) -> list[State]:
    """Machine rows of a kind in key order, or those due, soonest first."""
    term = "kind = ? AND key > ? AND key >= ? AND substr(key, 1, ?) = ?"
    values: list[Any] = [kind, after, prefix, len(prefix), prefix]
    if prefix:
        term += " AND key <= ?"
        values.append(prefix + "\U0010ffff" * 2)
    by = "key"
    if due is not None:
        # The plus signs keep the planner on the index of due times.
        term = term.replace("key >", "+key >").replace("key <=", "+key <=") + " AND due IS NOT NULL AND due <= ?"
        values.append(due)
        by = "due, key"
    sql = f"SELECT kind, key, value, revision, due FROM state WHERE {term} ORDER BY {by} LIMIT ?"
    return [rows.state(row) for row in connection.execute(sql, (*values, page_size(first)))]


def leaves(connection: sqlite3.Connection, after: int, first: int = PAGE_MAX) -> list[tuple[int, bytes]]:
    """Positions and stored leaf hashes, in order."""
    sql = "SELECT position, leaf FROM change WHERE position > ? ORDER BY position LIMIT ?"
    return connection.execute(sql, (after, page_size(first))).fetchall()
