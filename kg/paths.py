"""Shortest paths among the entities that a reader may see.

Invariant: it only follows relations that the given function returns, so an entity the function hides is never on a path. It
does not know stores or Views.
"""

from collections.abc import Callable, Mapping, Sequence

from kg.model import Relation

#: Entities visited in one search; beyond it no path is reported.
VISITED_MAX = 10_000

Neighbours = Callable[[Sequence[str]], Mapping[str, Sequence[Relation]]]


def visible_paths(
    neighbours: Neighbours, source: str, target: str, relations: Sequence[str], depth: int, first: int
) -> list[list[Relation]]:
    """Up to `first` shortest paths in either direction, all of one length, in order of their relations."""
    #: how each entity was reached at its first level: (entity before, relation)
    reached: dict[str, list[tuple[str, Relation]]] = {source: []}
    frontier = [source]
    for _ in range(depth):
        level: dict[str, list[tuple[str, Relation]]] = {}
        for near, edges in neighbours(frontier).items():
            for edge in edges:
                far = edge.target if edge.source == near else edge.source
                if far not in reached and (not relations or edge.name in relations):
                    level.setdefault(far, []).append((near, edge))
        reached |= level
        if target in level:
            paths = _unwind(reached, target, first)
            return sorted(paths, key=lambda path: [(r.name, r.source, r.target) for r in path])
        frontier = sorted(level)
        if not frontier or len(reached) > VISITED_MAX:
            break
    return []


def _unwind(reached: Mapping[str, Sequence[tuple[str, Relation]]], target: str, first: int) -> list[list[Relation]]:
    paths: list[tuple[str, list[Relation]]] = [(target, [])]
    while paths and reached[paths[0][0]]:
        paths = [(before, [edge, *path]) for end, path in paths for before, edge in reached[end]][:first]
    return [path for _, path in paths]
