"""Latest: which proposal an agent made last on a target, so that it never proposes in ignorance of its own. One row of both.

Invariant I3: two acts of one agent that run at once and mean the same target do not both propose by what neither knew; the later
one acts again on what is known then. It holds because a row is written at the revision that was read, in the commit of the
proposals. Does not compare what is proposed: that is for conflicts.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from coordination.codec import derive
from coordination.works import micros
from kg.clock import Clock
from kg.model import ABSENT, Put, State, StateWrite
from kg.store import GraphStore, Request

KIND: Final = "latest-proposal"
#: How long a row is kept: longer than an act may take, so that none that is under way misses it.
KEPT_SECONDS: Final = 3_600
#: Rows that one sweep ends.
SWEEP_MAX: Final = 500


def key_of(agent: str, target: str) -> str:
    """The key of the row of an agent and a target."""
    return derive("latest", agent, target)


def read(store: GraphStore, agent: str, targets: Sequence[str]) -> dict[str, State]:
    """The rows of these targets that are there, by key."""
    return store.state(KIND, list(dict.fromkeys(key_of(agent, target) for target in targets)))


def unknown(store: GraphStore, rows: Mapping[str, State], at: int) -> bool:
    """Whether one of these proposals came after a position, so that who read there does not know it."""
    made = [str(row.value["proposal"]) for row in rows.values()]
    if not made:
        return False
    then = store.get(made, at=at)
    later = [id for id in made if id not in then]
    return bool(later) and bool(store.get(later))


def writes(rows: Mapping[str, State], agent: str, made: Mapping[str, Put], now: int) -> list[StateWrite]:
    """The rows of these proposals, by target, each at the revision that was read; `now` in microseconds."""
    # INVARIANT I3: of two acts that read the same row one writes it.
    return [
        StateWrite(
            KIND, key, {"proposal": put.id}, expect=rows[key].revision if key in rows else ABSENT,
            due=now + KEPT_SECONDS * 1_000_000,
        )
        for target, put in made.items()
        for key in (key_of(agent, target),)
    ]  # fmt: skip


def moved(store: GraphStore, rows: Mapping[str, State], agent: str, targets: Sequence[str]) -> bool:
    """Whether somebody wrote one of the rows since they were read."""
    there = read(store, agent, targets)
    return {key: row.revision for key, row in there.items()} != {key: row.revision for key, row in rows.items()}


def sweep(store: GraphStore, clock: Clock) -> int:
    """Drop what was kept long enough; how many rows went."""
    rows = store.scan(KIND, due=micros(clock.now()), first=SWEEP_MAX)
    # Each by itself: a row that was written meanwhile stays, and keeps no other from going.
    gone = [Request([], None, {}, [StateWrite(KIND, row.key, None, expect=row.revision)]) for row in rows]
    results = store.commit_many(gone) if gone else []
    return sum(not isinstance(result, Exception) for result in results)
