"""`noesis controls`: run, shadow, throttle, pause and stop everything, a department, a workflow, an agent or a tool."""

from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal, entity_form
from governance import controls as switches
from governance.throttles import PER_MINUTE_MAX
from kg.model import Order

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]
Scope = Annotated[
    str | None,
    typer.Argument(help="An agent's name, or agent:, department:, workflow: or tool: with a name; else everything."),
]
PerMinute = Annotated[
    int | None,
    typer.Option("--per-minute", min=1, max=PER_MINUTE_MAX, help="Effects that may begin in any sixty seconds."),
]

controls = typer.Typer(
    no_args_is_help=True, help="Run, shadow, throttle, pause or stop everything, a department, workflow, agent or tool."
)


@controls.command("list")
def controls_list(context: typer.Context, json: Json = False) -> None:
    """Show every control and its state."""
    session = session_of(context)
    with session.platform() as platform:
        found = session.reader(platform).find("Control", (), Order("scope"), None, 500).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(control) for control in found])
        return
    rows = [
        (c["scope"], c["state"], c.get("perMinute") or "", c.get("setBy") or "", c.get("reason") or "") for c in found
    ]
    columns = ["scope", "state", "a minute", "set by", "reason"]
    terminal.table("", columns, rows, "No controls yet; run `noesis init`.")


@controls.command("set")
def controls_set(
    context: typer.Context,
    scope: Annotated[str, typer.Argument(help="global, or agent:, department:, workflow: or tool: with a name.")],
    state: Annotated[str, typer.Argument(help="run, shadow, throttle, pause or stop.")],
    per_minute: PerMinute = None,
    reason: Reason = "set on the command line",
    json: Json = False,
) -> None:
    """Bring a scope into a state; what is acknowledged holds before the next step or effect, in every process."""
    _change(context, scope, state, reason, json, per_minute)


@controls.command("stop")
def controls_stop(
    context: typer.Context, scope: Scope = None, reason: Reason = "stopped on the command line", json: Json = False
) -> None:
    """Stop: once acknowledged nothing new begins; the acknowledgement lists what was on its way. Only a resume follows."""
    _change(context, scope, "stop", reason, json)


@controls.command("pause")
def controls_pause(
    context: typer.Context, scope: Scope = None, reason: Reason = "paused on the command line", json: Json = False
) -> None:
    """Pause: nothing new begins, as in a stop; any state may follow."""
    _change(context, scope, "pause", reason, json)


@controls.command("shadow")
def controls_shadow(
    context: typer.Context, scope: Scope = None, reason: Reason = "shadowed on the command line", json: Json = False
) -> None:
    """Shadow: agents think, proposals are decided and recorded, and end as simulated; nothing is applied."""
    _change(context, scope, "shadow", reason, json)


@controls.command("throttle")
def controls_throttle(
    context: typer.Context,
    scope: Scope = None,
    per_minute: PerMinute = None,
    reason: Reason = "throttled on the command line",
    json: Json = False,
) -> None:
    """Throttle: at most so many effects begin in any sixty seconds; the others wait."""
    _change(context, scope, "throttle", reason, json, per_minute)


@controls.command("resume")
def controls_resume(
    context: typer.Context, scope: Scope = None, reason: Reason = "resumed on the command line", json: Json = False
) -> None:
    """Let a scope act again."""
    _change(context, scope, "run", reason, json)


def _change(
    context: typer.Context, scope: str | None, state: str, reason: str, json: bool, per_minute: int | None = None
) -> None:
    session = session_of(context)
    with session.platform() as platform:
        done = switches.change(
            platform.store,
            platform.clock,
            session.principal(platform),
            _scope(scope),
            state,
            reason,
            per_minute=per_minute,
            rules=platform.rules(),
        )
    _acknowledged(done, json)


def _scope(name: str | None) -> str:
    if name is None or ":" in name or name == switches.GLOBAL:
        return name or switches.GLOBAL
    return f"agent:{name}"


def _acknowledged(done: switches.Acknowledgement, json: bool) -> None:
    terminal = Terminal()
    if json:
        intents = [entity_form(intent) for intent in done.intents]
        terminal.document(
            {"scope": done.scope, "state": done.state, "position": done.position, "at": done.at, "intents": intents}
        )
        return
    terminal.line(f"{done.scope}: {done.state} from position {done.position:,} on.")
    for intent in done.intents:
        terminal.line(f"on its way: {intent.id} {intent.get('operation')}")
