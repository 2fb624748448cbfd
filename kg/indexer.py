"""The indexer: follows the change feed and keeps the semantic index like the graph. There is no other writer of the index.

Invariants: the cursor moves only after the index has taken the batch, so a crash repeats a batch and loses none; two indexers
never move the cursor twice for one batch (compare-and-set); an index that was not filled by this cursor (new, emptied, or of
another text mapping) is filled again from the start. It never blocks a commit.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kg.errors import ConflictError, ModelMismatchError
from kg.index import Embedder, Info, Point, SemanticIndex
from kg.model import ABSENT, Change, Cursor, Entity, State, StateWrite
from kg.store import PAGE_MAX, GraphStore, Progress
from kg.texts import TextSource, department, indexed, is_indexed, mapping_digest, text_names

CURSOR_KIND = "cursor"
CURSOR_KEY = "indexer"
#: Entities embedded and written in one batch: about a second of a small model on two cores.
BATCH_MAX = 128


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


class Indexer:
    """Follows one store into one index."""

    def __init__(self, store: GraphStore, index: SemanticIndex, embedder: Embedder, texts: TextSource) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder
        self._texts = texts
        self._mapping = mapping_digest(texts)

    def run_once(self) -> int:
        """Take the next batch of changes into the index; returns how many it took, 0 where nothing follows.

        Also 0 where another indexer was faster. Raises SearchIndexError; then the same batch is taken again next time.
        """
        cursor = self._cursor()
        if cursor is None:
            return 0
        position: int = cursor.value["position"]
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
        filled = cursor.value["filled"] or last >= head
        return len(changes) if self._move(cursor, last, cursor.value["bound"], filled) else 0

    def run(self) -> int:
        """Take every change that is there now; returns how many."""
        total = 0
        while taken := self.run_once():
            total += taken
        return total

    def rebuild(self, progress: Progress | None = None) -> int:
        """Empty the index and fill it from the current graph; returns the entities read. Only the newest versions are embedded."""
        cursor = _row(self._store)
        bound = self._bind(cursor)
        head = self._store.head().position
        total = sum(self._store.count(cls, at_most=10**9) for cls in indexed(self._texts)) if progress else 0
        done = 0
        for entities in self._current():
            self._write(entities, {})
            done += len(entities)
            if progress is not None:
                progress(done, max(total, done))
        self._move(cursor, head, bound, True)
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

    def _cursor(self) -> State | None:
        """The cursor that belongs to this index; None where another indexer has just begun anew."""
        info = self._index.info()
        self._same_model(info)
        row = _row(self._store)
        if row is not None and row.value["bound"] == info.bound and info.mapping == self._mapping:
            return row
        bound = self._bind(row)
        return _row(self._store) if self._move(row, 0, bound, self._store.head().position == 0) else None

    def _same_model(self, info: Info) -> None:
        mine = (self._embedder.model, self._embedder.revision, self._embedder.dimension)
        if (info.model, info.revision, info.dimension) != mine:
            raise ModelMismatchError

    def _bind(self, row: State | None) -> str:
        """Empty the index and tie it to the cursor's next revision, so that neither is ever used with another."""
        bound = f"{row.revision if row else 0}-{self._store.head().root.hex()[:16]}"
        # INVARIANT I8: nothing of before is left, so what is filled in now depends on the graph alone.
        self._index.reset(self._mapping, bound)
        self._same_model(self._index.info())
        return bound

    def _move(self, row: State | None, position: int, bound: str, filled: bool) -> bool:
        value = {"position": position, "bound": bound, "filled": filled}
        expect = row.revision if row else ABSENT
        try:
            # INVARIANT I7: whoever read an older cursor does not move it.
            self._store.commit([], None, state=[StateWrite(CURSOR_KIND, CURSOR_KEY, value, expect)])
        except ConflictError:
            return False
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
        texts = [self._texts.text_of(entity) for entity in chosen]
        vectors = self._embedder.embed(texts) if texts else []
        points = [
            Point(e.id, e.cls, e.version, text, vector, department(self._texts, e.cls))
            for e, text, vector in zip(chosen, texts, vectors, strict=True)
        ]
        if points:
            self._index.upsert(points)
        if gone or emptied:
            self._index.remove({**gone, **emptied})

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
    mine = row is not None and row.value["bound"] == info.bound
    position: int = row.value["position"] if row is not None and mine else 0
    left = store.head().position - position
    if 0 < left <= PAGE_MAX:
        changes = store.changes(position, PAGE_MAX)
        left = sum(1 for change in changes if change.relation is None and is_indexed(texts, change.cls))
    return Standing(row is not None and mine and bool(row.value["filled"]), max(left, 0))


def _row(store: GraphStore) -> State | None:
    return store.state(CURSOR_KIND, [CURSOR_KEY]).get(CURSOR_KEY)
