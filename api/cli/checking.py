"""`noesis prov`: is a provenance document, ours or anybody's, possible at all."""

import json as plain
from pathlib import Path
from typing import Annotated

import typer

from api.cli.proving import text_of
from api.cli.terminal import Json, Terminal
from kg.errors import InputError
from kg.prov_constraints import validate as violations

prov = typer.Typer(no_args_is_help=True, help="Provenance documents (W3C PROV).")
#: Violations printed; all are counted, and all are in `--json`.
SHOWN = 50


@prov.callback()
def group() -> None:
    """Keep `validate` a command of its own beside those to come."""


@prov.command("validate")
def validate(
    file: Annotated[Path, typer.Argument(help="A PROV-JSON document.")],
    json: Json = False,
) -> None:
    """Check a PROV-JSON document against PROV-CONSTRAINTS; exit code 1 where it is not valid. Needs no graph."""
    try:
        form = plain.loads(text_of(file))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON ({str(error)[:80]}); give a PROV-JSON document") from None
    found = violations(form)
    terminal = Terminal()
    if json:
        rows = [{"constraint": v.constraint, "name": v.name, "text": v.text, "bundle": v.bundle} for v in found]
        terminal.document({"valid": not found, "violations": rows})
    elif not found:
        terminal.line(f"{file} is valid: it breaks none of the constraints 22 to 56.")
    else:
        for one in found[:SHOWN]:
            where = f" in bundle {one.bundle}" if one.bundle else ""
            terminal.line(f"constraint {one.constraint} ({one.name}){where}: {one.text}")
        terminal.line(f"{file} is not valid: {len(found):,} violations.")
    if found:
        raise typer.Exit(1)
