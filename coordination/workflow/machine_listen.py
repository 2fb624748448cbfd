"""The `listen` task: which events it takes, in the order they came, what it makes of them, and when it has enough.

Invariant: an event is taken once, and its key is named in `consumed` in the same turn that its value enters the frame. Where the
events wait until they are taken is not decided here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coordination.workflow.faults import fault
from coordination.workflow.matching import Filter, meets, regular
from coordination.workflow.plan import Task
from coordination.workflow.source import pointer
from coordination.workflow.strand import Frame
from kg.payloads import text_of
from kg.values import Json

if TYPE_CHECKING:
    from coordination.workflow.machine import Machine


def filters(to: Mapping[str, Any]) -> list[Filter]:
    """The filters of a consumption strategy; an empty list listens to everything."""
    if "one" in to:
        return [to["one"]]
    return list(to["all"] if "all" in to else to.get("any", ()))


def types(to: Mapping[str, Any]) -> list[str]:
    """The event types a strategy listens to, "*" where one may be any."""
    until = to.get("until")
    wanted = filters(to) + (filters(until) if isinstance(until, Mapping) else [])
    named = {str(item.get("with", {}).get("type", "*")) for item in wanted} if wanted and filters(to) else {"*"}
    return sorted("*" if "${" in name or regular(name) else name for name in named)


def enter(machine: "Machine", frame: Frame, task: Task) -> None:
    """Begin to listen."""
    frame |= {"got": [], "held": [], "keys": {}, "stop": False}
    _listen(machine, frame, task)


def answered(machine: "Machine", frame: Frame, task: Task, answer: Mapping[str, Any]) -> None:
    """Take what matches of the events offered, oldest first, until there is enough or one is to be worked on."""
    to = task.definition["listen"]["to"]
    for key, event in answer.get("events", ()):
        if _enough(machine, frame, to):
            break
        frame["after"] = key.rpartition("#")[2]
        if _take(machine, frame, to, event):
            machine.consumed.append(key)
            if not frame["stop"] and _iterate(machine, frame, task, event):
                return
    if _enough(machine, frame, to):
        machine.complete(frame, frame["got"])
    else:
        _listen(machine, frame, task)


def child_ended(machine: "Machine", frame: Frame, task: Task) -> None:
    """An event's own tasks are done: keep their output and listen on."""
    _gather(machine, frame, task, machine.strand.data)
    if _enough(machine, frame, task.definition["listen"]["to"]):
        machine.complete(frame, frame["got"])
    else:
        _listen(machine, frame, task)


def _gather(machine: "Machine", frame: Frame, task: Task, output: Json) -> None:
    """Keep what was made of an event."""
    each = task.definition["foreach"]
    scope = machine.scope(frame)
    if "as" in each.get("output", {}):
        output = machine.setting.expressions.shaped(each["output"]["as"], output, scope)
    if "as" in each.get("export", {}):
        exported = {**scope, "output": lambda: output}
        machine.strand.context = machine.setting.expressions.shaped(each["export"]["as"], output, exported)
        machine.small(machine.strand.context, f"the context that {task.name} exports")
    frame.pop("vars")
    _add(machine, frame, task, output)


def _add(machine: "Machine", frame: Frame, task: Task, value: Json) -> None:
    """One more of what the task gives, which grows no larger than other data."""
    frame["size"] = frame.get("size", 0) + len(text_of(value))
    if frame["size"] > (limit := machine.setting.limits.data_max):
        raise fault("runtime", f"{task.name} gathered more than {limit:,} characters of events; narrow `until`")
    frame["got"] = [*frame["got"], value]


def _listen(machine: "Machine", frame: Frame, task: Task) -> None:
    if len(frame["got"]) >= machine.setting.limits.events_max:
        raise fault("runtime", f"{task.name} gathered {len(frame['got']):,} events, the bound; narrow `until`")
    machine.wait_for(frame, "listen", types=types(task.definition["listen"]["to"]), after=frame.get("after", ""))


def _iterate(machine: "Machine", frame: Frame, task: Task, event: Mapping[str, Json]) -> bool:
    """Keep the event; where there is a `foreach`, begin its tasks and say so."""
    value = read(event, task.definition["listen"].get("read", "data"))
    each = task.definition.get("foreach")
    if each is None:
        _add(machine, frame, task, value)
        return False
    frame["vars"] = {each.get("item", "item"): value, each.get("at", "index"): len(frame["got"])}
    if "do" not in each:
        _gather(machine, frame, task, value)
        return False
    machine.strand.data = value
    machine.strand.frames.append({"k": "list", "p": pointer(pointer(task.reference, "foreach"), "do"), "i": 0})
    return True


def read(event: Mapping[str, Json], how: str) -> Json:
    """An event as the workflow reads it."""
    return dict(event) if how == "envelope" else event.get("data")


def _enough(machine: "Machine", frame: Frame, to: Mapping[str, Any]) -> bool:
    if frame["stop"]:
        return True
    if "all" in to:
        return len(frame["held"]) >= len(to["all"])
    until = to.get("until")
    if "any" not in to or until is None:
        return len(frame["got"]) > 0
    if isinstance(until, str) and frame["got"]:
        return machine.setting.expressions.true(until, frame["got"], machine.scope(frame))
    return False


def _take(machine: "Machine", frame: Frame, to: Mapping[str, Any], event: Mapping[str, Json]) -> bool:
    """Whether the event is one of those wanted; remembers which filter of `all` it met, and that `until` was met."""
    until = to.get("until")
    if isinstance(until, Mapping) and any(matches(machine, frame, one, event) for one in filters(until)):
        frame["stop"] = True
        return True
    wanted = filters(to)
    if not wanted:
        return True
    for index, one in enumerate(wanted):
        if ("all" not in to or index not in frame["held"]) and matches(machine, frame, one, event):
            frame["held"] = [*frame["held"], index]
            return True
    return False


def matches(machine: "Machine", frame: Frame, wanted: Filter, event: Mapping[str, Json]) -> bool:
    """Whether an event meets a filter and its correlations; a first correlation value becomes what is expected."""
    scope = machine.scope(frame)
    found = meets(machine.setting.expressions, wanted, event, frame["keys"], frame["in"], scope)
    if found is None:
        return False
    frame["keys"] = {**frame["keys"], **found}
    return True


def offered(keys: Sequence[str], events: Sequence[Mapping[str, Json]]) -> dict[str, Any]:
    """The answer that offers events under their keys, oldest first."""
    return {"events": [[key, dict(event)] for key, event in zip(keys, events, strict=True)]}
