"""Holding: whether a strand is in another worker's hands, looked at before anything is asked that cannot be taken back.

Invariant: of several pieces of work that wake one strand, one asks a function or an agent; the others come again. What is
written is fenced by the strand's revision anyway (I7); this saves the question that two living workers would put twice.
"""

from typing import Final

from coordination.beats import living, orphaned
from coordination.errors import RetryLater
from coordination.runs.turns import Claim
from coordination.works import CLAIMED, micros, of
from coordination.works import KIND as WORK
from kg.clock import Clock
from kg.store import PAGE_MAX, GraphStore

#: How long a worker waits that finds a strand in other hands: half of what the other has taken since its last commit, within
#: these, so that nobody looks at a function of minutes many times a second.
WAIT_SECONDS_MIN: Final = 0.02
WAIT_SECONDS_MAX: Final = 5.0


def alone(store: GraphStore, clock: Clock, claim: Claim) -> None:
    """RetryLater where a living process has other work of this strand in hand; a claim looks once.

    Both claims are committed before either looks, so at least one of two sees the other.
    """
    if claim.alone:
        return
    work = claim.work
    there = [of(row) for row in store.scan(WORK, prefix=f"run:{work.subject}:", first=PAGE_MAX)]
    # After the rows are read: a claim in between must not seem to come from the future, and so to be open.
    now = micros(clock.now())
    held = [other for other in there if other.id != work.id and other.state == CLAIMED and not other.open_at(now)]
    alive = living(store, clock, work.holder) if held else frozenset()
    for other in held:
        if not orphaned(other, alive):
            # Where both saw each other they do not come back together.
            least = WAIT_SECONDS_MIN * (1 + (work.id > other.id))
            wait = min(max((now - other.since) / 2_000_000, least), WAIT_SECONDS_MAX)
            raise RetryLater(f"strand {work.subject} is in hand already ({other.id})", wait, counted=False)
    claim.alone = True
