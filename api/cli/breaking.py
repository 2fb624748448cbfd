"""`noesis breakglass`: wider rights for a person in an emergency, for a while, with a reason, reviewed by another."""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal, entity_form
from governance.breakglass import CLASS, FINDINGS, MINUTES, MINUTES_MAX, close_glass, moment, open_glass, review, stage
from kg.model import Entity, Order

breakglass = typer.Typer(
    no_args_is_help=True,
    help="Wider rights in an emergency: `open` with a reason, act with what rules permit `when { context.breakGlass }`, `close`; "
    "another person `review`s it. Every decision and reading under it is on record by itself and names it.",
)
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record; everybody who may read it sees it.")]
Id = Annotated[str, typer.Argument(help="Id of the break-glass, from `noesis breakglass list`.")]


@breakglass.command("open")
def breakglass_open(
    context: typer.Context,
    reason: Reason,
    minutes: Annotated[
        int, typer.Option("--minutes", help=f"For how long, at most {MINUTES_MAX}; it is not extended.")
    ] = MINUTES,
    json: Json = False,
) -> None:
    """Open it for yourself; it ends by itself, and shows in every inbox until another person has reviewed it."""
    session = session_of(context)
    with session.platform() as platform:
        made = open_glass(*session.asking(platform), reason, minutes)
    terminal = Terminal()
    if json:
        terminal.document(entity_form(made))
        return
    terminal.line(f"{made['holder']} acts under break-glass until {made['validTo']:%Y-%m-%d %H:%M} UTC: {made.id}")


@breakglass.command("close")
def breakglass_close(context: typer.Context, id: Id, reason: Reason, json: Json = False) -> None:
    """End it before its time; its holder always may."""
    session = session_of(context)
    with session.platform() as platform:
        made = close_glass(*session.asking(platform), id, reason)
    _tell(made, f"{made.id} is closed and waits for its review.", json)


@breakglass.command("review")
def breakglass_review(
    context: typer.Context,
    id: Id,
    finding: Annotated[str, typer.Argument(help=f"What you found: {' or '.join(FINDINGS)}.")],
    comment: Annotated[str, typer.Option("--comment", "-m", help="What you looked at and why you find so.")],
    json: Json = False,
) -> None:
    """Say of one that is over whether it was justified, as somebody else than its holder."""
    session = session_of(context)
    with session.platform() as platform:
        made = review(*session.asking(platform), id, finding, comment)
    _tell(made, f"{made.id} is reviewed: {made['finding']}.", json)


@breakglass.command("list")
def breakglass_list(context: typer.Context, first: First = 50, json: Json = False) -> None:
    """List who opened it when and why, newest first, and what the reviews found."""
    session = session_of(context)
    with session.platform() as platform:
        order = Order("validFrom", descending=True)
        found = session.reader(platform).find(CLASS, (), order, None, first).items
        now = moment(platform.store, platform.clock)
    terminal = Terminal()
    if json:
        terminal.document([{**entity_form(glass), "stage": stage(glass, now)} for glass in found])
        return
    rows = [
        (g.id, stage(g, now), g.get("holder"), g.get("validFrom"), g.get("validTo"), g.get("reason"), g.get("finding") or "")
        for g in found
    ]  # fmt: skip
    columns = ["id", "stage", "who", "from", "until", "reason", "finding"]
    terminal.table("", columns, rows, "Nobody has broken glass.")


def _tell(made: Entity, line: str, json: bool) -> None:
    terminal = Terminal()
    if json:
        terminal.document(entity_form(made))
        return
    terminal.line(line)
