"""Reconciler: sends again whatever is open and due, so that a lost message, a dead worker or a dead broker costs time, never work.

Invariant: it changes nothing; a message for work that somebody holds or has done is answered by the work's own row. It looks at
a bounded number of rows, the longest due first. Does not handle work.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from coordination import works
from coordination.beats import living, orphaned
from coordination.bounds import Bounds
from coordination.works import Work, micros
from kg.clock import Clock
from kg.store import GraphStore

#: Later than any instant: rows are asked for soonest first, since a wall clock that went back must not hide them.
EVER: Final = 2**53 - 1
#: Messages remembered as sent; beyond this the memory starts anew, which costs doubled messages only.
SENT_MAX: Final = 50_000


@dataclass(slots=True)
class Reconciler:
    """Finds open work and sends it, not more often than every `resend_seconds`."""

    store: GraphStore
    clock: Clock
    bounds: Bounds
    send: Callable[[str], None]
    _sent: dict[str, float] = field(default_factory=dict)

    def note(self, id: str) -> None:
        """Remember that a message was sent just now."""
        if len(self._sent) >= SENT_MAX:
            self._sent.clear()
        self._sent[id] = self.clock.monotonic()

    def step(self) -> int:
        """Send what is due and was not sent of late; how many messages that were."""
        now, sent = micros(self.clock.now()), 0
        alive = living(self.store, now)
        for work in self._soonest(self.bounds.reconcile_batch):
            if (work.open_at(now) or orphaned(work, alive)) and not self._lately(work):
                self.send(work.id)
                sent += 1
        return sent

    def next_due_seconds(self) -> float | None:
        """How long until some work that waits falls due, None where none waits."""
        now = micros(self.clock.now())
        waits = [work.until - now for work in self._soonest(self.bounds.reconcile_batch) if not work.open_at(now)]
        return max(0.0, min(waits) / 1_000_000) if waits else None

    def _soonest(self, first: int) -> list[Work]:
        return [works.of(row) for row in self.store.scan(works.KIND, due=EVER, first=first)]

    def _lately(self, work: Work) -> bool:
        sent = self._sent.get(work.id)
        # A try that failed since then was not sent again by anybody.
        return sent is not None and work.attempts == 0 and self.clock.monotonic() - sent < self.bounds.resend_seconds
