"""Engine: durable workflows as one value: register, start, signal, publish, control, and the tasks that do the work.

Invariant: it keeps nothing that a crash would lose; what it is asked to do is committed before it answers. `send` only hurries what
the reconciler would find anyway.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from coordination.acting import Acting
from coordination.dispatch import Task
from coordination.proposals import OPEN
from coordination.routing import Router, Weights
from coordination.runs import announcing, delivering, recorded, runs, scheduling, starting
from coordination.runs.announcing import Announcing, Sink
from coordination.runs.calls import Calls, Function, Functions, Kind
from coordination.runs.calls_allocating import AllocateCall
from coordination.runs.calls_governed import AgentCall, ApproveCall, Held, QueryCall, free
from coordination.runs.calls_outward import EffectCall, HttpCall, Outward
from coordination.runs.calls_process import ProcessCall
from coordination.runs.calls_routed import RoutedCall
from coordination.runs.calls_undoing import CompensateCall
from coordination.runs.controlling import Controlling
from coordination.runs.definitions import Definitions
from coordination.runs.delivering import Delivering
from coordination.runs.driving import Driving
from coordination.runs.parking import AWAITED
from coordination.runs.runs import Run
from coordination.runs.scheduling import Scheduling
from coordination.runs.starting import Order
from coordination.runs.turns import Pace
from coordination.workflow.document import Document
from coordination.workflow.expressions import Expressions
from coordination.workflow.scope import Limits
from coordination.works import Work
from governance.principals import Principal
from kg.clock import Clock
from kg.model import Change, Entity
from kg.ontology import Ontology
from kg.store import GraphStore
from kg.values import Json, Ref, Value
from kg.view import View

Send = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Workflows:
    """What an installation gives its workflows: functions, secrets, more kinds of calls, the Views of agents, limits."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    secrets: Mapping[str, Json] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    views: Callable[[str], View] | None = None
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)
    expressions: Expressions = field(default_factory=Expressions)
    routing: Weights = field(default_factory=Weights)
    #: Whether a schedule is activated only where its workflow declares by what its success is measured.
    measured: bool = False
    #: Who is told of the lifecycle of runs and tasks; none: nobody, and nothing is made ready for it.
    sink: Sink | None = None


