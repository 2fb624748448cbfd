"""Plans commits: from prepared requests and the rows they touch to the rows to write. Pure; adapters load and save.

Invariants: I7, a stale expectation plans nothing; a refused request leaves no trace, since its draft is thrown away and its
positions are given to the next one. What a request sees is what the requests before it in the batch left.
Invariant I9: every store plans here, so that they cannot differ in what a commit means.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from kg.clock import Clock
from kg.errors import CauseReusedError, ConflictError, ShapeError
from kg.leaf import (
    ERASURE,
    SALT_BYTES,
    commitment,
    entity_text,
    leaf_prefix,
    personal_commitments,
    relation_text,
    rest_text,
    seal,
)
from kg.ledger import leaf_hash
from kg.model import Close, Commit, Kind, Link, Put, Unlink
from kg.store import Schema
from kg.stores.prepare import Prepared
from kg.stores.rows import CauseRow, ChangeRow, HeadRow, RelationRow, Seen, StateRow, VersionRow, at_time
from kg.values import Json, Value, canonical, decode_properties, instant

Pair = tuple[str, str]

_CREATED, _UPDATED, _CLOSED = Kind.CREATED.value, Kind.UPDATED.value, Kind.CLOSED.value
_LINKED, _UNLINKED = Kind.LINKED.value, Kind.UNLINKED.value


@dataclass(slots=True)
class Draft:
    """What one request writes, on top of what is `below` it; thrown away whole when the request is refused."""

    position: int
    changes: list[ChangeRow] = field(default_factory=list)
    versions: dict[int, VersionRow] = field(default_factory=dict)
    relations: dict[int, RelationRow] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    cut: dict[int, int] = field(default_factory=dict)
    latest: dict[str, VersionRow] = field(default_factory=dict)
    links: dict[Pair, dict[str, RelationRow]] = field(default_factory=dict)
    state: dict[Pair, StateRow | None] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Loaded:
    """The rows that a batch touches, as they are now: latest versions, current relations, state rows, seen causes."""

    head: HeadRow
    latest: dict[str, VersionRow]
    links: dict[Pair, dict[str, RelationRow]]
    state: dict[Pair, StateRow | None]
    causes: dict[str, Seen]


class Plan:
    """One batch of commits being planned."""

    def __init__(self, schema: Schema, clock: Clock, loaded: Loaded) -> None:
        self.head = loaded.head
        self.changes: list[ChangeRow] = []
        self.versions: dict[int, VersionRow] = {}
        self.relations: dict[int, RelationRow] = {}
        #: since -> until, of versions and of relations.
        self.ended: dict[int, int] = {}
        self.cut: dict[int, int] = {}
        self.causes: list[CauseRow] = []
        self.state: dict[Pair, StateRow | None] = {}
        self._schema = schema
        self._clock = clock
        self._loaded = loaded

    def apply(self, prepared: Prepared) -> Commit:
        """Plan one request; raises ConflictError, CauseReusedError or ShapeError, leaving the plan as it was."""
        cause = prepared.cause
        if cause is not None and (seen := self._loaded.causes.get(cause.id)) is not None:
            # INVARIANT I3: a cause seen before does nothing.
            # What an erasure took the salt of can no longer be compared; done again it would bring the values back.
            if seen.salt and commitment(seen.salt, prepared.text) != seen.request:
                raise CauseReusedError(
                    f"cause id {cause.id!r} was already used for other writes; give every cause an id of its own"
                )
            return seen.commit
        draft = Draft(self.head.position)
        self._expect(prepared)
        for write, encoded, text in zip(prepared.request.writes, prepared.encoded, prepared.texts, strict=True):
            if isinstance(write, Put):
                self._put(draft, write, encoded, text)
            elif isinstance(write, Close):
                self._close(draft, write)
            elif isinstance(write, Link):
                self._link(draft, write, text)
            else:
                self._unlink(draft, write)
        for row, value in zip(prepared.request.state, prepared.state, strict=True):
            before = self._state(draft, (row.kind, row.key))
            revision = before.revision + 1 if before else 1
            draft.state[row.kind, row.key] = (
                None if value is None else StateRow(row.kind, row.key, revision, row.due, value)
            )
        return self._accept(draft, prepared)

    def _expect(self, prepared: Prepared) -> None:
        # INVARIANT I7: a stale expectation never writes.
        expects = prepared.request.expects
        if expects:
            latest = self._loaded.latest
            found = {id: latest[id].version if id in latest else 0 for id in expects}
            wrong = {id: version for id, version in found.items() if version != expects[id]}
            if wrong:
                shown = ", ".join(f"{id} at version {version}" for id, version in list(wrong.items())[:5])
                raise ConflictError(f"something changed since it was read (found {shown}); read again and retry", wrong)
        for row in prepared.request.state:
            if row.expect is not None:
                current = self._loaded.state.get((row.kind, row.key))
                revision = current.revision if current else 0
                if revision != row.expect:
                    raise ConflictError(
                        f"state {row.kind}/{row.key} is at revision {revision}, not {row.expect}; read again and retry",
                        {row.key: revision},
                    )

    def _latest(self, draft: Draft, id: str) -> VersionRow | None:
        return draft.latest.get(id) or self._loaded.latest.get(id)

    def _state(self, draft: Draft, key: Pair) -> StateRow | None:
        return draft.state[key] if key in draft.state else self._loaded.state.get(key)

    def _current(self, draft: Draft, pair: Pair) -> dict[str, RelationRow]:
        """The current relations of a pair, as this draft's own copy."""
        if pair not in draft.links:
            draft.links[pair] = dict(self._loaded.links.get(pair, {}))
        return draft.links[pair]

    def _put(self, draft: Draft, write: Put, encoded: dict[str, Json], text: str) -> None:
        last = self._latest(draft, write.id)
        if last is not None and last.cls != write.cls:
            raise ShapeError(f"{write.id} is a {last.cls}, not a {write.cls}; use another id")
        before = last.encoded() if last is not None and not last.closed else {}
        anew = last is None or last.closed or write.replace
        if anew:
            merged = dict(encoded)
            values: dict[str, Value] = dict(write.set)
        else:
            merged = before | encoded
            values = decode_properties({n: form for n, form in before.items() if n not in encoded}) | dict(write.set)
        for name in write.unset:
            merged.pop(name, None)
            values.pop(name, None)
        changed = _changed(before, merged) if before else sorted(merged)
        valid_from = None if write.valid_from is None else instant(write.valid_from)
        valid_to = None if write.valid_to is None else instant(write.valid_to)
        if last is not None and not last.closed and not changed:
            valid = (valid_from, valid_to)
            if valid in ((None, None), (last.valid_from, last.valid_to)):
                return
        self._schema.check(write.cls, values)
        private = self._schema.personal(write.cls)
        personal = {n: merged.pop(n) for n in sorted(merged.keys() & private)} if private else {}
        kind = _CREATED if last is None or last.closed else _UPDATED
        row = VersionRow(
            draft.position + 1,
            write.id,
            last.version + 1 if last else 1,
            write.cls,
            None,
            0,
            valid_from,
            valid_to,
            self._clock.entropy(SALT_BYTES * (1 + len(personal))),
            text if anew and len(merged) == len(encoded) else canonical(merged),
            canonical(personal) if personal else None,
            None,
        )
        self._add(draft, row, last, kind, changed, write.origin)

    def _close(self, draft: Draft, write: Close) -> None:
        last = self._latest(draft, write.id)
        if last is None or last.closed:
            return
        count = len(json.loads(last.personal)) if last.personal else 0
        row = VersionRow(
            draft.position + 1,
            last.id,
            last.version + 1,
            last.cls,
            None,
            1,
            None,
            None,
            self._clock.entropy(SALT_BYTES * (1 + count)),
            last.props,
            last.personal,
            None,
        )
        self._add(draft, row, last, _CLOSED, [], write.origin)

    def _add(
        self, draft: Draft, row: VersionRow, last: VersionRow | None, kind: str, changed: list[str], origin: str | None
    ) -> None:
        draft.position = row.since
        draft.changes.append(
            ChangeRow(row.since, kind, row.cls, row.id, row.version, canonical(changed), origin=origin)
        )
        if last is not None:
            draft.ended[last.since] = row.since
        draft.versions[row.since] = row
        draft.latest[row.id] = row
        draft.made[row.id] = row.version

    def _end(self, draft: Draft, row: RelationRow, cls: str) -> None:
        draft.position += 1
        draft.changes.append(
            ChangeRow(draft.position, _UNLINKED, cls, row.source, 0, "[]", relation=row.name, target=row.target)
        )
        draft.cut[row.since] = draft.position
        del draft.links[row.source, row.name][row.target]

    def _link(self, draft: Draft, write: Link, props: str) -> None:
        source, target = self._latest(draft, write.source), self._latest(draft, write.target)
        if source is None or source.closed:
            raise ShapeError(f"{write.source} has no current entity to link from; put it first")
        self._schema.check_relation(source.cls, write.relation, target.cls if target else None)
        current = self._current(draft, (write.source, write.relation))
        there = current.get(write.target)
        kept = there is not None and there.props == props
        for row in list(current.values()) if write.exclusive else [there] if there else []:
            if row.target != write.target or not kept:
                self._end(draft, row, source.cls)
        if kept:
            return
        draft.position += 1
        draft.changes.append(
            ChangeRow(
                draft.position,
                _LINKED,
                source.cls,
                write.source,
                0,
                "[]",
                relation=write.relation,
                target=write.target,
            )
        )
        made = RelationRow(
            draft.position, write.source, write.relation, write.target, None, self._clock.entropy(SALT_BYTES), props
        )
        draft.relations[made.since] = current[write.target] = made

    def _unlink(self, draft: Draft, write: Unlink) -> None:
        source = self._latest(draft, write.source)
        current = self._current(draft, (write.source, write.relation))
        for row in list(current.values()):
            if write.target is None or row.target == write.target:
                self._end(draft, row, source.cls if source else "")

    def _accept(self, draft: Draft, prepared: Prepared) -> Commit:
        """Seal the cause, make the leaves and take the draft into the plan."""
        now = instant(self._clock.now())
        if self.head.at is not None and self.head.at > now:
            now = self.head.at
        first, last = self.head.position + 1, draft.position
        cause = prepared.cause
        if cause is not None:
            salt = self._clock.entropy(SALT_BYTES)
            request = commitment(salt, prepared.text)
            sealed = seal(self.head.seal, now, commitment(salt, prepared.cause_text), request, first, last)
            number = self.head.causes + 1
            self.causes.append(
                CauseRow(
                    number,
                    cause.id,
                    now,
                    first,
                    last,
                    cause.activity,
                    cause.agent,
                    cause.reason,
                    cause.on_behalf_of,
                    prepared.attributes,
                    salt,
                    request,
                    sealed,
                    [(used.id, used.version) for used in cause.inputs],
                )
            )
            self._leaves(draft, leaf_prefix(now, sealed), number)
            self.head = HeadRow(last, now if last >= first else self.head.at, number, sealed)
        commit = Commit(cause.id if cause else "", first, last, at_time(now), draft.made)
        if cause is not None:
            again = Commit(cause.id, first, last, commit.at, draft.made, repeated=True)
            self._loaded.causes[cause.id] = Seen(salt, request, again)
        self._merge(draft)
        return commit

    def _leaves(self, draft: Draft, prefix: str, number: int) -> None:
        for change in draft.changes:
            change.cause = number
            if change.relation is None:
                change.leaf = version_leaf(prefix, change, draft.versions[change.position])
            else:
                change.leaf = link_leaf(prefix, change, draft.relations.get(change.position))

    def _merge(self, draft: Draft) -> None:
        self.changes += draft.changes
        self.versions.update(draft.versions)
        self.relations.update(draft.relations)
        self.ended.update(draft.ended)
        self.cut.update(draft.cut)
        self.state.update(draft.state)
        self._loaded.latest.update(draft.latest)
        self._loaded.links.update(draft.links)
        self._loaded.state.update(draft.state)


