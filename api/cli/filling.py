"""`noesis ingest` and `rejects`: bring source systems into the graph, and look at what did not fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.session import session_of
from api.cli.terminal import First, Json, Terminal
from api.errors import SettingsError
from api.settings import Settings
from governance.configuring import permit
from kg.ingest import IngestReport, check_mapping, load_mapping
from kg.ingest import ingest as bring_in
from kg.ingest.rejects import listed

rejects = typer.Typer(no_args_is_help=True, help="Rows that did not go in, with the reason and the row itself.")


def ingest(
    context: typer.Context,
    location: Annotated[
        str | None,
        typer.Argument(help="A database address (sqlite:///…, postgresql://…), a file or a folder of files."),
    ] = None,
    mapping: Annotated[
        list[Path] | None, typer.Option("--mapping", "-m", help="Mapping file; without it those of noesis.toml.")
    ] = None,
    retry_rejects: Annotated[bool, typer.Option("--retry-rejects", help="Run only the kept rejects again.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check the mappings against the ontology and read no row.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring source rows into the graph. The same rows again change nothing; bad rows are kept aside, the rest goes in."""
    session = session_of(context)
    terminal = Terminal()
    done: list[tuple[str, IngestReport]] = []
    with session.platform() as platform:
        plans = [
            (name, load_mapping(path), place)
            for name, path, place in _plans(platform.settings, mapping, location, check)
        ]
        for _, plan, _ in plans:
            check_mapping(plan, platform.ontology)
        if not check:
            permit(*session.asking(platform), "ingest", "Service", "ingest")
        for name, plan, place in [] if check else plans:
            with terminal.progress(name) as progress:
                report = bring_in(
                    platform.store,
                    platform.ontology,
                    platform.clock,
                    plan,
                    place,
                    progress=progress,
                    retry_rejects=retry_rejects,
                )
            done.append((name, report))
    _tell(terminal, done, len(plans), check, json)
    if any(report.problems for _, report in done):
        raise typer.Exit(1)


def _plans(
    settings: Settings, mapping: Sequence[Path] | None, location: str | None, check: bool
) -> list[tuple[str, Path, str]]:
    """Name, mapping file and location of each source to bring in."""
    if mapping:
        if location is None and not check:
            raise SettingsError(
                "--mapping needs the LOCATION of its source; give a database address, a file or a folder"
            )
        return [(path.name, path, location or "") for path in mapping]
    if not settings.mappings:
        raise SettingsError("the project names no mappings; list them in noesis.toml, or give --mapping and a LOCATION")
    plans = []
    for item in settings.mappings:
        place = location or item.location
        if place is None and not check:
            raise SettingsError(f"mapping {item.file} has no location; add one in noesis.toml, or give a LOCATION")
        plans.append((item.file, settings.path(item.file), _place(settings, place or "")))
    return plans


def _place(settings: Settings, place: str) -> str:
    """A location as written, or a file of the project where it is a relative path."""
    return place if "://" in place or not place or Path(place).is_absolute() else str(settings.path(place))


def _tell(terminal: Terminal, done: Sequence[tuple[str, IngestReport]], plans: int, check: bool, json: bool) -> None:
    if json:
        names = ("records", "created", "updated", "unchanged", "closed", "rejected", "dangling", "seconds", "problems")
        rows = [{"mapping": name, **{part: getattr(report, part) for part in names}} for name, report in done]
        terminal.document({"checked": plans} if check else rows)
        return
    if check:
        terminal.line(f"{plans} mappings fit the ontology.")
        return
    columns = ["mapping", "records", "created", "updated", "unchanged", "closed", "rejected", "dangling", "seconds"]
    table: list[tuple[Any, ...]] = [
        (n, r.records, r.created, r.updated, r.unchanged, r.closed, r.rejected, r.dangling, f"{r.seconds:.1f}")
        for n, r in done
    ]
    terminal.table("", columns, table, "Nothing to bring in.")
    for _, report in done:
        for problem in report.problems:
            terminal.err.print(f"noesis: {problem}", markup=False)
    if any(report.rejected for _, report in done):
        terminal.line("Look at the rejected rows with `noesis rejects list`.")
    elif any(report.dangling for _, report in done):
        terminal.line("Relations to records that have not come yet dangle; `noesis rejects list` names them.")


@rejects.command("list")
def rejects_list(context: typer.Context, first: First = 50, json: Json = False) -> None:
    """List rows and relations that did not go in."""
    session = session_of(context)
    with session.platform() as platform:
        # Rejected rows are shown as they came, so whoever looks needs the right to configure.
        permit(*session.asking(platform), "rejects.list", "Service", "ingest")
        kept = listed(platform.store, first + 1)
    rows = [dict(row.value) for row in kept[:first]]
    terminal = Terminal()
    if json:
        terminal.document(rows)
        return
    table = [(r.get("source", ""), r.get("table", ""), r.get("number", ""), _reason(r)) for r in rows]
    terminal.table("", ["source", "table", "row", "reason"], table, "Nothing was rejected.")
    if len(kept) > first:
        terminal.err.print(
            f"note: there are more than these {first:,}; see more with --first, at most 500", markup=False
        )


def _reason(value: dict[str, Any]) -> str:
    """The reason, and of a relation what it leads to."""
    reason = str(value.get("reason", ""))
    return f"{reason}: {value['relation']} is {value['target']}" if "relation" in value else reason
