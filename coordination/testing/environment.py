"""Environment: runs a workflow to its end in virtual time, with fakes for what it calls; days of waiting take milliseconds.

Invariant: the tasks are carried out by the same machine as in production, in an order that does not vary. Nothing is stored,
decided or called: rules, approvals and effects are outside, so they are what the fakes say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from coordination.errors import StateError
from coordination.workflow.document import Document, parse
from coordination.workflow.expressions import Expressions
from coordination.workflow.faults import Fault, fault
from coordination.workflow.plan import Plan
from coordination.workflow.rehearsal import Asked, Rehearsal, Reply, settled_steps
from coordination.workflow.scope import Limits, Setting
from coordination.workflow.strand import COMPLETED, FAULTED
from kg.values import Json

#: When a run in the environment begins.
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: Workflows that start each other.
DEEP_MAX: Final = 16
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Later:
    """What a fake gives whose answer takes so many seconds; never where `seconds` is None."""

    seconds: float | None
    output: Json = None


@dataclass(frozen=True, slots=True)
class Problem(Exception):
    """What a fake raises, or gives, to have the call fail with an error of the specification."""

    kind: str = "communication"
    detail: str = ""
    status: int = 500


#: A value, or what is asked for one with the call's arguments.
Fake = Json | Later | Problem | Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was answered by a fake: from which task, of what, with which arguments, so many seconds after the start."""

    task: str
    name: str
    arguments: Json
    second: float


@dataclass(frozen=True, slots=True)
class Step:
    """One task as it ended, or as it waits; seconds count from the start of the run."""

    task: str
    reference: str
    kind: str
    state: str
    iteration: str
    attempt: int
    output: Json
    error: Mapping[str, Any] | None
    began: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a run: `state` is completed, faulted, or waiting where nothing more can happen; `elapsed` in seconds."""

    state: str
    output: Json
    error: Mapping[str, Any]
    elapsed: float
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]
    emitted: tuple[Mapping[str, Json], ...]

    def of(self, task: str) -> list[Step]:
        """The steps of a task, in the order in which they began."""
        return [step for step in self.steps if step.task == task]

    def step(self, task: str) -> Step:
        """The one step of a task; StateError where there is not exactly one."""
        found = self.of(task)
        if len(found) != 1:
            names = ", ".join(sorted({step.task for step in self.steps})) or "none"
            raise StateError(f"the task {task!r} has {len(found)} steps; ask `of`, tasks with steps are {names}")
        return found[0]


@dataclass(slots=True)
class Environment:
    """Runs workflows with fakes. `calls` by name of the task or of the call; `workflows` are those that `run` may start."""

    workflow: Document | str
    calls: Mapping[str, Fake] = field(default_factory=dict)
    workflows: Iterable[Document | str] = ()
    secrets: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    start: datetime = START
    _expressions: Expressions = field(default_factory=Expressions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process of the expressions."""
        self._expressions.close()

    def run(self, input: Json = None, events: Sequence[tuple[float, Mapping[str, Json]]] = ()) -> Result:
        """Run to the end; `events` are (seconds after the start, CloudEvent). StateError where a call has no fake."""
        began = round(self.start.timestamp() * _SECOND)
        sent = [(began + round(second * _SECOND), _event(event, index)) for index, (second, event) in enumerate(events)]
        return self._rehearsed(_document(self.workflow), "run", input, began, sent, 0)[1]

    def _rehearsed(
        self,
        document: Document,
        run: str,
        input: Json,
        began: int,
        events: list[tuple[int, Mapping[str, Json]]],
        deep: int,
    ) -> tuple[int, Result]:
        calls: list[Call] = []

        def outside(asked: Asked) -> Reply | None:
            if asked.kind == "listen":
                return None
            if asked.kind == "run" and not ({asked.task, asked.name} & set(self.calls)):
                return self._child(asked, run, deep)
            calls.append(Call(asked.task, asked.name, asked.arguments, (asked.now - began) / _SECOND))
            return self._faked(asked)

        setting = Setting(Plan(document), run, input, began, self._expressions, self.secrets, self.limits)
        rehearsal = Rehearsal(setting, outside, began, events)
        first = rehearsal.run()
        steps = tuple(
            Step(
                step.name, step.reference, step.kind, step.state, step.iteration, step.attempt, step.output, step.problem,
                (step.started - began) / _SECOND, (step.ended - began) / _SECOND if step.ended else None,
            )
            for step in settled_steps(rehearsal.steps).values()
        )  # fmt: skip
        ended = first.state in (COMPLETED, FAULTED)
        result = Result(
            first.state if ended else "waiting", first.data if first.state == COMPLETED else None, first.problem or {},
            (rehearsal.now - began) / _SECOND, steps, tuple(calls), tuple(rehearsal.emitted),
        )  # fmt: skip
        return rehearsal.now, result

    def _faked(self, asked: Asked) -> Reply | None:
        """What the fake of the task, or else of the call, says."""
        name = next((name for name in (asked.task, asked.name, asked.name.split(":")[0]) if name in self.calls), None)
        if name is None:
            raise StateError(
                f"no fake answers `{asked.name}` of the task {asked.task}; give one in `calls` under either name"
            )
        fake: Any = self.calls[name]
        try:
            said = fake(asked.arguments) if callable(fake) else fake
        except (Problem, Fault) as error:
            said = error
        at = asked.now
        if isinstance(said, Later):
            if said.seconds is None:
                return None
            at, said = at + round(said.seconds * _SECOND), said.output
        if isinstance(said, Problem):
            said = fault(said.kind, said.detail, status=said.status)
        if isinstance(said, Fault):
            return Reply(at, problem={"instance": asked.reference, **said.problem})
        return Reply(at, said)

    def _child(self, asked: Asked, run: str, deep: int) -> Reply | None:
        """Another workflow, run to its end in the same time; it waits for ever where that does."""
        known = {f"{item.namespace}.{item.name}": item for item in map(_document, self.workflows)}
        document = known.get(asked.name)
        if document is None or deep >= DEEP_MAX:
            raise StateError(
                f"the workflow {asked.name} of the task {asked.task} is not given, or they start each other more than "
                f"{DEEP_MAX} deep; give it in `workflows`, or a fake in `calls`"
            )
        at, result = self._rehearsed(
            document, f"{run}.{asked.strand}.{asked.number}", asked.arguments, asked.now, [], deep + 1
        )
        if result.state == "waiting":
            return None
        if result.state == FAULTED:
            return Reply(at, problem={**result.error, "instance": asked.reference})
        return Reply(at, result.output)


def _document(given: Document | str) -> Document:
    return parse(given) if isinstance(given, str) else given


def _event(event: Mapping[str, Json], index: int) -> Mapping[str, Json]:
    return {"specversion": "1.0", "id": f"event-{index}", "source": "test", "data": None, **event}
