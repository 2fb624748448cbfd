"""Machine: advances one strand of a workflow with an explicit stack, until it must wait, ends, or used up its turn.

Invariants: it is pure (the same strand, answer, time and entropy give the same), so doing it again after a crash gives the same
steps under the same numbers; every task that ends goes on record once. It commits nothing and asks nothing of the outside: what it
wants stands in the strand's `wait` and in what it returns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordination.workflow import (
    machine_calls,
    machine_extend,
    machine_fork,
    machine_listen,
    machine_loop,
    machine_plain,
    machine_try,
)
from coordination.workflow import scope as scopes
from coordination.workflow.durations import microseconds
from coordination.workflow.faults import Fault, fault
from coordination.workflow.plan import Task
from coordination.workflow.schemas import check
from coordination.workflow.scope import Setting
from coordination.workflow.strand import COMPLETED, FAULTED, READY, WAITING, Frame, Step, Strand
from kg.errors import ValueDomainError
from kg.payloads import sound
from kg.values import Json

Perform = Callable[["Machine", Frame, Task], None]
PERFORM: Mapping[str, Perform] = {
    "call": machine_calls.call,
    "do": machine_plain.do,
    "emit": machine_plain.emit,
    "for": machine_loop.enter,
    "fork": machine_fork.enter,
    "listen": machine_listen.enter,
    "raise": machine_plain.raise_error,
    "run": machine_calls.run,
    "set": machine_plain.set_data,
    "switch": machine_plain.switch,
    "try": machine_try.enter,
    "wait": machine_plain.wait,
}
#: What a task does when the list or task below it ended.
CHILD_ENDED: Mapping[str, Perform] = {
    "for": machine_loop.child_ended,
    "listen": machine_listen.child_ended,
    "try": machine_try.child_ended,
}
#: What a task does with the answer to what it waited for.
ANSWERED: Mapping[str, Callable[["Machine", Frame, Task, Mapping[str, Any]], None]] = {
    "listen": machine_listen.answered,
    "run": machine_calls.answered,
    "try": machine_try.answered,
}


@dataclass(slots=True)
class Machine:
    """One turn of one strand. After `advance`: `steps` that ended or wait, `emitted` events, `left` waits that were given up."""

    setting: Setting
    strand: Strand
    now: int
    steps: list[Step] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    detached: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    consumed: list[str] = field(default_factory=list)
    #: Whether the task of a number is on record already: what it gave out is not given out again.
    past: Callable[[int], bool] = lambda _: False
    #: Raises the fault of a workflow that cannot be started.
    startable: Callable[[Mapping[str, Json]], object] = lambda _: None

    # -- one turn -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Validate and transform the workflow's input; the strand is ready for its first task."""
        body, strand = self.setting.plan.body, self.strand
        declared = body.get("input", {})
        strand.frames = [{"k": "list", "p": "/do", "i": 0}]
        try:
            if (limit := body.get("timeout")) is not None:
                strand.frames[0]["due"] = self.now + self._timeout(limit, {}, strand.data)
            check(declared.get("schema"), strand.data, "the workflow's input")
            if "from" in declared:
                strand.data = self.setting.expressions.shaped(declared["from"], strand.data, scopes.root(self.setting))
                self.small(strand.data, "the workflow's input")
        except Fault as error:
            self._faulted(error)

    def advance(self, answer: Mapping[str, Any] | None, tasks_max: int) -> None:
        """Go on with an answer to what the strand waits for (None: it waits for nothing, or only a time-out fell due)."""
        strand = self.strand
        waited = strand.wait
        self._overdue()
        if strand.wait is not None and not strand.ended:
            # An answer is to what was waited for: a time-out that came with it may have begun another wait.
            if answer is None or strand.wait is not waited:
                return
            self.guarded(lambda: self._answer(answer))
        while strand.state == READY and len(self.steps) < tasks_max:
            self.guarded(self._tick)

    def passed(self, answer: Mapping[str, Any], tasks_max: int) -> None:
        """Go on at once where the strand just began to wait for what is known already."""
        number, self.strand.frames[-1]["known"] = self.strand.frames[-1]["n"], False
        self.steps = [step for step in self.steps if step.number != number or step.state != "waiting"]
        self.advance(answer, tasks_max)

    def guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Fault as error:
            self._unwind(error)

    def _answer(self, answer: Mapping[str, Any]) -> None:
        strand, frame = self.strand, self.strand.frames[-1]
        strand.wait, strand.state = None, READY
        task = self.setting.plan.task(frame["p"])
        if "recorded" in answer:
            frame["final"] = True
            self.complete(frame, answer["recorded"])
        elif frame.get("retry") or (task.kind in ANSWERED and "problem" not in answer):
            ANSWERED[task.kind](self, frame, task, answer)
        elif "problem" in answer:
            raise Fault(answer["problem"])
        else:
            if "context" in answer:
                strand.context = answer["context"]
            self.complete(frame, answer.get("output"))

    def _overdue(self) -> None:
        """Interrupt the outermost task whose time is over."""
        for depth, frame in enumerate(self.strand.frames):
            if "due" in frame and frame["due"] <= self.now and not self.strand.ended:
                reference = frame["p"] if frame["k"] == "task" else "/"
                error = fault("timeout", "it took longer than its timeout allows", instance=reference)
                self._interrupt(depth, error)
                return

    def _interrupt(self, depth: int, error: Fault) -> None:
        frame = self.strand.frames[depth]
        own = frame["k"] == "task" and frame.get("attempt_due") == frame["due"]
        while len(self.strand.frames) > depth + 1:
            self._drop(error)
        if own:
            # The time was of one attempt, not of the whole task: the task may catch it as any other error inside it.
            del frame["due"]
            frame.pop("attempt_due")
            self._settle_waiting()
            self.guarded(lambda: self._offer(error))
            return
        if frame["k"] == "task":
            self._drop(error)
            self._unwind(error)
        else:
            self._faulted(error)

    def _offer(self, error: Fault) -> None:
        frame = self.strand.frames[-1]
        task = self.setting.plan.task(frame["p"])
        if not machine_try.caught(self, frame, task, error):
            self._drop(error)
            raise error

    def _tick(self) -> None:
        strand = self.strand
        frame = strand.frames[-1]
        if frame["k"] == "task":
            task = self.setting.plan.task(frame["p"])
            if frame.get("aside") in ("before", "after"):
                if machine_extend.child_ended(self, frame, task):
                    PERFORM[task.kind](self, frame, task)
            else:
                CHILD_ENDED.get(task.kind, _pass_on)(self, frame, task)
            return
        tasks = self.setting.plan.tasks(frame["p"])
        if frame["i"] >= len(tasks):
            strand.frames.pop()
            if not strand.frames:
                self._end()
            return
        self.start(tasks[frame["i"]], strand.data)

    # -- a task -------------------------------------------------------------------------------------------------------

    def start(self, task: Task, raw: Json) -> None:
        """Begin a task with its raw input."""
        strand, limits = self.strand, self.setting.limits
        if strand.count >= limits.history_max or len(strand.frames) >= limits.depth_max:
            raise machine_plain.beyond(strand, limits)
        frame: Frame = {"k": "task", "p": task.reference, "n": strand.count, "name": task.name, "raw": raw}
        frame["at"] = self.now
        strand.count += 1
        strand.frames.append(frame)
        definition = task.definition
        expressions = self.setting.expressions
        if "if" in definition:
            scope = scopes.task(self.setting, strand, frame, entered=False)
            if not expressions.true(definition["if"], raw, scope):
                self.record(frame, task, "skipped", output=raw)
                strand.frames.pop()
                strand.data = raw
                self._follow("continue")
                return
        declared = definition.get("input", {})
        check(declared.get("schema"), raw, f"the input of {task.name}")
        frame["in"] = raw
        if "from" in declared:
            scope = scopes.task(self.setting, strand, frame, entered=False)
            frame["in"] = expressions.shaped(declared["from"], raw, scope)
            self.small(frame["in"], f"the input of {task.name}")
        if "timeout" in definition:
            frame["due"] = self.now + self._timeout(definition["timeout"], self.scope(frame), frame["in"])
        if not task.kind:
            raise fault("configuration", f"{task.name} is none of the twelve tasks; name one")
        found = machine_extend.found(self, frame, task)
        if found:
            machine_extend.begin(self, frame, found)
        else:
            PERFORM[task.kind](self, frame, task)

    def scope(self, frame: Frame) -> dict[str, Callable[[], Json]]:
        """The arguments of the expressions in a task's own definition."""
        return scopes.task(self.setting, self.strand, frame)

    def filled(self, frame: Frame, template: Json) -> Json:
        """A part of a task's definition with its expressions evaluated."""
        return self.setting.expressions.filled(template, frame["in"], self.scope(frame))

    def complete(self, frame: Frame, raw: Json, then: str | None = None) -> None:
        """End a task with its raw output: transform, validate, export, go on record, follow the flow directive."""
        strand, task = self.strand, self.setting.plan.task(frame["p"])
        if frame.get("aside") == "main" and machine_extend.after(self, frame, task, raw, then):
            return
        definition, output = task.definition, raw
        # An output that comes from a record was transformed before it went there.
        declared, exported = None if frame.get("final") else definition.get("output"), definition.get("export")
        if declared or exported:
            scope = scopes.task(self.setting, strand, frame, raw_output=raw)
            if declared:
                if "as" in declared:
                    output = self.setting.expressions.shaped(declared["as"], raw, scope)
                check(declared.get("schema"), output, f"the output of {task.name}")
            if exported:
                self._export(exported, task, output, {**scope, "output": lambda: output})
        if output is not raw or not isinstance(output, int | float | bool | None):
            self.small(output, f"the output of {task.name}")
        self.record(frame, task, "completed", output=output)
        strand.frames.pop()
        strand.data = output
        self._follow(then or definition.get("then") or "continue")

    def wait_for(self, frame: Frame, kind: str, **what: Json) -> None:
        """Have the strand wait; `until` (microseconds) is when it goes on by itself."""
        self.strand.wait = {"kind": kind, "n": frame["n"], **what}
        self.strand.state = WAITING
        if not what.get("inline"):
            self.record(frame, self.setting.plan.task(frame["p"]), "waiting")
            frame["known"] = True

    def record(self, frame: Frame, task: Task, state: str, *, output: Json = None, problem: Json = None) -> None:
        """Put a task's end, or that it waits, on record."""
        ended = 0 if state == "waiting" else self.now
        iteration = ".".join(str(outer["i"]) for outer in self.strand.frames if outer is not frame and "loop" in outer)
        attempt = next((outer["tries"] for outer in reversed(self.strand.frames) if "tries" in outer), 1)
        self.steps.append(
            Step(
                frame["n"], task.reference, task.name, task.kind, state, iteration, attempt, frame["at"], ended,
                output, problem, bool(frame.get("known")),
            )
        )  # fmt: skip

    # -- where to go next ---------------------------------------------------------------------------------------------

    def _follow(self, then: str) -> None:
        strand = self.strand
        if then == "end":
            while strand.frames:
                top = strand.frames[-1]
                if top["k"] == "task":
                    self.record(top, self.setting.plan.task(top["p"]), "completed", output=strand.data)
                strand.frames.pop()
            self._end()
            return
        if not strand.frames:
            self._end()
            return
        frame = strand.frames[-1]
        if frame["k"] == "task":
            return
        if then == "exit" and frame.get("extends"):
            strand.frames[-2]["left"] = True
        if frame.get("one") or then == "exit":
            frame["i"] = len(self.setting.plan.tasks(frame["p"]))
        elif then == "continue":
            frame["i"] += 1
        else:
            index = self.setting.plan.index(frame["p"], then)
            if index is None:
                raise fault(
                    "configuration", f"`then: {then}` names no task beside it; correct the name", instance=frame["p"]
                )
            frame["i"] = index

    def _end(self) -> None:
        strand = self.strand
        strand.frames = []
        if not strand.parent:
            declared = self.setting.plan.body.get("output", {})
            try:
                if "as" in declared:
                    scope = {**scopes.root(self.setting), "context": lambda: strand.context}
                    strand.data = self.setting.expressions.shaped(declared["as"], strand.data, scope)
                    self.small(strand.data, "the workflow's output")
                check(declared.get("schema"), strand.data, "the workflow's output")
            except Fault as error:
                self._faulted(error)
                return
        strand.state = COMPLETED

    # -- faults -------------------------------------------------------------------------------------------------------

    def _unwind(self, error: Fault) -> None:
        """Take a fault up the stack to the first `try` that catches it, or to the end of the strand."""
        strand = self.strand
        problem = error.problem
        if "instance" not in problem:
            top = next((frame for frame in reversed(strand.frames) if frame["k"] == "task"), None)
            problem["instance"] = top["p"] if top is not None else "/"
        while strand.frames:
            frame = strand.frames[-1]
            if frame["k"] == "task" and "tries" in frame and not frame.get("catching") and not problem.get("final"):
                self._settle_waiting()
                try:
                    if machine_try.caught(self, frame, self.setting.plan.task(frame["p"]), error):
                        return
                except Fault as worse:
                    error = worse
                    worse.problem.setdefault("instance", frame["p"])
                    problem = worse.problem
            self._drop(error)
        self._faulted(error)

    def _drop(self, error: Fault) -> None:
        frame = self.strand.frames[-1]
        self._settle_waiting()
        if frame["k"] == "task":
            problem = {name: value for name, value in error.problem.items() if name != "final"}
            self.record(frame, self.setting.plan.task(frame["p"]), "faulted", problem=problem)
        self.strand.frames.pop()

    def _settle_waiting(self) -> None:
        """Give up what the strand waits for, so that whoever drives it can tidy up."""
        strand = self.strand
        if strand.wait is not None:
            self.left.append(strand.wait)
        strand.wait = None
        if not strand.ended:
            strand.state = READY

    def _faulted(self, error: Fault) -> None:
        strand = self.strand
        strand.frames = []
        strand.state = FAULTED
        problem = {name: value for name, value in error.problem.items() if name != "final"}
        strand.problem = {"instance": "/", **problem}

    def _export(
        self, exported: Mapping[str, Any], task: Task, output: Json, scope: Mapping[str, Callable[[], Json]]
    ) -> None:
        context = self.strand.context
        if "as" in exported:
            context = self.setting.expressions.shaped(exported["as"], output, scope)
        check(exported.get("schema"), context, f"the context that {task.name} exports")
        self.small(context, f"the context that {task.name} exports")
        self.strand.context = context

    def small(self, value: Json, what: str) -> None:
        """Raise the fault of data that is larger than what may flow."""
        limit = self.setting.limits.data_max
        try:
            size = len(sound(value, what)) if isinstance(value, dict | list | str) and value else 0
        except ValueDomainError as error:
            raise fault("runtime", str(error)) from error
        if size > limit:
            raise fault("runtime", f"{what} is larger than {limit:,} characters; keep it outside and name it")

    def _timeout(self, declared: Json, scope: Mapping[str, Callable[[], Json]], value: Json) -> int:
        after = self.setting.plan.component("timeouts", declared)["after"]
        return microseconds(self.setting.expressions.filled(after, value, scope) if isinstance(after, str) else after)


def _pass_on(machine: Machine, frame: Frame, task: Task) -> None:
    del task
    machine.complete(frame, machine.strand.data)
