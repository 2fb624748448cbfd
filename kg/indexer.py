"""The indexer: follows the change feed and keeps the semantic index like the graph. There is no other writer of the index.

Invariants: the cursor moves only after the index has taken the batch, so a crash repeats a batch and loses none; two indexers
never move the cursor twice for one batch (compare-and-set); an index that was not filled by this cursor (new, emptied, or of
another text mapping) is filled again from the start. A rebuild fills a successor while the index goes on answering, and the
cursor names the successor before the index turns to it, so whoever looks finds the place that belongs to what it sees. It
never blocks a commit.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kg.errors import ConflictError, ModelMismatchError, SearchIndexError
from kg.index import Embedder, Info, Point, SemanticIndex
from kg.model import ABSENT, Change, Cursor, Entity, State, StateWrite
from kg.store import PAGE_MAX, GraphStore, Progress
from kg.texts import TextSource, department, indexed, is_indexed, mapping_digest, text_names

CURSOR_KIND = "cursor"
CURSOR_KEY = "indexer"
#: Entities embedded and written in one batch: about a second of a small model on two cores.
BATCH_MAX = 128
#: Tries of a rebuild's end against a running indexer that moves the cursor meanwhile.
TURNS_MAX = 50


@dataclass(frozen=True, slots=True)
class Parity:
    """How graph and index differ, by entity id: not in the index, there in another version, there but not in the graph."""

    missing: tuple[str, ...]
    stale: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def alike(self) -> bool:
        """Whether they do not differ."""
        return not (self.missing or self.stale or self.extra)


#: The row that keeps this indexer the only one, for the commit that it fences; None where another process has that part.
Fence = Callable[[], StateWrite | None]


class Indexer:
    """Follows one store into one index. `fence` is for an index that several processes could fill."""

    def __init__(
        self,
        store: GraphStore,
        index: SemanticIndex,
        embedder: Embedder,
        texts: TextSource,
        fence: Fence | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder
        self._texts = texts
        self._mapping = mapping_digest(texts)
        self._fence = fence
        self._lease: StateWrite | None = None

    def run_once(self) -> int:
        """Take the next batch of changes into the index; returns how many it took, 0 where nothing follows.

        Also 0 where another indexer was faster or holds the lease. Raises SearchIndexError; then the same batch is taken again
        next time.
        """
        if self._fence is not None:
            self._lease = self._fence()
            if self._lease is None:
                return 0
        cursor, place = self._cursor()
        if cursor is None:
            return 0
        position: int = place["position"]
        head = self._store.head().position
        changes = self._batch(self._store.changes(position, PAGE_MAX))
        latest = {change.subject: change for change in changes if self._matters(change)}
        if not changes:
            return 0
        last = changes[-1].position
        current = self._store.get(list(latest))
        # A version that a later change of the feed made is left to that change.
        due = [e for e in current.values() if not last < e.since <= head]
        gone = {change.subject: change.version for change in latest.values() if change.subject not in current}
        self._write(due, gone)
        filled = place["filled"] or last >= head
        return len(changes) if self._move(cursor, last, place["bound"], filled) else 0

    def run(self) -> int:
        """Take every change that is there now; returns how many."""
        total = 0
        while taken := self.run_once():
            total += taken
        return total

    def rebuild(self, progress: Progress | None = None) -> int:
        """Fill a successor from the current graph, then turn to it; returns the entities read. Only newest versions are embedded.

        Raises SearchIndexError where another rebuild began meanwhile.
        """
        bound = self._bound(_row(self._store))
        head = self._store.head().position
        if not self._same_mapping():
            # INVARIANT I10: what another mapping let be found may not be findable any more.
            self._index.reset(self._mapping, "")
        self._same_model(self._index.begin(self._mapping, bound))
        total = sum(self._store.count(cls, at_most=10**9) for cls in indexed(self._texts)) if progress else 0
        done = 0
        for entities in self._current():
            self._index.fill(bound, self._points([entity for entity in entities if self._has_text(entity)]))
            done += len(entities)
            if progress is not None:
                progress(done, max(total, done))
        self._turn(head, bound)
        return done

    def check(self) -> Parity:
        """Compare graph and index; run the indexer to the end before, else what it has not met counts as different."""
        held: dict[str, int] = {}
        place, more = "", True
        while more:
            page, place = self._index.held(place)
            held |= {item.id: item.version for item in page if not item.gone}
            more = bool(place)
        missing: list[str] = []
        stale: list[str] = []
        for entities in self._current():
            for entity in entities:
                version = held.pop(entity.id, None)
                if not self._has_text(entity):
                    stale += [entity.id] if version is not None else []
                elif version is None:
                    missing.append(entity.id)
                elif version != entity.version:
                    stale.append(entity.id)
        return Parity(tuple(missing), tuple(stale), tuple(sorted(held)))

    def repair(self, parity: Parity) -> None:
        """Write what is missing or stale and mark what is extra; an index that is ahead of the graph needs `rebuild`."""
        wanted = [*parity.missing, *parity.stale]
        for start in range(0, len(wanted), BATCH_MAX):
            self._write(self._store.get(wanted[start : start + BATCH_MAX]).values(), {})
        for id in parity.extra:
            versions = self._store.history(id)
            self._index.remove({id: versions[-1].version if versions else PAGE_MAX})

    # -- the cursor -------------------------------------------------------------------------------------------------

    def _cursor(self) -> tuple[State | None, Mapping[str, Any]]:
        """The cursor and the place in it that belongs to this index; None where another indexer has just begun anew."""
        info = self._index.info()
        self._same_model(info)
        row = _row(self._store)
        place = _place(row, info.bound) if row is not None else {}
        if place and info.mapping == self._mapping:
            return row, place
        bound = self._bind(row)
        row = _row(self._store) if self._move(row, 0, bound, self._store.head().position == 0) else None
        return row, row.value if row is not None else {}

    def _same_mapping(self) -> bool:
        try:
            return self._index.info().mapping == self._mapping
        except SearchIndexError:
            return False

    def _same_model(self, info: Info) -> None:
        mine = (self._embedder.model, self._embedder.revision, self._embedder.dimension)
        if (info.model, info.revision, info.dimension) != mine:
            raise ModelMismatchError

    def _bound(self, row: State | None) -> str:
        """A name for a filling that begins at this revision of the cursor."""
        return f"{row.revision if row else 0}-{self._store.head().root.hex()[:16]}"

    def _turn(self, position: int, bound: str) -> None:
        """Announce the successor in the cursor, turn the index to it, and make its place the cursor's own."""
        following = {"position": position, "bound": bound, "filled": True}
        for announced in (True, False):
            for _ in range(TURNS_MAX):
                row = _row(self._store)
                value: dict[str, Any] = dict(row.value) if row is not None and announced else {}
                if announced:
                    value = {"position": 0, "bound": "", "filled": False, **value, "next": following}
                elif row is None or row.value["bound"] == bound:
                    break  # A running indexer has gone on from it already.
                if self._put(row, value or following):
                    break
            else:
                raise SearchIndexError("the cursor of the index moved each time; run the rebuild again")
            if announced:
                self._index.finish(bound)

    def _bind(self, row: State | None) -> str:
        """Empty the index and tie it to the cursor's next revision, so that neither is ever used with another."""
        bound = self._bound(row)
        # INVARIANT I8: nothing of before is left, so what is filled in now depends on the graph alone.
        self._index.reset(self._mapping, bound)
        self._same_model(self._index.info())
        return bound

    def _move(self, row: State | None, position: int, bound: str, filled: bool) -> bool:
        value: dict[str, Any] = {"position": position, "bound": bound, "filled": filled}
        following = row.value.get("next") if row is not None else None
        if following is not None and following["bound"] != bound:
            value["next"] = following
        return self._put(row, value)

    def _put(self, row: State | None, value: Mapping[str, Any]) -> bool:
        expect = row.revision if row else ABSENT
        try:
            # INVARIANT I7: whoever read an older cursor, or lost the lease meanwhile, does not move it.
            moved = StateWrite(CURSOR_KIND, CURSOR_KEY, dict(value), expect)
            self._store.commit([], None, state=[moved, *([self._lease] if self._lease is not None else [])])
        except ConflictError:
            return False
        if self._lease is not None:
            self._lease = replace(self._lease, expect=(self._lease.expect or ABSENT) + 1)
        return True

    # -- what goes in -----------------------------------------------------------------------------------------------

    def _matters(self, change: Change) -> bool:
        return change.relation is None and is_indexed(self._texts, change.cls)

    def _batch(self, changes: Sequence[Change]) -> list[Change]:
        """The first changes that concern at most BATCH_MAX entities; those that do not matter cost nothing."""
        subjects: set[str] = set()
        for place, change in enumerate(changes):
            if self._matters(change):
                subjects.add(change.subject)
            if len(subjects) > BATCH_MAX:
                return list(changes[:place])
        return list(changes)

    def _has_text(self, entity: Entity) -> bool:
        return bool(text_names(self._texts, entity.cls) & entity.properties.keys())

    def _write(self, entities: Collection[Entity], gone: Mapping[str, int]) -> None:
        chosen = [entity for entity in entities if self._has_text(entity)]
        emptied = {e.id: e.version for e in entities if not self._has_text(e)}
        if chosen:
            self._index.upsert(self._points(chosen))
        if gone or emptied:
            self._index.remove({**gone, **emptied})

    def _points(self, entities: Sequence[Entity]) -> list[Point]:
        texts = [self._texts.text_of(entity) for entity in entities]
        vectors = self._embedder.embed(texts) if texts else []
        return [
            Point(e.id, e.cls, e.version, text, vector, department(self._texts, e.cls))
            for e, text, vector in zip(entities, texts, vectors, strict=True)
        ]

    def _current(self) -> Iterator[list[Entity]]:
        """Every current entity of a searchable class, in batches."""
        for cls in indexed(self._texts):
            after: Cursor | None = None
            while True:
                page = self._store.find(cls, after=after, first=BATCH_MAX)
                yield [entity for entity in page.items if entity.cls == cls]
                after = page.next
                if after is None:
                    break


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an index is: whether it has once met the end of the log, and the changes that matter which it has not taken."""

    filled: bool
    behind: int


def standing(store: GraphStore, texts: TextSource, info: Info) -> Standing:
    """How far the index of this info is; `behind` is exact up to PAGE_MAX changes back."""
    row = _row(store)
    place = _place(row, info.bound) if row is not None else {}
    return Standing(bool(place.get("filled")), _left(store, texts, place.get("position", 0)))


def _left(store: GraphStore, texts: TextSource, position: int) -> int:
    """The changes after a position that matter to an index; beyond PAGE_MAX changes, all of them."""
    left = store.head().position - position
    if 0 < left <= PAGE_MAX:
        changes = store.changes(position, PAGE_MAX)
        left = sum(1 for change in changes if change.relation is None and is_indexed(texts, change.cls))
    return max(left, 0)


def lag(store: GraphStore, texts: TextSource) -> int:
    """How many changes that matter the index has not taken, by its cursor alone: the index itself may be away."""
    row = _row(store)
    return _left(store, texts, row.value["position"] if row is not None else 0)


def _place(row: State, bound: str) -> Mapping[str, Any]:
    """What the cursor says of the index of this run: of the one that answers, or of its successor; empty where of neither."""
    following = row.value.get("next")
    if row.value["bound"] == bound:
        place: Mapping[str, Any] = row.value
        return place
    return following if following is not None and following["bound"] == bound else {}


def _row(store: GraphStore) -> State | None:
    return store.state(CURSOR_KIND, [CURSOR_KEY]).get(CURSOR_KEY)
