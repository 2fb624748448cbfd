"""Shortest paths by meeting in the middle, for every store: breadth first from both ends, always the smaller edge.

A store hands in its `Steps`: which entities are there, what lies one step beyond some, which relations join two sets.
Invariant: all paths found have the one shortest length, in the order of their relations. Holds no query text.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from kg.errors import InputError
from kg.model import Relation
from kg.store import PATH_DEPTH_MAX
from kg.stores import rows

#: Entities that one search for paths may visit.
PATH_VISITS_MAX: Final = 200_000


class _Steps(Protocol):
    """What a search asks of a store, for its relations and its moment."""

    def present(self, ids: Sequence[str]) -> int:
        """How many of these entities are there."""

    def beyond(self, edge: Sequence[str]) -> Iterable[str]:
        """The entities one step from these, in either direction."""

    def joining(self, some: Sequence[str], others: Sequence[str], whole: bool = False) -> Sequence[Sequence[Any]]:
        """(near, far) of every relation between two sets in either direction; with `whole` its RELATION_COLUMNS too."""


class _Levels:
    """A breadth-first search from one end: the entities at each distance, and all that were met."""

    def __init__(self, start: str) -> None:
        self.levels: list[list[str]] = [[start]]
        self.met = {start}

    @property
    def edge(self) -> list[str]:
        """The entities farthest out."""
        return self.levels[-1]

    def take(self, ends: Iterable[str]) -> None:
        """Go one further, to these far ends."""
        fresh = [end for end in dict.fromkeys(ends) if end not in self.met]
        self.levels.append(fresh)
        self.met.update(fresh)


def shortest(steps: _Steps, source: str, target: str, depth: int, first: int) -> list[list[Relation]]:
    """The shortest paths between two entities, at most `first`, none longer than `depth`."""
    if source == target or steps.present([source, target]) < 2:
        return []
    one, other = _Levels(source), _Levels(target)
    for length in range(1, min(depth, PATH_DEPTH_MAX) + 1):
        joints = steps.joining(one.edge, other.edge)
        if joints:
            return _spell(steps, source, target, _layers(steps, one, other, joints), first)
        if length == min(depth, PATH_DEPTH_MAX):
            break
        side = one if len(one.edge) <= len(other.edge) else other
        side.take(steps.beyond(side.edge))
        if not side.edge:
            break
        if len(one.met) + len(other.met) > PATH_VISITS_MAX:
            raise InputError(
                f"more than {PATH_VISITS_MAX:,} entities lie between {source} and {target}; name the relations or "
                "lower the depth"
            )
    return []


def _layers(steps: _Steps, one: _Levels, other: _Levels, joints: Sequence[Sequence[Any]]) -> list[list[str]]:
    """The entities that lie on a shortest path, by their distance from the source."""
    ahead = [sorted({joint[0] for joint in joints})]
    for level in reversed(one.levels[:-1]):
        ahead.append(sorted({joint[1] for joint in steps.joining(ahead[-1], level)}))
    behind = [sorted({joint[1] for joint in joints})]
    for level in reversed(other.levels[:-1]):
        behind.append(sorted({joint[1] for joint in steps.joining(behind[-1], level)}))
    return ahead[::-1] + behind


def _spell(steps: _Steps, source: str, target: str, layers: Sequence[list[str]], first: int) -> list[list[Relation]]:
    """The paths in order of their relations, at most `first`."""
    onward: list[dict[str, list[tuple[tuple[str, str, str], str, Relation]]]] = []
    for some, others in itertools.pairwise(layers):
        found: dict[str, list[tuple[tuple[str, str, str], str, Relation]]] = {}
        for row in steps.joining(some, others, whole=True):
            made = rows.relation(tuple(row[2:]))
            found.setdefault(row[0], []).append(((made.name, made.source, made.target), row[1], made))
        onward.append({near: sorted(ends, key=lambda step: step[0]) for near, ends in found.items()})
    spelled: list[list[Relation]] = []
    stack: list[tuple[str, list[Relation]]] = [(source, [])]
    while stack and len(spelled) < first:
        id, path = stack.pop()
        if id == target and len(path) == len(onward):
            spelled.append(path)
        else:
            stack += [(end, [*path, relation]) for _, end, relation in reversed(onward[len(path)].get(id, ()))]
    return spelled
