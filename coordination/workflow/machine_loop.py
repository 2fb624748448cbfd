"""The `for` task: one list of tasks for each item; its frame keeps the items and an index, never what was done."""

from typing import TYPE_CHECKING

from coordination.workflow.faults import fault
from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine


def enter(machine: "Machine", frame: Frame, task: Task) -> None:
    """Find the items and begin with the first."""
    wanted = task.definition["for"]["in"]
    if isinstance(wanted, str):
        items = machine.setting.expressions.one(wanted, frame["in"], machine.scope(frame))
    else:
        items = machine.filled(frame, wanted)
    if items is None:
        items = []
    if not isinstance(items, list):
        raise fault("expression", f"`for.in` of {task.name} gives no list; write an expression that gives one")
    limit = machine.setting.limits.items_max
    if len(items) > limit:
        raise fault("runtime", f"{task.name} would loop over {len(items):,} items, the bound is {limit:,}; split them")
    frame |= {"items": items, "i": -1, "loop": True}
    machine.strand.data = frame["in"]
    child_ended(machine, frame, task)


def child_ended(machine: "Machine", frame: Frame, task: Task) -> None:
    """Go on with the next item, or end where none is left or `while` does not hold."""
    declared = task.definition["for"]
    frame["i"] += 1
    index: int = frame["i"]
    if index < len(frame["items"]):
        frame["vars"] = {declared.get("each", "item"): frame["items"][index], declared.get("at", "index"): index}
        condition = task.definition.get("while")
        data = machine.strand.data
        if condition is None or machine.setting.expressions.true(condition, data, machine.scope(frame)):
            machine.strand.frames.append({"k": "list", "p": pointer(task.reference, "do"), "i": 0})
            return
    frame.pop("vars", None)
    machine.complete(frame, machine.strand.data)
