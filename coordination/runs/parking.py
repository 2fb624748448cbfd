"""Parking: what is written when a strand begins to wait, and what is tidied up when it waits no more.

Invariant: whatever will wake the strand (a timer, listening, branches, a child run) is made in the commit that has it wait, so no
wait is without its waker. A wake is a hint only: `answers` and the calls say whether the wait is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from coordination.codec import derive
from coordination.errors import StateError
from coordination.runs import answers, delivering, mailbox, rows, runs, starting
from coordination.runs.calls import Begun, Call, Calls
from coordination.runs.definitions import Definitions
from coordination.runs.families import Family
from coordination.runs.starting import Order, work_of
from coordination.workflow import machine_fork
from coordination.workflow.faults import Fault, fault
from coordination.workflow.machine import Machine
from coordination.workflow.strand import Strand
from coordination.works import KIND as WORK
from coordination.works import Work
from kg.errors import ConflictError
from kg.model import ABSENT, Put, StateWrite, Write
from kg.store import PAGE_MAX, GraphStore

if TYPE_CHECKING:
    from coordination.runs.turns import Turn

#: Who waits for a run or a decision: key is what is awaited.
AWAITED: Final = "awaited"


@dataclass(slots=True)
class Parked:
    """Writes, rows and work of a commit that has a strand wait."""

    writes: list[Write] = field(default_factory=list)
    rows: list[StateWrite] = field(default_factory=list)
    follow: list[str] = field(default_factory=list)

    def work(self, work: Work, now: int) -> None:
        """New work, to be sent where it is due."""
        row = work.first(now)
        self.rows.append(row)
        if row.due is not None and row.due <= now:
            self.follow.append(work.id)


def timer_of(strand: Strand) -> str:
    """What names the timer of the present wait."""
    return f"t{(strand.wait or {}).get('t', '')}"


def park(store: GraphStore, definitions: Definitions, turn: "Turn", machine: Machine, begun: Begun | None) -> Parked:
    """What goes with a turn: what it gave out, and, where the strand now waits, what will wake it."""
    strand, now = turn.strand, machine.now
    made = Parked()
    given_out(made, machine)
    for wanted in machine.detached:
        _start_child(store, definitions, turn, made, wanted, wanted["n"])
    if turn.family is not None:
        # INVARIANT I3: counted in the commit that starts them, so whatever is lost with it is not counted either.
        made.rows += turn.family.rows()
        turn.family = None
    wait = strand.wait
    if wait is None or "t" in wait or strand.ended:
        return made
    wait["t"] = strand.revision
    if begun is not None:
        made.writes += begun.writes
        made.rows += begun.rows
        made.follow += begun.follow
    if wait["kind"] == "fork":
        _fork(store, turn, machine, made)
    elif wait["kind"] == "run":
        _await_child(store, definitions, turn, made)
    elif wait["kind"] == "listen":
        box = mailbox.box(store, strand.run)
        if box is None:
            raise ConflictError(f"run {strand.run} has ended")
        made.rows += [mailbox.touched(box), *mailbox.listening(strand.run, strand.id, wait["n"], wait["types"])]
    wait = strand.wait
    due = strand.due()
    if wait is not None and due is not None and (wait["kind"] != "call" or "handle" in wait):
        work = work_of(strand.run, strand.id, timer_of(strand))
        made.work(Work(work.id, work.task, work.subject, until=due), now)
    return made


def given_out(made: Parked, machine: Machine) -> None:
    """Events that the turn emitted: each is kept and delivered as work of its own."""
    for event in machine.emitted:
        id = mailbox.identity(event)
        made.rows.append(StateWrite(delivering.EVENT, id, {"event": event}))
        made.work(delivering.work_of(id), machine.now)


def _fork(store: GraphStore, turn: "Turn", machine: Machine, made: Parked) -> None:
    strand, wait = turn.strand, turn.strand.wait or {}
    for branch in machine_fork.branches(machine):
        made.rows += rows.Rows(store, strand.run).write(branch)
        made.work(work_of(strand.run, branch.id, "start"), machine.now)
    value = machine_fork.meeting(wait["count"], wait["compete"], wait["n"])
    made.rows.append(StateWrite(answers.JOIN, answers.join_key(strand.run, strand.id, wait["n"]), value, expect=ABSENT))


def _await_child(store: GraphStore, definitions: Definitions, turn: "Turn", made: Parked) -> None:
    strand, wait = turn.strand, turn.strand.wait or {}
    child = _start_child(store, definitions, turn, made, wait["workflow"], wait["n"])
    strand.wait = {"kind": "run", "n": wait["n"], "t": wait["t"], "child": child}
    made.rows.append(StateWrite(AWAITED, child, {"subject": strand.key}, expect=ABSENT))


def child_id(run: str, strand: str, number: int) -> str:
    """The id of a run that a step starts: doing it again gives the same."""
    return derive("child", run, strand, number)


def wanted_workflow(definitions: Definitions, turn: "Turn", wanted: Mapping[str, Any]) -> str:
    """The id of the workflow that a step wants to run; Fault where there is none, or runs start each other too deep."""
    limit = turn.setting.limits.runs_deep_max
    if turn.run.depth + 1 > limit:
        raise fault("runtime", f"workflows start each other more than {limit} deep; end the circle")
    try:
        return definitions.find(
            str(wanted.get("namespace")), str(wanted.get("name")), str(wanted.get("version") or "latest")
        )
    except StateError as error:
        raise fault("configuration", str(error)) from error


def startable(store: GraphStore, definitions: Definitions, turn: "Turn", wanted: Mapping[str, Any]) -> None:
    """Count a run that the next commit starts; Fault where it cannot be started, or its root run started too many."""
    wanted_workflow(definitions, turn, wanted)
    if turn.family is None:
        turn.family = Family.of(store, turn.run, turn.strand.key, turn.setting.limits.runs_started_max)
    turn.family.start()


def unfit(
    store: GraphStore, definitions: Definitions, turn: "Turn", wait: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """What a strand that wants to run a workflow is answered where that cannot be started; None where it can."""
    try:
        startable(store, definitions, turn, wait["workflow"])
    except Fault as error:
        return {"problem": {"instance": turn.strand.frames[-1]["p"], **error.problem}}
    return None


def _start_child(
    store: GraphStore, definitions: Definitions, turn: "Turn", made: Parked, wanted: Mapping[str, Any], number: int
) -> str:
    strand, run = turn.strand, turn.run
    id = wanted_workflow(definitions, turn, wanted)
    child = child_id(strand.run, strand.id, number)
    order = Order(
        child,
        id,
        wanted.get("input"),
        run.text("startedBy"),
        run.text("onBehalfOf"),
        run.id,
        "",
        run.depth + 1,
        run.sandbox,
    )
    new = starting.made(store, definitions.clock, definitions.plan(id), order)
    made.writes.append(new.put)
    made.rows += new.rows
    made.follow.append(new.work)
    return child


def tidy(store: GraphStore, calls: Calls, turn: "Turn", machine: Machine, left: Sequence[Mapping[str, Any]]) -> Parked:
    """What goes because the strand waits for these no more: rows, with the events that the turn took, and steps of branches."""
    strand = turn.strand
    made = Parked()
    taken = set(machine.consumed)
    for wait in left:
        _tidied(store, calls, turn, strand, wait, made)
        if wait["kind"] == "listen":
            waiting = mailbox.letters(store, strand.run, strand.id)
            after = (strand.wait or {}).get("after", "") if (strand.wait or {}).get("kind") == "listen" else ""
            # What was published, came for this listening alone and did not match is nobody's.
            gone = [x for x in waiting if x.key in taken or (x.own and not x.kept and x.order <= after)]
            made.rows += mailbox.taken(gone)
    return made


def _tidied(
    store: GraphStore, calls: Calls, turn: "Turn", strand: Strand, wait: Mapping[str, Any], made: Parked
) -> None:
    if "t" in wait:
        timer = work_of(strand.run, strand.id, f"t{wait['t']}").id
        if timer != turn.work.id:
            made.rows.append(StateWrite(WORK, timer, None))
    kind = wait["kind"]
    if kind == "listen":
        box = mailbox.box(store, strand.run)
        made.rows += [mailbox.told(box, strand.id)] if box is not None else []
        # The next listening may be for some of the same types: their rows are its own by now.
        next_ = strand.wait if strand is turn.strand and strand.wait is not None else {}
        heard = next_["types"] if next_.get("kind") == "listen" else ()
        made.rows += mailbox.deaf(strand.run, strand.id, [kind for kind in wait["types"] if kind not in heard])
    elif kind == "fork":
        _unforked(store, calls, turn, strand, wait, made)
    elif kind == "run":
        made.rows += _orphan(store, wait)
    elif kind == "call" and "handle" in wait:
        made.rows += calls.kind(wait["call"]).withdraw(_call(turn, strand, wait), wait["handle"])


def unfinished(strand: Strand) -> list[Write]:
    """Steps that wait on record and will never end."""
    return [
        Put(runs.step_id(strand.run, strand.id, frame["n"]), runs.STEP, {"state": runs.CANCELLED})
        for frame in strand.frames
        if frame.get("known")
    ]


def _call(turn: "Turn", strand: Strand, wait: Mapping[str, Any]) -> Call:
    step = runs.step_id(strand.run, strand.id, wait["n"])
    return Call(turn.run, strand.id, wait["n"], step, "", wait["call"], {}, turn.setting.plan, 0)


def _unforked(
    store: GraphStore, calls: Calls, turn: "Turn", strand: Strand, wait: Mapping[str, Any], made: Parked
) -> None:
    """The end of a fork: its branches, those inside them, what they wait for, and where they meet."""
    prefix = f"{answers.join_key(strand.run, strand.id, wait['n'])}"
    made.rows.append(StateWrite(answers.JOIN, prefix, None))
    after = ""
    packing = rows.Rows(store, strand.run)
    for _ in range(turn.setting.limits.branches_max):
        page = store.scan(rows.KIND, prefix=f"{prefix}.", after=after, first=PAGE_MAX)
        for row in page:
            branch = packing.of(row)
            # INVARIANT I7: as it was looked at. What a branch that still runs elsewhere began since would be left behind; it
            # goes no further once its fork is over, so this comes through when it is tried again.
            made.rows.append(StateWrite(rows.KIND, row.key, None, expect=None if branch.ended else row.revision))
            if branch.ended:
                continue
            # What is inside goes before what holds it.
            made.writes[:0] = unfinished(branch)
            if branch.wait is not None and branch.wait["kind"] != "fork":
                _tidied(store, calls, turn, branch, branch.wait, made)
        if len(page) < PAGE_MAX:
            break
        after = page[-1].key
    made.rows += [
        StateWrite(answers.JOIN, row.key, None) for row in store.scan(answers.JOIN, prefix=f"{prefix}.", first=PAGE_MAX)
    ]


def _orphan(store: GraphStore, wait: Mapping[str, Any]) -> list[StateWrite]:
    """A child run that nobody waits for any more is cancelled, where it still runs."""
    child = runs.read(store, wait["child"])
    made = [StateWrite(AWAITED, wait["child"], None)]
    if child is not None and not child.ended:
        work = Work(f"cancel:{child.id}", "cancel", child.id, reason="the step that started it was given up")
        made.append(work.first(0))
    return made
