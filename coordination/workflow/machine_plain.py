"""The tasks that need nothing of the outside: do, set, switch, emit, raise, and wait, which only needs time."""

from typing import TYPE_CHECKING, Any

from coordination.workflow.durations import microseconds
from coordination.workflow.expressions import program
from coordination.workflow.faults import Fault, fault
from coordination.workflow.plan import Task
from coordination.workflow.scope import Limits, moment
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame, Strand

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine


def do(machine: "Machine", frame: Frame, task: Task) -> None:
    """Begin the task's own list."""
    machine.strand.data = frame["in"]
    machine.strand.frames.append({"k": "list", "p": pointer(task.reference, "do"), "i": 0})


def set_data(machine: "Machine", frame: Frame, task: Task) -> None:
    """The output is what the template gives."""
    wanted = task.definition["set"]
    machine.complete(frame, machine.filled(frame, wanted))


def switch(machine: "Machine", frame: Frame, task: Task) -> None:
    """Follow the first case that matches, the default where none does; all conditions are asked at once."""
    cases = [case for item in task.definition["switch"] for case in item.values()]
    conditions = [case for case in cases if "when" in case]
    programs = [program(case["when"]) for case in conditions]
    results = machine.setting.expressions.results(programs, frame["in"], machine.scope(frame)) if programs else []
    for case, text, result in zip(conditions, programs, results, strict=True):
        if result.error is not None:
            raise fault("expression", f"the expression {text[:200]!r} failed: {result.error}")
        if result.value not in (None, False):
            machine.complete(frame, frame["in"], case["then"])
            return
    default = next((case["then"] for case in cases if "when" not in case), None)
    machine.complete(frame, frame["in"], default)


def emit(machine: "Machine", frame: Frame, task: Task) -> None:
    """Give out a CloudEvent; its id follows from run and step, so emitting again after a crash is the same event."""
    strand, body = machine.strand, machine.setting.plan.body["document"]
    declared = machine.filled(frame, task.definition["emit"]["event"]["with"])
    event: dict[str, Any] = {
        "id": f"{strand.run}.{strand.id}.{frame['n']}",
        "specversion": "1.0",
        "time": moment(machine.now)["iso8601"],
        "source": f"/{body['namespace']}/{body['name']}/{body['version']}",
        **declared,
    }
    if (
        not isinstance(event.get("type"), str)
        or not isinstance(event["source"], str)
        or not isinstance(event["id"], str)
    ):
        raise fault("configuration", "an event needs a type, a source and an id that are texts; set them in `with`")
    if not machine.past(frame["n"]):
        machine.emitted.append(event)
    machine.complete(frame, event)


def raise_error(machine: "Machine", frame: Frame, task: Task) -> None:
    """Raise the declared error, from this place."""
    declared = machine.setting.plan.component("errors", task.definition["raise"]["error"])
    problem = dict(machine.filled(frame, declared))
    problem["instance"] = task.reference
    if not isinstance(problem.get("type"), str) or not isinstance(problem.get("status"), int):
        raise fault("configuration", "an error needs a type that is a text and a status that is a number")
    raise Fault(problem)


def wait(machine: "Machine", frame: Frame, task: Task) -> None:
    """Wait so long; the output is the input."""
    declared = task.definition["wait"]
    length = microseconds(machine.filled(frame, declared) if isinstance(declared, str) else declared)
    machine.wait_for(frame, "timer", until=machine.now + length, pass_on=True)


def beyond(strand: Strand, limits: Limits) -> Fault:
    """The fault of a strand that may start no further task."""
    if strand.count >= limits.history_max:
        error = fault(
            "runtime",
            f"the run started {limits.history_max:,} tasks, the bound of one run; end the loop, or start a new run",
        )
        # A run beyond its bound may not catch that and go on for ever.
        error.problem["final"] = True
        return error
    return fault("runtime", f"tasks stand more than {limits.depth_max} deep inside each other; flatten the workflow")
