"""Rule entities: add, activate, retire and list them, and load the active ones as a RuleBook.

Invariants: a rule becomes active only when it is valid against the schema of that moment; its status moves only along TRANSITIONS;
every change is a new version with an author and a reason. Decides nothing itself.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Final
from weakref import WeakKeyDictionary

from governance.errors import RuleError
from governance.principals import Principal
from governance.rulebook import RuleBook
from governance.schema import Vocabulary, check, departments, vocabulary
from governance.statement import Statement, compile_rule, parse_rule
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Cursor, Entity, Input, Op, Put, Where
from kg.ontology import Ontology
from kg.store import PAGE_MAX, GraphStore, Head
from kg.values import Value

CLASS: Final = "Rule"
#: One entity whose version rises with every change of any rule, so that a commit can expect that no rule changed or came.
BOOK: Final = "rulebook"
BOOK_CLASS: Final = "RuleBook"
#: Where each status may go.
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    "draft": frozenset({"review", "active", "retired"}),
    "review": frozenset({"active", "draft", "retired"}),
    "active": frozenset({"retired", "draft"}),
    "retired": frozenset({"draft", "active"}),
}
RULES_MAX: Final = 20_000
#: Changes looked through for a changed rule; further behind, the rules themselves are compared.
SCAN_MAX: Final = 2 * PAGE_MAX
REASON_MAX: Final = 2_000
_NONE: Final[Mapping[tuple[str, int], Statement]] = MappingProxyType({})
_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def add(
    store: GraphStore, clock: Clock, ontology: Ontology, text: str, author: Principal, reason: str, *, status: str = "active",
    words: Vocabulary | None = None, origin: str | None = None,
) -> Entity:  # fmt: skip
    """Add the rule in a text, or a new version of the rule of that name; the same text again changes nothing."""
    if status not in {"draft", "active"}:
        raise RuleError(f"a rule is added as draft or active, not as {status[:40]!r}")
    text = text.strip()
    name, statement = parse_rule(text)
    if status == "active":
        check(text, words or vocabulary(ontology))
    present = find_rule(store, name)
    if present is not None and present["text"] == text and present["status"] == status:
        return present
    if present is not None and present["status"] != status:
        refuse_move(name, str(present["status"]), status)
    annotations = statement.get("annotations", {})
    values: dict[str, Value] = {
        "name": name,
        "text": text,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "status": status,
        "annotations": tuple(f"{key}={value}" for key, value in sorted(annotations.items())),
        "author": author.uid,
        "reason": said(reason),
    }
    id = present.id if present is not None else rule_id(name)
    put = Put(id, CLASS, values, origin=origin)
    return _commit(store, clock, put, present.version if present is not None else 0, author, "rule.add", reason)


def set_status(
    store: GraphStore, clock: Clock, ontology: Ontology, name: str, status: str, author: Principal, reason: str
) -> Entity:
    """Move a rule to another status along TRANSITIONS; going active, it must be valid against today's schema."""
    rule = find_rule(store, name)
    if rule is None:
        raise RuleError(f"no rule is called {name[:120]!r}; `noesis rules list` shows them")
    if rule["status"] == status:
        return rule
    refuse_move(name, str(rule["status"]), status)
    if status == "active":
        check(str(rule["text"]), vocabulary(ontology))
    put = Put(rule.id, CLASS, {"status": status, "author": author.uid, "reason": said(reason)})
    return _commit(store, clock, put, rule.version, author, f"rule.{status}", reason)


def retire(store: GraphStore, clock: Clock, ontology: Ontology, name: str, author: Principal, reason: str) -> Entity:
    """Take a rule out of force; it stays on record."""
    return set_status(store, clock, ontology, name, "retired", author, reason)


def refuse_move(name: str, present: str, wanted: str) -> None:
    """Raise RuleError where a rule in one state cannot become another."""
    allowed = TRANSITIONS.get(present, frozenset())
    if wanted not in allowed:
        raise RuleError(
            f"rule {name} is {present} and can only become {' or '.join(sorted(allowed))}, not {wanted[:40]!r}"
        )


def said(reason: str) -> str:
    """The reason of a change, within its bound; RuleError where none is given."""
    if not reason.strip():
        raise RuleError("a rule changes for a reason; say it")
    return reason[:REASON_MAX]


def rule_id(name: str) -> str:
    """The id of a rule is made from its name, so that two who add the same name at once meet in one entity."""
    return "rule-" + hashlib.sha256(name.encode()).hexdigest()[:26]


def _commit(
    store: GraphStore, clock: Clock, put: Put, version: int, author: Principal, activity: str, reason: str
) -> Entity:
    inputs = (Input(put.id, version),) if version else ()
    behalf = author.on_behalf_of.uid if author.on_behalf_of is not None else None
    cause = Cause(clock.id(), activity, author.uid, reason[:REASON_MAX], behalf, inputs)
    try:
        # INVARIANT I4: an effect's commit expects the book's version, so it is never decided by rules that changed meanwhile.
        commit = store.commit([put, Put(BOOK, BOOK_CLASS, {"changedBy": cause.id})], cause, {put.id: version})
    except ConflictError as error:
        raise ConflictError("the rule was changed meanwhile; look at it and try again", error.found) from None
    made = commit.versions.get(put.id, version)
    return store.versions([(put.id, made)])[put.id, made]


