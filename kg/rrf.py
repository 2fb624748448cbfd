"""Reciprocal Rank Fusion: one ranking out of several, from ranks alone.

Source of the formula and of k = 60: Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
Rank Learning Methods", SIGIR 2009. Invariant: the result depends on nothing but the ranks; ties are ordered by id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

K = 60


@dataclass(frozen=True, slots=True)
class Fused:
    """One id with its fused score and the names of the lists that held it."""

    id: str
    score: float
    lists: tuple[str, ...]


def fuse(lists: Mapping[str, Sequence[str]]) -> list[Fused]:
    """The ids of all lists, best first: the score of an id is the sum of 1 / (k + rank) over the lists, ranks from 1."""
    scores: dict[str, float] = {}
    names: dict[str, list[str]] = {}
    for name, ids in lists.items():
        for rank, id in enumerate(ids, 1):
            scores[id] = scores.get(id, 0.0) + 1.0 / (K + rank)
            names.setdefault(id, []).append(name)
    ranked = [id for _, id in sorted((-score, id) for id, score in scores.items())]
    return [Fused(id, scores[id], tuple(names[id])) for id in ranked]