def version_leaf(prefix: str, change: ChangeRow, row: VersionRow) -> bytes:
    """The leaf of an entity change."""
    return leaf_hash(version_text(prefix, change, row).encode())


def link_leaf(prefix: str, change: ChangeRow, row: RelationRow | None) -> bytes:
    """The leaf of a relation change; `row` is the relation made, None where one ended."""
    return leaf_hash(link_text(prefix, change, row).encode())


def version_text(prefix: str, change: ChangeRow, row: VersionRow) -> str:
    """What the leaf of an entity change hashes."""
    rest = json.loads(row.erased)[ERASURE]["rest"] if row.erased is not None else None
    if rest is None:
        rest = commitment(row.salts[:SALT_BYTES], rest_text(change.origin, row.props))
    personal = personal_commitments(row.personal, row.salts[SALT_BYTES:], row.erased)
    return entity_text(
        prefix,
        change.changed,
        row.cls,
        row.id,
        change.kind,
        personal,
        change.position,
        rest,
        row.valid_from,
        row.valid_to,
        row.version,
    )


def link_text(prefix: str, change: ChangeRow, row: RelationRow | None) -> str:
    """What the leaf of a relation change hashes."""
    rest = ""
    if row is not None and row.erased is not None:
        rest = json.loads(row.erased)["rest"]
    elif row is not None:
        rest = commitment(row.salt, rest_text(change.origin, row.props))
    return relation_text(
        prefix,
        change.cls,
        change.subject,
        change.kind,
        change.position,
        change.relation or "",
        rest,
        change.target or "",
    )


def _changed(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """Names whose encoded forms differ; True and 1 differ, although Python finds them equal."""
    names = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new or (type(old) is not str and canonical(old) != canonical(new)):
            names.append(name)
    return names
