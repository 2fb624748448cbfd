"""`noesis redteam`: attacks the project's own agents and rules in a throw-away copy, and says what got through."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from governance.configuring import permit

redteam = typer.Typer(no_args_is_help=True, help="Attack your own agents and rules in a throw-away copy of the graph.")


@redteam.command("run")
def run(
    context: typer.Context,
    model: Annotated[bool, typer.Option("--model", help="Let agents ask the configured model; it costs.")] = False,
    json: Json = False,
) -> None:
    """Try hostile records on your agents and strangers on your rules; exit code 1 where anything got through."""
    from api.attacks import attack

    session = session_of(context)
    with session.platform() as platform, tempfile.TemporaryDirectory(prefix="noesis-redteam-") as folder:
        permit(*session.asking(platform), "redteam.run", "Ontology", "redteam")
        results = attack(platform, Path(folder), model=model)
    through = [result for result in results if result.outcome == "through"]
    terminal = Terminal()
    counts = {name: sum(r.outcome == name for r in results) for name in ("held", "through", "untried")}
    if json:
        rows = [{"attack": r.attack, "against": r.against, "outcome": r.outcome, "detail": r.detail} for r in results]
        terminal.document({**counts, "attacks": rows})
    else:
        terminal.table(
            "",
            ["outcome", "attack", "against", "what was seen"],
            [(r.outcome, r.attack, r.against, r.detail) for r in results],
            "There was nothing to attack: no agents and no rules.",
        )
        terminal.line(
            f"{counts['held']} held, {counts['through']} got through, {counts['untried']} could not be tried."
        )
    if through:
        raise typer.Exit(1)
