"""`noesis patterns list` and `show`: the coordination patterns, when to use each, and its workflow as a picture or document."""

import json as jsons
from difflib import get_close_matches
from typing import Annotated

import typer

from api.cli.terminal import Json, Terminal
from coordination.patterns.catalogue import PATTERNS
from coordination.workflow.graph import graph
from coordination.workflow.mermaid import mermaid
from kg.errors import InputError

patterns = typer.Typer(no_args_is_help=True, help="Coordination patterns: ready workflows for teams of agents.")


@patterns.command("list")
def list_patterns(json: Json = False) -> None:
    """List the patterns and when to use each."""
    terminal = Terminal()
    if json:
        terminal.document(
            [{"name": name, "summary": it.summary, "use": it.use, "call": it.call} for name, it in PATTERNS.items()]
        )
        return
    terminal.table("", ["pattern", "what", "when"], [(name, it.summary, it.use) for name, it in PATTERNS.items()], "")


@patterns.command("show")
def show_pattern(
    name: Annotated[str, typer.Argument(help="A name from `noesis patterns list`.")],
    document: Annotated[bool, typer.Option("--document", help="The example as a workflow document in JSON.")] = False,
) -> None:
    """Draw an example of a pattern as Mermaid text."""
    found = PATTERNS.get(name)
    if found is None:
        near = get_close_matches(name, PATTERNS, 1)
        hint = f"did you mean {near[0]}?" if near else "see `noesis patterns list`"
        raise InputError(f"there is no pattern {name[:80]!r}; {hint}")
    example = found.example()
    if document:
        typer.echo(jsons.dumps(dict(example.body), indent=2, ensure_ascii=False))
        return
    typer.echo(f"%% {found.summary} {found.use}\n%% {found.call}")
    typer.echo(mermaid(graph(example)), nl=False)