def find_rule(store: GraphStore, name: str) -> Entity | None:
    """The rule of this name, None where there is none."""
    return next(iter(store.find(CLASS, [Where("name", Op.EQ, name)], first=1).items), None)


def list_rules(store: GraphStore, status: str | None = None, at: int | None = None) -> Iterator[Entity]:
    """Every rule, or those of one status, in order of id; at most RULES_MAX."""
    where = [Where("status", Op.EQ, status)] if status is not None else []
    after: Cursor | None = None
    for _ in range(RULES_MAX // PAGE_MAX):
        page = store.find(CLASS, where, after=after, first=PAGE_MAX, at=at)
        yield from page.items
        after = page.next
        if after is None:
            return
    raise RuleError(f"there are more than {RULES_MAX:,} rules; retire some")


def compile_rules(
    rules: Sequence[Entity], ontology: Ontology, position: int = 0, known: Mapping[tuple[str, int], Statement] = _NONE
) -> RuleBook:
    """The RuleBook of these rule entities. One that does not compile counts as erring in every decision, so nothing fails open.

    `known` holds versions that were compiled with this ontology before; a version's text never changes.
    """
    statements = []
    subclasses = partial(_subclasses, ontology)
    for rule in rules:
        if (compiled := known.get((rule.id, rule.version))) is not None:
            statements.append(compiled)
            continue
        try:
            statements.append(compile_rule(rule.id, rule.version, str(rule["text"]), subclasses))
        except (RuleError, KeyError) as error:
            name = str(rule.get("name", rule.id))
            statements.append(Statement(rule.id, rule.version, name, fault=f"{error}; correct or retire rule {name}"))
    return RuleBook(tuple(statements), departments(ontology), position)


def _subclasses(ontology: Ontology, cls: str) -> tuple[str, ...]:
    """A class with all below it, or alone where today's ontology has lost it."""
    return ontology.subclasses(cls) if cls in ontology.classes else (cls,)


class _Cached:
    """The last RuleBook of one store, how far the change log was looked through for it, and the time in which it holds."""

    def __init__(self, rules: Sequence[Entity], book: RuleBook, digest: str, within: tuple[datetime, datetime]) -> None:
        self.rules = rules
        self.book = book
        self.digest = digest
        self.within = within
        self.seen = book.position

    @property
    def statements(self) -> Mapping[tuple[str, int], Statement]:
        """What was compiled, by rule and version: one rule that changes costs one compilation, not all of them."""
        return {(one.id, one.version): one for one in self.book.statements if one.fault is None}


_CACHE: "WeakKeyDictionary[GraphStore, _Cached]" = WeakKeyDictionary()
_LOCK = threading.Lock()


def load_rules(store: GraphStore, ontology: Ontology, now: datetime | None = None, end: Head | None = None) -> RuleBook:
    """The RuleBook of the rules in force at `now` (None: the last commit's time); the same object while none changed.

    `end` is the end of the log, where the caller has read it already.
    """
    end = end or store.head()
    head, now = end.position, now or end.at or _EVER[0]
    with _LOCK:
        cached = _CACHE.get(store)
    # The store is never read while the lock is held: one slow reader would hold up every decision.
    fresh = cached is not None and cached.digest == ontology.digest and not _changed(store, cached.seen, head)
    if fresh and cached is not None:
        with _LOCK:
            cached.seen = max(cached.seen, head)
        if cached.within[0] <= now < cached.within[1]:
            return cached.book
    rules = cached.rules if fresh and cached is not None else tuple(list_rules(store, "active", at=head))
    known = cached.statements if cached is not None and cached.digest == ontology.digest else _NONE
    book = compile_rules([rule for rule in rules if in_force(rule, now)], ontology, head, known)
    with _LOCK:
        _CACHE[store] = _Cached(rules, book, ontology.digest, _steady(rules, now))
    return book


def in_force(rule: Entity, now: datetime) -> bool:
    """Whether an active rule counts at this time: from `validFrom` on, and before `validTo`."""
    start, end = rule.get("validFrom"), rule.get("validTo")
    return not (isinstance(start, datetime) and now < start) and not (isinstance(end, datetime) and now >= end)


def _steady(rules: Sequence[Entity], now: datetime) -> tuple[datetime, datetime]:
    """The span around `now` in which no rule begins or ceases to count."""
    bounds = [
        moment for rule in rules for name in ("validFrom", "validTo") if isinstance(moment := rule.get(name), datetime)
    ]
    before = max((moment for moment in bounds if moment <= now), default=_EVER[0])
    return before, min((moment for moment in bounds if moment > now), default=_EVER[1])


def _changed(store: GraphStore, after: int, head: int) -> bool:
    """Whether a rule changed between two positions; True, to be safe, where they lie too far apart to look."""
    if head - after > SCAN_MAX:
        return True
    while after < head:
        changes = store.changes(after)
        if not changes or any(change.cls == CLASS for change in changes):
            return bool(changes)
        after = changes[-1].position
    return False
