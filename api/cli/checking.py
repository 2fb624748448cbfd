"""`noesis prov`: is a provenance document, ours or anybody's, possible at all."""

import json as plain
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.proving import text_of
from api.cli.terminal import Json, Terminal
from kg import prov_rdf, provn
from kg.errors import InputError
from kg.prov_constraints import validate as violations

prov = typer.Typer(no_args_is_help=True, help="Provenance documents (W3C PROV).")
#: Violations printed; all are counted, and all are in `--json`.
SHOWN = 50


class Form(StrEnum):
    """How a document is written."""

    JSON = "json"
    PROVN = "provn"
    TURTLE = "turtle"


def _read_json(text: str) -> Any:
    try:
        return plain.loads(text, object_pairs_hook=_single)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({str(error)[:80]}); give a PROV-JSON document") from None


def _single(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; InputError where a member stands there twice, since which of the two counts is anybody's guess."""
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise InputError(
                f"the member {name[:80]!r} stands twice in one object; leave one, or put what both hold into a list"
            )
        found[name] = value
    return found


READERS: Mapping[Form, Callable[[str], Any]] = {
    Form.JSON: _read_json, Form.PROVN: provn.read, Form.TURTLE: prov_rdf.read,
}  # fmt: skip
ENDINGS = {".json": Form.JSON, ".provn": Form.PROVN, ".ttl": Form.TURTLE, ".trig": Form.TURTLE}


def _form(file: Path, text: str) -> Form:
    """What the name of a file says, or else how its text begins."""
    if (named := ENDINGS.get(file.suffix.lower())) is not None:
        return named
    begin = text.lstrip("\ufeff \t\r\n")[:8]
    return Form.JSON if begin[:1] in ("{", "[") else Form.PROVN if begin == "document" else Form.TURTLE


@prov.callback()
def group() -> None:
    """Keep `validate` a command of its own beside those to come."""


@prov.command("validate")
def validate(
    file: Annotated[Path, typer.Argument(help="A document: PROV-JSON, PROV-N, or PROV-O in Turtle or TriG.")],
    form: Annotated[
        Form | None,
        typer.Option("--form", "-f", help="How it is written; without it, its name or its first word says so."),
    ] = None,
    json: Json = False,
) -> None:
    """Check a provenance document against PROV-CONSTRAINTS; exit code 1 where it is not valid. Needs no graph."""
    text = text_of(file)
    try:
        found = violations(READERS[form or _form(file, text)](text))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
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
