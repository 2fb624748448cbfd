"""The dictionary oracle of port GraphStore: plain Python, one process, no cleverness. Adapters must agree with it (I9).

It keeps every version and relation in lists and answers by looking at all of them. The ledger is out of its reach: leaves
depend on salts, so `ledger` and `verify` answer for its own log only.
"""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from kg.clock import Clock
from kg.errors import CauseReusedError, ConflictError, LedgerError, ShapeError
from kg.model import (
    Cause,
    Change,
    Close,
    Commit,
    Cursor,
    Direction,
    Edge,
    Entity,
    Kind,
    Link,
    Op,
    Order,
    Page,
    Put,
    Relation,
    State,
    StateWrite,
    Where,
    Write,
)
from kg.store import PAGE_MAX, Head, Progress, Request, Schema
from kg.values import Money, Value, canonical, encode, encode_properties


def digest(writes: Sequence[Write], cause: Cause) -> str:
    """What makes two commits of one cause id the same: writes and cause, not state."""
    return hashlib.sha256(
        repr((list(map(_stable, writes)), replace(cause, attributes={}), canonical(dict(cause.attributes)))).encode()
    ).hexdigest()


def _stable(write: Write) -> Any:
    if isinstance(write, Put):
        return (
            "put",
            write.id,
            write.cls,
            canonical(encode_properties(write.set)),
            sorted(write.unset),
            write.origin,
            write.valid_from,
            write.valid_to,
            write.replace,
        )
    if isinstance(write, Link):
        return (
            "link",
            write.source,
            write.relation,
            write.target,
            canonical(encode_properties(write.properties)),
            write.exclusive,
        )
    return repr(write)


def same(a: Value | None, b: Value | None) -> bool:
    """Equal in type and value, as their encoded forms are."""
    if a is None or b is None:
        return a is b
    return canonical(encode(a)) == canonical(encode(b))


def _comparable(value: Value) -> tuple[str, Any]:
    if isinstance(value, Money):
        return (f"money:{value.currency}", value.amount)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, str):
        return (type(value).__name__, str(value).encode())
    return (type(value).__name__, value)


def meets(properties: Mapping[str, Value], where: Where) -> bool:
    """Whether one condition holds."""
    value = properties.get(where.property)
    if where.op is Op.ABSENT:
        return value is None
    if value is None:
        return False
    if where.op is Op.PRESENT:
        return True
    if where.op is Op.IN:
        assert isinstance(where.value, tuple)
        return any(same(value, wanted) for wanted in where.value)
    if where.op is Op.EQ:
        return same(value, where.value)
    assert where.value is not None
    if where.op is Op.PREFIX:
        return type(value) is str and isinstance(where.value, str) and value.startswith(where.value)
    (kind, left), (other, right) = _comparable(value), _comparable(where.value)
    if kind != other or isinstance(left, tuple | bool):
        return False
    return bool({Op.LT: left < right, Op.LE: left <= right, Op.GT: left > right, Op.GE: left >= right}[where.op])


#: Order of values of different types inside one property: by type rank, then by value.
_RANK = {"bool": 0, "int": 1, "Decimal": 2, "date": 3, "datetime": 4, "timedelta": 5, "str": 7, "Ref": 8, "tuple": 9}


def sort_key(value: Value) -> tuple[int, Any, Any]:
    """The total order of `find`: by type, then value; money by currency, then amount."""
    if isinstance(value, Money):
        return (6, value.currency, value.amount)
    kind, plain = _comparable(value)
    if isinstance(plain, tuple):
        return (9, canonical(encode(value)), 0)
    return (_RANK[kind], plain if not isinstance(plain, Decimal) else Decimal(plain), 0)


