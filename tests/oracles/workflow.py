"""The oracle of workflows: a naive interpreter, recursive, in memory, written from the specification and from nothing of ours.

Every task is a generator that yields what it waits for and looks again when something changed; time is a number that the driver
moves, events are a list, calls are a function. It knows no durability, limits or governance. Engines must agree with it (I9).
"""

import copy
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import jq

Json = Any
BASE = "https://open-workflow-specification.org/spec/1.0.0/errors/"
KINDS = ("for", "call", "fork", "do", "emit", "listen", "raise", "run", "set", "switch", "try", "wait")
SECOND = 1_000_000
UNITS = {
    "days": 86_400 * SECOND,
    "hours": 3_600 * SECOND,
    "minutes": 60 * SECOND,
    "seconds": SECOND,
    "milliseconds": 1_000,
}
ISO = re.compile(r"P(?:([\d.]+)W)?(?:([\d.]+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?)?\Z")


class Raised(Exception):
    """An error of the specification on its way up."""

    def __init__(self, problem: dict[str, Json]) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Ended(Exception):
    """`then: end` on its way up, with the output."""

    def __init__(self, data: Json) -> None:
        super().__init__()
        self.data = data


class Stuck(Exception):
    """The workflow waits for something that never comes."""


def error(kind: str, status: int, detail: str = "") -> Raised:
    return Raised({"type": BASE + kind, "status": status, "title": kind.capitalize(), "detail": detail})


@dataclass
class Wait:
    """What a task waits for: a time, and whether an event might help. Waking it without need does no harm."""

    until: int | None = None
    events: bool = False


Steps = Generator[Wait, None, Json]


@dataclass
class Line:
    """One line of control: its context and the variables of the tasks around."""

    context: Json
    variables: dict[str, Json] = field(default_factory=dict)

    def fork(self) -> "Line":
        return Line(copy.deepcopy(self.context), dict(self.variables))


@dataclass
class World:
    """What stands in for the outside. `events` are (microsecond, event) in order of time."""

    call: Callable[[str, Json, Json], Json] = lambda name, arguments, data: data
    events: list[tuple[int, dict[str, Json]]] = field(default_factory=list)
    workflows: Mapping[tuple[str, str, str], Mapping[str, Json]] = field(default_factory=dict)
    secrets: Mapping[str, Json] = field(default_factory=dict)
    now: int = 0
    arrived: list[dict[str, Json] | None] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    trace: list[tuple[str, str, str]] = field(default_factory=list)
    outputs: dict[str, Json] = field(default_factory=dict)


@dataclass
class Outcome:
    """How a run ended: `completed` with its output, or `faulted` with its error; and what it did, as (phase, name, reference)."""

    status: str
    output: Json = None
    error: dict[str, Json] | None = None
    trace: list[tuple[str, str, str]] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    elapsed: int = 0


def run(body: Mapping[str, Json], input: Json = None, world: World | None = None) -> Outcome:
    """Run a workflow to its end, jumping over the time it waits."""
    world = world or World()
    started = world.now
    status, output, problem = "completed", None, None
    try:
        output = _drive(Interpreter(body, world, input).workflow(), world)
    except Raised as raised:
        status, problem = "faulted", raised.problem
    return Outcome(status, output, problem, world.trace, world.emitted, world.now - started)


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


