"""The `try` task: what it catches, when it tries again, and what it does instead.

Invariant: a retry is a wait with a time, so it survives a restart; attempts and the first failure's time stand in the frame. What
is caught while handling is never caught by the same `try`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from coordination.workflow.durations import microseconds
from coordination.workflow.faults import Fault, alike
from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine

#: Retries of one task where its policy names no limit.
RETRIES_MAX: Final = 1_000
#: The longest wait between two attempts: thirty days.
DELAY_MAX: Final = 30 * 86_400_000_000


def enter(machine: "Machine", frame: Frame, task: Task) -> None:
    """Begin the first attempt."""
    frame["tries"] = 1
    _attempt(machine, frame, task)


def child_ended(machine: "Machine", frame: Frame, task: Task) -> None:
    """End: the attempt went well, or the handler did."""
    then = task.definition["catch"].get("then") if frame.get("catching") else None
    _unlimit(frame)
    machine.complete(frame, machine.strand.data, then)


def answered(machine: "Machine", frame: Frame, task: Task, answer: Mapping[str, Any]) -> None:
    """The wait before a retry is over."""
    del answer
    frame.pop("retry")
    frame["tries"] += 1
    _attempt(machine, frame, task)


def caught(machine: "Machine", frame: Frame, task: Task, error: Fault) -> bool:
    """Whether the task catches an error; where it does, the retry or the handler is begun."""
    catch = task.definition["catch"]
    problem = error.problem
    _unlimit(frame)
    if not alike(catch.get("errors", {}).get("with", {}), problem):
        return False
    name = catch.get("as", "error")
    scope = {**machine.scope(frame), name: lambda: problem}
    if not _holds(machine, frame, catch, scope):
        return False
    policy = machine.setting.plan.component("retries", catch.get("retry"))
    if policy is not None and _retries(machine, frame, policy, scope):
        return True
    if policy is not None and "do" not in catch and "then" not in catch:
        # The retries are used up and nothing else was asked for: the error stands.
        return False
    frame |= {"catching": True, "vars": {name: problem}}
    machine.strand.data = frame["in"]
    if "do" in catch:
        machine.strand.frames.append({"k": "list", "p": pointer(pointer(task.reference, "catch"), "do"), "i": 0})
    else:
        machine.complete(frame, frame["in"], catch.get("then"))
    return True


def _attempt(machine: "Machine", frame: Frame, task: Task) -> None:
    machine.strand.data = frame["in"]
    policy = machine.setting.plan.component("retries", task.definition["catch"].get("retry")) or {}
    limit = policy.get("limit", {}).get("attempt", {}).get("duration")
    if limit is not None:
        due = machine.now + microseconds(limit)
        if due < frame.get("due", due + 1):
            frame |= {"outer_due": frame.get("due"), "due": due, "attempt_due": due}
    machine.strand.frames.append({"k": "list", "p": pointer(task.reference, "try"), "i": 0})


def _unlimit(frame: Frame) -> None:
    """Take the attempt's own time limit away; the task's stays."""
    if frame.pop("attempt_due", None) is not None:
        frame.pop("due", None)
    outer = frame.pop("outer_due", None)
    if outer is not None:
        frame["due"] = outer


def _holds(machine: "Machine", frame: Frame, condition: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    expressions = machine.setting.expressions
    if "when" in condition and not expressions.true(condition["when"], frame["in"], scope):
        return False
    return not ("exceptWhen" in condition and expressions.true(condition["exceptWhen"], frame["in"], scope))


def _retries(machine: "Machine", frame: Frame, policy: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    limit = policy.get("limit", {})
    used: int = frame["tries"]
    if used > limit.get("attempt", {}).get("count", RETRIES_MAX) or not _holds(machine, frame, policy, scope):
        return False
    due = machine.now + _delay(machine, frame, policy, used)
    if "duration" in limit and due > frame["at"] + microseconds(limit["duration"]):
        return False
    frame["retry"] = True
    machine.wait_for(frame, "timer", until=due)
    return True


def _delay(machine: "Machine", frame: Frame, policy: Mapping[str, Any], used: int) -> int:
    """The wait before the next attempt: constant, growing by its own length, or doubling; then jitter."""
    declared = policy.get("delay", {"seconds": 0})
    length = microseconds(machine.filled(frame, declared) if isinstance(declared, str) else declared)
    backoff = policy.get("backoff", {})
    if "exponential" in backoff:
        length *= 2 ** min(used - 1, 60)
    elif "linear" in backoff:
        length *= used
    if "jitter" in policy:
        low, high = microseconds(policy["jitter"]["from"]), microseconds(policy["jitter"]["to"])
        length += low + int.from_bytes(machine.setting.entropy(4), "big") * max(0, high - low) // 2**32
    return min(length, DELAY_MAX)
