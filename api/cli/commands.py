"""The table of commands: which name is found where. The order is the order of `noesis --help`.

Invariant: a command's module, and with it most of the platform, is imported when that command is asked for; only `--help`, a
completion and a name that is none import them all.
"""

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

#: By name: its panel in the help, and where it is found; a function is one command, an application a group of them.
_TABLE: Final[dict[str, tuple[str, str]]] = {
    "demo": ("Start", "playing.demo"),
    "new": ("Start", "starting.new"),
    "init": ("Start", "setting_up.init"),
    "doctor": ("Start", "setting_up.doctor"),
    "ingest": ("Fill and ask", "filling.ingest"),
    "search": ("Fill and ask", "looking.search"),
    "context": ("Fill and ask", "looking.show_context"),
    "why": ("Fill and ask", "looking.why"),
    "serve": ("Run", "running.serve"),
    "work": ("Run", "running.work"),
    "inbox": ("Govern", "governing.inbox"),
    "approve": ("Govern", "governing.approve"),
    "reject": ("Govern", "governing.reject"),
    "override": ("Govern", "overriding.override_decision"),
    "resolve": ("Govern", "doubting.settle_doubt"),
    "decisions": ("Govern", "governing.decisions"),
    "explain": ("Govern", "replaying.show_explanation"),
    "replay": ("Govern", "replaying.replay"),
    "kpis": ("Govern", "measuring.kpis"),
    "verify": ("Govern", "proving.verify"),
    "prove": ("Govern", "proving.prove"),
    "forget": ("Govern", "forgetting.forget"),
    "export": ("Keep", "moving.export_graph"),
    "import": ("Keep", "moving.import_graph"),
    "backup": ("Keep", "moving.backup"),
    "restore": ("Keep", "moving.restore"),
    "models": ("Look closer", "setting_up.models"),
    "schema": ("Look closer", "setting_up.schema"),
    "rejects": ("Fill and ask", "filling.rejects"),
    "index": ("Fill and ask", "keeping.index"),
    "agents": ("Run", "agents.agents"),
    "workflow": ("Run", "publishing.workflow"),
    "runs": ("Run", "measuring.runs"),
    "patterns": ("Run", "patterns.patterns"),
    "rules": ("Govern", "ruling.rules"),
    "controls": ("Govern", "switching.controls"),
    "delegations": ("Govern", "delegating.delegations"),
    "breakglass": ("Govern", "breaking.breakglass"),
    "budgets": ("Govern", "spending.budgets"),
    "conflicts": ("Govern", "settling.conflicts"),
    "routing": ("Govern", "settling.routing"),
    "effects": ("Govern", "undoing.effects"),
    "checkpoint": ("Govern", "proving.checkpoint"),
    "audit": ("Govern", "auditing.audit"),
    "prov": ("Look closer", "checking.prov"),
    "hold": ("Govern", "forgetting.hold"),
    "keys": ("Govern", "governing.keys"),
    "redteam": ("Govern", "attacking.redteam"),
}


class Commands(TyperGroup):
    """The group of every command, each found when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name, in the order of the table."""
        del ctx
        return list(_TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; for another name none, and then all are there for a suggestion."""
        del ctx
        for name in [cmd_name] if cmd_name in _TABLE else _TABLE:
            if name not in self.commands:
                self.commands[name] = _load(name)
        return self.commands.get(cmd_name)


def _load(name: str) -> Any:
    panel, where = _TABLE[name]
    module, _, attribute = where.partition(".")
    found = getattr(import_module(f"api.cli.{module}"), attribute)
    alone = typer.Typer()
    # Without a callback an application of one command is that command, which has lost its panel.
    alone.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name, rich_help_panel=panel)
    else:
        alone.command(name, rich_help_panel=panel)(found)
    group: Any = get_command(alone)
    return group.commands[name]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"noesis {version('noesis')}")
        raise typer.Exit


def root(
    context: typer.Context,
    project: Annotated[
        Path | None, typer.Option("--project", "-P", help="Folder with noesis.toml (NOESIS_PROJECT).")
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the database and index (NOESIS_HOME).")] = None,
    acting_as: Annotated[str | None, typer.Option("--as", help="Act as this user or principal of the graph.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What you read for, as rules name it.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is, and end.")
    ] = False,
) -> None:
    """Keep what the global options say for the command."""
    del version
    # Asking for the version or a list of commands should not import the platform.
    from api.cli.session import Session

    context.obj = Session(project, home, acting_as, purpose)
