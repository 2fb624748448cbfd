"""`noesis runs pause`, `resume`, `cancel`, `terminate`, `retry`, `fork`, `signal` and `prune`: people steer runs, one or many.

Invariant: each order on each run is decided and on record; one that is refused or comes too late stops none of the others.
"""

from datetime import timedelta
from typing import Annotated, Any

import typer

from api import orders
from api.cli.executing import parsed, runs
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from api.errors import SettingsError
from api.platform import Noesis
from coordination.runs import runs as records
from coordination.runs.retention import prune
from kg.errors import InputError, NoesisError
from kg.model import Op, Where
from kg.store import PAGE_MAX

#: The group, with what is added to it here.
__all__ = ["runs"]
_One = Annotated[str, typer.Argument(help="Id of the run, from `noesis runs list`.")]
_Run = Annotated[str | None, typer.Argument(help="Id of the run; or choose many with the options.")]
_Workflow = Annotated[str | None, typer.Option("--workflow", help="All runs of NAMESPACE.NAME[:VERSION].")]
_State = Annotated[str | None, typer.Option("--state", help="All runs in this state.")]
_Why = Annotated[str, typer.Option("--comment", "-m", help="The reason, for the record.")]


@runs.command("pause")
def pause(
    context: typer.Context, run: _Run = None, workflow: _Workflow = None, state: _State = None, comment: _Why = ""
) -> None:
    """Suspend runs: no step of them is done until they are resumed."""
    _order(context, "pause", run, workflow, state, comment)


@runs.command("resume")
def resume(
    context: typer.Context, run: _Run = None, workflow: _Workflow = None, state: _State = None, comment: _Why = ""
) -> None:
    """Let suspended runs go on."""
    _order(context, "resume", run, workflow, state, comment)


@runs.command("cancel")
def cancel(
    context: typer.Context, run: _Run = None, workflow: _Workflow = None, state: _State = None, comment: _Why = "",
    compensate: Annotated[bool, typer.Option("--compensate", help="Undo what they did, the last first.")] = False,
) -> None:  # fmt: skip
    """End runs and the runs they started; with --compensate undo what they did."""
    _order(context, "compensate" if compensate else "cancel", run, workflow, state, comment)


@runs.command("terminate")
def terminate(
    context: typer.Context, run: _Run = None, workflow: _Workflow = None, state: _State = None, comment: _Why = ""
) -> None:
    """End runs at once and undo nothing."""
    _order(context, "terminate", run, workflow, state, comment)


@runs.command("retry")
def retry(
    context: typer.Context, run: _Run = None, workflow: _Workflow = None, state: _State = None, comment: _Why = "",
    step: Annotated[str, typer.Option("--from", help="Id of a step: a new run begins there instead.")] = "",
) -> None:  # fmt: skip
    """Take faulted runs up again from the step that failed, or an ended one from a chosen step, as a new run."""
    if not step:
        _order(context, "retry", run, workflow, state, comment)
        return
    if run is None:
        raise InputError("a step is of one run; name the run too")
    _fork(context, run, step, "", False, ended=True)


@runs.command("fork")
def fork(
    context: typer.Context,
    run: _One,
    step: Annotated[str, typer.Argument(help="Id of the step to begin with, from `noesis runs show --json`.")],
    id: Annotated[str, typer.Option("--id", help="Id of the new run; the same id starts it once.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Simulate all outside effects.")] = False,
) -> None:
    """Start a new run from a step of another: what came before is taken from the record, nothing of it is done again."""
    _fork(context, run, step, id, dry_run)