class DictStore:
    """Port GraphStore over lists and dictionaries."""

    def __init__(self, schema: Schema, clock: Clock) -> None:
        self.schema = schema
        self._clock = clock
        self._lock = threading.RLock()
        self._versions: dict[str, list[Entity]] = {}
        self._relations: list[Relation] = []
        self._changes: list[Change] = []
        self._causes: dict[str, tuple[Cause, str, Commit]] = {}
        self._state: dict[tuple[str, str], State] = {}
        self._commits: list[tuple[datetime, int]] = []

    def use(self, schema: Schema) -> None:
        self.schema = schema

    # -- writing ----------------------------------------------------------------------------------------------------

    def commit(
        self,
        writes: Sequence[Write],
        cause: Cause | None,
        expects: Mapping[str, int] | None = None,
        state: Sequence[StateWrite] = (),
    ) -> Commit:
        outcome = self.commit_many([Request(writes, cause, expects or {}, state)])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
        results: list[Commit | Exception] = []
        with self._lock:
            for request in requests:
                saved = self._save()
                try:
                    results.append(self._apply(request))
                except Exception as error:
                    self._restore(saved)
                    results.append(error)
        return results

    def _save(self) -> tuple[Any, ...]:
        return (
            {id: list(versions) for id, versions in self._versions.items()},
            list(self._relations),
            list(self._changes),
            dict(self._causes),
            dict(self._state),
            list(self._commits),
        )

    def _restore(self, saved: tuple[Any, ...]) -> None:
        self._versions, self._relations, self._changes, self._causes, self._state, self._commits = saved

    def _apply(self, request: Request) -> Commit:
        cause = request.cause
        now = max([self._clock.now(), *(at for at, _ in self._commits[-1:])])
        start = len(self._changes)
        if cause is None:
            if request.writes:
                raise ShapeError("a commit with writes needs a cause; name who writes and why")
        elif cause.id in self._causes:
            _, seen, commit = self._causes[cause.id]
            if seen != digest(request.writes, cause):
                raise CauseReusedError
            return replace(commit, repeated=True)
        self._expect(request)
        versions: dict[str, int] = {}
        for write in request.writes:
            assert cause is not None
            self._write(write, cause, now, versions)
        for row in request.state:
            self._set(row)
        commit = Commit(cause.id if cause else "", start + 1, len(self._changes), now, versions)
        if cause is not None:
            self._causes[cause.id] = (cause, digest(request.writes, cause), commit)
        if len(self._changes) > start:
            self._commits.append((now, len(self._changes)))
        return commit

    def _expect(self, request: Request) -> None:
        found = {id: self._versions[id][-1].version if id in self._versions else 0 for id in request.expects}
        wrong = {id: version for id, version in found.items() if version != request.expects[id]}
        if wrong:
            raise ConflictError(f"expected other versions; found {wrong}", wrong)
        for row in request.state:
            current = self._state.get((row.kind, row.key))
            revision = current.revision if current else 0
            if row.expect is not None and row.expect != revision:
                raise ConflictError(f"state {row.kind}/{row.key} is at revision {revision}", {row.key: revision})

    def _set(self, row: StateWrite) -> None:
        key = (row.kind, row.key)
        if row.value is None:
            self._state.pop(key, None)
            return
        current = self._state.get(key)
        self._state[key] = State(row.kind, row.key, row.value, (current.revision if current else 0) + 1, row.due)

    def _log(self, at: datetime, cause: Cause, kind: Kind, cls: str, subject: str, **more: Any) -> int:
        position = len(self._changes) + 1
        self._changes.append(Change(position, at, kind, cls, subject, more.pop("version", 0), cause.id, **more))
        return position

    def _write(self, write: Write, cause: Cause, at: datetime, made: dict[str, int]) -> None:
        if isinstance(write, Put):
            self._put(write, cause, at, made)
        elif isinstance(write, Close):
            last = self._last(write.id)
            if last is not None and not last.closed:
                self._add(write.id, last.cls, last.properties, cause, at, made, Kind.CLOSED, (), write, closed=True)
        elif isinstance(write, Link):
            self._link(write, cause, at)
        else:
            for relation in self._current(write.source, write.relation):
                if write.target is None or relation.target == write.target:
                    self._end(relation, cause, at)

    def _last(self, id: str) -> Entity | None:
        versions = self._versions.get(id)
        return versions[-1] if versions else None

    def _put(self, write: Put, cause: Cause, at: datetime, made: dict[str, int]) -> None:
        encode_properties(write.set)
        last = self._last(write.id)
        if last is not None and last.cls != write.cls:
            raise ShapeError(f"{write.id} is a {last.cls}, not a {write.cls}; use another id")
        fresh = last is None or last.closed or write.replace
        merged = {} if fresh else dict(last.properties)
        merged = {name: value for name, value in (merged | dict(write.set)).items() if name not in write.unset}
        before: Mapping[str, Value] = last.properties if last is not None and not last.closed else {}
        changed = tuple(sorted(n for n in {*before, *merged} if not same(before.get(n), merged.get(n))))
        valid = (write.valid_from, write.valid_to)
        known = last is not None and not last.closed and valid in ((None, None), (last.valid_from, last.valid_to))
        if known and not changed:
            return
        self.schema.check(write.cls, merged)
        kind = Kind.CREATED if last is None or last.closed else Kind.UPDATED
        self._add(write.id, write.cls, merged, cause, at, made, kind, changed, write)

    def _add(
        self, id: str, cls: str, properties: Mapping[str, Value], cause: Cause, at: datetime, made: dict[str, int],
        kind: Kind, changed: tuple[str, ...], write: Put | Close, closed: bool = False,
    ) -> None:  # fmt: skip
        versions = self._versions.setdefault(id, [])
        version = len(versions) + 1
        position = self._log(at, cause, kind, cls, id, version=version, changed=changed, origin=write.origin)
        if versions:
            versions[-1] = replace(versions[-1], until=position)
        valid_from = write.valid_from if isinstance(write, Put) else None
        valid_to = write.valid_to if isinstance(write, Put) else None
        versions.append(Entity(id, cls, version, dict(properties), position, None, closed, valid_from, valid_to))
        made[id] = version

    def _current(self, source: str, name: str) -> list[Relation]:
        return [r for r in self._relations if r.source == source and r.name == name and r.until is None]

    def _end(self, relation: Relation, cause: Cause, at: datetime) -> None:
        source = self._last(relation.source)
        cls = source.cls if source else ""
        position = self._log(
            at, cause, Kind.UNLINKED, cls, relation.source, relation=relation.name, target=relation.target
        )
        self._relations[self._relations.index(relation)] = replace(relation, until=position)

    def _link(self, write: Link, cause: Cause, at: datetime) -> None:
        encode_properties(write.properties)
        source, target = self._last(write.source), self._last(write.target)
        if source is None or source.closed:
            raise ShapeError(f"{write.source} has no current entity to link from; put it first")
        self.schema.check_relation(source.cls, write.relation, target.cls if target else None)
        current = self._current(write.source, write.relation)
        there = [r for r in current if r.target == write.target]
        kept = bool(there) and canonical(encode_properties(there[0].properties)) == canonical(
            encode_properties(write.properties)
        )
        for relation in current:
            if (relation.target == write.target and not kept) or (write.exclusive and relation.target != write.target):
                self._end(relation, cause, at)
        if not kept:
            position = self._log(
                at, cause, Kind.LINKED, source.cls, write.source, relation=write.relation, target=write.target
            )
            self._relations.append(
                Relation(write.source, write.relation, write.target, dict(write.properties), position)
            )

    # -- reading ----------------------------------------------------------------------------------------------------

    def head(self) -> Head:
        with self._lock:
            last = self._commits[-1] if self._commits else None
            return Head(len(self._changes), last[0] if last else None, b"")

    def position_at(self, instant: datetime) -> int:
        with self._lock:
            return max((position for at, position in self._commits if at <= instant), default=0)

    def _at(self, id: str, at: int | None) -> Entity | None:
        for entity in reversed(self._versions.get(id, [])):
            if at is None or entity.since <= at:
                return None if entity.closed else entity
        return None

    def get(self, ids: Sequence[str], at: int | None = None) -> dict[str, Entity]:
        with self._lock:
            found = {id: self._at(id, at) for id in ids}
        return {id: entity for id, entity in found.items() if entity is not None}

    def versions(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
        with self._lock:
            return {(id, v): self._versions[id][v - 1] for id, v in wanted if 0 < v <= len(self._versions.get(id, []))}

    def find(
        self,
        cls: str,
        where: Sequence[Where] = (),
        order: Order | None = None,
        after: Cursor | None = None,
        first: int = 100,
        at: int | None = None,
    ) -> Page:
        order = order or Order()
        items = self._matching(cls, where, at)
        items.sort(key=lambda entity: entity.id, reverse=order.descending)
        if order.property is not None:
            name = order.property
            present = [e for e in items if name in e.properties]
            present.sort(key=lambda entity: sort_key(entity.properties[name]), reverse=order.descending)
            items = present + [e for e in items if name not in e.properties]
        if after is not None:
            items = [e for e in items if self._follows(e, after, order)]
        page = tuple(items[:first])
        more = len(items) > first
        value = page[-1].properties.get(order.property) if page and order.property else None
        return Page(page, Cursor(value, page[-1].id) if more and page else None)

    @staticmethod
    def _follows(entity: Entity, after: Cursor, order: Order) -> bool:
        beyond = entity.id < after.id if order.descending else entity.id > after.id
        if order.property is None:
            return beyond
        value = entity.properties.get(order.property)
        if after.value is None or value is None:
            return beyond if (after.value is None and value is None) else value is None
        mine, theirs = sort_key(value), sort_key(after.value)
        if mine == theirs:
            return beyond
        return bool(mine < theirs if order.descending else mine > theirs)

    def _matching(self, cls: str, where: Sequence[Where], at: int | None) -> list[Entity]:
        classes = self.schema.subclasses(cls)
        with self._lock:
            found = [self._at(id, at) for id in self._versions]
        return [e for e in found if e and e.cls in classes and all(meets(e.properties, w) for w in where)]

    def count(self, cls: str, where: Sequence[Where] = (), at_most: int = PAGE_MAX, at: int | None = None) -> int:
        return min(len(self._matching(cls, where, at)), at_most)

    def _live(self, at: int | None) -> list[Relation]:
        with self._lock:
            relations = list(self._relations)
        if at is None:
            return [r for r in relations if r.until is None]
        return [r for r in relations if r.since <= at and (r.until is None or r.until > at)]

    def expand(
        self,
        ids: Sequence[str],
        relation: str,
        direction: Direction = Direction.OUT,
        where: Sequence[Where] = (),
        first: int = 100,
        at: int | None = None,
        after: str | None = None,
    ) -> dict[str, list[Edge]]:
        result: dict[str, list[Edge]] = {id: [] for id in ids}
        for edge in self._live(at):
            near, far = (edge.source, edge.target) if direction is Direction.OUT else (edge.target, edge.source)
            if edge.name != relation or near not in result or (after is not None and far <= after):
                continue
            entity = self._at(far, at)
            if entity is not None and all(meets(entity.properties, w) for w in where):
                result[near].append(Edge(edge, entity))
        for edges in result.values():
            edges.sort(key=lambda edge: edge.entity.id)
            del edges[first:]
        return result

    def relations(self, ids: Sequence[str], at: int | None = None, first: int = PAGE_MAX) -> dict[str, list[Relation]]:
        live = sorted(self._live(at), key=lambda r: (r.name, r.source, r.target))
        return {id: [r for r in live if id in (r.source, r.target)][:first] for id in ids}

    def paths(
        self,
        source: str,
        target: str,
        relations: Sequence[str] = (),
        depth: int = 4,
        first: int = 10,
        at: int | None = None,
    ) -> list[list[Relation]]:
        if source == target or self._at(source, at) is None or self._at(target, at) is None:
            return []
        live = [r for r in self._live(at) if not relations or r.name in relations]
        live = [r for r in live if self._at(r.source, at) and self._at(r.target, at)]
        frontier: list[tuple[str, list[Relation], frozenset[str]]] = [(source, [], frozenset({source}))]
        for _ in range(depth):
            found: list[list[Relation]] = []
            following: list[tuple[str, list[Relation], frozenset[str]]] = []
            for end, path, seen in frontier:
                for r in live:
                    for near, far in ((r.source, r.target), (r.target, r.source)):
                        if near != end or far in seen:
                            continue
                        if far == target:
                            found.append([*path, r])
                        else:
                            following.append((far, [*path, r], seen | {far}))
            if found:
                return sorted(found, key=lambda path: [(r.name, r.source, r.target) for r in path])[:first]
            frontier = following
        return []

    def history(self, id: str) -> list[Entity]:
        with self._lock:
            return list(self._versions.get(id, []))

    def changes(self, after: int, first: int = PAGE_MAX) -> list[Change]:
        with self._lock:
            return self._changes[after : after + first]

    def changes_of(self, id: str, first: int = PAGE_MAX) -> list[Change]:
        with self._lock:
            return [c for c in reversed(self._changes) if id in (c.subject, c.target)][:first]

    def causes(self, ids: Sequence[str]) -> dict[str, Cause]:
        with self._lock:
            return {id: self._causes[id][0] for id in ids if id in self._causes}

    def caused(self, cause: str, first: int = PAGE_MAX) -> list[Change]:
        with self._lock:
            return [c for c in self._changes if c.cause == cause][:first]

    def state(self, kind: str, keys: Sequence[str]) -> dict[str, State]:
        with self._lock:
            return {key: self._state[kind, key] for key in keys if (kind, key) in self._state}

    def scan(
        self, kind: str, prefix: str = "", after: str = "", due: int | None = None, first: int = 100
    ) -> list[State]:
        with self._lock:
            rows = [s for (k, key), s in self._state.items() if k == kind and key.startswith(prefix) and key > after]
        if due is None:
            return sorted(rows, key=lambda row: row.key)[:first]
        timed = [(row.due, row.key, row) for row in rows if row.due is not None and row.due <= due]
        return [row for _, _, row in sorted(timed, key=lambda item: item[:2])][:first]

    def search_text(self, query: str, classes: Sequence[str] = (), first: int = 50) -> list[tuple[str, float]]:
        words = [word for word in query.lower().split() if word]
        scored: list[tuple[str, float]] = []
        with self._lock:
            current = [e for e in (self._at(id, None) for id in self._versions) if e is not None]
        for entity in current:
            if classes and entity.cls not in classes:
                continue
            text = " ".join(str(entity.properties.get(name, "")) for name in self.schema.text(entity.cls)).lower()
            score = float(sum(text.count(word) for word in words))
            if score:
                scored.append((entity.id, score))
        return sorted(scored, key=lambda hit: (-hit[1], hit[0]))[:first]

    def ledger(self, after: int = 0, first: int = PAGE_MAX) -> list[tuple[int, bytes]]:
        leaves = [hashlib.sha256(repr(change).encode()).digest() for change in self._changes]
        return list(enumerate(leaves, 1))[after : after + first]

    def verify(self, progress: Progress | None = None) -> int:
        for position, change in enumerate(self._changes, 1):
            if change.position != position:
                raise LedgerError(f"position {position} is missing")
        return len(self._changes)

    def close(self) -> None:
        return None
