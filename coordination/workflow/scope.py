"""Scope: the arguments that the specification gives to an expression, each only where its table allows it.

Invariant: secrets come only from the names a workflow declares; one that is missing is the specification's authorization error.
Values that cost (the definition) are made only when an expression names them: `Expressions` asks for what it uses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from coordination.workflow.expressions import Expressions
from coordination.workflow.faults import fault
from coordination.workflow.plan import Plan
from coordination.workflow.strand import Frame, Strand
from kg.values import Json

NAME: Final = "Noesis"
VERSION: Final = "0.1.0"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; beyond a limit the run faults with a clear error and harms no other."""

    #: Tasks that one strand starts in its life.
    history_max: int = 100_000
    #: Frames inside each other.
    depth_max: int = 100
    #: Branches of one fork.
    branches_max: int = 1_000
    #: Branches of forks inside each other, multiplied.
    branches_within_max: int = 10_000
    #: Items of one loop.
    items_max: int = 100_000
    #: Workflows that start each other.
    runs_deep_max: int = 16
    #: Runs that one run starts, itself and through those that it starts.
    runs_started_max: int = 10_000
    #: Characters of JSON of the data that flows, and of the context.
    data_max: int = 4_000_000
    #: Characters of JSON that the branches of one fork give together, before its output is shaped.
    gathered_max: int = 40_000_000
    #: Events that one listen task gathers.
    events_max: int = 10_000


@dataclass(slots=True)
class Setting:
    """What is the same for a whole run. `started` is in microseconds; `input` is raw; `entropy` draws jitter."""

    plan: Plan
    run: str
    input: Json
    started: int
    expressions: Expressions
    secrets: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    entropy: Callable[[int], bytes] = bytes
    source: str = ""
    authorization: Json = None


def moment(microseconds: int) -> dict[str, Json]:
    """A dateTime descriptor."""
    at = datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    epoch = {"seconds": microseconds // 1_000_000, "milliseconds": microseconds // 1_000}
    return {"iso8601": at.isoformat().replace("+00:00", "Z"), "epoch": epoch}


def root(setting: Setting) -> dict[str, Callable[[], Json]]:
    """What every expression has: workflow, runtime and secrets."""
    made: dict[str, Callable[[], Json]] = {
        "workflow": lambda: {
            "id": setting.run,
            "definition": dict(setting.plan.body),
            "input": setting.input,
            "startedAt": moment(setting.started),
        },
        "runtime": lambda: {"name": NAME, "version": VERSION, "metadata": {}},
    }
    if setting.plan.body.get("use", {}).get("secrets"):
        made["secrets"] = lambda: _secrets(setting)
    return made


def task(
    setting: Setting, strand: Strand, frame: Frame, *, entered: bool = True, raw_output: Json = None
) -> dict[str, Callable[[], Json]]:
    """What the expressions of a task have; `entered` once its input is transformed."""
    made = root(setting)
    made["task"] = lambda: {
        "name": frame["name"],
        "reference": frame["p"],
        "definition": dict(setting.plan.task(frame["p"]).definition),
        "input": frame["raw"],
        "output": raw_output,
        "startedAt": moment(frame["at"]),
    }
    for outer in strand.frames:
        for name, value in outer.get("vars", {}).items():
            made[name] = _constant(value)
    made["context"] = lambda: strand.context
    if entered:
        made["input"] = lambda: frame.get("in")
        made["authorization"] = lambda: setting.authorization
    return made


def _constant(value: Json) -> Callable[[], Json]:
    return lambda: value


def _secrets(setting: Setting) -> Json:
    named = setting.plan.body["use"]["secrets"]
    missing = [name for name in named if name not in setting.secrets]
    if missing:
        raise fault(
            "authorization", f"the secret {missing[0]!r} is not there for this workflow; set it, or ask for access"
        )
    return {name: setting.secrets[name] for name in named}
