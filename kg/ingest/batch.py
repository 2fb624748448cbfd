"""Writes one batch of records as one commit: facts with their cause, and beside them the keys, rows, rejects and the cursor.

Invariant I3: a record whose hash is known writes nothing. Keys and rows are written with the revision that was read, so
whoever loses a race gets ConflictError, and the batch is read and decided again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kg.clock import Clock
from kg.errors import ConflictError, ShapeError, StoreBusyError, ValueDomainError
from kg.ingest import rejects
from kg.ingest.keys import KIND_KEY, PART
from kg.ingest.plan import Plan, state_name
from kg.ingest.record import Record, Refusal
from kg.ingest.report import Tally
from kg.model import ABSENT, Cause, Commit, Entity, Link, Put, State, StateWrite, Unlink, Write
from kg.store import PAGE_MAX, WRITES_MAX, GraphStore
from kg.values import Json, Value

KIND_ROW = "row"
KIND_GIVES = "gives"
KIND_RELINK = "relink"
KIND_CURSOR = "cursor"
#: Kinds of state rows that are only ever looked for by their whole key.
_PLAIN = frozenset({KIND_ROW, KIND_KEY, KIND_CURSOR})
PRINCIPAL = 'Service::"ingest"'
TRIES_MAX = 20


@dataclass(slots=True)
class Run:
    """What all batches of one table share."""

    store: GraphStore
    clock: Clock
    plan: Plan
    location: str
    tally: Tally
    #: What the last commit wrote (nothing before the first), None where that is not known as one draft.
    written: "Draft | None" = field(default_factory=lambda: Draft({}, {}, {}))

    def cause(self, reason: str, first: int, last: int) -> Cause:
        """The cause of one commit."""
        attributes = {
            "source": self.plan.mapping.source,
            "table": self.plan.table.table,
            "location": self.location,
            "mapping": self.plan.mapping.digest,
            "first_row": first,
            "last_row": last,
        }
        return Cause(self.clock.id(), "ingest", PRINCIPAL, reason, attributes=attributes)

    def name(self, record: str) -> str:
        """The key of a row's state rows."""
        return state_name(self.plan.mapping, self.plan.table, record)


