"""Scheduling: starts the runs of workflows that say when: every so often, by a cron line, after the last, on events.

Invariants: a scheduled run's id follows from the workflow and the time it was due (or the event), so it starts once however
often the timer fires (I3); start and next timer are one commit. Times that passed while nobody worked start one run, not all.
A schedule has one timer at a time: it goes with the schedule, and of runs that start again after they ended only the last sets one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from coordination.codec import derive
from coordination.errors import MeasureError, StateError
from coordination.measures import measure_of
from coordination.runs import mailbox, runs, starting
from coordination.runs.definitions import Definitions
from coordination.runs.runs import Run
from coordination.runs.starting import Order
from coordination.workflow.durations import microseconds
from coordination.workflow.expressions import Expressions, Variables
from coordination.workflow.faults import Fault
from coordination.workflow.machine_listen import filters, types
from coordination.workflow.matching import Filter, meets
from coordination.workflow.plan import Plan
from coordination.workflow.scope import Setting, root
from coordination.works import KIND as WORK
from coordination.works import Work, micros
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, Cause, State, StateWrite, Write
from kg.store import PAGE_MAX, GraphStore
from kg.values import Json

if TYPE_CHECKING:
    from coordination.runs.parking import Parked

#: A row a scheduled workflow: who activated it, and the run whose end sets the next timer (none: another did, or none began).
SCHEDULE: Final = "schedule"
#: Tries of one order that lost a race with the schedule's own timer.
TRIES_MAX: Final = 50
CALLER: Final = 'Service::"schedule"'
#: The correlation keys of the event at hand where it meets a filter, beside those that others gave.
Met = Callable[[Mapping[str, Any], Mapping[str, Json]], dict[str, Json] | None]


@dataclass(slots=True)
class Starts:
    """Runs to start in one commit with what started them."""

    writes: list[Write] = field(default_factory=list)
    rows: list[StateWrite] = field(default_factory=list)
    expects: dict[str, int] = field(default_factory=dict)
    follow: list[str] = field(default_factory=list)
    cause: Cause | None = None

    def add(self, store: GraphStore, clock: Clock, plan: Plan, order: Order) -> None:
        """Start this run too, where it is not there yet."""
        if runs.read(store, order.run) is not None:
            return
        new = starting.made(store, clock, plan, order)
        self.writes.append(new.put)
        self.rows += new.rows
        self.expects[order.run] = ABSENT
        self.follow.append(new.work)
        self.cause = Cause(clock.id(), "run.start", CALLER, attributes={"depth": order.depth, "run": order.run})


def due(plan: Plan, after: int, first: bool) -> int | None:
    """When a workflow is next due after a moment (microseconds), None where time does not start it."""
    declared = plan.body.get("schedule") or {}
    if "every" in declared:
        return after + max(1_000_000, microseconds(declared["every"]))
    if "cron" in declared:
        from coordination.workflow.cron import Cron

        return micros(Cron(declared["cron"]).after(runs.instant(after)))
    if "after" in declared and first:
        return after
    return None


def work_of(workflow: str, moment: int) -> Work:
    """Work that starts a run of a workflow when it is due."""
    return Work(f"schedule:{workflow}:{moment}", "schedule", workflow, position=moment, until=moment)


def activate(
    store: GraphStore, clock: Clock, definitions: Definitions, workflow: str, by: str, measured: bool = False
) -> list[str]:
    """Have a workflow start as its schedule says; a second time changes nothing. StateError where it has no schedule.

    With `measured` also MeasureError where it does not declare by what its success is measured.
    """
    plan = definitions.plan(workflow)
    measure = measure_of(plan.document)
    if measured and measure is None:
        raise MeasureError(
            f"{plan.document.key} declares no measure of its success; add `success` to the metadata of its document"
        )
    declared = plan.body.get("schedule")
    if not declared:
        raise StateError(f"{plan.document.key} has no schedule; start it by hand, or add one")
    if workflow in store.state(SCHEDULE, [workflow]):
        return []
    now = micros(clock.now())
    made = [StateWrite(SCHEDULE, workflow, {"by": by, "last": ""}, expect=ABSENT)]
    moment = due(plan, now, first=True)
    if moment is not None:
        made.append(work_of(workflow, moment).first(now))
    if "on" in declared:
        made += [
            StateWrite(mailbox.LISTENER, mailbox.listener_key(kind, workflow, "schedule"), {"workflow": workflow})
            for kind in types(declared["on"])
        ]
    try:
        store.commit([], None, state=made)
    except ConflictError:
        return []
    return []


def deactivate(store: GraphStore, definitions: Definitions, workflow: str) -> None:
    """End a schedule, with its timer; runs under way go on."""
    plan = definitions.plan(workflow)
    made = [StateWrite(SCHEDULE, workflow, None)]
    if "on" in (plan.body.get("schedule") or {}):
        made += [
            StateWrite(mailbox.LISTENER, mailbox.listener_key(kind, workflow, "schedule"), None)
            for kind in types(plan.body["schedule"]["on"])
        ]
    for _ in range(TRIES_MAX):
        timers = store.scan(WORK, prefix=f"schedule:{workflow}:", first=PAGE_MAX)
        # A timer that fires meanwhile sets the next one, so it must still be as it was read; else that one would be left.
        gone = [StateWrite(WORK, row.key, None, expect=row.revision) for row in timers]
        try:
            store.commit([], None, state=[*made, *gone])
        except ConflictError:
            continue
        return
    raise StateError(f"the timer of {plan.document.key} changed each time it was looked at; deactivate it again")


def again(store: GraphStore, made: "Parked", plan: Plan, run: Run, now: int) -> None:
    """After a run of a workflow that starts again a while after it ended: the next timer, where no other run set it."""
    declared = plan.body.get("schedule") or {}
    if "after" not in declared or run.text("startedBy") != CALLER:
        return
    workflow = run.text("workflow")
    row = store.state(SCHEDULE, [workflow]).get(workflow)
    # INVARIANT I3: a run that ends a second time, or is of a schedule switched off since, starts no second chain.
    if row is None or row.value.get("last", run.id) != run.id:
        return
    made.rows.append(StateWrite(SCHEDULE, workflow, {**row.value, "last": ""}, expect=row.revision))
    made.work(work_of(workflow, now + max(1_000_000, microseconds(declared["after"]))), now)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """The task "schedule"."""

    store: GraphStore
    clock: Clock
    definitions: Definitions

    def run(self, work: Work) -> Sequence[str]:
        """Start the run that is due, and set the next timer."""
        workflow = work.subject
        row = self.store.state(SCHEDULE, [workflow]).get(workflow)
        gone = StateWrite(WORK, work.id, None, expect=work.revision)
        if row is None:
            self.store.commit([], None, state=[gone])
            return ()
        plan = self.definitions.plan(workflow)
        now = micros(self.clock.now())
        started = Starts()
        order = Order(derive("scheduled", workflow, work.position), workflow, None, CALLER, str(row.value["by"]))
        started.add(self.store, self.clock, plan, order)
        following = due(plan, max(now, work.position), first=False)
        state = [gone, *started.rows]
        if following is not None:
            state.append(work_of(workflow, following).first(now))
        if "after" in (plan.body.get("schedule") or {}):
            state.append(StateWrite(SCHEDULE, workflow, {**row.value, "last": order.run}, expect=row.revision))
        self.store.commit(started.writes, started.cause, started.expects, state)
        return started.follow

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put it aside for a person; the schedule stands still until the work is retried."""
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()


