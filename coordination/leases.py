"""Leases: who alone may do what one process should do at a time: read the feed, send again what is left, fill a shared index.

Invariant I7: a lease is a state row and its revision is the fencing token. The row that `claim` gives goes into the very commit
it protects, so a leader that was paused past its time, or whose clock jumped, writes nothing once another took over. The clock
only says when another may try; that two believe they lead costs a refused commit, never a second write. A lease is given back by
ending its time, never by deleting the row: a row made anew would count its revisions from the start.
"""

from typing import Final

from coordination.works import micros
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import ABSENT, State, StateWrite
from kg.store import GraphStore

KIND: Final = "lease"


def read(store: GraphStore, name: str) -> State | None:
    """The row of a lease, None where nobody ever held it."""
    return store.state(KIND, [name]).get(name)


def claim(row: State | None, name: str, holder: str, now: int, seconds: float) -> StateWrite | None:
    """The write that takes or prolongs the lease, None where another holds it.

    A clock that went far back ends a lease; one that is behind by less than the lease's length is another machine's.
    """
    if row is not None and row.value["holder"] != holder:
        since, until = row.value["since"], row.value["until"]
        if since - (until - since) <= now < until:
            return None
    value = {"holder": holder, "since": now, "until": now + int(seconds * 1_000_000)}
    # INVARIANT I7: whoever took over since raised the revision.
    return StateWrite(KIND, name, value, expect=row.revision if row else ABSENT)


def fresh(row: State | None, holder: str, now: int) -> bool:
    """Whether this holder has the lease and less than half of its time is over, so that it need not be prolonged yet."""
    if row is None or row.value["holder"] != holder:
        return False
    since, until = row.value["since"], row.value["until"]
    return bool(since <= now < since + (until - since) // 2)


def keep(store: GraphStore, clock: Clock, name: str, holder: str, seconds: float) -> bool:
    """Take or prolong a lease for work that commits nothing just now; whether this holder has it."""
    row, now = read(store, name), micros(clock.now())
    if fresh(row, holder, now):
        return True
    write = claim(row, name, holder, now, seconds)
    if write is None:
        return False
    try:
        store.commit([], None, state=[write])
    except ConflictError:
        return False
    return True


def release(store: GraphStore, clock: Clock, name: str, holder: str) -> None:
    """Give a lease back at once; nothing where another has it."""
    row, now = read(store, name), micros(clock.now())
    if row is None or row.value["holder"] != holder:
        return
    ended = StateWrite(KIND, name, {"holder": "", "since": now, "until": now}, expect=row.revision)
    try:
        store.commit([], None, state=[ended])
    except ConflictError:
        return
