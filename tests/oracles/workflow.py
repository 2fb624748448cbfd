"""The oracle of workflows: a naive interpreter, recursive, in memory, written from the specification and from nothing of ours.

Every task is a generator that yields what it waits for and looks again when something changed; time is a number that the driver
moves, events are a list, calls are a function. It knows no durability, limits or governance. Engines must agree with it (I9).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.oracles.workflow_tasks import Twelve
from tests.oracles.workflow_world import (
    KINDS,
    SECOND,
    Ended,
    Json,
    Line,
    Raised,
    Steps,
    Stuck,
    Wait,
    World,
    error,
    evaluate,
    fill,
    inside,
    length,
    moment,
)

__all__ = ["SECOND", "Ended", "Outcome", "Raised", "Stuck", "World", "error", "length", "run"]


@dataclass
class Outcome:
    """How a run ended: `completed` with its output, or `faulted` with its error; and what it did, as (phase, name, reference)."""

    status: str
    output: Json = None
    error: dict[str, Json] | None = None
    trace: list[tuple[str, str, str]] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    elapsed: int = 0
    #: The last fault of each task, by its reference.
    told: dict[str, Json] = field(default_factory=dict)


def run(body: Mapping[str, Json], input: Json = None, world: World | None = None) -> Outcome:
    """Run a workflow to its end, jumping over the time it waits."""
    world = world or World()
    started = world.now
    status, output, problem = "completed", None, None
    try:
        output = _drive(Interpreter(body, world, input).workflow(), world)
    except Raised as raised:
        status, problem = "faulted", raised.problem
    return Outcome(status, output, problem, world.trace, world.emitted, world.now - started, world.faults)


def _drive(steps: Steps, world: World) -> Json:
    try:
        wait = next(steps)
        while True:
            due = [wait.until] if wait.until is not None else []
            if world.events:
                due.append(world.events[0][0])
            if not due:
                raise Stuck
            world.now = max(world.now, min(due))
            while world.events and world.events[0][0] <= world.now:
                world.arrived.append(world.events.pop(0)[1])
            wait = steps.send(None)
    except StopIteration as stop:
        return stop.value


class Interpreter(Twelve):
    """One run of one workflow."""

    def __init__(self, body: Mapping[str, Json], world: World, input: Json) -> None:
        self.body, self.world, self.input = body, world, input
        self.use: Mapping[str, Json] = body.get("use", {})
        self.started = world.now
        self.extending = False

    # -- the workflow -------------------------------------------------------------------------------------------------

    def workflow(self) -> Steps:
        declared = self.body.get("input", {})
        self.fits(declared, self.input)
        data = self.shape(declared.get("from", "."), self.input, self.root())
        line = Line(None)
        steps = self.tasks(line, self.body["do"], "/do", data)
        if "timeout" in self.body:
            steps = self.within(self.after(self.body["timeout"], data, self.root()), steps, "/")
        try:
            data = yield from steps
        except Ended as ended:
            data = ended.data
        declared = self.body.get("output", {})
        data = self.shape(declared.get("as", "."), data, {**self.root(), "context": line.context})
        self.fits(declared, data)
        return data

    def root(self) -> dict[str, Json]:
        workflow = {
            "id": "run",
            "definition": self.body,
            "input": self.input,
            "startedAt": moment(self.started),
        }
        found = {"workflow": workflow, "runtime": {"name": "oracle", "version": "1", "metadata": {}}}
        if self.use.get("secrets"):
            found["secrets"] = {name: self.world.secrets[name] for name in self.use["secrets"]}
        return found

    def fits(self, declared: Mapping[str, Json], value: Json) -> None:
        import jsonschema

        schema = declared.get("schema", {}).get("document")
        if schema is not None and not jsonschema.Draft202012Validator(schema).is_valid(value):
            raise error("validation", 400, "the schema refuses it")

    def shape(self, template: Json, data: Json, variables: Mapping[str, Json]) -> Json:
        if isinstance(template, str):
            return evaluate(inside(template), data, variables)
        return fill(template, data, variables)

    def component(self, kind: str, value: Json) -> Json:
        return self.use[kind][value] if isinstance(value, str) else value

    def after(self, timeout: Json, data: Json, variables: Mapping[str, Json]) -> int:
        return length(fill(self.component("timeouts", timeout)["after"], data, variables))

    def within(self, limit: int, steps: Steps, reference: str) -> Steps:
        """Steps that are cut off when the time is over; at the very moment the time counts as over."""
        due = self.world.now + limit
        try:
            wait = next(steps)
            while True:
                yield Wait(due if wait.until is None else min(due, wait.until), wait.events)
                if self.world.now >= due:
                    steps.close()
                    late = error("timeout", 408)
                    late.problem["instance"] = reference
                    raise late
                wait = steps.send(None)
        except StopIteration as stop:
            return stop.value

    # -- lists and tasks ----------------------------------------------------------------------------------------------

    def tasks(self, line: Line, listed: list[dict[str, Json]], at: str, data: Json) -> Steps:
        index = 0
        names = [next(iter(item)) for item in listed]
        while index < len(listed):
            name, task = next(iter(listed[index].items()))
            data, then = yield from self.task(line, name, task, f"{at}/{index}/{name}", data)
            if then == "end":
                raise Ended(data)
            if then == "exit":
                break
            index = index + 1 if then == "continue" else names.index(then)
        return data

    def task(self, line: Line, name: str, task: Mapping[str, Json], at: str, raw: Json) -> Steps:
        """The output of a task and where to go next."""
        known: dict[str, Json] = {**self.root(), **line.variables}
        about = {
            **(task if self.extending else {}),
            "name": name,
            "reference": at,
            "definition": task,
            "input": raw,
            "output": None,
            "startedAt": moment(self.world.now),
        }
        known.setdefault("task", about)

        def scope(**more: Json) -> dict[str, Json]:
            return {**known, "context": line.context, **more}

        try:
            if "if" in task and evaluate(inside(task["if"]), raw, scope()) in (None, False):
                self.world.trace.append(("skipped", name, at))
                return raw, "continue"
            declared = task.get("input", {})
            self.fits(declared, raw)
            data = self.shape(declared.get("from", "."), raw, scope())
            self.world.trace.append(("started", name, at))
            given = scope(input=data, authorization=None)
            steps = self.extended(line, task, at, data, given)
            if "timeout" in task:
                steps = self.within(self.after(task["timeout"], data, given), steps, at)
            output, then = yield from steps
            about["output"] = output
            given |= {"context": line.context}
            declared = task.get("output", {})
            output = self.shape(declared.get("as", "."), output, given)
            self.fits(declared, output)
            declared = task.get("export", {})
            if declared:
                line.context = self.shape(declared.get("as", "$context"), output, {**given, "output": output})
                self.fits(declared, line.context)
        except Raised as raised:
            raised.problem.setdefault("instance", at)
            self.world.trace.append(("faulted", name, at))
            self.world.faults[at] = dict(raised.problem)
            raise
        except Ended:
            # An end from within completes what stands around it.
            self.world.trace.append(("completed", name, at))
            raise
        self.world.trace.append(("completed", name, at))
        self.world.outputs[name] = output
        return output, then or task.get("then", "continue")

    def extended(self, line: Line, task: Mapping[str, Json], at: str, data: Json, given: dict[str, Json]) -> Steps:
        """The task with what extensions put before and after it; `exit` before it takes its place."""
        kind = next(kind for kind in KINDS if kind in task)
        found = [] if self.extending else [ext for item in self.use.get("extensions", ()) for ext in item.values()]
        alike = {kind, "all", "composite" if kind in ("do", "fork") else kind}
        seen = {**given, "task": {**task, **given["task"]}}
        found = [
            ext
            for ext in found
            if ext["extend"] in alike
            and ("when" not in ext or evaluate(inside(ext["when"]), data, seen) not in (None, False))
        ]
        for ext in found:
            replaced, output = yield from self.aside(line, ext.get("before", []), at, data, seen)
            if replaced:
                return output, None
        output, then = yield from getattr(self, f"do_{kind}")(line, task, at, data, given)
        for ext in found:
            yield from self.aside(line, ext.get("after", []), at, output, seen)
        return output, then

    def aside(self, line: Line, listed: list[dict[str, Json]], at: str, data: Json, seen: Mapping[str, Json]) -> Steps:
        """Run an extension's tasks beside the task; whether one of them left with `exit`, and the output."""
        around, line.variables = line.variables, {**line.variables, "task": seen["task"]}
        self.extending = True
        try:
            for index, item in enumerate(listed):
                name, task = next(iter(item.items()))
                data, then = yield from self.task(line, name, task, f"{at}/extension/{index}/{name}", data)
                if then == "exit":
                    return True, data
            return False, data
        finally:
            self.extending = False
            line.variables = around

    def run_inner(self, body: Mapping[str, Json], input: Json) -> Steps:
        return (yield from Interpreter(body, self.world, input).workflow())
