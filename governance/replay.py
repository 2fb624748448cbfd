"""Replay: a recorded decision is made again, against what was known and in force then, or against the rules of today.

Invariant: replaying writes nothing and asks nobody; it reads the versions that the record names, never today's values. Approvals
count as they did: with the roles their givers had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from governance.decide import NO_PERMIT, decide_over
from governance.errors import ReplayError
from governance.principals import Principal, parse_uid
from governance.requests import request_of
from governance.rulebook import RuleBook
from governance.rules import compile_rules, in_force, list_rules
from governance.verdict import Approved, Request, Resource, Verdict
from kg.model import Direction, Entity
from kg.ontology import Ontology
from kg.store import GraphStore

Against = Literal["then", "today"]
#: Decisions and answers around one proposal that are looked at.
AROUND_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision made again. `differences` says in words what turned out otherwise; empty where nothing did."""

    decision: Entity
    against: Against
    request: Request
    verdict: Verdict
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the verdict is the recorded one."""
        return not self.differences


def replay(
    store: GraphStore, ontology: Ontology, decision: Entity, today: RuleBook | None = None,
    created: Resource | None = None, touched: Sequence[Entity | Resource] = (),
) -> Replayed:  # fmt: skip
    """Make a decision again: with `today`, by those rules, else by the rules in force at its position.

    `created` is the thing that was to be made, `touched` are the others that were to be changed with it, as they were.
    """
    request = request_of(store, decision, created)
    against: Against = "today" if today is not None else "then"
    if _refused_by_platform(decision):
        verdict = Verdict("deny", reason=str(decision.get("reason", "")))
        return Replayed(decision, against, request, verdict, ())
    rules = today if today is not None else rules_at(store, ontology, decision.since - 1, _moment(store, decision))
    verdict = decide_over(request, touched, rules, approvals(store, decision))
    return Replayed(decision, against, request, verdict, tuple(_differences(decision, verdict, rules)))


def _refused_by_platform(decision: Entity) -> bool:
    """Whether no rule but the platform itself said no (a self-approval, a write to the platform's own classes)."""
    silent = not decision.get("rules") and not decision.get("errors")
    return silent and decision["outcome"] == "deny" and decision.get("reason") != NO_PERMIT


def rules_at(store: GraphStore, ontology: Ontology, position: int, now: datetime) -> RuleBook:
    """The rules that were in force at a position and a time."""
    rules = [rule for rule in list_rules(store, "active", at=position) if in_force(rule, now)]
    return compile_rules(rules, ontology, position)


def approvals(store: GraphStore, decision: Entity) -> tuple[Approved, ...]:
    """What people had approved about the same proposal before this decision, with the roles they had then."""
    proposals = [
        edge.entity.id for edge in store.expand([decision.id], "decidedBy", Direction.IN, first=1)[decision.id]
    ]
    around = [
        edge.entity.id for edges in store.expand(proposals, "decidedBy", first=AROUND_MAX).values() for edge in edges
    ]
    given: dict[str, Approved] = {}
    for edges in store.expand(around, "wasInformedBy", Direction.IN, first=AROUND_MAX).values():
        for edge in edges:
            answer = edge.entity
            if answer.get("answer") == "approve" and answer.since < decision.since:
                given[answer.id] = Approved(_approver(answer), answer.id)
    return tuple(given.values())


def _approver(answer: Entity) -> Principal:
    roles = answer.get("roles", ())
    held = frozenset(map(str, roles)) if isinstance(roles, tuple) else frozenset()
    kind, name = parse_uid(str(answer["principal"]))
    behalf = answer.get("onBehalfOf")
    other = Principal(*parse_uid(str(behalf)), held) if behalf is not None else None
    return Principal(kind, name, held, on_behalf_of=other)


def _moment(store: GraphStore, decision: Entity) -> datetime:
    changes = store.changes(decision.since - 1, 1)
    if not changes:
        raise ReplayError(f"the change that recorded decision {decision.id} is not there")
    return changes[0].at


def _differences(decision: Entity, verdict: Verdict, rules: RuleBook) -> list[str]:
    found = []
    if verdict.outcome != decision["outcome"]:
        found.append(f"the verdict was {decision['outcome']} and is {verdict.outcome}: {verdict.reason}")
    before, now = _names(decision.get("rules")), {f"{rule}@{version}" for rule, version in verdict.rules}
    for gone in sorted(before - now):
        found.append(f"rule {gone} decided it and does not any more")
    for new in sorted(now - before):
        (label,) = rules.labels([new.rpartition("@")[0]]) or (new,)
        found.append(f"rule {label} ({new}) decides it and did not")
    return found


def _names(value: object) -> set[str]:
    return set(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else set()