def moment(now: int) -> dict[str, Json]:
    text = datetime.fromtimestamp(now / SECOND, UTC).isoformat().replace("+00:00", "Z")
    return {"iso8601": text, "epoch": {"seconds": now // SECOND, "milliseconds": now // 1_000}}


def evaluate(text: str, data: Json, variables: Mapping[str, Json]) -> Json:
    """The first value of a jq program, null for none; many are an error."""
    try:
        found = jq.compile(text, args=dict(variables)).input_value(data).all()
    except ValueError as problem:
        raise error("expression", 400, str(problem)) from None
    if len(found) > 1:
        raise error("expression", 400, "several values")
    return found[0] if found else None


def inside(text: str) -> str:
    """The program of a field that is always one."""
    stripped = text.strip()
    return stripped[2:-1] if stripped.startswith("${") and stripped.endswith("}") else stripped


def fill(template: Json, data: Json, variables: Mapping[str, Json]) -> Json:
    """A template with its expressions evaluated; an expression is a whole text, or a part of one."""
    if isinstance(template, dict):
        return {name: fill(item, data, variables) for name, item in template.items()}
    if isinstance(template, list):
        return [fill(item, data, variables) for item in template]
    if not isinstance(template, str) or "${" not in template:
        return template
    parts: list[Json] = []
    rest = template
    while (start := rest.find("${")) >= 0:
        end = _closing(rest, start + 2, variables)
        if end < 0:
            break
        parts += [rest[:start], (rest[start + 2 : end],)]
        rest = rest[end + 1 :]
    parts.append(rest)
    words = [part for part in parts if isinstance(part, tuple) or part.strip()]
    if len(words) == 1 and isinstance(words[0], tuple):
        return evaluate(words[0][0], data, variables)
    made = [evaluate(part[0], data, variables) if isinstance(part, tuple) else part for part in parts]
    return "".join(
        item if isinstance(item, str) else "" if item is None else json.dumps(item, separators=(",", ":"))
        for item in made
    )


def _closing(text: str, start: int, variables: Mapping[str, Json]) -> int:
    """The first brace that makes a program of what stands before it."""
    for at, mark in enumerate(text[start:], start):
        if mark == "}":
            try:
                jq.compile(text[start:at], args=dict(variables))
            except ValueError:
                continue
            return at
    return -1


def length(value: Json) -> int:
    """A duration in microseconds."""
    if isinstance(value, dict):
        return int(sum(value[unit] * size for unit, size in UNITS.items() if unit in value))
    found = ISO.match(value) if isinstance(value, str) else None
    if found is None:
        raise error("configuration", 400, f"no duration: {value}")
    sizes = (7 * UNITS["days"], UNITS["days"], UNITS["hours"], UNITS["minutes"], SECOND)
    return round(sum(float(part) * size for part, size in zip(found.groups(), sizes, strict=True) if part))


def same_type(one: Json, other: Json) -> bool:
    """The kit names standard errors by an address of its own."""
    tail = re.compile(r"https://open-workflow-specification\.org/(?:spec/1\.0\.0/errors|dsl/errors/types)/(\w+)\Z")
    pairs = [tail.match(item) if isinstance(item, str) else None for item in (one, other)]
    return one == other or (pairs[0] is not None and pairs[1] is not None and pairs[0][1] == pairs[1][1])


class Interpreter:
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

    # -- the twelve ---------------------------------------------------------------------------------------------------

    def do_do(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        return (yield from self.tasks(line, task["do"], f"{at}/do", data)), None

    def do_set(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        yield from ()
        return fill(task["set"], data, given), None

    def do_switch(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        yield from ()
        cases = [case for item in task["switch"] for case in item.values()]
        for case in cases:
            if "when" in case and evaluate(inside(case["when"]), data, given) not in (None, False):
                return data, case["then"]
        return data, next((case["then"] for case in cases if "when" not in case), None)

    def do_raise(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        yield from ()
        raise Raised({**fill(self.component("errors", task["raise"]["error"]), data, given), "instance": at})

    def do_wait(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        due = self.world.now + length(fill(task["wait"], data, given))
        while self.world.now < due:
            yield Wait(due)
        return data, None

    def do_emit(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        yield from ()
        about = self.body["document"]
        event = {
            "id": str(len(self.world.emitted)),
            "specversion": "1.0",
            "time": moment(self.world.now)["iso8601"],
            "source": f"/{about['namespace']}/{about['name']}/{about['version']}",
            **fill(task["emit"]["event"]["with"], data, given),
        }
        self.world.emitted.append(event)
        return event, None

    def do_for(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        loop = task["for"]
        wanted = loop["in"]
        items = evaluate(inside(wanted), data, given) if isinstance(wanted, str) else fill(wanted, data, given)
        if items is not None and not isinstance(items, list):
            raise error("expression", 400, "no list")
        around = line.variables
        try:
            for index, item in enumerate(items or ()):
                own = {loop.get("each", "item"): item, loop.get("at", "index"): index}
                line.variables = {**around, **own}
                now = {**given, **own, "context": line.context}
                if "while" in task and evaluate(inside(task["while"]), data, now) in (None, False):
                    break
                data = yield from self.tasks(line, task["do"], f"{at}/do", data)
        finally:
            line.variables = around
        return data, None

    def do_fork(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        branches = task["fork"]["branches"]
        lines = [line.fork() for _ in branches]
        running: dict[int, Steps] = {}
        ended: dict[int, Json] = {}
        for index, item in enumerate(branches):
            name, inner = next(iter(item.items()))
            running[index] = self.branch(lines[index], name, inner, f"{at}/fork/branches/{index}/{name}", data)
        waits: dict[int, Wait] = {}
        compete = task["fork"].get("compete", False)
        while running:
            for index in list(running):
                try:
                    waits[index] = next(running[index])
                except StopIteration as stop:
                    del running[index]
                    waits.pop(index, None)
                    ended[index] = stop.value
                    if compete:
                        for other in running.values():
                            other.close()
                        return stop.value, None
            if running:
                due = [wait.until for wait in waits.values() if wait.until is not None]
                yield Wait(min(due, default=None), any(wait.events for wait in waits.values()))
        return [ended[index] for index in range(len(branches))], None

    def branch(self, line: Line, name: str, task: Json, at: str, data: Json) -> Steps:
        try:
            data, _ = yield from self.task(line, name, task, at, data)
        except Ended as ended:
            data = ended.data
        return data

    def do_try(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        catch = task["catch"]
        name = catch.get("as", "error")
        policy = self.component("retries", catch["retry"]) if "retry" in catch else None
        limits = (policy or {}).get("limit", {})
        started, attempt = self.world.now, 0
        while True:
            attempt += 1
            try:
                steps = self.tasks(line, task["try"], f"{at}/try", data)
                if "duration" in limits.get("attempt", {}):
                    steps = self.within(length(limits["attempt"]["duration"]), steps, at)
                return (yield from steps), None
            except Raised as raised:
                seen = {**given, name: raised.problem, "context": line.context}
                if not self.catches(catch, raised.problem, data, seen):
                    raise
                if (
                    policy is not None
                    and self.agrees(policy, data, seen)
                    and attempt <= limits.get("attempt", {}).get("count", 1000)
                ):
                    due = self.world.now + self.delay(policy, attempt, data, given)
                    if "duration" not in limits or due <= started + length(limits["duration"]):
                        while self.world.now < due:
                            yield Wait(due)
                        continue
                if policy is not None and "do" not in catch and "then" not in catch:
                    raise
                problem = raised.problem
            around, line.variables = line.variables, {**line.variables, name: problem}
            try:
                output = yield from self.tasks(line, catch.get("do", []), f"{at}/catch/do", data)
            finally:
                line.variables = around
            return output, catch.get("then")

    def catches(self, catch: Json, problem: Json, data: Json, seen: Json) -> bool:
        for field_, value in catch.get("errors", {}).get("with", {}).items():
            if problem.get(field_) != value and not (field_ == "type" and same_type(problem.get(field_), value)):
                return False
        return self.agrees(catch, data, seen)

    def agrees(self, condition: Json, data: Json, seen: Json) -> bool:
        if "when" in condition and evaluate(inside(condition["when"]), data, seen) in (None, False):
            return False
        return "exceptWhen" not in condition or evaluate(inside(condition["exceptWhen"]), data, seen) in (None, False)

    def delay(self, policy: Json, attempt: int, data: Json, given: Json) -> int:
        """The wait before the next attempt; of a jitter the least, since the oracle has no chance."""
        wait = length(fill(policy.get("delay", {"seconds": 0}), data, given))
        if "exponential" in policy.get("backoff", {}):
            wait *= 2 ** (attempt - 1)
        if "linear" in policy.get("backoff", {}):
            wait *= attempt
        return wait + (length(policy["jitter"]["from"]) if "jitter" in policy else 0)

    def do_listen(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        to, each = task["listen"]["to"], task.get("foreach")
        wanted = [to["one"]] if "one" in to else to.get("all", to.get("any", []))
        until = to.get("until")
        got: list[Json] = []
        met: set[int] = set()
        keys: dict[str, Json] = {}
        looked: int = 0
        around = line.variables
        while True:
            while looked < len(self.world.arrived):
                event, place = self.world.arrived[looked], looked
                looked += 1
                if event is None:
                    continue
                if isinstance(until, dict) and self.any_of(until, event, data, given, keys):
                    self.world.arrived[place] = None
                    return got, None
                index = self.which(to, wanted, met, event, data, given, keys)
                if index is None:
                    continue
                self.world.arrived[place] = None
                met.add(index)
                how = task["listen"].get("read", "data")
                value = event if how == "envelope" else event.get("data")
                if each is not None:
                    own = {each.get("item", "item"): value, each.get("at", "index"): len(got)}
                    line.variables = {**around, **own}
                    value = yield from self.tasks(line, each.get("do", []), f"{at}/foreach/do", value)
                    now = {**given, **own, "context": line.context}
                    value = self.shape(each.get("output", {}).get("as", "."), value, now)
                    if "export" in each:
                        line.context = self.shape(each["export"].get("as", "$context"), value, {**now, "output": value})
                    line.variables = around
                got.append(value)
                if self.enough(to, wanted, met, got, {**given, "context": line.context}):
                    return got, None
            yield Wait(events=True)

    def enough(self, to: Json, wanted: Json, met: set[int], got: Json, given: Json) -> bool:
        if "all" in to:
            return len(met) == len(wanted)
        if isinstance(to.get("until"), str):
            return evaluate(inside(to["until"]), got, given) not in (None, False)
        return "until" not in to

    def which(
        self, to: Json, wanted: Json, met: set[int], event: Json, data: Json, given: Json, keys: Json
    ) -> int | None:
        if "any" in to and not wanted:
            return 0
        for index, one in enumerate(wanted):
            if not ("all" in to and index in met) and self.matches(one, event, data, given, keys):
                return index
        return None

    def any_of(self, to: Json, event: Json, data: Json, given: Json, keys: Json) -> bool:
        wanted = [to["one"]] if "one" in to else to.get("all", to.get("any", []))
        return any(self.matches(one, event, data, given, keys) for one in wanted)

    def matches(self, one: Json, event: Json, data: Json, given: Json, keys: dict[str, Json]) -> bool:
        for name, pattern in one["with"].items():
            value = event.get(name)
            if isinstance(pattern, str) and pattern.strip().startswith("${"):
                if evaluate(inside(pattern), value, given) not in (True, value if value is not None else True):
                    return False
            elif pattern != value and not (
                isinstance(pattern, str) and isinstance(value, str) and re.fullmatch(pattern, value)
            ):
                return False
        found: dict[str, Json] = {}
        for name, correlation in one.get("correlate", {}).items():
            value = evaluate(inside(correlation["from"]), event, given)
            expected = fill(correlation["expect"], data, given) if "expect" in correlation else keys.get(name)
            if value is None or expected not in (None, value):
                return False
            found[name] = value
        keys.update(found)
        return True

    def do_run(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        process = task["run"]
        if "workflow" not in process:
            kind = next(kind for kind in ("container", "script", "shell") if kind in process)
            return self.world.call(f"run.{kind}", fill(process[kind], data, given), data), None
        wanted = process["workflow"]
        body = self.world.workflows[wanted["namespace"], wanted["name"], wanted["version"]]
        inner = Interpreter(body, self.world, fill(wanted.get("input", {}), data, given))
        output = yield from inner.workflow()
        return (output if process.get("await", True) else data), None

    def do_call(self, line: Line, task: Json, at: str, data: Json, given: Json) -> Steps:
        name = task["call"]
        arguments = fill(task.get("with", {}), data, given)
        if name in self.use.get("functions", {}):
            function = self.use["functions"][name]
            passed = arguments if task.get("with") else data
            output, _ = yield from self.task(line, name, function, f"/use/functions/{name}", passed)
            return output, None
        return self.world.call(name, self.placed(arguments, data), data), None

    def placed(self, arguments: Json, data: Json) -> Json:
        """Addresses with their {name} parts filled from the top level of the data."""
        if not isinstance(arguments, dict):
            return arguments

        def expanded(found: re.Match[str]) -> str:
            value = data.get(found[1]) if isinstance(data, dict) else None
            if isinstance(value, dict | list):
                raise error("expression", 400, "no simple value")
            text = "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)
            return quote(text, safe="")

        made = dict(arguments)
        for field_ in ("endpoint", "uri"):
            value = made.get(field_)
            if isinstance(value, str):
                made[field_] = re.sub(r"\{([^{}]+)\}", expanded, value)
            elif isinstance(value, dict):
                made[field_] = self.placed(value, data)
        if isinstance(made.get("document"), dict):
            made["document"] = self.placed(made["document"], data)
        return made
