"""`noesis effects`: what was done outside and in the graph, and undoing it.

Invariant: undoing is decided as ``configure`` to begin with, and then once more for each effect that undoes one, by the rules of
that moment; the command itself undoes nothing, workers do.
"""

from collections.abc import Mapping
from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal, entity_form
from coordination import compensation
from coordination.compensation import COMPENSATION, Next
from coordination.effects import EFFECT
from coordination.errors import StateError
from governance.configuring import permit
from kg.model import Op, Order, Where

effects = typer.Typer(no_args_is_help=True, help="What was done, and undoing it.")
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]
_WAYS: Mapping[str, Next] = {"again": "again", "undone": "undone", "leave": "leave"}
Id = Annotated[str, typer.Argument(help="Id of the compensation.")]


@effects.command("list")
def effects_list(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--status", help="intent, done, failed, in_doubt, simulated …")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only those of this run.")] = None,
    first: First = 50,
    json: Json = False,
) -> None:
    """List effects, newest first."""
    session = session_of(context)
    given = (("status", status), ("run", run))
    with session.platform() as platform:
        where = [Where(name, Op.EQ, value) for name, value in given if value is not None]
        found = session.reader(platform).find(EFFECT, where, Order(None, descending=True), None, first).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(effect) for effect in found])
        return
    rows = [
        (e.id, e["status"], e["operation"], e.get("effector") or "", e.get("agent") or "", e.get("reference") or "")
        for e in found
    ]
    terminal.table("", ["id", "status", "operation", "effector", "agent", "reference"], rows, "No effects yet.")


@effects.command("compensate")
def effects_compensate(
    context: typer.Context,
    effect: Annotated[
        list[str], typer.Argument(help="Ids, in the order in which they happened; the last is undone first.")
    ],
    reason: Reason,
    json: Json = False,
) -> None:
    """Undo effects in reverse order, each once; what cannot be undone waits in `noesis effects stuck`."""
    session = session_of(context)
    with session.platform() as platform:
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, "effect.compensate", EFFECT, effect[0])
        id, _ = compensation.compensate(platform.store, platform.clock, effect, reason=reason, principal=who.uid)
    terminal = Terminal()
    if json:
        terminal.document({"compensation": id})
        return
    terminal.line(f"Compensation {id} is on its way; a worker undoes {len(effect)} effects, the last first.")


@effects.command("stuck")
def effects_stuck(context: typer.Context, first: First = 50, json: Json = False) -> None:
    """List compensations that wait for a person, with the reason."""
    session = session_of(context)
    with session.platform() as platform:
        where = [Where("state", Op.EQ, "stuck")]
        found = session.reader(platform).find(COMPENSATION, where, None, None, first).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(item) for item in found])
        return
    rows = []
    for item in found:
        todo, index = item["effects"], item.get("next", 0)
        at = todo[index] if isinstance(todo, tuple) and isinstance(index, int) and index < len(todo) else ""
        rows.append((item.id, at, str(item.get("reason") or "")[:200]))
    terminal.table("", ["compensation", "effect", "why"], rows, "No compensation waits for a person.")


@effects.command("go-on")
def effects_go_on(
    context: typer.Context,
    id: Id,
    then: Annotated[str, typer.Option("--then", help="again, undone (by hand), or leave (as it is).")],
    reason: Reason,
) -> None:
    """Let a stuck compensation go on: try the effect again, take it as undone by hand, or leave it as it is."""
    session = session_of(context)
    with session.platform() as platform:
        who = session.principal(platform)
        way = _WAYS.get(then)
        if way is None:
            raise StateError(f"{then[:40]!r} is no way to go on; use again, undone or leave")
        permit(platform.store, platform.clock, platform.rules(), who, f"compensation.{then}", COMPENSATION, id)
        compensation.decide(platform.store, platform.clock, id, way, who.uid, reason)
    Terminal().line(f"Compensation {id} goes on ({then}).")
