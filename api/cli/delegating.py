"""`noesis delegations`: who answers for whom for a while, e.g. during a vacation."""

from datetime import timedelta
from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal, entity_form
from governance.delegations import CLASS, DAYS_MAX, delegate, end
from kg.model import Order

delegations = typer.Typer(no_args_is_help=True, help="Who answers for whom for a while.")
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]


@delegations.command("add")
def delegations_add(
    context: typer.Context,
    giver: Annotated[str, typer.Argument(help="The user whose roles are lent.")],
    to: Annotated[str, typer.Argument(help="The user who answers in them.")],
    role: Annotated[list[str], typer.Option("--role", help="A role that the giver holds; again for more.")],
    reason: Reason,
    days: Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX, help="For how many days from now.")] = 14,
    json: Json = False,
) -> None:
    """Let a user answer in roles of another; it ends by itself, and lends nothing on."""
    session = session_of(context)
    with session.platform() as platform:
        now = platform.clock.now()
        made = delegate(
            platform.store, platform.clock, platform.rules(), session.principal(platform),
            _uid(giver), _uid(to), role, now, now + timedelta(days=days), reason,
        )  # fmt: skip
    terminal = Terminal()
    if json:
        terminal.document(entity_form(made))
        return
    terminal.line(f"{made['delegate']} answers for {made['delegator']} until {made['validTo']}: {made.id}")


@delegations.command("end")
def delegations_end(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of the delegation.")],
    reason: Reason = "ended on the command line",
) -> None:
    """End a delegation now; answers given by it count no more."""
    session = session_of(context)
    with session.platform() as platform:
        end(platform.store, platform.clock, platform.rules(), session.principal(platform), id, reason)
    Terminal().line(f"Delegation {id} is ended.")


@delegations.command("list")
def delegations_list(context: typer.Context, json: Json = False) -> None:
    """List delegations, newest first."""
    session = session_of(context)
    with session.platform() as platform:
        found = session.reader(platform).find(CLASS, (), Order(None, descending=True), None, 500).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(item) for item in found])
        return
    rows = [
        (d.id, d["delegator"], d["delegate"], d["roles"], d.get("validFrom"), d["validTo"], d.get("reason") or "")
        for d in found
    ]
    terminal.table("", ["id", "of", "to", "roles", "from", "until", "reason"], rows, "Nobody answers for another.")


def _uid(name: str) -> str:
    return name if "::" in name else f'User::"{name}"'
