"""The decision: request, rules and approvals in, verdict out. Pure: no store, no clock, no randomness.

Invariants: deny by default; a forbid wins; a rule that errs never allows (I6); the proposer's own approval never counts (I5);
whoever acts on behalf of another may do only what both may. Recording the verdict is `governance.decisions`' part.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from governance.principals import Principal
from governance.quorum import merge, satisfied
from governance.rulebook import RuleBook
from governance.verdict import (
    READS,
    Answer,
    Approved,
    Outcome,
    Request,
    Requirement,
    Resource,
    Verdict,
    strictest,
)
from kg.model import Entity

#: Why, where the rules are silent.
NO_PERMIT: Final = "no rule permits it"
__all__ = ["NO_PERMIT", "Approved", "Request", "Requirement", "Resource", "Verdict", "decide", "decide_over"]


def decide(request: Request, rules: RuleBook, approvals: Sequence[Approved] = ()) -> Verdict:
    """The verdict on a request; one that acts on behalf of others gets the strictest verdict of the whole chain."""
    return _together([_decide_one(link, request, rules, approvals) for link in request.principal.chain()])


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """The strictest verdict of a chain, with what any of its links says."""
    if len(verdicts) == 1:
        return verdicts[0]
    outcome = strictest([verdict.outcome for verdict in verdicts])
    return Verdict(
        outcome,
        tuple(dict.fromkeys(rule for verdict in verdicts for rule in verdict.rules)),
        tuple(dict.fromkeys(error for verdict in verdicts for error in verdict.errors)),
        merge(requirement for verdict in verdicts for requirement in verdict.required),
        next(verdict.reason for verdict in verdicts if verdict.outcome == outcome),
        tuple(sorted({name for verdict in verdicts for name in verdict.satisfied})),
        tuple(dict.fromkeys(advice for verdict in verdicts for advice in verdict.advice)),
    )


def decide_over(
    request: Request, touched: Sequence[Entity | Resource], rules: RuleBook, approvals: Sequence[Approved] = ()
) -> Verdict:
    """The verdict on a request that changes more than its resource: the strictest of all.

    The resource needs a permit, and so does every other entity that is there already; for new ones a forbid counts.
    """
    verdict = decide(request, rules, approvals)
    for resource in touched:
        one = replace(request, resource=resource)
        links = [_decide_one(link, one, rules, approvals) for link in request.principal.chain()]
        # What is new needs no permit of its own: it comes to the target. What is there already is not changed in passing.
        # Silence is each link's own: that a rule permits it to one does not make another's silence a refusal.
        counted = [link for link in links if isinstance(resource, Entity) or link.rules or link.errors]
        other = _together(counted) if counted else None
        if other is not None and other.outcome != "allow":
            verdict = _stricter(verdict, other)
    return verdict


def _stricter(one: Verdict, other: Verdict) -> Verdict:
    """Two verdicts on one request: the stricter outcome, everything that either requires."""
    outcome = strictest([one.outcome, other.outcome])
    leading = one if one.outcome == outcome else other
    return replace(
        leading,
        rules=tuple(dict.fromkeys((*one.rules, *other.rules))),
        errors=tuple(dict.fromkeys((*one.errors, *other.errors))),
        required=merge((*one.required, *other.required)),
        satisfied=tuple(sorted({*one.satisfied, *other.satisfied})),
        advice=tuple(dict.fromkeys((*one.advice, *other.advice))),
    )


def _decide_one(link: Principal, request: Request, rules: RuleBook, approvals: Sequence[Approved]) -> Verdict:
    first = rules.evaluate(link, request, ())
    required = rules.requirements(first.reasons) if first.decision == "Deny" else None
    if not required:
        return _verdict(first, request, rules, first)
    # INVARIANT I5: every identity of the proposing chain is left out before anybody is counted.
    proposers = request.principal.identities()
    given = [approval for approval in approvals if not approval.by.identities() & proposers]
    met = tuple(requirement.name for requirement in required if satisfied(requirement, given))
    final = rules.evaluate(link, request, met) if met else first
    more = rules.requirements(final.reasons) if final.decision == "Deny" and not final.errors else None
    if not more:
        return _verdict(final, request, rules, first, required, met)
    # Without a permit a soft forbid looks like any other: nobody is asked for what would be denied anyway.
    hoped = rules.evaluate(link, request, tuple(requirement.name for requirement in required))
    if hoped.decision != "Allow" or hoped.errors:
        return _verdict(hoped, request, rules, first, required, met)
    names = ", ".join(requirement.name for requirement in required if requirement.name not in met)
    return Verdict(
        "needs_approval",
        rules.named(first.reasons),
        (),
        required,
        f"needs approval: {names}",
        met,
        rules.advice(first.reasons),
    )


def _verdict(
    answer: Answer, request: Request, rules: RuleBook, first: Answer,
    required: tuple[Requirement, ...] = (), met: tuple[str, ...] = (),
) -> Verdict:  # fmt: skip
    outcome: Outcome = "allow" if answer.decision == "Allow" else "deny"
    hard = answer.decision == "Deny" and answer.reasons and rules.requirements(answer.reasons) is None
    # INVARIANT I6: Cedar skips an erring rule, so an erring forbid would let a permit win; here no error ever allows.
    if answer.errors and not hard:
        outcome = "deny" if request.action in READS or answer.decision == "NoDecision" else "escalate"
    reasons = tuple(dict.fromkeys((*answer.reasons, *first.reasons)))
    return Verdict(
        outcome,
        rules.named(reasons),
        answer.errors,
        required,
        _reason(outcome, answer, rules),
        met,
        rules.advice(reasons),
    )


def _reason(outcome: Outcome, answer: Answer, rules: RuleBook) -> str:
    if answer.errors and outcome != "allow":
        return f"a rule could not be evaluated: {answer.errors[0]}"
    if not answer.reasons:
        return NO_PERMIT
    return ("permitted by " if outcome == "allow" else "forbidden by ") + ", ".join(rules.labels(answer.reasons))
