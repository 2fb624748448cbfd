"""`noesis workflow run` and `noesis runs`: start workflows, see how far they are, and steer them.

Invariant: who may start or steer is decided and on record; what is started stays, whether or not this command waits for it.
"""

import json as jsons
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.cli.session import Session, session_of
from api.cli.terminal import Json, Terminal
from api.cli.workflows import text_of, workflow
from api.platform import Noesis
from coordination.errors import StateError
from coordination.runs import runs as records
from coordination.runs.engine import Engine
from coordination.workflow.validation import load
from governance.configuring import permit
from kg.errors import InputError
from kg.model import Op, Order, Where

runs = typer.Typer(
    no_args_is_help=True, help="Durable runs of workflows: list, show, pause, resume, cancel, retry, signal."
)
_Run = Annotated[str, typer.Argument(help="Id of the run, from `noesis runs list`.")]
_Why = Annotated[str, typer.Option("--comment", "-m", help="The reason, for the record.")]
#: How often a waiting command looks whether the run has ended.
LOOK_SECONDS: Final = 0.02
SHOWN_MAX: Final = 1_000


@workflow.command("run")
def execute(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A document's file, or NAMESPACE.NAME[:VERSION] of a registered workflow.")
    ],
    given: Annotated[str, typer.Option("--input", "-i", help="The input as JSON, or @FILE.")] = "{}",
    id: Annotated[str, typer.Option("--id", help="Id of the run; the same id starts it once.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Simulate all outside effects, and show what they would have done.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for its end; it goes on after that.")
    ] = 60.0,
    json: Json = False,
) -> None:
    """Start a run and wait for its end. Exit code 1 where it faulted or was cancelled."""
    session = session_of(context)
    input = _parsed(given)
    with session.platform(acting=True) as platform:
        engine: Engine = platform.runtime.engine
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, "workflow.run", "Workflow", source[:200])
        if Path(source).is_file():
            known = frozenset(engine.workflows.functions)
            registered = engine.register(load(text_of(Path(source)), source, registered=known), who)
        else:
            namespace, _, rest = source.partition(".")
            name, _, version = rest.partition(":")
            registered = engine.definitions.find(namespace, name, version or "latest")
        platform.worker.start()
        try:
            run = engine.start(registered, input, who.uid, id=id, sandbox=dry_run)
            end = time.monotonic() + wait
            while not engine.run(run).ended and time.monotonic() < end:
                time.sleep(LOOK_SECONDS)
        finally:
            platform.worker.stop()
        told = _told(platform, run)
    _print(told, json)
    if told["state"] in ("faulted", "cancelled"):
        raise typer.Exit(1)


@runs.command("list")
def list_runs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option("--state", help="Only runs in this state.")] = None,
    first: Annotated[int, typer.Option("--first", min=1, max=SHOWN_MAX)] = 50,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    session = session_of(context)
    with session.platform() as platform:
        where = [Where("state", Op.EQ, state)] if state else []
        page = session.reader(platform).find(records.RUN, where, Order("began", True), first=first)
        found = [_short(records.Run(entity)) for entity in page.items]
    terminal = Terminal()
    if json:
        terminal.document(found)
        return
    rows = [(item["id"], item["workflow"], item["state"], item["began"], item["startedBy"]) for item in found]
    terminal.table("Runs", ("id", "workflow", "state", "began", "started by"), rows, "There are no runs.")


@runs.command("show")
def show(
    context: typer.Context,
    run: _Run,
    at: Annotated[int | None, typer.Option("--at", min=1, help="As it stood at this position of the graph.")] = None,
    json: Json = False,
) -> None:
    """Show a run with its steps, now or as it stood at a position."""
    session = session_of(context)
    with session.platform() as platform:
        if not session.reader(platform).get([run]):
            raise StateError(f"there is no run {run[:80]!r}; list the runs to see which there are")
        told = _told(platform, run, at)
    _print(told, json)


@runs.command("pause")
def pause(context: typer.Context, run: _Run, comment: _Why = "") -> None:
    """Suspend a run: no step of it is done until it is resumed."""
    _order(context, run, "run.pause", lambda engine, who: engine.pause(run, who, comment))


@runs.command("resume")
def resume(context: typer.Context, run: _Run, comment: _Why = "") -> None:
    """Let a suspended run go on."""
    _order(context, run, "run.resume", lambda engine, who: engine.resume(run, who, comment))


