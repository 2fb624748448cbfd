"""What is wrong with a set of rules although each is valid: rules that can never match, that say nothing beside another one, and
departments for which there is no rule at all.

Invariant: a finding is certain, not a guess: where it cannot be told, nothing is said. Changes nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from governance.comparisons import Comparison, Constant, demanded, hopeless
from governance.rulebook import RuleBook
from governance.scope import Scope
from governance.statement import Statement

Fault = Literal["never", "shadowed", "redundant", "uncovered", "broken"]
#: Rules compared with one another; beyond this the comparison of pairs would take too long.
PAIRS_MAX: Final = 2_000
_BELOW: Final = ("<", "<=")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: which rule or department, what is wrong, and in words what to do."""

    kind: Fault
    subject: str
    text: str


def mentioned(rules: RuleBook) -> frozenset[tuple[str, str]]:
    """Who the heads of the rules name: roles, departments and single principals, as (kind, name)."""
    return frozenset(statement.principal.member for statement in rules.statements if statement.principal.member)


def analyse(rules: RuleBook, held: Set[tuple[str, str]]) -> tuple[Finding, ...]:
    """Everything found about these rules, given which of those `mentioned` there are: held roles and departments, principals."""
    return (*_each(rules, held), *_pairs(rules.statements), *_uncovered(rules))


def _each(rules: RuleBook, held: Set[tuple[str, str]]) -> Iterator[Finding]:
    for statement in rules.statements:
        if statement.fault is not None:
            yield Finding("broken", statement.name, statement.fault)
        elif reason := _impossible(statement, held):
            yield Finding("never", statement.name, f"{reason}; correct or retire it")


def _impossible(statement: Statement, held: Set[tuple[str, str]]) -> str:
    member = statement.principal.member
    if member is not None and member not in held:
        group = member[0] in {"Role", "Department"}
        return f"nobody is in {member[0]} {member[1]!r}" if group else f"there is no {member[0]} {member[1]!r}"
    if hopeless(json.loads(statement.policy)):
        return "its conditions are never met"
    by_attribute: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for comparison in demanded(json.loads(statement.policy)):
        by_attribute[comparison.variable, comparison.attribute].append(comparison)
    for (variable, attribute), found in by_attribute.items():
        if _contradict(found):
            return f"its conditions on {variable}.{attribute} contradict each other"
    return ""


def _contradict(found: Sequence[Comparison]) -> bool:
    """Whether no single value meets all these comparisons of one attribute."""
    possible: set[Constant] | None = None
    for comparison in found:
        if comparison.operator in {"==", "in"}:
            possible = set(comparison.constants) if possible is None else possible & set(comparison.constants)
    if possible is not None:
        return not any(all(_meets(value, comparison) for comparison in found) for value in possible)
    highest = [(c.constants[0], c.operator) for c in found if c.operator in _BELOW]
    lowest = [(c.constants[0], c.operator) for c in found if c.operator in {">", ">="}]
    return any(_apart(low, high) for low in lowest for high in highest)


def _apart(low: tuple[Constant, str], high: tuple[Constant, str]) -> bool:
    if isinstance(low[0], str) or isinstance(high[0], str):
        return False
    return low[0] > high[0] or (low[0] == high[0] and (low[1] == ">" or high[1] == "<"))


def _meets(value: Constant, comparison: Comparison) -> bool:
    constant = comparison.constants[0] if comparison.constants else value
    match comparison.operator:
        case "==" | "in":
            return value in comparison.constants
        case "!=":
            return value != constant
        case "contains":
            return True
    if isinstance(value, str) or isinstance(constant, str):
        return True
    return {"<": value < constant, "<=": value <= constant, ">": value > constant, ">=": value >= constant}[
        comparison.operator
    ]


def _pairs(statements: Sequence[Statement]) -> Iterator[Finding]:
    usable = [statement for statement in statements if statement.fault is None][:PAIRS_MAX]
    bodies = {statement.id: _conditions(statement) for statement in usable}
    wide = [s for s in usable if not json.loads(s.policy)["conditions"]]
    same: dict[tuple[str, str], list[Statement]] = defaultdict(list)
    for statement in usable:
        same[statement.effect, bodies[statement.id]].append(statement)
        for other in wide:
            if other.id != statement.id and _covers(other, statement):
                yield from _beside(other, statement)
    for twins in same.values():
        for one, other in pairwise(twins):
            if _covers(one, other) and _covers(other, one) and bodies[one.id] and _said(one) == _said(other):
                yield Finding("redundant", other.name, f"says the same as {one.name}; retire one of them")


def _beside(wide: Statement, narrow: Statement) -> Iterator[Finding]:
    if wide.effect == "forbid" and narrow.effect == "permit":
        yield Finding(
            "shadowed", narrow.name, f"never permits anything: {wide.name} forbids all of it; narrow one of them"
        )
    elif (
        wide.effect == narrow.effect
        and narrow.requirement is None
        and _adds_nothing(wide, narrow)
        and not (_covers(narrow, wide) and narrow.name < wide.name)
    ):
        yield Finding("redundant", narrow.name, f"adds nothing to {wide.name}, which covers all of it; retire it")


def _said(statement: Statement) -> tuple[object, ...]:
    """What a rule says by its annotations."""
    return (statement.requirement, statement.mask, statement.window, statement.advice)


def _adds_nothing(wide: Statement, narrow: Statement) -> bool:
    """Whether a narrower rule shows no more, counts nothing else and advises nothing else than a wider one."""
    return (
        wide.mask in (None, narrow.mask)
        and narrow.window in (None, wide.window)
        and narrow.advice in (None, wide.advice)
    )


def _conditions(statement: Statement) -> str:
    return json.dumps(json.loads(statement.policy)["conditions"], sort_keys=True)


def _covers(wide: Statement, narrow: Statement) -> bool:
    """Whether every request in the scope of `narrow` is in that of `wide`."""
    return (
        _wider(wide.actions, narrow.actions)
        and _wider(wide.classes, narrow.classes)
        and _around(wide.principal, narrow.principal)
        and wide.resource.member in {None, narrow.resource.member}
    )


def _wider(wide: frozenset[str] | None, narrow: frozenset[str] | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)


def _around(wide: Scope, narrow: Scope) -> bool:
    return wide.kind in {None, narrow.kind} and wide.member in {None, narrow.member}


def _uncovered(rules: RuleBook) -> Iterator[Finding]:
    """Departments none of whose classes is named, or whose department is not, by any rule that is about less than everything."""
    classes: Mapping[str, list[str]] = defaultdict(list)
    for cls, department in rules.departments.items():
        if department is not None:
            classes[department].append(cls)
    for department, owned in sorted(classes.items()):
        if not any(_about(statement, department, owned) for statement in rules.statements):
            yield Finding("uncovered", department, "no rule is about this department or any of its classes; add one")


def _about(statement: Statement, department: str, owned: Sequence[str]) -> bool:
    named = ("Department", department) in {statement.resource.member, statement.principal.member}
    return statement.fault is None and (
        named or (statement.classes is not None and not statement.classes.isdisjoint(owned))
    )
