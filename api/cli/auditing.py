"""`noesis audit`: the auditor's report on a decision, run, agent, person or period."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.proving import write
from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal, entity_form
from governance import tallies
from governance.readings import readings_of
from kg.errors import InputError
from kg.model import Order
from kg.values import Value

audit = typer.Typer(no_args_is_help=True, help="The auditor's dossier: eleven answers, signed and provable offline.")


@audit.command("report")
def report(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files; made where it is not there.")],
    subject: Annotated[
        str | None, typer.Argument(help="Id of a decision, run or entity, or a principal: Agent::NAME, User::NAME.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Instead: all decisions from this time (ISO 8601, UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this time; without it, until now.")] = None,
    json: Json = False,
) -> None:
    """Write the report as HTML, PDF, PROV-O, PROV-JSON and a signed bundle, with the program that checks it."""
    from api.reports.dossier import report as make

    if (subject is None) == (since is None):
        raise InputError("say what the report is about: a decision, run, agent or person, or --from a time")
    session = session_of(context)
    terminal = Terminal()
    with session.platform() as platform, terminal.progress("verifying") as progress:
        now = platform.clock.now()
        period = (_time(since), _time(until) if until is not None else now) if since is not None else None
        made = make(platform, session.principal(platform), subject or "", period, progress)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}); choose another folder") from None
    for name, content in made.files.items():
        write(out / name, content)
    if json:
        files = {name: len(content) for name, content in made.files.items()}
        terminal.document({"folder": str(out), "files": files, "decisions": made.decisions, "key": made.key})
        return
    terminal.line(f"{made.decisions} decisions, {len(made.answers)} answers, in {out}: {', '.join(made.files)}")
    terminal.line(
        f"Check it anywhere: cd {out} && python noesis_verify.py dossier.dsse.json --key '{made.key}' --files ."
    )


@audit.command("reads")
def reads(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of an entity: a customer, a person.")],
    first: First = 50,
    json: Json = False,
) -> None:
    """Who was told personal or labelled values of an entity, when, what for and by which rules, newest first."""
    session = session_of(context)
    with session.platform() as platform:
        reader = session.reader(platform)
        found = readings_of(reader, id, first)
        times = {one.id: platform.store.changes(one.since - 1, 1)[0].at for one in found}
    terminal = Terminal()
    names: tuple[str, ...] = ("principal", "onBehalfOf", "purpose", "channel", "told", "rules")
    if json:
        told = [{"at": times[one.id], **entity_form(one)} for one in found]
        terminal.document({"entity": id, "readings": told})
        return
    rows = [(times[one.id].isoformat(timespec="seconds"), *(_words(one.get(name)) for name in names)) for one in found]
    columns = ["when", "who", "for whom", "purpose", "through", "was told", "by rules"]
    terminal.table("", columns, rows, "No reading of it that you may see.")


@audit.command("tallies")
def audit_tallies(context: typer.Context, first: First = 50, json: Json = False) -> None:
    """How often people read what is neither personal nor labelled, by rule and window (`@readings`), newest window first."""
    session = session_of(context)
    with session.platform() as platform:
        tallies.close(platform.store, platform.clock)
        order = Order("validFrom", descending=True)
        found = session.reader(platform).find(tallies.CLASS, (), order, None, first).items
    terminal = Terminal()
    if json:
        terminal.document([entity_form(one) for one in found])
        return
    names = ("validFrom", "validTo", "rule", "principal", "roles", "ofClass", "operationCount", "entityCount")
    columns = ["from", "until", "rule", "who", "roles", "class", "operations", "entities"]
    rows = [tuple(_words(one.get(name)) for name in names) for one in found]
    terminal.table("", columns, rows, "No window is over; a permit counts reads with @readings.")


def _words(value: Value | None) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value or "")


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is no time; write it as 2026-01-31 or 2026-01-31T09:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