@dataclass(slots=True)
class Draft:
    """What a batch is going to write, and what it knows while it decides."""

    rows: dict[str, State]
    keys: dict[str, State]
    entities: dict[str, Entity]
    ids: dict[str, str] = field(default_factory=dict)
    real: set[str] = field(default_factory=set)
    givers: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    merged: dict[str, dict[str, Value]] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    state: dict[tuple[str, str], StateWrite] = field(default_factory=dict)
    awaited: list[tuple[Record, str, str]] = field(default_factory=list)
    put: list[tuple[Record, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    #: The state rows and entities that it looked for.
    sought: set[tuple[str, str]] = field(default_factory=set)
    own: set[str] = field(default_factory=set)

    def follows(self, other: "Draft") -> bool:
        """Whether it would be the same made after the other was committed as it is made before or meanwhile."""
        return (
            all(kind in _PLAIN for kind, _ in other.state)
            and self.sought.isdisjoint(other.state)
            and self.own.isdisjoint(other.made)
        )

    def set(self, kind: str, key: str, value: Json | None, expect: int | None = None) -> None:
        """Note one state row; a later note of the same row keeps the first one's expectation."""
        before = self.state.get((kind, key))
        if before is not None and expect is None:
            expect = before.expect
        self.state[kind, key] = StateWrite(kind, key, value, expect)


def read_state(store: GraphStore, kind: str, keys: Sequence[str]) -> dict[str, State]:
    """State rows by key, asked for in pages."""
    found: dict[str, State] = {}
    for start in range(0, len(keys), PAGE_MAX):
        found |= store.state(kind, keys[start : start + PAGE_MAX])
    return found


def write(
    run: Run,
    records: Sequence[Record],
    refusals: Sequence[Refusal],
    cursor: Json | None = None,
    drafted: Draft | None = None,
) -> list[Refusal]:
    """Commit a batch, by the draft given where it still holds; gives every refusal, also those that only the graph could see."""
    written, run.written = run.written, None
    if drafted is not None and (written is None or not drafted.follows(written)):
        drafted = None
    for _ in range(TRIES_MAX):
        draft, drafted = drafted or draft_of(run, records), None
        found = [*refusals, *draft.refusals]
        try:
            commit = _commit(run, draft, records, found, cursor)
        except ConflictError:
            continue
        except (ShapeError, ValueDomainError) as error:
            found = _halves(run, records, refusals, cursor, error)
            run.written = None
            return found
        _count(run, draft, records, commit, found)
        if any(kind == KIND_RELINK for kind, _ in draft.state):
            relink(run)
        run.written = draft
        return found
    raise StoreBusyError(
        f"{run.plan.table.table!r}: another ingest keeps writing the same rows; run it again when that one has ended"
    )


def _halves(
    run: Run, records: Sequence[Record], refusals: Sequence[Refusal], cursor: Json | None, error: Exception
) -> list[Refusal]:
    """A batch that the store refuses as a whole is cut in two until the one bad record stands alone."""
    if len(records) <= 1:
        alone = [Refusal(record.row, str(error), record.name) for record in records]
        return write(run, [], [*refusals, *alone], cursor)
    middle = len(records) // 2
    found = write(run, records[:middle], refusals)
    return found + write(run, records[middle:], (), cursor)


def draft_of(run: Run, records: Sequence[Record]) -> Draft:
    """Decide a batch by the graph as it is; writes nothing."""
    rows = read_state(run.store, KIND_ROW, [run.name(record.name) for record in records])
    fresh = [r for r in records if (row := rows.get(run.name(r.name))) is None or row.value["hash"] != r.hash]
    wanted: dict[str, None] = {}
    for record in fresh:
        wanted[record.key] = None
        wanted.update(dict.fromkeys(record.aliases.values()))
        for targets in record.links.values():
            wanted.update(dict.fromkeys(targets))
        old = rows.get(run.name(record.name))
        for targets in old.value["links"].values() if old else ():
            wanted.update(dict.fromkeys(targets))
    keys = read_state(run.store, KIND_KEY, list(wanted))
    ids = {key: str(state.value["id"]) for key, state in keys.items()}
    own = {str(row.value["id"]) for row in rows.values()} | {ids[r.key] for r in fresh if r.key in ids}
    own |= {ids[key] for record in fresh for key in record.aliases.values() if key in ids}
    listed = sorted(own) if fresh else []
    entities: dict[str, Entity] = {}
    for start in range(0, len(listed), PAGE_MAX):
        entities |= run.store.get(listed[start : start + PAGE_MAX])
    real = {str(state.value["id"]) for state in keys.values() if "cls" in state.value}
    first = {str(state.value["id"]): str(state.value["by"]) for state in keys.values() if "by" in state.value}
    sought = {(KIND_ROW, run.name(record.name)) for record in records} | {(KIND_KEY, key) for key in wanted}
    draft = Draft(rows, keys, entities, ids, real, first, sought=sought, own=own)
    for record in fresh:
        _add(run, draft, record)
    _await_targets(run, draft)
    return draft


def _add(run: Run, draft: Draft, record: Record) -> None:
    """Decide one record: whose entity it is, what it sets and drops, which relations begin and end."""
    old = draft.rows.get(run.name(record.name))
    id = _identify(run, draft, record, old)
    entity = draft.entities.get(id)
    cls = run.plan.cls.name
    if entity is not None and entity.cls != cls and entity.cls in run.plan.ontology.subclasses(cls):
        cls = entity.cls
    before = draft.merged.get(id, dict(entity.properties) if entity else {})
    gone = set(old.value["gives"] if old else ()) - record.properties.keys()
    if gone:
        gone -= _given_by_others(run, id, run.name(record.name))
    after = {name: value for name, value in before.items() if name not in gone} | dict(record.properties)
    try:
        if entity is not None and entity.cls != cls:
            raise ShapeError(f"the key names a {entity.cls}, not a {cls}; correct the mapping")
        run.plan.ontology.check(cls, after)
    except ShapeError as error:
        draft.refusals.append(Refusal(record.row, str(error), record.name))
        return
    draft.merged[id] = after
    draft.made[id] = cls
    origin = f"{run.plan.mapping.source}.{run.plan.table.table}/{record.name}"
    draft.writes.append(Put(id, cls, record.properties, frozenset(gone), origin, record.valid_from))
    draft.put.append((record, id))
    _take_keys(run, draft, record, id, cls)
    _link(run, draft, record, id, old)
    value = {
        "hash": record.hash,
        "id": id,
        "gives": sorted(record.properties),
        "links": {name: list(targets) for name, targets in record.links.items() if targets},
    }
    draft.set(KIND_ROW, run.name(record.name), value, old.revision if old else ABSENT)
    if old is None:
        _note_giver(run, draft, record, id)


def _identify(run: Run, draft: Draft, record: Record, old: State | None) -> str:
    """The entity of a record: the row's own, else its key's, else its match alias's, else a new one."""
    if old is not None:
        return str(old.value["id"])
    match = record.aliases.get(run.plan.table.match or "")
    candidates = [draft.ids[key] for key in (record.key, match) if key is not None and key in draft.ids]
    for id in candidates:
        if id in draft.real or id in draft.made:
            return id
    return candidates[0] if candidates else run.clock.id()


def _note_giver(run: Run, draft: Draft, record: Record, id: str) -> None:
    """Note who gives to an entity, once there are two: a sole giver is known by the entity's keys alone."""
    name = run.name(record.name)
    first = draft.givers.setdefault(id, name)
    if first != name:
        for giver in (first, name):
            draft.set(KIND_GIVES, PART.join((id, giver)), {})


def _take_keys(run: Run, draft: Draft, record: Record, id: str, cls: str) -> None:
    """Let the record's key and aliases lead to its entity, where they do not lead to another real one."""
    for alias, key in ((None, record.key), *record.aliases.items()):
        known = draft.keys.get(key)
        holder = draft.ids.get(key)
        if holder is not None and holder != id:
            if holder in draft.real or holder in draft.made:
                if alias is not None:
                    note = rejects.alias_taken(run.plan.mapping, run.plan.table, record, alias, holder, run.clock.now())
                    draft.set(note.kind, note.key, note.value)
                continue
            # Only relations knew the other id; they follow to this entity (see `relink`).
            draft.set(KIND_RELINK, holder, {"to": id})
        elif known is not None and "cls" in known.value:
            continue
        draft.ids[key] = id
        draft.set(
            KIND_KEY, key, {"id": id, "cls": cls, "by": run.name(record.name)}, known.revision if known else ABSENT
        )


def _link(run: Run, draft: Draft, record: Record, id: str, old: State | None) -> None:
    before: Mapping[str, list[str]] = old.value["links"] if old else {}
    for name in {*record.links, *before}:
        wanted = record.links.get(name, ())
        for key in before.get(name, ()):
            if key not in wanted and key in draft.ids:
                target = draft.ids[key]
                draft.writes.append(Unlink(id, name, target))
                draft.set(
                    rejects.KIND_REJECT,
                    rejects.dangling_key(target, run.plan.mapping, run.plan.table, record, name),
                    None,
                )
        for key in wanted:
            if key not in draft.ids:
                draft.ids[key] = run.clock.id()
                draft.set(KIND_KEY, key, {"id": draft.ids[key]}, ABSENT)
            draft.awaited.append((record, name, key))


def _await_targets(run: Run, draft: Draft) -> None:
    """Write the relations last, when the whole batch has said which keys lead where; note those without target."""
    sources = {record.name: id for record, id in draft.put}
    for record, name, key in draft.awaited:
        target = draft.ids[key]
        draft.writes.append(Link(sources[record.name], name, target, exclusive=name in run.plan.single))
        if target not in draft.real and target not in draft.made:
            note = rejects.dangling(run.plan.mapping, run.plan.table, record, name, (key, target), run.clock.now())
            draft.set(note.kind, note.key, note.value)
    # Only an id that a key led to before this batch can have been waited for.
    known = {str(state.value["id"]) for state in draft.keys.values()} - draft.real
    for id in known & draft.made.keys():
        _clear_dangling(run, draft, id)


def _clear_dangling(run: Run, draft: Draft, id: str) -> None:
    prefix, after = rejects.DANGLING + id + PART, ""
    while page := run.store.scan(rejects.KIND_REJECT, prefix, after, first=PAGE_MAX):
        for state in page:
            draft.set(rejects.KIND_REJECT, state.key, None)
        after = page[-1].key


def _given_by_others(run: Run, id: str, name: str) -> set[str]:
    """The properties of an entity that other rows still give."""
    found: set[str] = set()
    for row in givers(run.store, id):
        if row.key != name:
            found |= set(row.value["gives"])
    return found


def givers(store: GraphStore, id: str) -> list[State]:
    """The rows that give something to an entity, where they are several (see `_note_giver`)."""
    prefix, after = id + PART, ""
    names: list[str] = []
    while page := store.scan(KIND_GIVES, prefix, after, first=PAGE_MAX):
        names += [state.key.removeprefix(prefix) for state in page]
        after = page[-1].key
    return list(read_state(store, KIND_ROW, names).values())


def _commit(
    run: Run, draft: Draft, records: Sequence[Record], refusals: Sequence[Refusal], cursor: Json | None
) -> Commit | None:
    now = run.clock.now()
    for refusal in refusals:
        note = rejects.refused(run.plan.mapping, run.plan.table, refusal, now)
        draft.set(note.kind, note.key, note.value)
    if cursor is not None:
        draft.set(KIND_CURSOR, run.name(""), cursor)
    if not draft.writes and not draft.state:
        return None
    if len(draft.writes) > WRITES_MAX and len(records) > 1:
        raise ShapeError("the batch is too large for one commit")
    cause = None
    if draft.writes:
        numbers = [record.row.number for record, _ in draft.put]
        reason = f"{run.plan.mapping.source}.{run.plan.table.table} rows {min(numbers)} to {max(numbers)}"
        cause = run.cause(reason, min(numbers), max(numbers))
    return run.store.commit(draft.writes, cause, state=list(draft.state.values()))


def _count(run: Run, draft: Draft, records: Sequence[Record], commit: Commit | None, found: Sequence[Refusal]) -> None:
    tally = run.tally
    tally.rejected += len(found)
    tally.unchanged += len(records) - len(draft.put) - len(draft.refusals)
    counted: set[str] = set()
    for _, id in draft.put:
        version = commit.versions.get(id) if commit else None
        if version is None:
            tally.unchanged += 1
        elif version == 1 and id not in counted:
            tally.created += 1
        else:
            tally.updated += 1
        counted.add(id)


def relink(run: Run) -> None:
    """Move the relations of ids that only relations knew to the entity that was found to be meant; resumable."""
    for _ in range(TRIES_MAX * PAGE_MAX):
        pending = run.store.scan(KIND_RELINK, first=1)
        if not pending:
            return
        state = pending[0]
        entering = [r for r in run.store.relations([state.key])[state.key] if r.target == state.key]
        writes: list[Write] = []
        for relation in entering:
            writes.append(Unlink(relation.source, relation.name, relation.target))
            writes.append(Link(relation.source, relation.name, str(state.value["to"]), relation.properties))
        done = [] if len(entering) == PAGE_MAX else [StateWrite(KIND_RELINK, state.key, None)]
        done += [
            StateWrite(rejects.KIND_REJECT, note.key, None)
            for note in run.store.scan(rejects.KIND_REJECT, rejects.DANGLING + state.key + PART, first=PAGE_MAX)
        ]
        cause = run.cause(f"relations of {state.key} lead to {state.value['to']}", 0, 0) if writes else None
        run.store.commit(writes, cause, state=done)
