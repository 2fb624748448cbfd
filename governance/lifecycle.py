"""The life of a rule before it is in force: draft -> review -> active -> retired, reviewed by somebody else than its author.

Invariants: four eyes, no identity and no natural person behind the author reviews what it wrote; what is in force stays in force,
unchanged, until its successor is activated, so that editing a forbid never opens a gap. `governance.rules.add` is the road of a
project's own files, which are reviewed where they are kept.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from governance.errors import RuleError, SelfReviewError
from governance.principals import Principal
from governance.rules import (
    BOOK,
    BOOK_CLASS,
    CLASS,
    REASON_MAX,
    find_rule,
    refuse_move,
    rule_id,
    said,
)
from governance.schema import check, vocabulary
from governance.statement import parse_rule
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Entity, Input, Put
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Value

#: Where the successor of a rule in force may go; it becomes the rule, or is dropped.
NEXT_MOVES: Final[Mapping[str, frozenset[str]]] = {
    "draft": frozenset({"review", "dropped"}),
    "review": frozenset({"draft", "dropped", "active"}),
}
#: What a rule in force may be succeeded by: another text, or nothing.
CHANGE, RETIREMENT = "change", "retirement"
_NEXT: Final = ("nextText", "nextStage", "nextKind", "nextAuthor", "nextAuthors", "nextReason", "nextFrom", "nextTo")


@dataclass(frozen=True, slots=True)
class Interval:
    """From when (included) to when (excluded) a rule counts; None leaves that end open."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment is not None and moment.tzinfo is None:
                raise RuleError("a rule's interval needs a time zone, e.g. 2026-01-31T00:00:00Z")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise RuleError("a rule's interval ends before it begins; exchange the two")


