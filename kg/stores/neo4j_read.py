"""Reads of entities, changes, causes and machine rows from Neo4j, batched by UNWIND.

Invariant: "current" is the default, and what was superseded or closed shows only where a position is given. The functions
take a reading transaction; the facade lends it and translates errors.
"""

import json
from collections.abc import Sequence
from typing import Any

from kg.model import Cause, Change, Cursor, Entity, Input, Order, Page, State, Where
from kg.store import Schema
from kg.stores import rows
from kg.stores.keys import page_size
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_server import Asking, fetch
from kg.stores.neo4j_where import beyond, classes, column, conditions


def entity(row: Sequence[Any]) -> Entity:
    """The Entity of a row of entity columns."""
    return rows.entity(tuple(row))


def get(tx: Asking, ids: Sequence[str], at: int | None) -> dict[str, Entity]:
    """The entities with these ids, closed ones left out."""
    text = query("get_now") if at is None else query("get_past", past=True)
    found = [entity(row) for row in fetch(tx, text, {"ids": list(dict.fromkeys(ids)), "at": at})]
    return {one.id: one for one in found}


def versions(tx: Asking, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
    """These exact versions, closed ones included."""
    found = [entity(row) for row in fetch(tx, query("versions"), {"pairs": [list(pair) for pair in set(wanted)]})]
    return {(one.id, one.version): one for one in found}


def history(tx: Asking, id: str) -> list[Entity]:
    """Every version of an entity, oldest first."""
    return [entity(row) for row in fetch(tx, query("history"), {"id": id})]


def find(
    tx: Asking,
    schema: Schema,
    cls: str,
    where: Sequence[Where],
    order: Order,
    after: Cursor | None,
    first: int,
    at: int | None,
) -> Page:
    """One page of a class and its subclasses: those that have the property first, then those that do not."""
    size = page_size(first)
    key = column(order.property) if order.property is not None else None
    way = "DESC" if order.descending else "ASC"
    term, values = classes(schema.subclasses(cls))
    found: list[list[Any]] = []
    for absent in (False, True) if key else (False,):
        clause = conditions(where)
        if len(found) > size or not beyond(clause, key, order.descending, after, absent):
            continue
        by = f"{key} {way}, v.subject {way}" if key and not absent else f"v.subject {way}"
        text = query("find", past=at is not None, classes=term, where=clause.text, order=by)
        limit = {"limit": size + 1 - len(found), "at": at}
        found += fetch(tx, text, {**values, **clause.values, **limit})
    items = tuple(entity(row) for row in found[:size])
    if len(found) <= size or not items:
        return Page(items)
    last = items[-1]
    return Page(items, Cursor(last.get(order.property) if order.property else None, last.id))


def count(tx: Asking, schema: Schema, cls: str, where: Sequence[Where], at_most: int, at: int | None) -> int:
    """How many `find` would give, counted no further than `at_most`."""
    term, values = classes(schema.subclasses(cls))
    clause = conditions(where)
    text = query("count", past=at is not None, classes=term, where=clause.text)
    ((counted,),) = fetch(tx, text, {**values, **clause.values, "limit": max(at_most, 0), "at": at})
    return int(counted)


def changes(tx: Asking, after: int, first: int) -> tuple[list[Change], int, int]:
    """The next changes without a gap, the head's position and the position up to which every commit is whole."""
    ((position, settled),) = fetch(tx, query("tail"))
    until = min(position, after + page_size(first))
    found = fetch(tx, query("changes"), {"after": after, "until": until}) if until > after else []
    whole = [row for place, row in enumerate(found, after + 1) if row[0] == place]
    return [rows.change(tuple(row)) for row in whole], position, settled


def changes_of(tx: Asking, id: str, first: int) -> list[Change]:
    """The newest changes whose subject or target is this id, newest first."""
    found = fetch(tx, query("changes_of"), {"id": id, "first": page_size(first)})
    return [rows.change(tuple(row)) for row in found]


def caused(tx: Asking, cause: str, first: int) -> list[Change]:
    """The changes that one cause made, in order."""
    found = fetch(tx, query("caused"), {"cause": cause, "first": page_size(first)})
    return [rows.change(tuple(row)) for row in found]


def causes(tx: Asking, ids: Sequence[str]) -> dict[str, Cause]:
    """The causes with these ids."""
    made = {}
    for row in fetch(tx, query("causes"), {"ids": list(dict.fromkeys(ids))}):
        id, activity, agent, reason, behalf, attributes, used, numbers = row
        inputs = tuple(Input(one, number) for one, number in zip(used, numbers, strict=True))
        made[id] = Cause(id, activity, agent, reason, behalf, inputs, json.loads(attributes))
    return made


def state(tx: Asking, kind: str, keys: Sequence[str]) -> dict[str, State]:
    """These machine rows, by key."""
    found = [rows.state(tuple(row)) for row in fetch(tx, query("state"), {"kind": kind, "keys": list(keys)})]
    return {row.key: row for row in found}


def scan(tx: Asking, kind: str, prefix: str, after: str, due: int | None, first: int) -> list[State]:
    """Machine rows of a kind in key order, or those due, soonest first."""
    values = {"kind": kind, "prefix": prefix, "after": after, "due": due, "first": page_size(first)}
    text = query("scan") if due is None else query("scan_due")
    return [rows.state(tuple(row)) for row in fetch(tx, text, values)]


def leaves(tx: Asking, after: int, first: int) -> list[tuple[int, bytes]]:
    """Positions and stored leaf hashes, in order."""
    found = fetch(tx, query("leaves"), {"after": after, "first": page_size(first)})
    return [(position, bytes(leaf)) for position, leaf in found]
