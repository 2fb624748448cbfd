"""The smallest change of facts that turns a verdict: one fact where one is enough, else two.

Invariant: every answer was decided by the same `decide` on the changed request, never derived from the text of a rule; the
candidates come from the constants that the rules compare with. What the reader may not see, fact or rule, is not named.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations, islice
from typing import Final

from governance.comparisons import Comparison, Constant, comparisons
from governance.decide import decide
from governance.rulebook import RuleBook
from governance.verdict import Request, Verdict
from kg.values import Money, Value, plain

#: Candidate facts, and pairs of them, that are tried.
CANDIDATES_MAX: Final = 200
PAIRS_MAX: Final = 5_000
#: The last place that a decimal has.
_STEP: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as it is and as it would have to be; `variable` is resource or context."""

    variable: str
    name: str
    present: Value | None
    wanted: Value

    def __str__(self) -> str:
        here = "absent" if self.present is None else _shown(self.present)
        return f"{self.variable}.{self.name} {_shown(self.wanted)} instead of {here}"


@dataclass(frozen=True, slots=True)
class Turn:
    """Facts that, changed together, give this other verdict."""

    facts: tuple[Fact, ...]
    verdict: Verdict


def turn(
    request: Request,
    rules: RuleBook,
    verdict: Verdict,
    hidden: frozenset[str] = frozenset(),
    unread: frozenset[str] = frozenset(),
) -> Turn | None:
    """The smallest change of facts after which the outcome is another one; None where up to two facts do not turn it.

    For what was not allowed only changes count that allow it or ask for less. `hidden` are properties of the resource that the
    reader may not see, `unread` ids of rules that the reader may not: no constant of theirs is tried, so none is told.
    """
    allowed = (
        fact for fact in _candidates(request, rules, unread) if fact.variable != "resource" or fact.name not in hidden
    )
    found = list(islice(allowed, CANDIDATES_MAX))
    singles = [
        ((fact,), decided) for fact in found if (decided := _with(request, rules, (fact,))).outcome != verdict.outcome
    ]
    best = _best(singles, verdict)
    if best is not None:
        return best
    pairs = []
    for count, (one, other) in enumerate(combinations(found, 2)):
        if count >= PAIRS_MAX:
            break
        if (one.variable, one.name) != (other.variable, other.name):
            decided = _with(request, rules, (one, other))
            if decided.outcome != verdict.outcome:
                pairs.append(((one, other), decided))
    return _best(pairs, verdict)


def _best(turns: Sequence[tuple[tuple[Fact, ...], Verdict]], verdict: Verdict) -> Turn | None:
    wanted = [(facts, other) for facts, other in turns if verdict.outcome == "allow" or other.outcome != "deny"]
    allowing = [turn for turn in wanted if turn[1].outcome == "allow"] or wanted
    if not allowing:
        return None
    facts, other = min(allowing, key=lambda turn: [_distance(fact) for fact in turn[0]])
    return Turn(facts, other)


def _distance(fact: Fact) -> tuple[int, Decimal, str]:
    """Numbers by how far they move, before words; ties by name."""
    before, after = _number(fact.present), _number(fact.wanted)
    if before is None or after is None:
        return 1, Decimal(0), f"{fact.variable}.{fact.name}={fact.wanted}"
    return 0, abs(after - before), f"{fact.variable}.{fact.name}"


def _candidates(request: Request, rules: RuleBook, unread: frozenset[str]) -> Iterator[Fact]:
    seen: set[tuple[str, str, str]] = set()
    for statement in rules.statements:
        if statement.id in unread:
            continue
        if statement.fault is not None or (statement.actions is not None and request.action not in statement.actions):
            continue
        if statement.classes is not None and request.resource.cls not in statement.classes:
            continue
        for comparison in comparisons(json.loads(statement.policy)):
            for fact in _facts(request, comparison):
                key = (fact.variable, fact.name, str(fact.wanted))
                if key not in seen and fact.wanted != fact.present:
                    seen.add(key)
                    yield fact


def _facts(request: Request, comparison: Comparison) -> Iterator[Fact]:
    variables: Mapping[str, Mapping[str, Value]] = {
        "resource": request.resource.properties,
        "context": request.context,
    }
    holder = variables.get(comparison.variable)
    if holder is None or comparison.attribute in {"satisfied", "onBehalfOf"}:
        return
    present = holder.get(comparison.attribute)
    for constant in comparison.constants:
        for value in _around(constant, present):
            yield Fact(comparison.variable, comparison.attribute, present, value)


def _around(constant: Constant, present: Value | None) -> Iterator[Value]:
    """Values at, just below and just above a constant, of the type that the fact has."""
    if isinstance(constant, bool):
        yield from (constant, not constant)
    elif isinstance(constant, str):
        yield (*present, constant) if isinstance(present, tuple) else constant
    else:
        numbers: tuple[int | Decimal, ...]
        if isinstance(constant, int):
            numbers = (constant, constant - 1, constant + 1)
        else:
            numbers = (constant, constant - _STEP, constant + _STEP)
        for number in numbers:
            yield Money(Decimal(number), present.currency) if isinstance(present, Money) else number


def _with(request: Request, rules: RuleBook, facts: tuple[Fact, ...]) -> Verdict:
    context = {**request.context, **{fact.name: fact.wanted for fact in facts if fact.variable == "context"}}
    properties = {
        **request.resource.properties,
        **{fact.name: fact.wanted for fact in facts if fact.variable == "resource"},
    }
    resource = replace(request.resource, properties=properties)
    return decide(replace(request, resource=resource, context=context), rules)


def _number(value: Value | None) -> Decimal | None:
    if isinstance(value, Money):
        return value.amount
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _shown(value: Value) -> str:
    if isinstance(value, Money):
        return f"{plain(value.amount)} {value.currency}"
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)
