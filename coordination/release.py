"""Release: when a control lets go, what it held goes on at once instead of at the end of its wait.

Invariant: it only moves due times of work that waits, each row by itself and at the revision it was read at, so whatever else
happens to a row wins. Whether the work may go on is decided anew by whoever does it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coordination import works
from coordination.bounds import Bounds
from coordination.works import Work, micros
from kg.clock import Clock
from kg.store import PAGE_MAX, GraphStore, Request

#: Rows moved in one transaction, each with a result of its own.
GROUP_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Release:
    """The task that releases held work."""

    store: GraphStore
    clock: Clock
    bounds: Bounds

    def run(self, work: Work) -> Sequence[str]:
        """Make every held row due now; returns the ids of those that were moved."""
        released: list[str] = []
        after = ""
        for _ in range(self.bounds.release_rows_max // PAGE_MAX):
            rows = [works.of(row) for row in self.store.scan(works.KIND, after=after, first=PAGE_MAX)]
            held = [row for row in rows if row.held and row.state == works.READY]
            for start in range(0, len(held), GROUP_MAX):
                released += self._move(held[start : start + GROUP_MAX])
            if len(rows) < PAGE_MAX:
                break
            after = rows[-1].id
        self.store.commit([], None, state=[work.done().write()])
        return released

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put it aside: what is held goes on at the end of its wait."""
        self.store.commit([], None, state=[work.failed(reason).write()])
        return ()

    def _move(self, held: Sequence[Work]) -> list[str]:
        now = micros(self.clock.now())
        requests = [Request([], None, {}, [row.released(now).write()]) for row in held]
        results = self.store.commit_many(requests)
        return [row.id for row, result in zip(held, results, strict=True) if not isinstance(result, Exception)]