@dataclass(slots=True)
class Engine:
    """Durable workflows over one graph."""

    store: GraphStore
    clock: Clock
    ontology: Ontology
    acting: Acting
    effectors: frozenset[str]
    workflows: Workflows
    send: Send
    held: Held = free
    definitions: Definitions = field(init=False)
    driving: Driving = field(init=False)
    controlling: Controlling = field(init=False)

    def __post_init__(self) -> None:
        made = self.workflows
        self.definitions = Definitions(self.store, self.clock)
        calls = Calls(self._kinds(), Functions(made.functions))
        self.driving = Driving(
            self.store, self.clock, self.definitions, calls, made.expressions, made.secrets, made.limits, made.pace
        )
        self.controlling = Controlling(self.store, self.driving)

    def tasks(self) -> dict[str, Task]:
        """The kinds of work that drive runs."""
        told = {} if self.workflows.sink is None else {announcing.TASK: Announcing(self.store, self.workflows.sink)}
        return {
            **told,
            "run": self.driving,
            "cancel": self.controlling,
            "deliver": Delivering(self.store, self.clock, self.definitions, self.workflows.expressions),
            "schedule": Scheduling(self.store, self.clock, self.definitions),
        }

    def register(self, document: Document, author: Principal, roles: tuple[str, ...] = ()) -> str:
        """The id of a workflow version, registered where it is not yet."""
        return self.definitions.register(document, author, roles)

    def start(
        self, workflow: str, input: Json, by: str, *, id: str = "", on_behalf_of: str = "", sandbox: bool = False
    ) -> str:
        """Start a run of a registered workflow; the same id again finds it started. The run's id."""
        run = id or self.clock.id()
        order = Order(run, workflow, input, by, on_behalf_of, sandbox=sandbox)
        self.send(starting.start(self.store, self.clock, self.definitions, order))
        return run

    def start_each(
        self, workflow: str, inputs: Mapping[str, Json], by: str, *, on_behalf_of: str = "", sandbox: bool = False
    ) -> list[str]:
        """Start a run for each input, by run id, with few commits; ids that were started before are found. The runs' ids.

        Nothing is started where an input or an id cannot be; ids that belong to other starts are refused once the others started.
        """
        orders = [Order(run, workflow, given, by, on_behalf_of, sandbox=sandbox) for run, given in inputs.items()]
        follow, refused = starting.start_each(self.store, self.clock, self.definitions, orders)
        self.send(follow)
        if refused:
            raise refused[0]
        return list(inputs)

    def signal(self, run: str, event: Mapping[str, Json]) -> None:
        """Deliver an event to one run; it keeps until it is consumed. StateError where there is no such run, or it ended."""
        self.send(delivering.signal(self.store, self.clock, run, event))

    def publish(self, event: Mapping[str, Json]) -> None:
        """Deliver an event to whoever listens now."""
        self.send(delivering.publish(self.store, self.clock, event))

    def activate(self, workflow: str, by: str) -> None:
        """Have a workflow start as its schedule says."""
        self.send(scheduling.activate(self.store, self.clock, self.definitions, workflow, by, self.workflows.measured))

    def deactivate(self, workflow: str) -> None:
        """End a workflow's schedule."""
        scheduling.deactivate(self.store, self.definitions, workflow)

    def pause(self, run: str, by: str, reason: str = "") -> None:
        """Suspend a run."""
        self.controlling.pause(run, by, reason)

    def resume(self, run: str, by: str, reason: str = "") -> None:
        """Let a suspended run go on."""
        self.send(self.controlling.resume(run, by, reason))

    def cancel(self, run: str, by: str, reason: str = "", *, compensate: bool = False) -> None:
        """End a run; with `compensate` undo what it did."""
        self.send(self.controlling.cancel(run, by, reason, compensate=compensate))

    def terminate(self, run: str, by: str, reason: str = "") -> None:
        """End a run at once and undo nothing."""
        self.send(self.controlling.terminate(run, by, reason))

    def retry(self, run: str, by: str, reason: str = "") -> None:
        """Take a faulted run up again."""
        self.send(self.controlling.retry(run, by, reason))

    def fork(self, run: str, step: str, by: str, *, id: str = "", sandbox: bool = False) -> str:
        """Start a run that has behind it what another had when a step began, and does that step anew; its id."""
        other = self.run(run)
        at = recorded.cut(self.store, other, step)
        more: dict[str, Value] = {"forkedFrom": Ref(run), "forkedAt": at}
        input = runs.value(self.store, run, other.entity, "input")
        order = Order(
            id or self.clock.id(), other.text("workflow"), input, by, sandbox=sandbox or other.sandbox, more=more
        )
        self.send(starting.start(self.store, self.clock, self.definitions, order))
        return order.run

    def run(self, id: str) -> Run:
        """A run as it stands; StateError where there is none."""
        return runs.known(self.store, id)

    def output(self, id: str) -> Json:
        """The output of a completed run."""
        return runs.value(self.store, id, self.run(id).entity, "output")

    def close(self) -> None:
        """End the child process of the expressions."""
        self.workflows.expressions.close()

    # -- wakes --------------------------------------------------------------------------------------------------------

    def proposal_changed(self, change: Change, proposal: Entity) -> Sequence[Work]:
        """A proposal of a step that ended wakes the strand that waits for it."""
        work = str(proposal.get("work", ""))
        if not work.startswith("run:") or proposal["state"] in OPEN:
            return ()
        subject = work.removeprefix("run:").rpartition("/")[0]
        return [Work(f"run:{subject}:p{change.position}", "run", subject)]

    def answered(self, change: Change) -> Sequence[Work]:
        """An answer to a decision wakes the strand that waits for it."""
        if change.relation != "wasInformedBy" or change.target is None:
            return ()
        return self._awaiting(change.target, change)

    def compensated(self, change: Change, compensation: Entity) -> Sequence[Work]:
        """A compensation that is done wakes the strand that asked for it."""
        return self._awaiting(compensation.id, change) if compensation["state"] == "done" else ()

    def _awaiting(self, id: str, change: Change) -> Sequence[Work]:
        row = self.store.state(AWAITED, [id]).get(id)
        if row is None:
            return ()
        subject = str(row.value["subject"])
        return [Work(f"run:{subject}:a{change.position}", "run", subject)]

    def _kinds(self) -> dict[str, Kind]:
        outward = Outward(self.store, self.clock, self.ontology, self.workflows.secrets)
        agent = AgentCall(outward, self.acting, self.held)
        router = Router(self.store, self.clock, self.held, self.workflows.routing)
        made: dict[str, Kind] = {
            "effect": EffectCall(outward),
            "approve": ApproveCall(outward),
            "agent": RoutedCall(agent, router, self.acting),
            "compensate": CompensateCall(outward),
            "allocate": AllocateCall(),
        }
        if self.workflows.views is not None:
            made["query"] = QueryCall(outward, self.workflows.views)
        made |= {name: HttpCall(outward, name) for name in ("http", "openapi") if name in self.effectors}
        if "process" in self.effectors:
            made |= {f"run.{name}": ProcessCall(outward, name) for name in ("shell", "script")}
        return {**made, **self.workflows.kinds}
