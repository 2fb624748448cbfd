"""Reads along relations from Neo4j: expand, relations of an entity, shortest paths; one query for all ids.

Invariant: an edge whose far end has no entity at that moment is skipped. The links of the log are read in the order of
their index, so that a page of a hub costs a page.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from kg.model import Direction, Edge, Relation, Where
from kg.stores import rows
from kg.stores.keys import page_size
from kg.stores.neo4j_queries import query
from kg.stores.neo4j_read import entity
from kg.stores.neo4j_server import Asking, fetch
from kg.stores.neo4j_where import conditions
from kg.stores.paths import shortest

#: Columns of an entity before those of a relation in a row.
_ENTITY: Final = 10


def expand(
    tx: Asking,
    ids: Sequence[str],
    relation: str,
    direction: Direction,
    where: Sequence[Where],
    first: int,
    at: int | None,
    after: str | None,
) -> dict[str, list[Edge]]:
    """For each id its edges of that name, ordered by far id."""
    clause = conditions(where)
    made: dict[str, list[Edge]] = {id: [] for id in ids}
    text = query(f"expand_{direction.value}", past=at is not None, where=clause.text)
    values = {"ids": list(made), "relation": relation, "after": after or "", "first": page_size(first), "at": at}
    for row in fetch(tx, text, {**values, **clause.values}):
        made[row[0]].append(Edge(rows.relation(tuple(row[1 + _ENTITY :])), entity(row[1 : 1 + _ENTITY])))
    return made


def relations(tx: Asking, ids: Sequence[str], at: int | None, first: int) -> dict[str, list[Relation]]:
    """For each id every relation that leaves or enters it, ordered by (name, source, target)."""
    made: dict[str, list[Relation]] = {id: [] for id in ids}
    text = query("relations", past=at is not None)
    for row in fetch(tx, text, {"ids": list(made), "first": page_size(first), "at": at}):
        made[row[0]].append(rows.relation(tuple(row[1:])))
    return made


class Steps:
    """The queries of one search for paths: which relations, at which moment."""

    def __init__(self, tx: Asking, names: Sequence[str], at: int | None) -> None:
        self._tx = tx
        self._past = at is not None
        self._values: dict[str, Any] = {"names": list(names), "at": at}
        self._named = "l.relation IN $names" if names else "l.relation IS NOT NULL"

    def _ask(self, name: str, **values: Any) -> list[list[Any]]:
        return fetch(self._tx, query(name, past=self._past, named=self._named), {**self._values, **values})

    def present(self, ids: Sequence[str]) -> int:
        """How many of these entities are there."""
        ((counted,),) = self._ask("present", ids=list(ids))
        return int(counted)

    def beyond(self, edge: Sequence[str]) -> Iterable[str]:
        """The entities one step from these, in either direction."""
        for name in ("beyond_out", "beyond_in"):
            yield from (end for (end,) in self._ask(name, ids=list(edge)))

    def joining(self, some: Sequence[str], others: Sequence[str], whole: bool = False) -> list[list[Any]]:
        """(near, far) of every relation between two sets of entities, in either direction; with `whole` its columns."""
        values = {"ids": list(some), "others": list(others)}
        found = [row for name in ("joining_out", "joining_in") for row in self._ask(name, **values)]
        return found if whole else [row[:2] for row in found]


def paths(
    tx: Asking,
    source: str,
    target: str,
    names: Sequence[str],
    depth: int,
    first: int,
    at: int | None,
) -> list[list[Relation]]:
    """Shortest paths in either direction."""
    return shortest(Steps(tx, names, at), source, target, depth, page_size(first))