ALWAYS: Final = Interval()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The moves of rules on their way into force and out of it."""

    store: GraphStore
    clock: Clock
    ontology: Ontology

    def draft(self, text: str, author: Principal, reason: str, interval: Interval = ALWAYS, origin: str = "") -> Entity:
        """Write a rule down as a draft; beside a rule in force of that name it is kept as its successor."""
        text = text.strip()
        name, _ = parse_rule(text)
        present = find_rule(self.store, name)
        if present is not None and present["status"] == "active":
            return self._succeed(present, text, CHANGE, "draft", author, reason, interval)
        values: dict[str, Value] = {
            "name": name,
            "text": text,
            "digest": hashlib.sha256(text.encode()).hexdigest(),
            "status": "draft",
            "annotations": tuple(f"{k}={v}" for k, v in sorted(parse_rule(text)[1].get("annotations", {}).items())),
            **_authored(author, reason),
            **_bounds(interval, "validFrom", "validTo"),
        }
        put = Put(
            rule_id(name),
            CLASS,
            values,
            frozenset({"reviewer", "validFrom", "validTo"} - values.keys()),
            origin or None,
        )
        return self._commit(put, present, author, "rule.draft", reason)

    def submit(self, name: str, author: Principal, reason: str) -> Entity:
        """Hand a draft in for review, after it was checked against today's ontology."""
        rule = self._rule(name)
        if rule["status"] == "active":
            _refuse(name, self._stage(rule), "review")
            if rule["nextKind"] == CHANGE:
                check(str(rule["nextText"]), vocabulary(self.ontology))
            return self._commit(Put(rule.id, CLASS, {"nextStage": "review"}), rule, author, "rule.submit", reason)
        refuse_move(name, str(rule["status"]), "review")
        check(str(rule["text"]), vocabulary(self.ontology))
        return self._commit(Put(rule.id, CLASS, {"status": "review"}), rule, author, "rule.submit", reason)

    def activate(self, name: str, reviewer: Principal, reason: str, version: int = 0) -> Entity:
        """Put what was handed in for review in force, as somebody else than its author.

        With the `version` that the reviewer read another one is refused: its author may have changed it since.
        """
        rule = self._rule(name)
        # INVARIANT I5: who is the second pair of eyes saw what comes into force.
        if version and rule.version != version:
            raise RuleError(
                f"rule {name} is at version {rule.version}, you read {version}; `noesis rules diff {name}` shows it"
            )
        succeeding = rule["status"] == "active"
        _refuse(name, self._stage(rule) if succeeding else str(rule["status"]), "active")
        self._four_eyes(
            rule, "nextAuthors" if succeeding else "authors", "nextAuthor" if succeeding else "author", reviewer
        )
        if not succeeding:
            check(str(rule["text"]), vocabulary(self.ontology))
            values: dict[str, Value] = {"status": "active", "reviewer": reviewer.uid}
            return self._commit(Put(rule.id, CLASS, values), rule, reviewer, "rule.activate", reason)
        if rule["nextKind"] == RETIREMENT:
            put = Put(rule.id, CLASS, {"status": "retired", "reviewer": reviewer.uid}, frozenset(_NEXT))
            return self._commit(put, rule, reviewer, "rule.retire", reason)
        check(str(rule["nextText"]), vocabulary(self.ontology))
        return self._commit(_successor(rule, reviewer), rule, reviewer, "rule.activate", reason)

    def send_back(self, name: str, reviewer: Principal, reason: str) -> Entity:
        """Return what was handed in for review to its author, with the reason."""
        rule = self._rule(name)
        if rule["status"] == "active":
            _refuse(name, self._stage(rule), "draft")
            put = Put(rule.id, CLASS, {"nextStage": "draft", "nextReason": said(reason)})
        else:
            refuse_move(name, str(rule["status"]), "draft")
            put = Put(rule.id, CLASS, {"status": "draft", "reason": said(reason)})
        return self._commit(put, rule, reviewer, "rule.send_back", reason)

    def withdraw(self, name: str, author: Principal, reason: str) -> Entity:
        """Drop what would succeed a rule in force, or retire a rule that never came into force."""
        rule = self._rule(name)
        if rule["status"] == "active":
            _refuse(name, self._stage(rule), "dropped")
            return self._commit(Put(rule.id, CLASS, {}, frozenset(_NEXT)), rule, author, "rule.withdraw", reason)
        refuse_move(name, str(rule["status"]), "retired")
        return self._commit(Put(rule.id, CLASS, {"status": "retired"}), rule, author, "rule.withdraw", reason)

    def propose_retirement(self, name: str, author: Principal, reason: str) -> Entity:
        """Ask that a rule in force be retired; it stays in force until somebody else activates that."""
        rule = self._rule(name)
        refuse_move(name, str(rule["status"]), "retired")
        if rule["status"] != "active":
            return self.withdraw(name, author, reason)
        return self._succeed(rule, "", RETIREMENT, "review", author, reason, ALWAYS)

    def _rule(self, name: str) -> Entity:
        rule = find_rule(self.store, name)
        if rule is None:
            raise RuleError(f"no rule is called {name[:120]!r}; `noesis rules list` shows them")
        return rule

    def _stage(self, rule: Entity) -> str:
        stage = rule.get("nextStage")
        if stage is None:
            raise RuleError(f"rule {rule['name']} is in force and nothing succeeds it; add its new text first")
        return str(stage)

    def _four_eyes(self, rule: Entity, authors: str, author: str, reviewer: Principal) -> None:
        # INVARIANT I5: as with proposals, no identity of the author's chain and no person behind one is the second pair of eyes.
        wrote = rule.get(authors) or (str(rule[author]),)
        if reviewer.identities() & frozenset(map(str, wrote if isinstance(wrote, tuple) else (wrote,))):
            raise SelfReviewError(f"{reviewer.uid} wrote rule {rule['name']}; somebody else reviews it")

    def _succeed(
        self, rule: Entity, text: str, kind: str, stage: str, author: Principal, reason: str, interval: Interval
    ) -> Entity:
        authored = _authored(author, reason)
        values: dict[str, Value] = {
            "nextKind": kind,
            "nextStage": stage,
            "nextAuthor": authored["author"],
            "nextAuthors": authored["authors"],
            "nextReason": authored["reason"],
            **({"nextText": text} if text else {}),
            **_bounds(interval, "nextFrom", "nextTo"),
        }
        put = Put(rule.id, CLASS, values, frozenset(set(_NEXT) - values.keys()))
        return self._commit(put, rule, author, f"rule.{kind}", reason)

    def _commit(self, put: Put, rule: Entity | None, who: Principal, activity: str, reason: str) -> Entity:
        reason = said(reason)
        behalf = who.on_behalf_of.uid if who.on_behalf_of is not None else None
        inputs = (Input(rule.id, rule.version),) if rule is not None else ()
        cause = Cause(self.clock.id(), activity, who.uid, reason[:REASON_MAX], behalf, inputs)
        version = rule.version if rule is not None else 0
        book = Put(BOOK, BOOK_CLASS, {"changedBy": cause.id})
        try:
            commit = self.store.commit([put, book], cause, {put.id: version})
        except ConflictError as error:
            raise ConflictError("the rule was changed meanwhile; look at it and try again", error.found) from None
        made = commit.versions.get(put.id, version)
        return self.store.versions([(put.id, made)])[put.id, made]


def _authored(author: Principal, reason: str) -> dict[str, Value]:
    return {"author": author.uid, "authors": tuple(sorted(author.identities())), "reason": said(reason)}


def _bounds(interval: Interval, start: str, end: str) -> dict[str, Value]:
    bounds = {start: interval.start, end: interval.end}
    return {name: moment for name, moment in bounds.items() if moment is not None}


def _successor(rule: Entity, reviewer: Principal) -> Put:
    """The write that makes a rule's successor the rule."""
    text = str(rule["nextText"])
    annotations = parse_rule(text)[1].get("annotations", {})
    values: dict[str, Value] = {
        "text": text,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "annotations": tuple(f"{key}={value}" for key, value in sorted(annotations.items())),
        "author": rule["nextAuthor"],
        "authors": rule["nextAuthors"],
        "reason": rule["nextReason"],
        "reviewer": reviewer.uid,
    }
    bounds = {"validFrom": rule.get("nextFrom"), "validTo": rule.get("nextTo")}
    values |= {name: moment for name, moment in bounds.items() if moment is not None}
    dropped = {name for name, moment in bounds.items() if moment is None}
    return Put(rule.id, CLASS, values, frozenset(_NEXT) | dropped)


def _refuse(name: str, stage: str, wanted: str) -> None:
    allowed = NEXT_MOVES.get(stage, frozenset())
    if wanted not in allowed:
        may = " or ".join(sorted(allowed)) or "nothing else"
        raise RuleError(f"what would become of rule {name} is in {stage} and can only become {may}, not {wanted}")
