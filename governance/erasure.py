"""Forgetting a person: who may ask, what has to stay, and the record of it. The store does the erasing.

Invariant I14: values, salts and whatever repeats them go, every proof stays valid, and an Erasure entity says what went, what
stayed and why, so that nothing is erased in silence. What is under a legal hold is refused; rows younger than the retention of
their class, and rules, keys and the record of erasures itself, stay and are named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from governance.configuring import permit
from governance.errors import ErasureError
from governance.principals import KINDS, Principal
from governance.rulebook import RuleBook
from kg.clock import Clock
from kg.errors import ShapeError
from kg.evidence import Evidence, Forgetting, Forgotten, Revised
from kg.model import Cause, Close, Cursor, Entity, Op, Put, Where, Write
from kg.store import GraphStore, Request
from kg.values import LIST_MAX, Ref, Value, instant

CLASS: Final = "Erasure"
HOLD: Final = "LegalHold"
EXPORT: Final = "Export"
#: What an erasure never alters: it runs, signs, or records.
KEPT: Final = frozenset(
    {"Rule", "RuleBook", "Ontology", "SigningKey", "Checkpoint", CLASS, HOLD, EXPORT, "ApiKey", "Control"}
)
PAGE: Final = 500
REASON_MAX: Final = 10_000
#: What an erasure cannot reach, said on every certificate.
BEYOND: Final = (
    "source systems, backups, archives and exports made before: destroy or redact them there",
    "the account name of a person who decided or approved: the record of who did what is kept as a duty of its own",
)
UNBUILT: Final = "vectors of earlier texts may stay in unused blocks of the semantic index until `noesis index rebuild`"


class Words(Protocol):
    """What erasure asks of the ontology."""

    def personal(self, cls: str) -> frozenset[str]:
        """The properties whose values a person may ask to erase."""

    def check(self, cls: str, properties: Mapping[str, Value]) -> None:
        """Raise ShapeError where these whole properties do not fit the class."""

    def text_of(self, entity: Entity) -> str:
        """The searchable text of an entity."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an erasure did. `texts` are the searchable texts that were, for caches; they are on no record."""

    id: str
    person: tuple[str, ...]
    at: datetime
    by: str
    reason: str
    position: int
    forgotten: Forgotten
    exports: tuple[str, ...]
    texts: tuple[str, ...] = field(default=(), repr=False)

    def lines(self, *, rebuilt: bool = False, files: Mapping[str, str] | None = None) -> list[str]:
        """The certificate as people read it.

        `rebuilt` says that the semantic index was made anew afterwards, `files` names what was found beside the stores, with why.
        """
        counts = [f"- {what}: {count:,}" for what, count in self.forgotten.counts.items()] or [
            "- nothing was left to erase"
        ]
        stayed = [f"- {what}: {why}" for what, why in self.forgotten.stayed.items()]
        stayed += [f"- file {name}: {why}" for name, why in (files or {}).items()]
        return [
            "Certificate of erasure", "", f"erasure: {self.id}", f"person: {', '.join(self.person)}",
            f"at: {instant(self.at)}", f"by: {self.by}", f"why: {self.reason}", f"recorded at position: {self.position}",
            f"digest over what was left of every touched row: {self.forgotten.digest}", "", "What went (rows by kind):", *counts,
            "", "What was found and stayed:", *(stayed or ["- nothing"]), *(f"- export {one}: marked" for one in self.exports),
            "", "What no erasure reaches:", *(f"- {what}" for what in (*BEYOND, *(() if rebuilt else (UNBUILT,)))), "",
            "The ledger verifies as before: each erased value left a salted commitment whose salt is gone.",
        ]  # fmt: skip


def find_person(store: GraphStore, named: str) -> tuple[Entity, ...]:
    """The entities of a person: an id, or a principal (``User::name`` or a user's name) with all identities of the same person."""
    history = store.history(named)
    if history and history[-1].cls not in KINDS:
        return (history[-1],)
    kind, _, name = named.partition("::") if "::" in named else ("User", "", named)
    found = [history[-1]] if history else []
    if not found and kind in KINDS:
        found = list(store.find(kind, [Where("name", Op.EQ, name)], first=1).items)
    if not found:
        raise ErasureError(f"there is nobody called {named[:80]!r}; give the id of the person's entity, or User::NAME")
    word = found[0].get("person")
    if isinstance(word, str):
        same = (store.find(cls, [Where("person", Op.EQ, word)], first=PAGE).items for cls in sorted(KINDS))
        found = list({entity.id: entity for page in same for entity in page}.values()) or found
    return tuple(found)


def hold(store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, id: str, reason: str) -> str:
    """Put a legal hold on an entity; returns the hold's id."""
    if not store.history(id):
        raise ErasureError(f"there is no entity {id[:80]!r}; check the id")
    permit(store, clock, rules, principal, "hold.set", HOLD, id)
    made = clock.id()
    values: dict[str, Value] = {"heldEntity": Ref(id), "grounds": _reason(reason), "requestedBy": principal.uid}
    store.commit([Put(made, HOLD, values)], Cause(clock.id(), "hold.set", principal.uid, reason))
    return made


