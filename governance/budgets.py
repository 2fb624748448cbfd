"""Budgets: how much of something (calls, tokens, seconds, money) a scope may use in a window. Reserve, then settle or refund.

Invariant I12: what is used is raised by compare-and-set before anything is done with it, so of any number of processes none
passes the limit; what a crash leaves reserved stays counted as used. A limit is raised by a person only: by another limit, or by an
approval that grants what was asked for. Measures nothing itself: the caller says what it will use at most, then what it used.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, cast

from governance.errors import BudgetError
from governance.verdict import Requirement
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Entity, StateWrite
from kg.store import GraphStore
from kg.values import Json

CLASS: Final = "Budget"
#: One entity whose version rises with every change of a budget; without it there is none.
BOOK: Final = "budget-book"
BOOK_CLASS: Final = "BudgetBook"
#: Kinds of state rows: what is used in one window, and what is reserved.
USED: Final = "budget"
RESERVED: Final = "reservation"
#: Tries of one reservation that lost a race.
ATTEMPTS_MAX: Final = 200
#: Reservations ended in one sweep.
SWEEP_MAX: Final = 100
#: How long a reservation that nobody settles is kept; then it counts as used in full.
HOLD_SECONDS: Final = 900.0
_WINDOWS: Final[Mapping[str, str]] = {
    "none": "",
    "minute": "%Y-%m-%dT%H:%M",
    "hour": "%Y-%m-%dT%H",
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
}
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget as it stands."""

    entity: Entity

    @property
    def name(self) -> str:
        """How it is called in words."""
        window = f" per {self.window}" if self.window != "none" else ""
        return f"{self.entity['unit']} of {self.entity['scope']}{window}"

    @property
    def unit(self) -> str:
        return str(self.entity["unit"])

    @property
    def limit(self) -> Decimal:
        return cast(Decimal, self.entity["limit"])

    @property
    def window(self) -> str:
        return str(self.entity["window"])

    @property
    def when_out(self) -> str:
        return str(self.entity["whenOut"])

    def required(self) -> Requirement:
        """Who has to let more pass."""
        texts = self.entity.get("budgetApprovers", ())
        pairs = (str(text).rpartition(":") for text in (texts if isinstance(texts, tuple) else ()))
        return Requirement(f"budget {self.name}", {role: int(count) for role, _, count in pairs} or {"admin": 1})

    def row(self, now: datetime) -> str:
        """The key of the row of the window at this moment."""
        return f"{self.entity.id}:{now.strftime(_WINDOWS[self.window])}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reservation writes, or, where it does not fit, the budget that refuses and why."""

    rows: tuple[StateWrite, ...] = ()
    refused: Budget | None = None
    reason: str = ""


def budget_id(scope: str, unit: str) -> str:
    """The id of the budget of a scope and unit: one each."""
    return "budget-" + hashlib.sha256(f"{scope}\x1f{unit}".encode()).hexdigest()[:26]


def scopes(agent: str = "", department: str = "", run: str = "", workflow: str = "", tool: str = "") -> tuple[str, ...]:
    """The scopes whose budgets lie over something that an agent does in a run of a workflow by a tool (the effector's kind)."""
    named = (("agent", agent), ("department", department), ("run", run), ("workflow", workflow), ("tool", tool))
    return ("global", *(f"{kind}:{name}" for kind, name in named if name))


def over(store: GraphStore, lying: Iterable[str], units: Iterable[str]) -> list[Budget]:
    """The budgets of these scopes for these units; one read."""
    ids = [budget_id(scope, unit) for scope in lying for unit in units]
    found = store.get(ids)
    return [Budget(found[id]) for id in ids if id in found]


