"""Hops: one relation followed from many entities at once, page by page, for one level of a query.

Several classes may have a relation of one name, so following it backwards also finds entities of other classes; they are
left out here and the page is filled by bounded over-fetch. Invariant: every edge passed the Reader and with it the View. Where
the bound is met the page is short and says that more follows.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kg.model import Cursor, Direction, Edge, Entity, Order, Page, Where
from kg.reader import Reader
from kg.store import PAGE_MAX, GraphStore
from kg.view import View

#: Times that one page is asked for again because edges of other classes took the place.
ROUNDS_MAX = 6
#: How much more than the page is fetched at once where a relation's name is shared between classes.
SHARED_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Hop:
    """What is followed: a relation one way, to entities of `classes` (none: any), at most `first`, after a far id."""

    relation: str
    direction: Direction
    classes: frozenset[str] | None = None
    where: tuple[Where, ...] = ()
    first: int = 1
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """Some edges of one entity, and the far id after which more follow (None: no more)."""

    edges: tuple[Edge, ...] = ()
    more: str | None = None


class RememberingReader(Reader):
    """A Reader for one operation: what it has shown once it does not ask for again, so a level is one store call."""

    def __init__(self, store: GraphStore, view: View, at: int | None = None) -> None:
        super().__init__(store, view, at)
        self._seen: dict[str, Entity] = {}

    def remember(self, entities: Iterable[Entity]) -> None:
        """Keep entities that the View let through."""
        self._seen.update((entity.id, entity) for entity in entities)

    def get(self, ids: Sequence[str]) -> dict[str, Entity]:
        """The visible entities among these ids, from memory where it has them."""
        known = {id: self._seen[id] for id in ids if id in self._seen}
        rest = [id for id in ids if id not in known]
        if rest:
            found = super().get(rest)
            self.remember(found.values())
            known |= found
        return known

    def find(
        self,
        cls: str,
        where: Sequence[Where] = (),
        order: Order | None = None,
        after: Cursor | None = None,
        first: int = 100,
    ) -> Page:
        """One page of visible entities, remembered."""
        page = super().find(cls, where, order, after, first)
        self.remember(page.items)
        return page

    def follow(self, hop: Hop, ids: Sequence[str]) -> dict[str, Slice]:
        """For each id its page of the hop."""
        kept: dict[str, list[Edge]] = defaultdict(list)
        waiting: dict[str, str | None] = dict.fromkeys(ids, hop.after)
        size = min(PAGE_MAX, (hop.first + 1) * (SHARED_FACTOR if hop.classes is not None else 1))
        for round in range(ROUNDS_MAX):
            following: dict[str, str | None] = {}
            for group, place in _groups(waiting, together=round == 0):
                found = self.expand(group, hop.relation, hop.direction, hop.where, size, place)
                for id, edges in found.items():
                    kept[id] += [e for e in edges if hop.classes is None or e.entity.cls in hop.classes]
                    if len(edges) == size and len(kept[id]) <= hop.first:
                        following[id] = edges[-1].entity.id
            waiting, size = following, min(size * 2, PAGE_MAX)
            if not waiting:
                break
        slices = {id: _slice(kept[id], hop.first, waiting.get(id)) for id in ids}
        self.remember(edge.entity for part in slices.values() for edge in part.edges)
        return slices


def _slice(edges: Sequence[Edge], first: int, unread: str | None) -> Slice:
    page = tuple(edges[:first])
    if len(edges) > first:
        return Slice(page, page[-1].entity.id if page else unread)
    return Slice(page, unread)


def _groups(waiting: Mapping[str, str | None], together: bool) -> Iterator[tuple[list[str], str | None]]:
    """Ids that start at the same place in one group; later rounds have a place for each."""
    if together and waiting:
        yield list(waiting), next(iter(waiting.values()))
    elif not together:
        for id, place in waiting.items():
            yield [id], place
