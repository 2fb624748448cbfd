"""Work: one durable thing to do, kept as a state row of kind "work" and named by a message that carries only its id.

Invariant I7: whoever holds a claim writes with the row's revision as its fencing token, so a worker whose claim was taken over
writes nothing. Invariant I3: a row that is done or failed is never claimed again. Does not say how the work is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from coordination.errors import StateError
from kg import tracing
from kg.clock import Clock
from kg.model import ABSENT, State, StateWrite
from kg.store import GraphStore
from kg.values import Json

KIND: Final = "work"
READY: Final = "ready"
CLAIMED: Final = "claimed"
DONE: Final = "done"
FAILED: Final = "failed"
DROPPED: Final = "dropped"

#: claimed -> claimed is a take-over after the lease ran out; failed -> ready and failed -> dropped are a person's order.
MOVES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        READY: frozenset({CLAIMED, FAILED}),
        CLAIMED: frozenset({CLAIMED, READY, DONE, FAILED}),
        DONE: frozenset(),
        FAILED: frozenset({READY, DROPPED}),
        DROPPED: frozenset(),
    }
)
#: Due time of what was put aside: later than any instant, so that it is found by it and never falls due.
ASIDE: Final = 2**53 - 1
#: Microseconds that another machine's clock may be ahead of ours: a claim or a beat from that near a future is a living one's.
SKEW: Final = 5_000_000
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def within(since: int, until: int, now: int) -> bool:
    """Whether what somebody else, on a machine whose clock is not quite ours, took from then until then is his now."""
    return since - min(until - since, SKEW) <= now < until


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work as read. `revision` is the fencing token; `since` and `until` bound the claim or the wait, in microseconds.

    `task` is act, settle, effect or release; `subject` the entity, proposal, effect or control it is about; `agent` the one it
    follows from, which says in which lane its message travels. `taken` says that a claim ran out once, so an earlier worker
    may have gone further than the record shows; `unsure` that a try ended without a clear answer; `held` that a control holds it.
    """

    id: str
    task: str
    subject: str
    agent: str = ""
    position: int = 0
    depth: int = 0
    state: str = READY
    attempts: int = 0
    since: int = 0
    until: int = 0
    taken: bool = False
    unsure: bool = False
    held: bool = False
    reason: str = ""
    holder: str = ""
    revision: int = 0
    #: The traceparent of what asked for it, empty where nobody traces.
    trace: str = ""

    def form(self) -> dict[str, Json]:
        """The JSON of the row."""
        traced = {"trace": self.trace} if self.trace else {}
        return {
            **traced,
            "task": self.task,
            "subject": self.subject,
            "agent": self.agent,
            "position": self.position,
            "depth": self.depth,
            "state": self.state,
            "attempts": self.attempts,
            "since": self.since,
            "until": self.until,
            "taken": self.taken,
            "unsure": self.unsure,
            "held": self.held,
            "reason": self.reason,
            "holder": self.holder,
        }

    def open_at(self, now: int) -> bool:
        """Whether it may be claimed: ready and due, or claimed and run out. A clock that went far back ends waits and leases."""
        if self.state not in (READY, CLAIMED):
            return False
        return not (within(self.since, self.until, now) if self.state == CLAIMED else self.since <= now < self.until)

    def first(self, now: int) -> StateWrite:
        """The row of new work, which must not be there yet; `until` may lie ahead, and one made as failed stays so."""
        due = max(now, self.until)
        fresh = replace(self, since=now, until=due, trace=self.trace or tracing.carried())
        return StateWrite(KIND, self.id, fresh.form(), expect=ABSENT, due=ASIDE if self.state == FAILED else due)

    def claim(self, now: int, lease_seconds: float, holder: str = "") -> "Work":
        """The work as this worker, of the process `holder`, holds it once `write` is committed."""
        self._allow(CLAIMED)
        until = now + int(lease_seconds * 1_000_000)
        taken = self.taken or self.state == CLAIMED
        return replace(
            self,
            state=CLAIMED,
            held=False,
            attempts=self.attempts + 1,
            since=now,
            until=until,
            taken=taken,
            holder=holder,
        )

    def done(self) -> "Work":
        """The work, done."""
        self._allow(DONE)
        return replace(self, state=DONE, reason="")

    def later(self, now: int, seconds: float, reason: str, counted: bool = True, unsure: bool = False) -> "Work":
        """The work, to be tried again after a wait; an uncounted wait leaves the attempts as they were."""
        self._allow(READY)
        until = now + int(seconds * 1_000_000)
        attempts = self.attempts if counted else self.attempts - 1
        unsure = unsure or self.unsure
        return replace(self, state=READY, since=now, until=until, attempts=attempts, reason=reason, unsure=unsure)

    def failed(self, reason: str) -> "Work":
        """The work, put aside for a person."""
        self._allow(FAILED)
        return replace(self, state=FAILED, reason=reason)

    def waiting(self, now: int, seconds: float, reason: str) -> "Work":
        """The work, held by a control: it looks again after a wait, or when it is released."""
        return replace(self.later(now, seconds, reason, counted=False), held=True)

    def released(self, now: int) -> "Work":
        """Held work, due at once."""
        return replace(self, held=False, since=now, until=now)

    def again(self, now: int) -> "Work":
        """Failed work, taken up again with all its tries; what was unsure stays so."""
        self._allow(READY)
        return replace(self, state=READY, attempts=0, since=now, until=now)

    def dropped(self, reason: str) -> "Work":
        """Failed work, given up by a person."""
        self._allow(DROPPED)
        return replace(self, state=DROPPED, reason=reason)

    def awaited(self, now: int, wait: int) -> StateWrite:
        """The row of open work as it is, looked at again in `wait` microseconds; it may be claimed meanwhile."""
        return StateWrite(KIND, self.id, self.form(), expect=self.revision, due=now + wait)

    def write(self) -> StateWrite:
        """The row of this state; it must still be at the revision that was read."""
        # INVARIANT I7: the revision is the fencing token; a claim that was taken over raised it.
        due = {READY: self.until, CLAIMED: self.until, FAILED: ASIDE}.get(self.state)
        return StateWrite(KIND, self.id, self.form(), expect=self.revision, due=due)

    def committed(self) -> "Work":
        """The work after `write` was committed: the row's revision rose by one."""
        return replace(self, revision=self.revision + 1)

    def _allow(self, state: str) -> None:
        if state not in MOVES[self.state]:
            raise StateError(f"work {self.id} is {self.state} and cannot become {state}; read it again")


