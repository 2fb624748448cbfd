"""Extensions: tasks that a workflow puts before and after every task of a kind. They run aside: the task's data does not change,
unless one of those before leaves with `exit`, and so takes the task's place.

Invariant: an extension's own tasks are not extended, so extensions do not call each other for ever.
"""

from typing import TYPE_CHECKING, Any

from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame
from kg.values import Json

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine


def found(machine: "Machine", frame: Frame, task: Task) -> list[str]:
    """The pointers of the extensions that apply to a task."""
    declared = machine.setting.plan.body.get("use", {}).get("extensions", ())
    if not declared or any(outer.get("extends") for outer in machine.strand.frames):
        return []
    alike = {task.kind, "all", "composite" if task.kind in ("do", "fork") else task.kind}
    scope = {**machine.scope(frame), "task": lambda: _about(machine, frame, task)}
    expressions = machine.setting.expressions
    return [
        pointer(pointer("/use/extensions", index), name)
        for index, item in enumerate(declared)
        for name, extension in item.items()
        if extension["extend"] in alike
        and ("when" not in extension or expressions.true(extension["when"], frame["in"], scope))
    ]


def begin(machine: "Machine", frame: Frame, extensions: list[str]) -> None:
    """Begin what comes before the task."""
    frame |= {"aside": "before", "ext": extensions, "extAt": -1}
    machine.strand.data = frame["in"]


def child_ended(machine: "Machine", frame: Frame, task: Task) -> bool:
    """Go on with the next extension; True where the task itself is next."""
    strand = machine.strand
    before = frame["aside"] == "before"
    if before and frame.pop("left", False):
        frame["aside"] = "replaced"
        machine.complete(frame, strand.data)
        return False
    lists = "before" if before else "after"
    while (index := frame["extAt"] + 1) < len(frame["ext"]):
        frame["extAt"] = index
        reference = frame["ext"][index]
        if machine.setting.plan.has(pointer(reference, lists)):
            strand.data = frame["in"] if before else frame["out"]
            variables = {"task": _about(machine, frame, task, frame.get("out"))}
            strand.frames.append(
                {"k": "list", "p": pointer(reference, lists), "i": 0, "extends": True, "vars": variables}
            )
            return False
    if before:
        frame["aside"] = "main"
        return True
    frame["aside"] = "done"
    machine.complete(frame, frame.pop("out"), frame.pop("then", None))
    return False


def after(machine: "Machine", frame: Frame, task: Task, raw: Json, then: str | None) -> bool:
    """Begin what comes after the task; False where nothing does."""
    plan = machine.setting.plan
    if not any(plan.has(pointer(reference, "after")) for reference in frame["ext"]):
        return False
    frame |= {"aside": "after", "extAt": -1, "out": raw, "then": then}
    machine.strand.data = raw
    child_ended(machine, frame, task)
    return True


def _about(machine: "Machine", frame: Frame, task: Task, output: Json = None) -> dict[str, Any]:
    """What an extension sees as $task: the task's own words with what every task has."""
    described: dict[str, Any] = machine.scope(frame)["task"]()
    return {**task.definition, **described, "output": output}
