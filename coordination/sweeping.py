"""Sweeping: rows of work that was done long ago are dropped, so that what is kept of machine state does not grow for ever.

Invariant I3: only work that nothing can ask for again is dropped: done, older than the retention, of a task whose facts (proposal,
effect) guard themselves, and made of a change that the feed has long passed. Facts stay. What failed stays until a person decides.
"""

from dataclasses import dataclass, field
from typing import Final

from coordination import works
from coordination.bounds import Bounds
from coordination.feed import CURSOR
from coordination.works import DONE, FAILED, Work, micros
from governance import approvals, links, tallies
from kg.clock import Clock
from kg.model import State, StateWrite
from kg.store import PAGE_MAX, GraphStore, Request

#: Tasks whose ids follow from a change, or from a proposal, an effect, a compensation or a choice whose own state says that it was
#: done.
GUARDED: Final = frozenset({"act", "settle", "effect", "release", "compensate", "learn"})


@dataclass(slots=True)
class Sweeping:
    """Goes through the rows of work page by page, one page a turn, and begins anew at the end."""

    store: GraphStore
    clock: Clock
    bounds: Bounds
    _after: str = ""
    _next: float = field(default=0.0)

    def step(self) -> int:
        """Drop what may go of the next page, if it is time; how many rows that were."""
        if self.clock.monotonic() < self._next:
            return 0
        links.sweep(self.store, self.clock)
        approvals.sweep(self.store, self.clock)
        tallies.close(self.store, self.clock)
        rows = self.store.scan(works.KIND, after=self._after, first=PAGE_MAX)
        self._after = rows[-1].key if len(rows) == PAGE_MAX else ""
        self._next = self.clock.monotonic() + self.bounds.sweep_seconds
        cursor = self.store.state(CURSOR[0], [CURSOR[1]]).get(CURSOR[1])
        read = int(cursor.value) if cursor is not None else 0
        before = micros(self.clock.now()) - int(self.bounds.retention_seconds * 1_000_000)
        gone = [StateWrite(works.KIND, row.key, None, expect=row.revision) for row in rows if over(row, read, before)]
        gone += [works.of(row).write() for row in rows if _hidden(row)]
        # Each by itself: a row that changed meanwhile stays, and keeps no other from going.
        results = self.store.commit_many([Request([], None, {}, [write]) for write in gone]) if gone else []
        return sum(not isinstance(result, Exception) for result in results)


def over(row: State, read: int, before: int) -> bool:
    """Whether a row may be dropped: nothing that is still to come asks for it."""
    work = works.of(row)
    # INVARIANT I3: a change that is read again would find no row; so its work goes only when the feed is past it.
    return work.state == DONE and work.task in GUARDED and work.position <= read and _last(work) < before


def _last(work: Work) -> int:
    """When it was last held or waited for."""
    return max(work.since, work.until)


def _hidden(row: State) -> bool:
    """Whether failed work was put aside before such rows had a due time to be found by."""
    return row.due is None and row.value["state"] == FAILED
