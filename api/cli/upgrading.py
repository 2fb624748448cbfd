"""`noesis workflow check` and `migrate`: what a new version of a workflow would do to recorded runs, and taking waiting runs over.

Invariant: check reads only; migrate changes nothing of a run that it refuses, and says why.
"""

import json as jsons
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from api.cli.session import session_of
from api.cli.terminal import Json, Terminal
from api.cli.workflows import text_of, workflow
from coordination.errors import StateError
from coordination.runs import runs as records
from coordination.runs.engine import Engine
from coordination.runs.migrating import migrate as migrated
from coordination.runs.replay import Replayed, latest, replay
from coordination.runs.runs import known
from coordination.workflow.expressions import Expressions
from coordination.workflow.validation import load
from governance.configuring import permit
from kg.errors import InputError

#: The group, with what is added to it here.
__all__ = ["workflow"]
RUNS_MAX: Final = 1_000
_Map = Annotated[
    Path | None,
    typer.Option("--map", help="YAML or JSON: references of the old version with where they stand in the new one."),
]


@workflow.command("check")
def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The new version's document, YAML or JSON.")],
    run: Annotated[list[str] | None, typer.Option("--run", help="Only this run; may be given again.")] = None,
    map: _Map = None,
    first: Annotated[int, typer.Option("--first", min=1, max=RUNS_MAX, help="The newest so many runs.")] = 100,
    json: Json = False,
) -> None:
    """Replay recorded runs against a new version and list what would break. Exit code 1 where something would."""
    session = session_of(context)
    with session.platform(acting=True) as platform:
        engine: Engine = platform.runtime.engine
        document = load(text_of(file), str(file), registered=frozenset(engine.workflows.functions))
        wanted = [known(platform.store, id) for id in run or ()] or latest(platform.store, document, first)
        seen = [one.id for one in wanted if session.reader(platform).get([one.id])]
        expressions = Expressions()
        try:
            found = [
                replay(
                    platform.store,
                    id,
                    document,
                    map=_mapped(map),
                    expressions=expressions,
                    secrets=engine.workflows.secrets,
                )
                for id in seen
            ]
        finally:
            expressions.close()
    _tell(found, document.key, json)
    if any(not one.same for one in found):
        raise typer.Exit(1)


@workflow.command("migrate")
def migrate(
    context: typer.Context,
    run: Annotated[list[str], typer.Argument(help="Ids of runs that have not ended, from `noesis runs list`.")],
    to: Annotated[
        str, typer.Option("--to", help="The version that they go on with, registered, or its document's file.")
    ],
    map: _Map = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="The reason, for the record.")] = "",
    json: Json = False,
) -> None:
    """Take waiting runs over to another version of their workflow. Exit code 1 where one of them was refused."""
    session = session_of(context)
    mapped, told = _mapped(map), []
    with session.platform(acting=True) as platform:
        engine: Engine = platform.runtime.engine
        who = session.principal(platform)
        version = to
        if Path(to).is_file():
            permit(platform.store, platform.clock, platform.rules(), who, "workflow.register", "Workflow", to[:200])
            document = load(text_of(Path(to)), to, registered=frozenset(engine.workflows.functions))
            engine.register(document, who)
            version = document.version
        for id in run:
            permit(platform.store, platform.clock, platform.rules(), who, "run.migrate", records.RUN, id[:200])
            try:
                engine.send(
                    migrated(platform.store, platform.clock, engine.definitions, id, version, mapped, who.uid, comment)
                )
                told.append({"run": id, "workflow": engine.run(id).text("called"), "refused": ""})
            except StateError as error:
                told.append({"run": id, "workflow": "", "refused": str(error)})
    terminal = Terminal()
    if json:
        terminal.document(told)
    else:
        for one in told:
            terminal.line(
                one["refused"] or f"Run {one['run']} goes on with {one['workflow']}.",
                style="red" if one["refused"] else "",
            )
    if any(one["refused"] for one in told):
        raise typer.Exit(1)


def _tell(found: list[Replayed], key: str, json: bool) -> None:
    terminal = Terminal()
    if json:
        terminal.document([{**asdict(one), "same": one.same} for one in found])
        return
    rows = [
        (one.run, one.recorded, one.state, difference.reference, difference.why)
        for one in found
        for difference in one.differences
    ]
    rows += [
        (one.run, one.recorded, one.state, "", f"cannot be replayed: {one.unknown}") for one in found if one.unknown
    ]
    terminal.table(
        f"{key} against {len(found)} recorded runs",
        ("run", "version", "state", "step", "why"),
        rows,
        "Nothing would break.",
    )
    terminal.line(f"{sum(one.same for one in found)} of {len(found)} runs would go the same way.")


def _mapped(path: Path | None) -> dict[str, str]:
    """The map of a file; InputError where it is none."""
    if path is None:
        return {}
    try:
        text = path.read_text("utf-8")
        found: Any = yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else jsons.loads(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a file with the map") from None
    except (ValueError, yaml.YAMLError):
        raise InputError(f"{path} is neither YAML nor JSON; write lines such as `/do/0/a: /do/1/a`") from None
    if not isinstance(found, dict) or not all(isinstance(one, str) for pair in found.items() for one in pair):
        raise InputError(f"{path} is no map of references; write lines such as `/do/0/a: /do/1/a`")
    return found
