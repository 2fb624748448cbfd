"""The `fork` task: every branch becomes a strand of its own, so that branches run on different workers; the task waits for them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coordination.workflow.faults import fault
from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import FAULTED, Frame, Strand
from kg.payloads import text_of
from kg.values import Json

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine


def enter(machine: "Machine", frame: Frame, task: Task) -> None:
    """Wait for the branches, which whoever drives the strand makes with `branches`."""
    count = len(task.definition["fork"].get("branches", ()))
    limit = machine.setting.limits.branches_max
    if count > limit:
        raise fault("runtime", f"{task.name} would fork into {count:,} branches, the bound is {limit:,}; use `for`")
    within, most = _within(machine.strand) * count, machine.setting.limits.branches_within_max
    if within > most:
        raise fault(
            "runtime", f"{task.name} would make {within:,} branches of forks in forks, the bound is {most:,}; use `for`"
        )
    if not count:
        machine.complete(frame, [])
        return
    machine.wait_for(frame, "fork", count=count, compete=bool(task.definition["fork"].get("compete", False)))


def branches(machine: "Machine") -> list[Strand]:
    """The strands of the branches that the strand now waits for, each with the task's input and a copy of the context."""
    strand = machine.strand
    frame = strand.frames[-1]
    reference = pointer(pointer(frame["p"], "fork"), "branches")
    within = _within(strand) * len(machine.setting.plan.tasks(reference))
    outer = {name: value for above in strand.frames for name, value in above.get("vars", {}).items()}
    return [
        Strand(
            strand.run,
            f"{strand.id}.{frame['n']}.{index}",
            [
                {
                    "k": "list",
                    "p": reference,
                    "i": index,
                    "one": True,
                    "side": within,
                    **({"vars": outer} if outer else {}),
                }
            ],
            frame["in"],
            strand.context,
            parent=strand.id,
            branch=index,
        )
        for index in range(len(machine.setting.plan.tasks(reference)))
    ]


def _within(strand: Strand) -> int:
    """How many branches the forks around a strand make in all, were each of them to fork alike."""
    return next((int(frame["side"]) for frame in strand.frames if "side" in frame), 1)


def meeting(count: int, compete: bool, number: int) -> dict[str, Any]:
    """Where the branches of a fork meet, before any has ended."""
    return {"left": count, "won": None, "failed": None, "compete": compete, "wait": number, "size": 0}


def branch_ended(value: Mapping[str, Any], branch: Strand) -> dict[str, Any]:
    """What a branch that ended leaves where the branches meet."""
    made = dict(value)
    made["left"] -= 1
    name = "failed" if branch.state == FAULTED else "won"
    if made[name] is None:
        made[name] = branch.branch
    if branch.data:
        made["size"] = made.get("size", 0) + len(text_of(branch.data))
    return made


def large(value: Mapping[str, Any], limit: int) -> dict[str, Any] | None:
    """The answer to a fork whose branches together give more characters than may flow; None where they do not."""
    if value.get("size", 0) <= limit:
        return None
    sentence = (
        f"the outputs of the branches are together larger than {limit:,} characters; keep them outside and name them"
    )
    return {"problem": fault("runtime", sentence).problem}


def settled(value: Mapping[str, Any], compete: bool) -> bool:
    """Whether the branches met: all ended, or one decided it."""
    return value["left"] == 0 or (value["won"] is not None if compete else value["failed"] is not None)


def decider(value: Mapping[str, Any], compete: bool) -> int | None:
    """Which branch decided it alone, None where all count."""
    won: int | None = value["won"]
    failed: int | None = value["failed"]
    return won if compete and won is not None else failed


def met(context: Json, branches: Sequence[Strand], alone: bool) -> dict[str, Any]:
    """The answer to a fork: of the branch that decided it alone, or of all in their order."""
    if alone:
        (branch,) = branches
        if branch.state == FAULTED:
            return {"problem": branch.problem}
        return {"output": branch.data, "context": branch.context}
    return {"output": [branch.data for branch in branches], "context": _merged(context, branches)}


def _merged(before: Json, branches: Sequence[Strand]) -> Json:
    """The context after branches that each had a copy: what a branch changed stands, a later branch over an earlier."""
    context = before
    for branch in branches:
        if branch.context == before:
            continue
        if isinstance(context, dict) and isinstance(branch.context, dict):
            old = before if isinstance(before, dict) else {}
            changed = {name: item for name, item in branch.context.items() if name not in old or old[name] != item}
            context = {**context, **changed}
        else:
            context = branch.context
    return context