@runs.command("cancel")
def cancel(
    context: typer.Context,
    run: _Run,
    comment: _Why = "",
    compensate: Annotated[bool, typer.Option("--compensate", help="Undo what it did, the last first.")] = False,
) -> None:
    """End a run and the runs it started."""
    _order(context, run, "run.cancel", lambda engine, who: engine.cancel(run, who, comment, compensate=compensate))


@runs.command("retry")
def retry(context: typer.Context, run: _Run, comment: _Why = "") -> None:
    """Take a faulted run up again from the step that failed."""
    _order(context, run, "run.retry", lambda engine, who: engine.retry(run, who, comment))


@runs.command("signal")
def signal(
    context: typer.Context,
    run: _Run,
    kind: Annotated[str, typer.Argument(help="The event's type.")],
    data: Annotated[str, typer.Option("--data", "-d", help="The event's data as JSON, or @FILE.")] = "null",
    id: Annotated[str, typer.Option("--id", help="The event's id; the same id is delivered once.")] = "",
) -> None:
    """Send an event to a run; it keeps until the run consumes it."""
    event = {"source": "noesis:command-line", "type": kind, "data": _parsed(data)}

    def act(engine: Engine, who: str) -> None:
        del who
        engine.signal(run, {**event, "id": id or engine.clock.id()})

    _order(context, run, "run.signal", act)


def _order(context: typer.Context, run: str, operation: str, act: Any) -> None:
    session: Session = session_of(context)
    with session.platform(acting=True) as platform:
        who = session.principal(platform)
        permit(platform.store, platform.clock, platform.rules(), who, operation, records.RUN, run[:200])
        act(platform.runtime.engine, who.uid)
        state = platform.runtime.engine.run(run).state
    Terminal().line(f"Run {run} is {state}; `noesis serve` or `noesis work` takes it on.")


def _parsed(text: str) -> Any:
    try:
        return jsons.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise InputError(f"{text[1:]} cannot be read ({error.strerror}); name a file with JSON") from None
    except ValueError as error:
        raise InputError(f"the JSON cannot be read: {error}; put it in quotes, or name a file with @") from None


def _short(run: records.Run) -> dict[str, Any]:
    names = {"workflow": "called", "state": "state", "startedBy": "startedBy", "began": "began", "reason": "reason"}
    return {"id": run.id, **{name: run.text(source) for name, source in names.items()}}


def _told(platform: Noesis, id: str, at: int | None = None) -> dict[str, Any]:
    """A run with its steps, values included where they were not pruned."""
    store = platform.store
    run = records.read(store, id, at)
    if run is None:
        raise StateError(f"run {id[:80]!r} was not there at position {at}; take a later one")
    page = store.find(records.STEP, [Where("run", Op.EQ, id)], first=SHOWN_MAX, at=at)
    steps = sorted(page.items, key=lambda step: (str(step["began"]), step.since))
    made: dict[str, Any] = _short(run)
    made |= {
        "input": records.value(store, id, run.entity, "input"),
        "steps": [_step(platform, id, step) for step in steps],
    }
    if run.state == records.COMPLETED:
        made["output"] = records.value(store, id, run.entity, "output")
    if run.error:
        made["error"] = run.error
    return made


def _step(platform: Noesis, run: str, step: Any) -> dict[str, Any]:
    error = step.get("error")
    return {
        "id": step.id,
        "task": step["task"],
        "reference": step["reference"],
        "kind": step["kind"],
        "state": step["state"],
        "iteration": step.get("iteration", ""),
        "attempt": step.get("attempt", 1),
        "position": step.since,
        "output": records.value(platform.store, run, step, "output"),
        "error": jsons.loads(str(error)) if error else None,
    }


def _print(told: dict[str, Any], json: bool) -> None:
    terminal = Terminal()
    if json:
        terminal.document(told)
        return
    rows = [
        (step["reference"], step["kind"], step["iteration"], step["attempt"], step["state"], step["position"])
        for step in told["steps"]
    ]
    terminal.table(
        f"Run {told['id']}", ("step", "task", "iteration", "attempt", "state", "position"), rows, "No steps."
    )
    terminal.line(f"{told['workflow']} is {told['state']}.")
    if "output" in told:
        terminal.line(jsons.dumps(told["output"], ensure_ascii=False))
    if "error" in told:
        error = told["error"]
        terminal.line(
            f"{error.get('title')} ({error.get('status')}) at {error.get('instance')}: {error.get('detail', '')}",
            style="red",
        )
