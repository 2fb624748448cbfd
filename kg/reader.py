"""The Reader: the one road on which entities leave the shared graph, every one of them through a View.

Invariant I10: nothing it returns would be denied by `get`. Rows are hidden, properties masked; a filter or an order on a
property that is masked for a row makes that row not match, so neither can be used to guess what is withheld; a cursor
is always made of a row the reader may see, or of an opaque id alone. Does not decide who may see what (that is the View),
and does not write.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from kg.errors import ScanLimitError
from kg.model import Change, Cursor, Direction, Edge, Entity, Kind, Order, Page, Relation, Where
from kg.paths import visible_paths
from kg.store import PAGE_MAX, GraphStore
from kg.view import View

#: Stored rows that one call looks at to fill a page from what is visible.
SCAN_MAX = 20_000
#: Shortest paths looked at before the paths are searched among visible entities only.
PATHS_MAX = 100


@dataclass(frozen=True, slots=True)
class Feed:
    """Visible changes in order, and the position up to which the log was read; ask again after that position."""

    changes: tuple[Change, ...]
    position: int


def tells(seen: Entity) -> bool:
    """Whether the origin of a version may be told: not where anything is masked, for the source's key may repeat it.

    It does not depend on the values: an origin that is withheld only where it matches would answer guesses.
    """
    return not seen.masked


class Reader:
    """Reads a store as one principal sees it, now or at a position."""

    def __init__(self, store: GraphStore, view: View, at: int | None = None) -> None:
        self._store = store
        self.view = view
        self.at = at

    def get(self, ids: Sequence[str]) -> dict[str, Entity]:
        """The visible entities among these ids."""
        return self._visible(self._store.get(ids, self.at))

    def _visible(self, found: Mapping[str, Entity]) -> dict[str, Entity]:
        seen = zip(found, self._see(list(found.values())), strict=True)
        return {id: entity for id, entity in seen if entity is not None}

    def _see(self, entities: Sequence[Entity]) -> list[Entity | None]:
        """What the View shows of these; of the past only where it shows the newest version too."""
        seen = self.view.see(entities)
        # A version that nothing has followed is the newest, and the View was just asked about it.
        ids = [entity.id for entity in seen if entity is not None and entity.until is not None]
        if self.at is None or not ids:
            return seen
        # INVARIANT I10: what `get` denies now is not told through an earlier position either.
        hidden = self._hidden(ids) | self._hidden_closed(ids)
        return [None if entity is None or entity.id in hidden else entity for entity in seen]

    def find(
        self,
        cls: str,
        where: Sequence[Where] = (),
        order: Order | None = None,
        after: Cursor | None = None,
        first: int = 100,
    ) -> Page:
        """One page of visible entities that match on properties the reader may see.

        Where more than SCAN_MAX rows between two visible ones are hidden, a page in id order is short and its cursor goes on;
        in another order ScanLimitError says to narrow the filter, because a cursor would tell a hidden value.
        """
        if first < 1:
            return Page((), after)
        items: list[Entity] = []
        try:
            for entity in self._scan(cls, where, order, after, first + 1):
                items.append(entity)
                if len(items) > first:
                    return Page(tuple(items[:first]), self._cursor(items[first - 1], order))
        except ScanLimitError as limit:
            if order is None or order.property is None:
                return Page(tuple(items), Cursor(None, limit.passed))
            if not items:
                raise
            return Page(tuple(items), self._cursor(items[-1], order))
        return Page(tuple(items))

    @staticmethod
    def _cursor(entity: Entity, order: Order | None) -> Cursor:
        return Cursor(entity.get(order.property) if order and order.property else None, entity.id)

    def _scan(
        self,
        cls: str,
        where: Sequence[Where],
        order: Order | None,
        after: Cursor | None,
        size: int,
    ) -> Iterator[Entity]:
        """Visible matching entities in order; ScanLimitError, holding the id of the last row, after SCAN_MAX rows."""
        asked = {condition.property for condition in where}
        if order is not None and order.property is not None:
            asked.add(order.property)
        looked = 0
        while looked < SCAN_MAX:
            page = self._store.find(cls, where, order, after, min(size, PAGE_MAX), self.at)
            for entity in self._see(page.items):
                # INVARIANT I10: a row matches only on what its reader may see of it.
                if entity is not None and not (asked & entity.masked):
                    yield entity
            if page.next is None:
                return
            after, looked, size = page.next, looked + len(page.items), size * 2
        raise ScanLimitError(passed=after.id if after else "")

    def count(self, cls: str, where: Sequence[Where] = (), at_most: int = PAGE_MAX) -> int:
        """How many entities `find` would give, counted no further than `at_most`; ScanLimitError as in `find`."""
        return sum(1 for _ in islice(self._scan(cls, where, None, None, at_most), max(at_most, 0)))

    def expand(
        self,
        ids: Sequence[str],
        relation: str,
        direction: Direction = Direction.OUT,
        where: Sequence[Where] = (),
        first: int = 100,
        after: str | None = None,
    ) -> dict[str, list[Edge]]:
        """For each id its edges of that name whose both ends are visible; none for an id that is not visible itself.

        ScanLimitError where an entity has more than SCAN_MAX edges between two visible ones: a short answer would pass for all.
        """
        edges: dict[str, list[Edge]] = {id: [] for id in ids}
        waiting: dict[str, str | None] = dict.fromkeys(self.get(ids), after)
        asked = frozenset(condition.property for condition in where)
        size, looked = min(first, PAGE_MAX), 0
        while waiting:
            following: dict[str, str | None] = {}
            for group, place in _grouped(waiting, together=not looked):
                raw = self._store.expand(group, relation, direction, where, size, self.at, place)
                for id, found in raw.items():
                    edges[id] += self._edges(found, asked)
                    if len(found) == size and len(edges[id]) < first:
                        following[id] = found[-1].entity.id
            looked += size
            # INVARIANT I10: what is hidden takes no visible one's place; where that cannot be held it is said.
            if following and looked >= SCAN_MAX:
                raise ScanLimitError
            waiting, size = following, min(size * 2, PAGE_MAX)
        return {id: found[:first] for id, found in edges.items()}

    def _edges(self, found: Sequence[Edge], asked: frozenset[str]) -> list[Edge]:
        seen = self._see([edge.entity for edge in found])
        pairs = zip(found, seen, strict=True)
        return [Edge(edge.relation, far) for edge, far in pairs if far is not None and not asked & far.masked]

    def relations(self, ids: Sequence[str], first: int = PAGE_MAX) -> dict[str, list[Relation]]:
        """For each id the relations whose both ends are visible, at most `first` of the first PAGE_MAX stored ones."""
        found = self._store.relations(ids, self.at, PAGE_MAX)
        ends = {end for relations in found.values() for r in relations for end in (r.source, r.target)}
        seen = self.get(sorted(ends))
        return {
            id: [r for r in relations if r.source in seen and r.target in seen][:first]
            for id, relations in found.items()
        }

    def paths(
        self, source: str, target: str, relations: Sequence[str] = (), depth: int = 4, first: int = 10
    ) -> list[list[Relation]]:
        """Shortest paths on which every entity is visible, all of one length.

        Where the store's shortest paths all pass hidden entities, paths are searched among visible ones only.
        """
        found = self._store.paths(source, target, relations, depth, max(first, PATHS_MAX), self.at)
        nodes = {end for path in found for r in path for end in (r.source, r.target)}
        seen = self.get(sorted(nodes))
        shown = [path for path in found if all(r.source in seen and r.target in seen for r in path)]
        if shown or not found:
            return shown[:first]
        return visible_paths(self.relations, source, target, relations, depth, first)

    def history(self, id: str) -> list[Entity]:
        """The visible versions, oldest first; none at all where the newest is not visible, as `get` would deny it."""
        seen = list(zip(stored := self._store.history(id), self.view.see(stored), strict=True))
        if not seen or seen[-1][1] is None:
            return []
        return [shown for version, shown in seen if shown is not None and (self.at is None or version.since <= self.at)]

    def versions(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
        """Those of these exact versions that are visible, and whose entity's newest version is not hidden."""
        found = self._store.versions(wanted)
        if self.at is not None:
            found = {key: entity for key, entity in found.items() if entity.since <= self.at}
        ids = [id for id, _ in found]
        hidden = self._hidden(ids) | self._hidden_closed(ids)
        seen = zip(found, self.view.see(list(found.values())), strict=True)
        return {key: entity for key, entity in seen if entity is not None and key[0] not in hidden}

    def _hidden(self, ids: Sequence[str]) -> set[str]:
        """Those ids that are current and that the View denies."""
        current = self._store.get(list(dict.fromkeys(ids)))
        seen = zip(current, self.view.see(list(current.values())), strict=True)
        return {id for id, entity in seen if entity is None}

    def _hidden_closed(self, ids: Sequence[str]) -> set[str]:
        """Those ids that are closed and whose closing version the View denies."""
        current = self._store.get(list(dict.fromkeys(ids)))
        gone = [id for id in dict.fromkeys(ids) if id not in current]
        last = [versions[-1] for id in gone if (versions := self._store.history(id))]
        return {entity.id for entity, seen in zip(last, self.view.see(last), strict=True) if seen is None}

    def changes(self, after: int, first: int = PAGE_MAX, until: int | None = None) -> Feed:
        """The next visible changes after a position; `Feed.position` passes over hidden ones, so a follower never sticks.

        None after `until` (the position of this Reader where it has one) is read or passed over.
        """
        last = min((bound for bound in (until, self.at) if bound is not None), default=None)
        shown: list[Change] = []
        position, looked = after, 0
        while len(shown) < first and looked < SCAN_MAX:
            raw = self._store.changes(position, min(PAGE_MAX, max(first, 100)))
            if last is not None:
                raw = [change for change in raw if change.position <= last]
            if not raw:
                break
            fresh = self._changes(raw)
            if len(shown) + len(fresh) > first:
                fresh = fresh[: first - len(shown)]
                return Feed((*shown, *fresh), fresh[-1].position)
            shown += fresh
            position, looked = raw[-1].position, looked + len(raw)
        return Feed(tuple(shown), position)

    def changes_of(self, id: str, first: int = PAGE_MAX) -> list[Change]:
        """The visible ones among the newest PAGE_MAX changes whose subject or target is this id, newest first."""
        raw = self._store.changes_of(id, PAGE_MAX)
        return self._changes([c for c in raw if self.at is None or c.position <= self.at])[:first]

    def _changes(self, raw: Sequence[Change]) -> list[Change]:
        """Changes whose subject (and target) is visible, without the names of masked properties."""
        wanted = sorted({(c.subject, c.version) for c in raw if c.version})
        seen = self.versions(wanted)
        ends = self.get(sorted({end for c in raw if c.relation is not None for end in (c.subject, c.target or "")}))
        shown: list[Change] = []
        for change in raw:
            if change.relation is not None:
                if change.subject in ends and change.target in ends:
                    shown.append(change)
                continue
            key = (change.subject, change.version)
            if key not in seen:
                continue
            masked = seen[key].masked
            named = tuple(name for name in change.changed if name not in masked)
            # One that changed no value is told as little, or it would tell that a masked value is the same.
            if not named and (change.changed or (masked and change.kind is Kind.UPDATED)):
                continue
            shown.append(replace(change, changed=named, origin=change.origin if tells(seen[key]) else None))
        return shown


def _grouped(waiting: Mapping[str, str | None], together: bool) -> Iterator[tuple[list[str], str | None]]:
    """Ids that start at the same place in one group; later rounds have a place for each."""
    if together:
        if waiting:
            yield list(waiting), next(iter(waiting.values()))
        return
    for id, place in waiting.items():
        yield [id], place
