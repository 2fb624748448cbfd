"""Decision entities: the record that governance was asked, what it said and on what that rests. Negative ones too.

Invariant: a record names rules and facts by id and version, never by copies of their values. It only makes writes: the caller
commits them together with what the decision decides, so that neither exists without the other.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from governance.requests import kept
from governance.verdict import Request, Requirement, Verdict
from kg.model import Entity, Input, Link, Put, Write
from kg.values import LIST_MAX, Money, Value

CLASS: Final = "Decision"
#: Errors kept with a decision, and characters of each.
ERRORS_MAX: Final = 20
ERROR_LENGTH_MAX: Final = 300


def record(
    id: str, request: Request, verdict: Verdict, *, facts: Sequence[Input] = (), latency: int = 0, agent_version: str | None = None,
    expires: datetime | None = None, model: str | None = None, prompt_digest: str | None = None,
) -> tuple[Write, ...]:  # fmt: skip
    """The writes of the Decision `id`; `latency` is in microseconds, `expires` ends the time in which approvals count."""
    principal, resource = request.principal, request.resource
    operation, amount = request.context.get("operation"), request.context.get("amount")
    currency = amount.currency if isinstance(amount, Money) else request.context.get("currency")
    behalf = principal.on_behalf_of
    text, digest = kept(request)
    values: dict[str, Value | None] = {
        "outcome": verdict.outcome,
        "action": request.action,
        "operation": operation if isinstance(operation, str) else None,
        "target": resource.id,
        "targetClass": resource.cls,
        "targetVersion": resource.version if isinstance(resource, Entity) else None,
        "principal": principal.uid,
        "onBehalfOf": behalf.uid if behalf is not None else None,
        "breakGlass": principal.under() or None,
        "proposers": tuple(sorted(principal.identities())),
        "agentVersion": agent_version,
        "rules": tuple(f"{rule}@{version}" for rule, version in verdict.rules[:LIST_MAX]),
        "errors": tuple(error[:ERROR_LENGTH_MAX] for error in verdict.errors[:ERRORS_MAX]),
        "used": tuple(f"{fact.id}@{fact.version}" for fact in facts[:LIST_MAX]),
        "required": tuple(map(_requirement_text, verdict.required)),
        "escalations": tuple(
            f"{_requirement_text(Requirement(item.name, item.escalate))}@{item.after}"
            for item in verdict.required
            if item.escalate
        ),
        "satisfied": verdict.satisfied,
        "advice": verdict.advice,
        "reason": verdict.reason,
        "amount": amount.amount if isinstance(amount, Money) else amount if isinstance(amount, Decimal) else None,
        "currency": currency if isinstance(currency, str) else None,
        "contextDigest": digest,
        "request": text,
        "latency": latency,
        "expires": expires,
        "model": model,
        "promptDigest": prompt_digest,
    }
    given = {name: value for name, value in values.items() if value is not None and value != ()}
    writes: list[Write] = [Put(id, CLASS, given)]
    writes += (Link(id, "usedRule", rule, {"version": version}) for rule, version in verdict.rules)
    if principal.entity is not None:
        writes.append(Link(id, "wasAssociatedWith", principal.entity))
    writes += (
        Link(id, "actedOnBehalfOf", link.entity) for link in list(principal.chain())[1:] if link.entity is not None
    )
    return tuple(writes)


def _requirement_text(requirement: Requirement) -> str:
    roles = ",".join(f"{role}:{count}" for role, count in sorted(requirement.approvers.items()))
    return f"{requirement.name}={roles}"


def requirements(decision: Entity) -> tuple[Requirement, ...]:
    """What a recorded decision requires, as the verdict said it."""
    found = []
    late = decision.get("escalations", ())
    escalations: dict[str, tuple[dict[str, int], int]] = {}
    for text in late if isinstance(late, tuple) else ():
        roles, _, seconds = str(text).rpartition("@")
        name, counts = _counts(roles)
        escalations[name] = (counts, int(seconds))
    texts = decision.get("required", ())
    for text in texts if isinstance(texts, tuple) else ():
        name, counts = _counts(str(text))
        found.append(Requirement(name, counts, *escalations.get(name, ({}, 0))))
    return tuple(found)


def _counts(text: str) -> tuple[str, dict[str, int]]:
    name, _, roles = text.partition("=")
    counts = (role.rpartition(":") for role in roles.split(","))
    return name, {role: int(count) for role, _, count in counts}
