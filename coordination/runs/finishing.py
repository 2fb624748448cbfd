"""Finishing: what is written when a strand ends: a branch meets the others, a first strand ends its run and wakes who waits.

Invariant: of branches that end at once exactly one is the last. Drives nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from coordination.runs import answers, mailbox, rows, runs, scheduling
from coordination.runs.definitions import Definitions
from coordination.runs.hiding import hidden
from coordination.runs.parking import AWAITED, Parked
from coordination.runs.starting import work_of
from coordination.workflow import machine_fork
from coordination.workflow.strand import COMPLETED, FAULTED, Strand
from coordination.works import Work
from kg import payloads
from kg.clock import Clock
from kg.errors import ConflictError
from kg.fibers import apart
from kg.model import StateWrite
from kg.store import GraphStore
from kg.values import Value

if TYPE_CHECKING:
    from coordination.runs.turns import Pace, Turn


#: The branches of one fork take one of these; forks that share one wait for each other a moment, no more.
_TURNS: Final = tuple(threading.Lock() for _ in range(64))


def one_by_one(strand: Strand, pace: "Pace") -> AbstractContextManager[object]:
    """Held over the commit of a branch that ended: of many in this process each would otherwise lose against all before it.

    Those of other processes are kept apart by the revision of the row in which they meet.
    """
    if not strand.ended or not strand.parent or not pace.one_by_one:
        return nullcontext()
    return _held(_TURNS[hash((strand.run, strand.parent)) % len(_TURNS)])


@contextmanager
def _held(turn: threading.Lock) -> Iterator[None]:
    # Whoever has it may be a fiber of this very thread, which must go on for it to be given back.
    if not turn.acquire(blocking=False):
        apart(turn.acquire)
    try:
        yield
    finally:
        turn.release()


def finish(store: GraphStore, clock: Clock, definitions: Definitions, turn: "Turn", now: int) -> Parked:
    """What goes with the turn that ended its strand."""
    return _branch(store, turn, now) if turn.strand.parent else _whole(store, clock, definitions, turn, now)


def _branch(store: GraphStore, turn: "Turn", now: int) -> Parked:
    strand, made = turn.strand, Parked()
    made.rows += turn.rows.write(strand)
    number = int(strand.id.split(".")[-2])
    key = answers.join_key(strand.run, strand.parent, number)
    row = store.state(answers.JOIN, [key]).get(key)
    if row is None:
        raise ConflictError(f"the fork {key} is over")
    value = machine_fork.branch_ended(row.value, strand)
    # INVARIANT I7: branches that end at once follow one another here, so exactly one of them is the last.
    made.rows.append(StateWrite(answers.JOIN, key, value, expect=row.revision))
    if machine_fork.settled(value, value["compete"]):
        made.work(work_of(strand.run, strand.parent, f"b{number}.{strand.branch}"), now)
    return made


def _whole(store: GraphStore, clock: Clock, definitions: Definitions, turn: "Turn", now: int) -> Parked:
    strand, run, made = turn.strand, turn.run, Parked()
    properties: dict[str, Value] = {"ended": runs.instant(now)}
    if strand.state == COMPLETED:
        held, kept = runs.kept(run.id, "output", hidden(strand.data, turn.setting.secrets))
        properties |= held
        made.rows += kept
    else:
        properties["error"] = payloads.text_of(hidden(strand.problem, turn.setting.secrets))
    made.writes.append(run.move(runs.COMPLETED if strand.state == COMPLETED else runs.FAULTED, **properties))
    if strand.state == COMPLETED:
        made.rows.append(turn.rows.removed(strand))
        made.rows += mailbox.emptied(store, run.id)
    else:
        made.rows.append(_remembered(turn))
    woken(store, made, run.id, now)
    scheduling.again(store, made, turn.setting.plan, run, now)
    del clock, definitions
    return made


def _remembered(turn: "Turn") -> StateWrite:
    """A faulted run keeps its strand as it stood before the step that failed, so that a person may try again from there."""
    strand = turn.strand
    before = {**turn.before, "n": strand.count, "s": FAULTED}
    return StateWrite(rows.KIND, strand.key, before, expect=strand.revision)


def woken(store: GraphStore, made: Parked, awaited: str, now: int) -> None:
    """Wake the strand that waits for a run or a decision, if one does."""
    row = store.state(AWAITED, [awaited]).get(awaited)
    if row is None:
        return
    made.rows.append(StateWrite(AWAITED, awaited, None, expect=row.revision))
    subject = str(row.value["subject"])
    made.work(Work(f"run:{subject}:w{awaited}", "run", subject), now)