def plan(
    store: GraphStore, now: datetime, id: str, budgets: Sequence[Budget], wants: Mapping[str, Decimal], *,
    held: bool = True, grant: bool = False, seconds: float | None = None,
) -> Plan:  # fmt: skip
    """The rows that reserve what is wanted from every budget, to be committed together with what uses it.

    `held` keeps a row by which to settle or refund, which after `seconds` counts as used in full; `grant` says that people
    let what does not fit pass.
    """
    keys = [budget.row(now) for budget in budgets]
    there = store.state(USED, keys) if keys else {}
    rows, parts = [], []
    for budget, key in zip(budgets, keys, strict=True):
        amount = wants[budget.unit]
        row = there.get(key)
        used, granted = _amounts(row.value if row is not None else None)
        missing = used + amount - budget.limit - granted
        # INVARIANT I12: nothing is reserved beyond the limit and what people granted, at the revision that was read.
        if missing > 0 and not grant:
            left = max(Decimal(0), budget.limit + granted - used)
            return Plan(refused=budget, reason=f"budget {budget.name} has {left:f} left, {amount:f} is asked for")
        value = {"used": str(used + amount), "granted": str(granted + max(Decimal(0), missing))}
        rows.append(StateWrite(USED, key, value, expect=row.revision if row is not None else ABSENT))
        parts.append([key, budget.unit, str(amount)])
    if held and parts:
        due = None if seconds is None else _micros(now) + int(seconds * 1_000_000)
        rows.append(StateWrite(RESERVED, id, {"parts": parts}, expect=ABSENT, due=due))
    return Plan(tuple(rows))


def reserve(
    store: GraphStore,
    clock: Clock,
    id: str,
    lying: Sequence[str],
    wants: Mapping[str, Decimal],
    seconds: float = HOLD_SECONDS,
) -> None:
    """Reserve on its own; raises BudgetError where a budget is used up. The same id twice reserves once."""
    for _ in range(ATTEMPTS_MAX):
        if store.state(RESERVED, [id]):
            return
        there = store.get([BOOK])
        if not there:
            return
        planned = plan(store, clock.now(), id, over(store, lying, wants), wants, seconds=seconds)
        if planned.refused is not None:
            raise BudgetError(planned.reason, planned.refused.when_out)
        if not planned.rows:
            return
        try:
            store.commit([], None, {BOOK: there[BOOK].version}, planned.rows)
        except ConflictError:
            continue
        return
    raise BudgetError("others used this budget at every try; try again", "wait")


def settle(store: GraphStore, id: str, used: Mapping[str, Decimal] | None = None) -> None:
    """End a reservation with what was used of it; None: all of it. Ending it twice changes nothing."""
    for _ in range(ATTEMPTS_MAX):
        rows = ending(store, id, used)
        if not rows:
            return
        try:
            store.commit([], None, state=rows)
        except ConflictError:
            continue
        return
    raise BudgetError("others used this budget at every try; what was reserved stays counted as used", "wait")


def refund(store: GraphStore, id: str) -> None:
    """End a reservation of which nothing was used."""
    settle(store, id, {})


def ending(store: GraphStore, id: str, used: Mapping[str, Decimal] | None = None) -> list[StateWrite]:
    """The rows that end a reservation; none where there is none. What was not used may be used by others again."""
    reservation = store.state(RESERVED, [id]).get(id)
    if reservation is None:
        return []
    rows = [StateWrite(RESERVED, id, None, expect=reservation.revision)]
    if used is None:
        return rows
    parts = reservation.value["parts"]
    there = store.state(USED, [key for key, _, _ in parts])
    for key, unit, text in parts:
        row = there.get(key)
        back = Decimal(text) - used.get(unit, Decimal(0))
        if row is None or not back:
            continue
        spent, granted = _amounts(row.value)
        value = {"used": str(spent - back), "granted": str(granted)}
        rows.append(StateWrite(USED, key, value, expect=row.revision))
    return rows


def settling(store: GraphStore, effect: str, state: str) -> list[StateWrite]:
    """The rows with which an effect's end settles what its intent reserved: refunded where it surely did not happen."""
    if state == "in_doubt":
        return []
    return ending(store, effect, None if state == "done" else {})


def sweep(store: GraphStore, clock: Clock) -> int:
    """End reservations whose holder is gone: nobody knows what was used, so all of it was. How many there were."""
    rows = store.scan(RESERVED, due=_micros(clock.now()), first=SWEEP_MAX)
    for row in rows:
        try:
            store.commit([], None, state=[StateWrite(RESERVED, row.key, None, expect=row.revision)])
        except ConflictError:
            continue
    return len(rows)


def usage(store: GraphStore, now: datetime, budget: Budget) -> tuple[Decimal, Decimal]:
    """What is used in the window of this moment, reservations included, and what people granted beyond the limit."""
    key = budget.row(now)
    row = store.state(USED, [key]).get(key)
    return _amounts(row.value if row is not None else None)


def _amounts(value: Json) -> tuple[Decimal, Decimal]:
    return (Decimal(value["used"]), Decimal(value["granted"])) if value else (Decimal(0), Decimal(0))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
