"""Budgeting: a person sets a budget. Decided as action ``configure`` before, by whoever calls; here it is checked and written.

Invariant: a budget and the book of all budgets change in one commit, so whatever was decided on the book before is decided again.
Says nothing about what is used.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from governance.budgets import BOOK, BOOK_CLASS, CLASS, Budget, budget_id
from governance.errors import BudgetError
from governance.principals import Principal
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import Cause, Cursor, Put
from kg.store import PAGE_MAX, GraphStore
from kg.values import DECIMAL_MAX, Value

_SCOPE: Final = re.compile(r"global\Z|(?:agent|department|run|workflow|tool):[^\x00-\x1f\x7f]{1,200}\Z")
_UNIT: Final = re.compile(r"(?:calls|tokens|seconds|money:[A-Z]{3})\Z")
WINDOWS: Final = ("none", "minute", "hour", "day", "month")
WHEN_OUT: Final = ("wait", "degrade", "ask")
ATTEMPTS_MAX: Final = 16
REASON_MAX: Final = 2_000
#: Budgets that one listing reads.
LISTED_MAX: Final = 10_000


def define(
    store: GraphStore, clock: Clock, principal: Principal, scope: str, unit: str, limit: Decimal, *,
    window: str = "none", when_out: str = "wait", approvers: Mapping[str, int] | None = None, reason: str = "",
) -> Budget:  # fmt: skip
    """Set the budget of a scope and unit, new or instead of the one there is; raises BudgetError where it makes no sense."""
    _check(scope, unit, limit, window, when_out)
    id = budget_id(scope, unit)
    properties: dict[str, Value] = {
        "scope": scope,
        "unit": unit,
        "limit": limit,
        "window": window,
        "whenOut": when_out,
        "setBy": principal.uid,
        "reason": reason[:REASON_MAX],
        "budgetApprovers": tuple(f"{role}:{count}" for role, count in sorted((approvers or {"admin": 1}).items())),
    }
    for _ in range(ATTEMPTS_MAX):
        there = store.get([id, BOOK])
        cause = Cause(clock.id(), "budget.set", principal.uid, reason[:REASON_MAX])
        puts = [
            Put(id, CLASS, {name: value for name, value in properties.items() if value != ""}),
            Put(BOOK, BOOK_CLASS, {"lastChange": cause.id}),
        ]
        try:
            store.commit(puts, cause, {key: there[key].version if key in there else 0 for key in (id, BOOK)})
        except ConflictError:
            continue
        return Budget(store.get([id])[id])
    raise BudgetError("others changed the budgets at every try; try again")


def budgets(store: GraphStore) -> list[Budget]:
    """Every budget, in order of id."""
    found: list[Budget] = []
    after: Cursor | None = None
    for _ in range(LISTED_MAX // PAGE_MAX):
        page = store.find(CLASS, after=after, first=PAGE_MAX)
        found += map(Budget, page.items)
        after = page.next
        if after is None:
            break
    return found


def _check(scope: str, unit: str, limit: Decimal, window: str, when_out: str) -> None:
    if not _SCOPE.match(scope):
        raise BudgetError(
            f"{scope[:80]!r} is no scope; use global or agent:, department:, workflow:, tool: or run:NAME"
        )
    if not _UNIT.match(unit):
        raise BudgetError(f"{unit[:80]!r} is no unit; use calls, tokens, seconds or money:EUR")
    if not limit.is_finite() or not 0 <= limit <= DECIMAL_MAX or limit != round(limit, 4):
        raise BudgetError(f"a limit of {limit} cannot be; give 0 to {DECIMAL_MAX:f} with at most four decimal places")
    if window not in WINDOWS or when_out not in WHEN_OUT:
        raise BudgetError(f"window is one of {', '.join(WINDOWS)}, when-out one of {', '.join(WHEN_OUT)}")
