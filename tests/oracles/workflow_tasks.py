"""The twelve tasks of the oracle of workflows, one method each; a list of tasks is run by the interpreter that inherits them."""

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from tests.oracles.workflow_world import (
    Ended,
    Json,
    Line,
    Raised,
    Steps,
    Wait,
    World,
    error,
    evaluate,
    fill,
    inside,
    length,
    moment,
    same_type,
)


class Twelve:
    """What each task does; each method gives the raw output and, where the task decides it, where to go next."""

    body: Mapping[str, Json]
    world: World
    use: Mapping[str, Json]

    def tasks(self, line: Line, listed: list[dict[str, Json]], at: str, data: Json) -> Steps:
        """Run a list of tasks."""
        raise AssertionError

    def task(self, line: Line, name: str, task: Mapping[str, Json], at: str, raw: Json) -> Steps:
        """Run one task with all that is around it."""
        raise AssertionError

    def component(self, kind: str, value: Json) -> Json:
        """What stands inline, or the component of that name."""
        raise AssertionError

    def within(self, limit: int, steps: Steps, reference: str) -> Steps:
        """Steps that are cut off when the time is over."""
        raise AssertionError

    def shape(self, template: Json, data: Json, variables: Mapping[str, Json]) -> Json:
        """What `from`, `as` and the like give."""
        raise AssertionError

    def run_inner(self, body: Mapping[str, Json], input: Json) -> Steps:
        """Run another workflow in the same world."""
        raise AssertionError

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
        started = line.context
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
                        line.context = lines[index].context
                        return stop.value, None
            if running:
                due = [wait.until for wait in waits.values() if wait.until is not None]
                yield Wait(min(due, default=None), any(wait.events for wait in waits.values()))
        for branch in lines:
            line.context = self.changed(line.context, started, branch.context)
        return [ended[index] for index in range(len(branches))], None

    @staticmethod
    def changed(context: Json, before: Json, after: Json) -> Json:
        """The context of the workflow with what a branch changed in its copy."""
        if after == before:
            return context
        if not (isinstance(context, dict) and isinstance(after, dict)):
            return after
        old = before if isinstance(before, dict) else {}
        return {**context, **{name: value for name, value in after.items() if name not in old or old[name] != value}}

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
        output = yield from self.run_inner(body, fill(wanted.get("input", {}), data, given))
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
