"""The `call` and `run` tasks: their arguments are made ready here; who carries them out is another's part.

A function of `use.functions` is a task of the document, so it runs as one; every other call and process is a wait of kind "call", a
workflow one of kind "run".
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from coordination.workflow.faults import fault
from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame
from kg.values import Json

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine

_PLACE = re.compile(r"\{([^{}]+)\}")
#: Members of `with` that hold an address, where a plain {name} is a template.
_ADDRESSES = ("endpoint", "uri", "server")


def call(machine: "Machine", frame: Frame, task: Task) -> None:
    """Ask for a call, or begin the document's own function."""
    name = task.definition["call"]
    arguments = machine.filled(frame, task.definition.get("with", {}))
    machine.small(arguments, f"what {task.name} hands over")
    own = machine.setting.plan.body.get("use", {}).get("functions", {})
    if name in own:
        reference = pointer("/use/functions", name)
        called = machine.setting.plan.task(reference)
        machine.start(called, arguments if task.definition.get("with") else frame["in"])
        return
    if isinstance(arguments, Mapping):
        arguments = {key: _placed(key, item, frame["in"]) for key, item in arguments.items()}
        _authenticate(machine, frame, arguments)
    machine.wait_for(frame, "call", call=name, arguments=arguments, inline=True)


def run(machine: "Machine", frame: Frame, task: Task) -> None:
    """Ask for a workflow, or for a process, which is a call that passes the gate like any other."""
    declared = task.definition["run"]
    awaited = declared.get("await", True)
    if "workflow" in declared:
        wanted = dict(declared["workflow"])
        wanted["input"] = machine.filled(frame, wanted.get("input", {}))
        machine.small(wanted["input"], f"what {task.name} hands over")
        if not awaited:
            if not machine.past(frame["n"]):
                machine.startable(wanted)
                machine.detached.append({**wanted, "n": frame["n"]})
            machine.complete(frame, frame["in"])
            return
        machine.wait_for(frame, "run", workflow=wanted)
        return
    kind = next((kind for kind in ("container", "script", "shell") if kind in declared), "")
    if not kind:
        raise fault("configuration", f"{task.name} names nothing to run; name a workflow, script, shell or container")
    arguments = {
        "process": machine.filled(frame, declared[kind]),
        "return": declared.get("return", "stdout"),
        "await": awaited,
    }
    machine.small(arguments, f"what {task.name} hands over")
    machine.wait_for(frame, "call", call=f"run.{kind}", arguments=arguments, inline=True)


def answered(machine: "Machine", frame: Frame, task: Task, answer: Mapping[str, Any]) -> None:
    """Take what a workflow or process gave; one that is not awaited gives the task's own input."""
    awaited = task.definition["run"].get("await", True)
    machine.complete(frame, answer.get("output") if awaited else frame["in"])


def _placed(key: str, value: Json, data: Json) -> Json:
    """An address with its {name} parts replaced by top-level values of the data, as URI templates (RFC 6570, simple) are."""
    if isinstance(value, str) and key in _ADDRESSES:
        return _PLACE.sub(lambda found: _expanded(found.group(1), data), value)
    if isinstance(value, Mapping) and (
        key in _ADDRESSES or key in ("document", "agentCard", "proto", "transport", "http")
    ):
        return {name: _placed(name, item, data) for name, item in value.items()}
    return value


def _expanded(name: str, data: Json) -> str:
    from urllib.parse import quote

    value: Any = data.get(name) if isinstance(data, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, Mapping | list):
        raise fault("expression", f"{{{name}}} in an address must be a text, a number or a boolean")
    return quote(str(value).lower() if isinstance(value, bool) else str(value), safe="")


def _authenticate(machine: "Machine", frame: Frame, arguments: dict[str, Any]) -> None:
    """Put the named authentication of `use` in the place of its name; secrets are resolved only where the call is carried out."""
    for holder in (arguments, arguments.get("endpoint"), arguments.get("service")):
        if isinstance(holder, dict) and "authentication" in holder:
            declared = holder["authentication"]
            name = declared.get("use") if isinstance(declared, Mapping) else declared
            if isinstance(name, str):
                found = machine.setting.plan.component("authentications", name)
                holder["authentication"] = machine.filled(frame, found)
