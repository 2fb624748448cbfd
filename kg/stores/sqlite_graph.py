"""Reads along relations: expand, relations of an entity, shortest paths.

Invariant: an edge whose far end has no entity at that moment is skipped. Ids are followed one statement each inside one
snapshot: a statement costs microseconds here, and its LIMIT stops in index order, while a window function over all ids
would read every edge of a hub.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from kg.model import Direction, Edge, Relation, Where
from kg.stores import rows
from kg.stores.keys import page_size
from kg.stores.paths import shortest
from kg.stores.rows import ENTITY_COLUMNS, RELATION_COLUMNS
from kg.stores.sqlite_read import live
from kg.stores.sqlite_where import conditions

#: Pairs of entities up to which relations between two sets are sought pair by pair.
SEEKS_MAX: Final = 64
_WAYS: Final = (("source", "target"), ("target", "source"))


def _there(at: int | None) -> tuple[str, list[int]]:
    if at is None:
        return "r.until IS NULL", []
    return "r.since <= ? AND (r.until IS NULL OR r.until > ?)", [at, at]


def expand(
    connection: sqlite3.Connection,
    ids: Sequence[str],
    relation: str,
    direction: Direction,
    where: Sequence[Where],
    first: int,
    at: int | None,
    after: str | None,
) -> dict[str, list[Edge]]:
    """For each id its edges of that name, ordered by far id."""
    near, far = ("source", "target") if direction is Direction.OUT else ("target", "source")
    edge, edge_values = _there(at)
    entity, entity_values = live(at)
    clause = conditions(where, "v.")
    later, later_values = (f"AND r.{far} > ? ", [after]) if after is not None else ("", [])
    sql = (
        f"SELECT {ENTITY_COLUMNS}, {RELATION_COLUMNS} FROM relation r CROSS JOIN version v ON v.id = r.{far} "
        f"WHERE r.{near} = ? AND r.name = ? AND {edge} {later}AND {entity} AND {clause.sql} ORDER BY r.{far} LIMIT ?"
    )
    values = [relation, *edge_values, *later_values, *entity_values, *clause.values, page_size(first)]
    return {
        id: [Edge(rows.relation(row[10:]), rows.entity(row)) for row in connection.execute(sql, (id, *values))]
        for id in dict.fromkeys(ids)
    }


def relations(
    connection: sqlite3.Connection, ids: Sequence[str], at: int | None, first: int
) -> dict[str, list[Relation]]:
    """For each id every relation that leaves or enters it, ordered by (name, source, target)."""
    term, values = _there(at)
    sql = (
        f"SELECT {RELATION_COLUMNS} FROM relation r WHERE r.source = ? AND {term} UNION ALL "
        f"SELECT {RELATION_COLUMNS} FROM relation r WHERE r.target = ? AND r.source <> r.target AND {term} "
        "ORDER BY 2, 1, 3 LIMIT ?"
    )
    size = page_size(first)
    return {
        id: [rows.relation(row) for row in connection.execute(sql, (id, *values, id, *values, size))]
        for id in dict.fromkeys(ids)
    }


class Search:
    """The statements of one search for paths: which relations, at which moment."""

    def __init__(self, connection: sqlite3.Connection, names: Sequence[str], at: int | None) -> None:
        self._connection = connection
        self._names = [json.dumps(list(names))] if names else []
        self._named = "AND r.name IN (SELECT value FROM json_each(?)) " if names else ""
        self._edge, self._edge_values = _there(at)
        self._entity, self._entity_values = live(at)

    def present(self, ids: Sequence[str]) -> int:
        """How many of these entities are there."""
        sql = f"SELECT count(*) FROM json_each(?) j CROSS JOIN version v ON v.id = j.value WHERE {self._entity}"
        return int(self._connection.execute(sql, (json.dumps(ids), *self._entity_values)).fetchone()[0])

    def beyond(self, edge: Sequence[str]) -> Iterable[str]:
        """The entities one step from these, in either direction."""
        wanted = json.dumps(edge)
        for near, far in _WAYS:
            sql = (
                f"SELECT r.{far} FROM json_each(?) j CROSS JOIN relation r ON r.{near} = j.value {self._named}"
                f"CROSS JOIN version v ON v.id = r.{far} WHERE {self._edge} AND {self._entity}"
            )
            values = (wanted, *self._names, *self._edge_values, *self._entity_values)
            yield from (end for (end,) in self._connection.execute(sql, values))

    def joining(self, some: Sequence[str], others: Sequence[str], whole: bool = False) -> list[tuple[Any, ...]]:
        """(near, far) of every relation between two sets of entities, in either direction; with `whole` its columns."""
        columns = f", {RELATION_COLUMNS}" if whole else ""
        # Seeking each pair is best for few pairs; else each edge of `some` is looked up, which the plus sign asks for.
        seek = "" if len(some) * len(others) <= SEEKS_MAX else "+"
        found: list[tuple[Any, ...]] = []
        for near, far in _WAYS:
            sql = (
                f"SELECT r.{near}, r.{far}{columns} FROM json_each(?) j CROSS JOIN relation r ON r.{near} = j.value "
                f"{self._named}WHERE {self._edge} AND {seek}r.{far} IN (SELECT value FROM json_each(?))"
            )
            values = (json.dumps(some), *self._names, *self._edge_values, json.dumps(others))
            found += self._connection.execute(sql, values)
        return found


def paths(
    connection: sqlite3.Connection,
    source: str,
    target: str,
    names: Sequence[str],
    depth: int,
    first: int,
    at: int | None,
) -> list[list[Relation]]:
    """Shortest paths in either direction."""
    return shortest(Search(connection, names, at), source, target, depth, page_size(first))