@runs.command("signal")
def signal(
    context: typer.Context,
    run: _One,
    kind: Annotated[str, typer.Argument(help="The event's type.")],
    data: Annotated[str, typer.Option("--data", "-d", help="The event's data as JSON, or @FILE.")] = "null",
    id: Annotated[str, typer.Option("--id", help="The event's id; the same id is delivered once.")] = "",
) -> None:
    """Send an event to a run; it keeps until the run consumes it."""
    session = session_of(context)
    event = {"source": "noesis:command-line", "type": kind, "data": parsed(data)}
    with session.platform(acting=True) as platform:
        who = session.principal(platform)
        state = orders.signalled(platform, who, run, {**event, "id": id or platform.clock.id()})
    Terminal().line(f"Run {run} is {state}; `noesis serve` or `noesis work` takes it on.")


@runs.command("prune")
def prune_runs(
    context: typer.Context,
    days: Annotated[
        int | None, typer.Option("--days", min=0, help="Days since the end; else the setting runs_kept_days.")
    ] = None,
    json: Json = False,
) -> None:
    """Drop payloads and machine rows of runs that ended long ago; their facts stay, and the ledger verifies as before."""
    session = session_of(context)
    kept = session.settings().runs_kept_days if days is None else days
    if kept is None:
        raise SettingsError("nothing says how long ended runs are kept; give --days, or set runs_kept_days")
    with session.platform(acting=True) as platform:
        orders.permitted(platform, session.principal(platform), "run.prune", records.RUN, f"{kept} days")
        dropped = prune(platform.store, platform.clock.now() - timedelta(days=kept))
    terminal = Terminal()
    if json:
        terminal.document({"days": kept, "rows": dropped})
    else:
        terminal.line(f"Dropped {dropped:,} rows of runs that ended more than {kept:,} days ago.")


def _fork(context: typer.Context, run: str, step: str, id: str, dry_run: bool, ended: bool = False) -> None:
    session = session_of(context)
    with session.platform(acting=True) as platform:
        found = records.known(platform.store, run)
        if ended and not found.ended:
            raise InputError(f"run {run} is {found.state}; cancel it first, or use `noesis runs fork`")
        made = orders.forked(platform, session.principal(platform), run, step, id=id, sandbox=dry_run)
    Terminal().line(f"Run {made} began with what run {run} had done; `noesis serve` or `noesis work` takes it on.")


def _order(
    context: typer.Context, word: str, run: str | None, workflow: str | None, state: str | None, why: str
) -> None:
    session, terminal = session_of(context), Terminal()
    with session.platform(acting=True) as platform:
        who = session.principal(platform)
        if run is not None:
            if workflow or state:
                raise InputError("name a run, or choose runs with --workflow and --state, not both")
            left = orders.ordered(platform, who, run, word, why)
            terminal.line(f"Run {run} is {left}; `noesis serve` or `noesis work` takes it on.")
            return
        refused = 0
        chosen = _chosen(platform, word, workflow, state)
        for id in chosen:
            try:
                orders.ordered(platform, who, id, word, why)
            except NoesisError as error:
                refused += 1
                terminal.line(f"{id}: {error}", style="red")
    terminal.line(f"{word}: {len(chosen) - refused:,} of {len(chosen):,} runs.")
    if refused:
        raise typer.Exit(1)


def _chosen(platform: Noesis, word: str, workflow: str | None, state: str | None) -> list[str]:
    """The runs that the options name, without those that have ended where the order is for others."""
    if workflow is None and state is None:
        raise InputError("name a run, or choose runs with --workflow or --state")
    wanted = {"retry": "faulted", "resume": "suspended"}.get(word)
    where: list[Where] = [Where("state", Op.EQ, state)] if state else []
    found: list[str] = []
    after: Any = None
    while len(found) <= orders.BULK_MAX:
        page = platform.store.find(records.RUN, where, after=after, first=PAGE_MAX)
        for run in map(records.Run, page.items):
            called = run.text("called")
            of = workflow is None or called == workflow or called.rpartition(":")[0] == workflow
            fits = run.state == wanted if wanted else not run.ended
            if of and (state is not None or fits):
                found.append(run.id)
        after = page.next
        if after is None:
            return found
    raise InputError(f"more than {orders.BULK_MAX:,} runs are meant; choose fewer with --workflow or --state")
