"""The table of commands: which name calls what. The order is the order of `noesis --help`."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli import (
    agents,
    attacking,
    auditing,
    breaking,
    checking,
    delegating,
    doubting,
    filling,
    forgetting,
    governing,
    keeping,
    looking,
    measuring,
    moving,
    ordering,
    overriding,
    patterns,
    playing,
    proving,
    publishing,
    replaying,
    ruling,
    running,
    setting_up,
    settling,
    spending,
    switching,
    undoing,
)
from api.cli.session import Session

_PANELS = (
    ("Start", (("demo", playing.demo), ("init", setting_up.init), ("doctor", setting_up.doctor))),
    (
        "Fill and ask",
        (
            ("ingest", filling.ingest),
            ("search", looking.search),
            ("context", looking.show_context),
            ("why", looking.why),
        ),
    ),
    ("Run", (("serve", running.serve), ("work", running.work))),
    (
        "Govern",
        (
            ("inbox", governing.inbox),
            ("approve", governing.approve),
            ("reject", governing.reject),
            ("override", overriding.override_decision),
            ("resolve", doubting.settle_doubt),
            ("decisions", governing.decisions),
            ("explain", replaying.show_explanation),
            ("replay", replaying.replay),
            ("kpis", measuring.kpis),
            ("verify", proving.verify),
            ("prove", proving.prove),
            ("forget", forgetting.forget),
        ),
    ),
    (
        "Keep",
        (
            ("export", moving.export_graph),
            ("import", moving.import_graph),
            ("backup", moving.backup),
            ("restore", moving.restore),
        ),
    ),
    ("Look closer", (("models", setting_up.models), ("schema", setting_up.schema))),
)
_GROUPS = (
    ("Fill and ask", "rejects", filling.rejects),
    ("Fill and ask", "index", keeping.index),
    ("Run", "agents", agents.agents),
    ("Run", "workflow", publishing.workflow),
    ("Run", "runs", ordering.runs),
    ("Run", "patterns", patterns.patterns),
    ("Govern", "rules", ruling.rules),
    ("Govern", "controls", switching.controls),
    ("Govern", "delegations", delegating.delegations),
    ("Govern", "breakglass", breaking.breakglass),
    ("Govern", "budgets", spending.budgets),
    ("Govern", "conflicts", settling.conflicts),
    ("Govern", "routing", settling.routing),
    ("Govern", "effects", undoing.effects),
    ("Govern", "checkpoint", proving.checkpoint),
    ("Govern", "audit", auditing.audit),
    ("Look closer", "prov", checking.prov),
    ("Govern", "hold", forgetting.hold),
    ("Govern", "keys", governing.keys),
    ("Govern", "redteam", attacking.redteam),
)


def join(app: typer.Typer) -> None:
    """Add every command to the application."""
    app.callback()(_root)
    for panel, commands in _PANELS:
        for name, function in commands:
            app.command(name, rich_help_panel=panel)(function)
    for panel, name, group in _GROUPS:
        app.add_typer(group, name=name, rich_help_panel=panel)


def _root(
    context: typer.Context,
    project: Annotated[
        Path | None, typer.Option("--project", "-P", help="Folder with noesis.toml (NOESIS_PROJECT).")
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the database and index (NOESIS_HOME).")] = None,
    acting_as: Annotated[str | None, typer.Option("--as", help="Act as this user or principal of the graph.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What you read for, as rules name it.")] = None,
) -> None:
    context.obj = Session(project, home, acting_as, purpose)