def release(store: GraphStore, clock: Clock, rules: RuleBook, principal: Principal, id: str, reason: str) -> int:
    """End every hold on an entity; returns how many there were."""
    permit(store, clock, rules, principal, "hold.release", HOLD, id)
    found = [entity for entity in _all(store, HOLD) if entity.get("heldEntity") == id]
    if found:
        store.commit(
            [Close(entity.id) for entity in found], Cause(clock.id(), "hold.release", principal.uid, _reason(reason))
        )
    return len(found)


def holds(store: GraphStore) -> dict[str, str]:
    """Every held entity with the reason."""
    return {str(entity["heldEntity"]): f"legal hold: {entity['grounds']}" for entity in _all(store, HOLD)}


def forget(
    store: GraphStore, evidence: Evidence, clock: Clock, rules: RuleBook, words: Words, principal: Principal, named: str,
    reason: str, retention_days: Mapping[str, int] | None = None,
) -> Certificate:  # fmt: skip
    """Erase a person; DeniedError (recorded) or ErasureError where that may not be."""
    why = _reason(reason)
    people = find_person(store, named)
    held = holds(store)
    for entity in people:
        permit(store, clock, rules, principal, "person.forget", entity.cls, entity.id)
        if entity.id in held:
            raise ErasureError(f"{entity.cls} {entity.id} may not be erased: {held[entity.id]}; release it first")
    ids = tuple(entity.id for entity in people)
    id, now = clock.id(), clock.now()
    days = retention_days or {}
    limits = {cls: instant(now - timedelta(days=count)) for cls, count in days.items()}
    forgetting = Forgetting(id, frozenset(ids), held, limits, KEPT)
    texts: set[str] = set()
    exports = [one for one in _all(store, EXPORT) if _about(one) & set(ids)]

    def revise(revised: Sequence[Revised]) -> Request | None:
        for one in revised:
            texts.update(_texts(words, one, store.history(one.id)))
        current = store.get([one.id for one in revised])
        writes = [write for one in revised for write in _open_change(current.get(one.id), words, one)]
        return Request(writes, Cause(clock.id(), "person.forget", principal.uid, why), {}) if writes else None

    def record(forgotten: Forgotten) -> Request:
        marks: list[Write] = [
            Put(one.id, EXPORT, {"erasedSince": (*_refs(one, "erasedSince"), Ref(id))}) for one in exports
        ]
        values = _values(ids, why, principal, forgotten)
        return Request([Put(id, CLASS, values), *marks], Cause(clock.id(), "person.forget", principal.uid, why), {})

    forgotten, commit = evidence.forget(forgetting, revise, record)
    marked = tuple(one.id for one in exports)
    return Certificate(
        id, ids, commit.at, principal.uid, why, commit.last, forgotten, marked, tuple(sorted(texts - {""}))
    )


def _texts(words: Words, one: Revised, versions: Iterable[Entity]) -> Iterable[str]:
    """What was embedded of an entity, and what people may have searched for: the values themselves."""
    for version in versions:
        yield words.text_of(version)
        for name in words.personal(one.cls) if one.subject else ():
            if isinstance(value := version.get(name), str):
                yield value


def _open_change(entity: Entity | None, words: Words, one: Revised) -> Iterable[Write]:
    """The change by which a touched entity reads as it will, so that index, search and wakes follow."""
    if entity is None or (not one.subject and not words.text_of(entity)):
        return
    kept = {name: value for name, value in one.changed.items() if value is not None}
    gone = one.drop | {name for name, value in one.changed.items() if value is None}
    try:
        words.check(one.cls, {n: v for n, v in {**entity.properties, **kept}.items() if n not in gone})
    except ShapeError:
        # What the class requires is among what goes: without it there is no such entity any more.
        if one.subject:
            yield Close(one.id)
        return
    yield Put(one.id, one.cls, kept, gone)


def _values(ids: Sequence[str], why: str, principal: Principal, forgotten: Forgotten) -> dict[str, Value]:
    values: dict[str, Value] = {
        "personErased": tuple(Ref(id) for id in ids),
        "grounds": why,
        "requestedBy": principal.uid,
        "erasedCounts": tuple(f"{what}={count}" for what, count in forgotten.counts.items()),
        "stayed": tuple(f"{what}: {reason}" for what, reason in list(forgotten.stayed.items())[:LIST_MAX]),
        "rowsDigest": forgotten.digest,
    }
    return {name: value for name, value in values.items() if value != ()}


def _reason(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > REASON_MAX:
        raise ErasureError(f"say why in 1 to {REASON_MAX:,} characters, with --reason; do not name the person in it")
    return text


def _refs(entity: Entity, name: str) -> tuple[Ref, ...]:
    found = entity.get(name, ())
    return tuple(Ref(str(one)) for one in found) if isinstance(found, tuple) else ()


def _about(entity: Entity) -> set[str]:
    return {str(ref) for ref in _refs(entity, "about")}


def _all(store: GraphStore, cls: str) -> Iterable[Entity]:
    after: Cursor | None = None
    while True:
        page = store.find(cls, (), None, after, PAGE)
        yield from page.items
        if page.next is None:
            return
        after = page.next
