"""Beats: the sign of life of each worker process, so that what a dead one held is taken over within seconds, and what a living one
holds may take as long as thinking takes.

Invariant: a beat only decides when held work may be claimed anew; that a stale holder writes nothing is the work row's own fence
(I7). A process that seems dead and is not costs a doubled try, never a doubled effect.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from coordination.works import CLAIMED, Work, micros, within
from kg.clock import Clock
from kg.model import State, StateWrite
from kg.store import GraphStore

KIND: Final = "worker"
#: Worker processes looked at; more than these need a larger bound.
WORKERS_MAX: Final = 1_000
#: Rows of processes that ended without saying so are dropped after this long.
FORGOTTEN_MICROS: Final = 3_600_000_000


def beat(clock: Clock, holder: str, seconds: float, lanes: Sequence[str] = ()) -> StateWrite:
    """The row that says: this process lives, takes messages of these lanes, and will say so again within `seconds`."""
    now = micros(clock.now())
    return StateWrite(KIND, holder, {"since": now, "until": now + int(seconds * 1_000_000), "lanes": list(lanes)})


def ended(holder: str) -> StateWrite:
    """The row's removal: what this process still held is open at once."""
    return StateWrite(KIND, holder, None)


def living(store: GraphStore, clock: Clock, own: str = "") -> frozenset[str]:
    """The processes whose last beat still counts, and the one that asks: however late its beats are, it lives."""
    beating = frozenset(row.key for row in _beating(store, clock))
    return beating | {own} if own else beating


def serving(store: GraphStore, clock: Clock) -> dict[str, int]:
    """For each lane the living processes that take its messages."""
    return dict(Counter(lane for row in _beating(store, clock) for lane in row.value.get("lanes", ())))


def _beating(store: GraphStore, clock: Clock) -> list[State]:
    rows = store.scan(KIND, first=WORKERS_MAX)
    # The time is asked after the rows are read: a beat in between must not seem to come from the future.
    now = micros(clock.now())
    return [row for row in rows if within(row.value["since"], row.value["until"], now)]


def forgotten(store: GraphStore, now: int) -> list[StateWrite]:
    """The removal of rows whose process ended long ago."""
    rows = store.scan(KIND, first=WORKERS_MAX)
    return [StateWrite(KIND, row.key, None) for row in rows if row.value["until"] + FORGOTTEN_MICROS < now]


def orphaned(work: Work, alive: frozenset[str]) -> bool:
    """Whether work is held by a process that gives no sign of life."""
    return work.state == CLAIMED and bool(work.holder) and work.holder not in alive
