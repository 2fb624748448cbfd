"""The `fork` task: every branch becomes a strand of its own, so that branches run on different workers; the task waits for them."""

from typing import TYPE_CHECKING

from coordination.workflow.faults import fault
from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame, Strand

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine


def enter(machine: "Machine", frame: Frame, task: Task) -> None:
    """Wait for the branches, which whoever drives the strand makes with `branches`."""
    count = len(task.definition["fork"].get("branches", ()))
    limit = machine.setting.limits.branches_max
    if count > limit:
        raise fault("runtime", f"{task.name} would fork into {count:,} branches, the bound is {limit:,}; use `for`")
    if not count:
        machine.complete(frame, [])
        return
    machine.wait_for(frame, "fork", count=count, compete=bool(task.definition["fork"].get("compete", False)))


def branches(machine: "Machine") -> list[Strand]:
    """The strands of the branches that the strand now waits for, each with the task's input and a copy of the context."""
    strand = machine.strand
    frame = strand.frames[-1]
    reference = pointer(pointer(frame["p"], "fork"), "branches")
    outer = {name: value for above in strand.frames for name, value in above.get("vars", {}).items()}
    return [
        Strand(
            strand.run,
            f"{strand.id}.{frame['n']}.{index}",
            [{"k": "list", "p": reference, "i": index, "one": True, **({"vars": outer} if outer else {})}],
            frame["in"],
            strand.context,
            parent=strand.id,
            branch=index,
        )
        for index in range(len(machine.setting.plan.tasks(reference)))
    ]
