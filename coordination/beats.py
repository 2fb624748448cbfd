"""Beats: the sign of life of each worker process, so that what a dead one held is taken over within seconds, and what a living one
holds may take as long as thinking takes.

Invariant: a beat only decides when held work may be claimed anew; that a stale holder writes nothing is the work row's own fence
(I7). A process that seems dead and is not costs a doubled try, never a doubled effect.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from coordination.works import CLAIMED, Work, micros
from kg.clock import Clock
from kg.model import StateWrite
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


def living(store: GraphStore, now: int, own: str = "") -> frozenset[str]:
    """The processes whose last beat still counts, and the one that asks: however late its beats are, it lives."""
    rows = store.scan(KIND, first=WORKERS_MAX)
    beating = frozenset(row.key for row in rows if row.value["since"] <= now < row.value["until"])
    return beating | {own} if own else beating


def serving(store: GraphStore, now: int) -> dict[str, int]:
    """For each lane the living processes that take its messages."""
    rows = store.scan(KIND, first=WORKERS_MAX)
    living_ = [row.value for row in rows if row.value["since"] <= now < row.value["until"]]
    return dict(Counter(lane for value in living_ for lane in value.get("lanes", ())))


def forgotten(store: GraphStore, now: int) -> list[StateWrite]:
    """The removal of rows whose process ended long ago."""
    rows = store.scan(KIND, first=WORKERS_MAX)
    return [StateWrite(KIND, row.key, None) for row in rows if row.value["until"] + FORGOTTEN_MICROS < now]


def orphaned(work: Work, alive: frozenset[str]) -> bool:
    """Whether work is held by a process that gives no sign of life."""
    return work.state == CLAIMED and bool(work.holder) and work.holder not in alive
