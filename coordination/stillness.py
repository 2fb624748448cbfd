"""Stillness: whether anything will happen by itself in the near future, for whoever waits for a result.

Invariant: it says "still" only where every change was read by the agents and no work is in hand or falls due in time, so what is
open then waits for somebody outside: a person, an event, a later hour. It reads only, and promises nothing: others may commit.
"""

from coordination import works
from coordination.feed import CURSOR
from coordination.works import CLAIMED, READY, micros
from kg.clock import Clock
from kg.store import PAGE_MAX, GraphStore


def still(store: GraphStore, clock: Clock, seconds: float) -> bool:
    """Whether nothing is due within so many seconds; False also where more is open than one page shows."""
    kind, key = CURSOR
    cursor = store.state(kind, [key]).get(key)
    position = int(cursor.value) if cursor else 0
    if store.changes(position, 1):
        return False
    rows = store.scan(works.KIND, due=works.ASIDE - 1, first=PAGE_MAX)
    until = micros(clock.now()) + int(seconds * 1_000_000)
    if len(rows) == PAGE_MAX or any(_moves(works.of(row), until) for row in rows):
        return False
    # Work that was in hand at the first look may have ended before the second one, and left a change that nobody has read.
    return not store.changes(position, 1)


def _moves(work: works.Work, until: int) -> bool:
    return work.state == CLAIMED or (work.state == READY and work.until <= until)
