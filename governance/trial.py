"""Trying rules before they are in force: past decisions are made again with and without a draft, and what would change is told.

Invariant: writes nothing. Both sides are made by today's rules, so that what differs differs because of the draft alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from governance.errors import ReplayError
from governance.replay import Replayed
from governance.rulebook import RuleBook
from governance.rules import compile_rules, find_rule, in_force, list_rules, rule_id
from governance.schema import check, vocabulary
from governance.statement import parse_rule
from kg.clock import Clock
from kg.model import Cursor, Entity, Order
from kg.ontology import Ontology
from kg.store import PAGE_MAX, GraphStore

#: Past decisions that one trial looks at, newest first.
DECISIONS_MAX: Final = 100_000
#: Changed decisions that are listed; all of them are counted.
LISTED_MAX: Final = 1_000
CLASS: Final = "Decision"

#: Makes a decision again by the rules given.
Replay = Callable[[Entity, RuleBook], Replayed]


@dataclass(frozen=True, slots=True)
class Changed:
    """A past decision that would come out otherwise."""

    decision: Entity
    before: str
    after: str
    reason: str


@dataclass(slots=True)
class Trial:
    """What a trial found. `unclear` are decisions whose request is not on record any more."""

    seen: int = 0
    unclear: int = 0
    changed: list[Changed] = field(default_factory=list)
    turns: Counter[tuple[str, str]] = field(default_factory=Counter)
    principals: Counter[str] = field(default_factory=Counter)


def with_drafts(store: GraphStore, ontology: Ontology, clock: Clock, texts: Sequence[str]) -> tuple[RuleBook, RuleBook]:
    """The rule book of now, and the same with these texts added or put in the place of the rules of their names."""
    now, words = clock.now(), vocabulary(ontology)
    position = store.head().position
    active = [rule for rule in list_rules(store, "active") if in_force(rule, now)]
    drafts: dict[str, Entity] = {}
    for text in texts:
        check(text, words)
        name, _ = parse_rule(text)
        present = find_rule(store, name)
        version = present.version if present is not None else 0
        drafts[name] = Entity(
            rule_id(name), "Rule", version + 1, {"name": name, "text": text, "status": "active"}, position
        )
    kept = [rule for rule in active if rule["name"] not in drafts]
    return compile_rules(active, ontology, position), compile_rules([*kept, *drafts.values()], ontology, position)


def without(store: GraphStore, ontology: Ontology, clock: Clock, name: str) -> tuple[RuleBook, RuleBook]:
    """The rule book of now, and the same without one rule: what retiring it would change."""
    active = [rule for rule in list_rules(store, "active") if in_force(rule, clock.now())]
    kept = [rule for rule in active if rule["name"] != name]
    return compile_rules(active, ontology), compile_rules(kept, ontology)


def try_rules(decisions: Iterator[Entity], replay: Replay, books: tuple[RuleBook, RuleBook]) -> Trial:
    """Make each decision again by both books and tell where they differ."""
    trial = Trial()
    for decision in decisions:
        trial.seen += 1
        try:
            before, after = (replay(decision, book).verdict for book in books)
        except ReplayError:
            trial.unclear += 1
            continue
        if before.outcome == after.outcome:
            continue
        trial.turns[before.outcome, after.outcome] += 1
        trial.principals[str(decision["principal"])] += 1
        if len(trial.changed) < LISTED_MAX:
            trial.changed.append(Changed(decision, before.outcome, after.outcome, after.reason))
    return trial


def past(store: GraphStore, first: int) -> Iterator[Entity]:
    """Past decisions, newest ids first, at most `first` of them."""
    after: Cursor | None = None
    left = min(first, DECISIONS_MAX)
    while left > 0:
        page = store.find(CLASS, (), Order(None, descending=True), after, min(left, PAGE_MAX))
        yield from page.items
        left -= len(page.items)
        after = page.next
        if after is None:
            return