def on_event(
    store: GraphStore, clock: Clock, definitions: Definitions, expressions: Expressions, event: Mapping[str, Json],
    listeners: Sequence[State],
) -> Starts:  # fmt: skip
    """The runs that an event starts; of several events that a schedule wants together, those that came wait in its row."""
    started = Starts()
    workflows = dict.fromkeys(str(row.value["workflow"]) for row in listeners if "workflow" in row.value)
    for workflow in workflows:
        row = store.state(SCHEDULE, [workflow]).get(workflow)
        if row is None:
            continue
        plan = definitions.plan(workflow)
        on = plan.body["schedule"]["on"]
        scope = root(Setting(plan, "", None, micros(clock.now()), expressions))
        met = partial(_met, expressions, event, scope)
        if "all" in on:
            events = _gathered(started, row, on, met, event)
        else:
            events = [event] if not filters(on) or any(met(one, {}) is not None for one in filters(on)) else []
        if not events:
            continue
        read = plan.body["schedule"].get("read", "data")
        given = [dict(item) if read == "envelope" else item.get("data") for item in events]
        run = derive("scheduled", workflow, *(mailbox.identity(item) for item in events))
        started.add(store, clock, plan, Order(run, workflow, given, CALLER, str(row.value["by"])))
    return started


def _gathered(
    started: Starts, row: State, on: Mapping[str, Any], met: Met, event: Mapping[str, Json]
) -> list[Mapping[str, Json]]:
    """All the events once each filter has one, else none; what came is kept in the schedule's row."""
    held, keys = dict(row.value.get("held", {})), dict(row.value.get("keys", {}))
    for index, one in enumerate(on["all"]):
        if str(index) not in held and (found := met(one, keys)) is not None:
            held[str(index)] = dict(event)
            keys |= found
            break
    else:
        return []
    whole = len(held) >= len(on["all"])
    value = {**row.value, "held": {} if whole else held, "keys": {} if whole else keys}
    started.rows.append(StateWrite(SCHEDULE, row.key, value, expect=row.revision))
    return [held[str(index)] for index in range(len(on["all"]))] if whole else []


def _met(
    expressions: Expressions, event: Mapping[str, Json], scope: Variables, wanted: Filter, keys: Mapping[str, Json]
) -> dict[str, Json] | None:
    """The correlation keys of an event that meets a filter; None where it does not, or nobody can tell."""
    try:
        return meets(expressions, wanted, event, keys, None, scope)
    except Fault:
        return None
