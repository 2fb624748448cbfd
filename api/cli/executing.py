"""`noesis workflow run`, `noesis runs list` and `show`: start workflows, and see how far they are.

Invariant: who may start is decided and on record; what is started stays, whether or not this command waits for it.
"""

import json as jsons
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api import orders
from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from api.cli.workflows import text_of, workflow
from api.platform import Noesis
from coordination.errors import StateError
from coordination.runs import lifecycles
from coordination.runs import runs as records
from coordination.runs.lifecycle import PREFIX
from coordination.workflow.validation import load
from governance.principals import Principal
from kg.errors import InputError
from kg.model import Entity, Op, Order, Where
from kg.reader import Reader
from kg.store import GraphStore

runs = typer.Typer(no_args_is_help=True, help="Durable runs of workflows: see how far they are, and steer them.")
_Run = Annotated[str, typer.Argument(help="Id of the run, from `noesis runs list`.")]
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
        float,
        typer.Option(
            "--wait",
            min=0,
            help="Seconds to wait for its end, at most: a run that only waits for a person, an event or a later hour is not "
            "waited for. It goes on after that.",
        ),
    ] = 60.0,
    json: Json = False,
) -> None:
    """Start a run and wait for its end. Exit code 1 where it faulted or was cancelled."""
    session = session_of(context)
    input = parsed(given)
    with session.platform(acting=True) as platform:
        engine = orders.engine_of(platform)
        who = session.principal(platform)
        orders.permitted(platform, who, "workflow.run", "Workflow", source)
        workflow_id = registered(platform, who, source)
        platform.worker.start()
        try:
            run = orders.started(platform, who, workflow_id, input, id=id, sandbox=dry_run)
            end = time.monotonic() + wait
            while not _over(platform, engine.run(run), end - time.monotonic()):
                time.sleep(LOOK_SECONDS)
        finally:
            platform.worker.stop()
        told = _told(platform, session.reader(platform), run)
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
        told = _told(platform, Reader(platform.store, session.view(platform), at), run)
    _print(told, json)


@runs.command("events")
def events(context: typer.Context, run: _Run, json: Json = False) -> None:
    """Show the lifecycle events of a run and its tasks, as CloudEvents of the workflow specification.

    They are derived from the record of the run: asked again they are the same, under the same ids.
    """
    session = session_of(context)
    with session.platform() as platform:
        found = lifecycles.events(platform.store, session.view(platform), run)
    terminal = Terminal()
    if json:
        terminal.document(found)
        return
    rows = [
        (event["time"], event["type"].removeprefix(PREFIX).removesuffix(".v1"), event["data"].get("task", ""))
        for event in found
    ]
    terminal.table(f"Events of run {run}", ("time", "event", "task"), rows, "No events.")


def _over(platform: Noesis, run: records.Run, left: float) -> bool:
    """Whether nothing more of the run will be seen in the seconds that are left."""
    if run.ended or left <= 0:
        return True
    return run.state == records.WAITING and platform.runtime is not None and platform.runtime.still(left)


def parsed(text: str) -> Any:
    """The JSON in an argument, or in the file that it names with @; InputError where it cannot be read."""
    try:
        return jsons.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except OSError as error:
        raise InputError(f"{text[1:]} cannot be read ({error.strerror}); name a file with JSON") from None
    except RecursionError:
        raise InputError("the JSON is nested deeper than can be read; send a flatter one") from None
    except ValueError as error:
        raise InputError(f"the JSON cannot be read: {error}; put it in quotes, or name a file with @") from None


def registered(platform: Noesis, who: Principal, source: str) -> str:
    """The id of the workflow that a file holds, registered where it is new, or that NAMESPACE.NAME[:VERSION] names."""
    if not Path(source).is_file():
        return orders.named(platform, source)
    engine = orders.engine_of(platform)
    return engine.register(load(text_of(Path(source)), source, registered=frozenset(engine.workflows.functions)), who)


def _short(run: records.Run) -> dict[str, Any]:
    names = {"workflow": "called", "state": "state", "startedBy": "startedBy", "began": "began", "reason": "reason"}
    return {"id": run.id, **{name: run.text(source) for name, source in names.items()}}


def _told(platform: Noesis, reader: Reader, id: str) -> dict[str, Any]:
    """A run with its steps as the reader may see them, values included where they were not pruned or withheld."""
    store = platform.store
    entity = reader.get([id]).get(id)
    if entity is None:
        raise StateError(f"run {id[:80]!r} was not there at position {reader.at}; take a later one")
    run = records.Run(entity)
    # INVARIANT I10: a step, and what it gave, is shown to whoever may read it, not to whoever may read its run.
    page = reader.find(records.STEP, [Where("run", Op.EQ, id)], first=SHOWN_MAX)
    steps = sorted(page.items, key=lambda step: (str(step["began"]), step.since))
    made: dict[str, Any] = _short(run)
    made |= {
        "input": _value(store, id, run.entity, "input"),
        "steps": [_step(platform, id, step) for step in steps],
    }
    if run.state == records.COMPLETED:
        made["output"] = _value(store, id, run.entity, "output")
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
        "output": _value(platform.store, run, step, "output"),
        "error": jsons.loads(str(error)) if error else None,
    }


def _value(store: GraphStore, run: str, entity: Entity, name: str) -> Any:
    return None if name in entity.masked else records.value(store, run, entity, name)


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
