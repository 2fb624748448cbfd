"""Reads along relations: expand, relations of an entity, shortest paths.

Invariant: an edge whose far end has no entity at that moment is skipped. Ids are followed one statement each inside one
snapshot: a statement costs microseconds here, and its LIMIT stops in index order, while a window function over all ids
would read every edge of a hub.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from kg.errors import InputError
from kg.model import Direction, Edge, Relation, Where
from kg.store import PATH_DEPTH_MAX
from kg.stores import rows
from kg.stores.rows import ENTITY_COLUMNS, RELATION_COLUMNS
from kg.stores.sqlite_read import live, page_size
from kg.stores.sqlite_where import conditions

#: Entities that one search for paths may visit.
PATH_VISITS_MAX: Final = 200_000


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


class Levels:
    """A breadth-first search from one end: the entities at each distance."""

    def __init__(self, start: str) -> None:
        self.depth = {start: 0}
        self.edge: list[str] = [start]

    def take(self, steps: Iterable[tuple[str, str]]) -> None:
        """Go one further over (near, far) steps."""
        level = self.depth[self.edge[0]] + 1
        fresh = dict.fromkeys(far for _, far in steps if far not in self.depth)
        self.depth.update(dict.fromkeys(fresh, level))
        self.edge = list(fresh)


def paths(
    connection: sqlite3.Connection,
    source: str,
    target: str,
    names: Sequence[str],
    depth: int,
    first: int,
    at: int | None,
) -> list[list[Relation]]:
    """Shortest paths in either direction: breadth first from both ends, always the smaller edge, until they meet."""
    if source == target or len(_present(connection, [source, target], at)) < 2:
        return []
    size = page_size(first)
    one, other = Levels(source), Levels(target)
    for _ in range(min(depth, PATH_DEPTH_MAX)):
        side, back = (one, other) if len(one.edge) <= len(other.edge) else (other, one)
        side.take(_steps(connection, side.edge, names, at))
        if not side.edge:
            return []
        if len(one.depth) + len(other.depth) > PATH_VISITS_MAX:
            raise InputError(
                f"more than {PATH_VISITS_MAX:,} entities lie between {source} and {target}; name the relations or "
                "lower the depth"
            )
        meeting = {id for id in side.edge if id in back.depth}
        if meeting:
            near = _between(connection, one, meeting, names, at)
            onward = _between(connection, other, meeting, names, at)
            allowed = near | onward | meeting
            return _spell(connection, source, target, allowed, one, other, names, size, at)
    return []


def _present(connection: sqlite3.Connection, ids: Sequence[str], at: int | None) -> set[str]:
    term, values = live(at)
    sql = f"SELECT v.id FROM json_each(?) j CROSS JOIN version v ON v.id = j.value WHERE {term}"
    return {id for (id,) in connection.execute(sql, (json.dumps(ids), *values))}


def _sql(columns: str, near: str, far: str, names: Sequence[str], at: int | None) -> tuple[str, list[Any]]:
    edge, edge_values = _there(at)
    entity, entity_values = live(at)
    named = "AND r.name IN (SELECT value FROM json_each(?)) " if names else ""
    sql = (
        f"SELECT {columns} FROM json_each(?) j CROSS JOIN relation r ON r.{near} = j.value {named}"
        f"CROSS JOIN version v ON v.id = r.{far} WHERE {edge} AND {entity}"
    )
    return sql, [*([json.dumps(list(names))] if names else []), *edge_values, *entity_values]


def _steps(
    connection: sqlite3.Connection, edge: Sequence[str], names: Sequence[str], at: int | None
) -> Iterable[tuple[str, str]]:
    wanted = json.dumps(edge)
    for near, far in (("source", "target"), ("target", "source")):
        sql, values = _sql(f"r.{near}, r.{far}", near, far, names, at)
        yield from connection.execute(sql, (wanted, *values))


def _between(
    connection: sqlite3.Connection, side: Levels, meeting: set[str], names: Sequence[str], at: int | None
) -> set[str]:
    """The entities of one side that lie on a shortest path to the meeting points."""
    good, level = set(meeting), side.depth[next(iter(meeting))]
    edge = list(meeting)
    while level > 0:
        level -= 1
        steps = _steps(connection, edge, names, at)
        edge = list({far for _, far in steps if side.depth.get(far) == level})
        good.update(edge)
    return good


def _spell(
    connection: sqlite3.Connection,
    source: str,
    target: str,
    allowed: set[str],
    one: Levels,
    other: Levels,
    names: Sequence[str],
    first: int,
    at: int | None,
) -> list[list[Relation]]:
    """The paths in order of their relations, at most `first`, walking only entities that lie on one."""
    found: list[list[Relation]] = []
    length = min(one.depth[id] + other.depth[id] for id in allowed if id in one.depth and id in other.depth)
    steps: dict[str, list[tuple[Relation, str]]] = {}

    def left(id: str) -> int | None:
        """Steps still to go from an entity on a shortest path."""
        if id in one.depth and (id not in other.depth or one.depth[id] + other.depth[id] == length):
            return length - one.depth[id]
        return other.depth.get(id)

    def onward(id: str) -> list[tuple[Relation, str]]:
        if id not in steps:
            made: dict[tuple[str, str, str], tuple[Relation, str]] = {}
            for near, far in (("source", "target"), ("target", "source")):
                sql, values = _sql(RELATION_COLUMNS, near, far, names, at)
                for row in connection.execute(sql, (json.dumps([id]), *values)):
                    end = row[0] if far == "source" else row[2]
                    if end in allowed and left(end) == (left(id) or 0) - 1:
                        made[row[1], row[0], row[2]] = (rows.relation(row), end)
            steps[id] = [made[key] for key in sorted(made)]
        return steps[id]

    stack: list[tuple[str, list[Relation]]] = [(source, [])]
    while stack and len(found) < first:
        id, path = stack.pop()
        if id == target:
            found.append(path)
            continue
        stack += [(end, [*path, relation]) for relation, end in reversed(onward(id))]
    return found
