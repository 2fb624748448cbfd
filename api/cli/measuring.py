"""`noesis kpis` and `noesis runs explain`: how well workflows and agents do, and which layer is to blame where they do not.

Invariant: both read facts and change nothing; what has no value is shown as a dash, never as zero.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli.ordering import runs
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from coordination.agent_kpis import agent_kpis
from coordination.diagnosis import LAYERS, diagnose
from coordination.kpis import Report, workflow_kpis, workflows
from coordination.runs.definitions import Definitions
from kg.errors import InputError


def kpis(
    context: typer.Context,
    workflow: Annotated[
        str, typer.Option("--workflow", help="NAMESPACE.NAME[:VERSION]; without it and --agent: every workflow.")
    ] = "",
    agent: Annotated[str, typer.Option("--agent", help="The figures of this agent.")] = "",
    since: Annotated[str, typer.Option("--since", help="Begun at or after: 2026-03-01 or 2026-03-01T09:00Z.")] = "",
    json: Json = False,
) -> None:
    """Show figures of workflows or of an agent, computed from facts alone, and whether what was promised is kept."""
    session = session_of(context)
    after = _moment(since)
    with session.platform() as platform:
        session.reader(platform)
        definitions = Definitions(platform.store, platform.clock)
        if agent:
            reports = [agent_kpis(platform.store, agent, after)]
        else:
            names = [workflow] if workflow else workflows(platform.store)
            reports = [workflow_kpis(platform.store, definitions, name, after) for name in names]
    terminal = Terminal()
    if json:
        terminal.document([_form(report) for report in reports])
        return
    if not reports:
        terminal.line("No workflow is registered yet; run one with `noesis workflow run FILE`.")
    for report in reports:
        rows = [(name.replace("_", " "), _shown(value)) for name, value in report.figures.items()]
        terminal.table(f"{report.subject}: {report.transactions} transactions", ("figure", "value"), rows, "")
        if report.measure is not None:
            kept = {True: "kept", False: "not kept", None: "nothing to judge yet"}[report.met]
            terminal.line(f"promised: {report.measure.metric} {report.measure.target}: {kept}")


@runs.command("explain")
def explain(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of a run, a proposal, or work that was put aside.")],
    json: Json = False,
) -> None:
    """Name the layer to blame for what failed or did poorly, with the facts that say so.

    Layers: model, tool, routing, context, policy, platform.
    """
    session = session_of(context)
    with session.platform() as platform:
        session.reader(platform)
        found = diagnose(platform.store, id, platform.clock.now())
    terminal = Terminal()
    signs = [
        {"source": it.source, "layer": it.layer, "id": it.id, "version": it.version, "says": it.says}
        for it in found.signs
    ]
    if json:
        told = {"id": found.subject, "state": found.state, "layer": found.layer, "means": LAYERS[found.layer]}
        terminal.document({**told, "because": found.because, "evidence": signs})
        return
    terminal.line(f"{found.subject} is {found.state}; to blame: {found.layer} ({LAYERS[found.layer]})", style="bold")
    terminal.line(found.because)
    rows = [tuple(sign.values()) for sign in signs]
    terminal.table("Evidence", ("source", "layer", "id", "version", "says"), rows, "There is no other sign.")


def _form(report: Report) -> dict[str, Any]:
    promised = report.measure
    return {
        "subject": report.subject,
        "transactions": report.transactions,
        "figures": dict(report.figures),
        "promised": None if promised is None else {"metric": promised.metric, "target": str(promised.target)},
        "kept": report.met,
    }


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".")


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is no time; write 2026-03-01 or 2026-03-01T09:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
