"""`noesis budgets`: how much agents, departments, runs and everything together may use, and what is left.

Invariant: setting a budget is decided as ``configure`` and on record before it changes anything. Lists and shows what is used now,
reservations included.
"""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from governance import budgets as using
from governance.budgeting import budgets as every
from governance.budgeting import define
from governance.budgets import CLASS, Budget, budget_id
from governance.configuring import permit
from governance.errors import BudgetError
from kg.clock import Clock
from kg.store import GraphStore

budgets = typer.Typer(
    no_args_is_help=True, help="Limits on calls, tokens, seconds and money, that are never overspent."
)
Scope = Annotated[
    str, typer.Argument(help="global, agent:NAME, department:NAME, workflow:NAME, tool:EFFECTOR or run:ID.")
]
Unit = Annotated[str, typer.Argument(help="calls, tokens, seconds or money:EUR.")]


@budgets.command("list")
def budgets_list(context: typer.Context, json: Json = False) -> None:
    """List every budget with what is used of it now."""
    session = session_of(context)
    with session.platform() as platform:
        session.reader(platform)
        rows = [_form(platform.store, platform.clock, budget) for budget in every(platform.store)]
    terminal = Terminal()
    if json:
        terminal.document(rows)
        return
    columns = ["scope", "unit", "window", "limit", "granted", "used", "left", "when out"]
    cells = [tuple(str(row[column.replace(" ", "_")]) for column in columns) for row in rows]
    terminal.table("", columns, cells, "No budgets yet; set one with `noesis budgets set`.")


@budgets.command("show")
def budgets_show(context: typer.Context, scope: Scope, unit: Unit, json: Json = False) -> None:
    """Show one budget: its limit, what is used of it now and what is left."""
    with session_of(context).platform() as platform:
        found = using.over(platform.store, [scope], [unit])
        if not found:
            raise BudgetError(f"there is no budget of {unit[:80]!r} for {scope[:80]!r}; see `noesis budgets list`")
        row = _form(platform.store, platform.clock, found[0])
    terminal = Terminal()
    if json:
        terminal.document(row)
        return
    for name, value in row.items():
        terminal.line(f"{name.replace('_', ' ')}: {value}")


@budgets.command("set")
def budgets_set(
    context: typer.Context,
    scope: Scope,
    unit: Unit,
    limit: Annotated[str, typer.Argument(help="How much of it may be used in one window.")],
    window: Annotated[str, typer.Option("--per", help="minute, hour, day, month, or none.")] = "none",
    when_out: Annotated[str, typer.Option("--when-out", help="wait, degrade or ask.")] = "wait",
    approver: Annotated[
        list[str] | None, typer.Option("--approver", help="Who may let more pass, as ROLE:COUNT.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")] = "set on the command line",
    json: Json = False,
) -> None:
    """Set a budget, new or instead of the one there is; what waits for it looks again."""
    session = session_of(context)
    try:
        amount = Decimal(limit)
    except InvalidOperation:
        raise BudgetError(f"{limit[:40]!r} is no number; give a limit like 100 or 12.50") from None
    with session.platform() as platform:
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, "budget.set", CLASS, budget_id(scope, unit))
        made = define(
            platform.store, platform.clock, who, scope, unit, amount,
            window=window, when_out=when_out, approvers=_approvers(approver or []), reason=reason,
        )  # fmt: skip
        row = _form(platform.store, platform.clock, made)
    terminal = Terminal()
    if json:
        terminal.document(row)
        return
    terminal.line(f"Budget {made.name}: {made.limit:f}, of which {row['left']} is left.")


def _approvers(given: list[str]) -> dict[str, int]:
    made: dict[str, int] = {}
    for text in given:
        role, _, count = text.partition(":")
        if not role or not (count or "1").isdigit() or int(count or "1") < 1:
            raise BudgetError(f"{text[:80]!r} names no approver; write ROLE:COUNT")
        made[role] = int(count or "1")
    return made


def _form(store: GraphStore, clock: Clock, budget: Budget) -> dict[str, str]:
    used, granted = using.usage(store, clock.now(), budget)
    left = max(Decimal(0), budget.limit + granted - used)
    return {
        "id": budget.entity.id,
        "scope": str(budget.entity["scope"]),
        "unit": budget.unit,
        "window": budget.window,
        "limit": f"{budget.limit:f}",
        "granted": f"{granted:f}",
        "used": f"{used:f}",
        "left": f"{left:f}",
        "when_out": budget.when_out,
    }