def of(row: State) -> Work:
    """The work of a row."""
    return Work(id=row.key, revision=row.revision, **row.value)


def read(store: GraphStore, id: str) -> Work | None:
    """The work with this id, None where there is none."""
    row = store.state(KIND, [id]).get(id)
    return None if row is None else of(row)


def new(store: GraphStore, clock: Clock, works: list[Work]) -> list[StateWrite]:
    """The rows of those works that are not there yet; each id once."""
    unique = {work.id: work for work in works}
    there = store.state(KIND, list(unique))
    now = micros(clock.now())
    # INVARIANT I3: an id that was ever made is never made again, so reading a change twice doubles nothing.
    return [work.first(now) for id, work in unique.items() if id not in there]


def act_id(agent: str, subject: str, position: int) -> str:
    """The id of an agent's work on an entity because of the change at a position."""
    return f"act:{agent}:{subject}:{position}"


def settle(proposal: str, because: str | int = "", agent: str = "") -> Work:
    """Work that settles a proposal; `because` is the change or work that asks for it anew, empty for the first time."""
    return Work(f"settle:{proposal}:{because}" if because else f"settle:{proposal}", "settle", proposal, agent)


def release(control: str, position: int) -> Work:
    """Work that ends the waits of what a control held."""
    return Work(f"release:{control}:{position}", "release", control, position=position)


def effect(effect_id: str, agent: str = "") -> Work:
    """Work that performs an outside effect whose intent is committed."""
    return Work(f"effect:{effect_id}", "effect", effect_id, agent)


def compensate(compensation: str, because: str | int = "") -> Work:
    """Work that takes a compensation a step on; `because` is what asks for it anew, empty for the first time."""
    return Work(
        f"compensate:{compensation}:{because}" if because else f"compensate:{compensation}", "compensate", compensation
    )
