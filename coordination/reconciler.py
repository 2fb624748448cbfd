"""Reconciler: sends again whatever is open and due, so that a lost message, a dead worker or a dead broker costs time, never work.

Invariants: one process at a time does it (`leases`), and notes when it will look at a row again in a commit that expects both
lease and row as they were read (I7), so of two at once one sends. A message for work that somebody holds or has done is answered
by the work's own row. It looks at a bounded number of rows, the longest due first; what was sent stands back, so work that nobody
takes, also after whoever held it, keeps nothing else from being sent. Does not handle work.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from coordination import leases, works
from coordination.beats import living, orphaned
from coordination.bounds import Bounds
from coordination.works import Work, micros
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import State
from kg.store import GraphStore

LEASE: Final = "reconciler"
#: Later than any instant, before what was put aside: rows are asked for soonest first, since a wall clock that went back must
#: not hide them.
EVER: Final = works.ASIDE - 1
#: Messages remembered that the broker did not take; beyond this the oldest are left to the rows.
MISSED_MAX: Final = 10_000


@dataclass(slots=True)
class Reconciler:
    """Finds open work and sends it. `send` says whether the broker took the message."""

    store: GraphStore
    clock: Clock
    bounds: Bounds
    send: Callable[[str], bool]
    holder: str = ""
    #: Whether this process had the lease when it last looked.
    leading: bool = False
    _missed: dict[str, None] = field(default_factory=dict)
    _looked: int = 0

    def __post_init__(self) -> None:
        self.holder = self.holder or self.clock.id()

    def missed(self, id: str) -> None:
        """Remember that the broker did not take this message: whoever tried tries again, lease or not."""
        if len(self._missed) >= MISSED_MAX:
            self._missed.pop(next(iter(self._missed)))
        self._missed[id] = None

    def step(self) -> int:
        """Send what is due and was not sent of late; how many messages that were."""
        # Also where the broker is away: what falls due meanwhile waits for the next look, it does not call for one at once.
        self._looked = micros(self.clock.now())
        sent = self._send(list(self._missed))
        if self._missed:
            return sent
        for _ in range(self.bounds.race_tries_max):
            try:
                return sent + self._step()
            except ConflictError:
                continue
        return sent

    def next_due_seconds(self) -> float | None:
        """How long until some work that waits falls due, None where none waits; 0 where it fell due since the last look."""
        now = micros(self.clock.now())
        works_ = [works.of(row) for row in self._soonest()]
        waits = [work.until - now for work in works_ if not work.open_at(now) or self._unsent(work, now)]
        return max(0.0, min(waits) / 1_000_000) if waits else None

    def release(self) -> None:
        """Leave the part to another process."""
        leases.release(self.store, self.clock, LEASE, self.holder)

    def _step(self) -> int:
        now = micros(self.clock.now())
        self._looked = now
        row = leases.read(self.store, LEASE)
        lease = leases.claim(row, LEASE, self.holder, now, self.bounds.reconcile_lease_seconds)
        self.leading = lease is not None
        if lease is None:
            return 0
        alive = living(self.store, self.clock, self.holder)
        rows = [(works.of(row), row) for row in self._soonest()]
        orphans = {work.id for work, _ in rows if orphaned(work, alive) and not work.open_at(now)}
        due = [work for work, row in rows if work.id in orphans or self._due(work, row, now)]
        # To note a claim fences its holder, so one that lives and is only late may still end what it does.
        left = [
            work for work in due if work.id not in orphans and (work.state == works.READY or work.holder not in alive)
        ]
        noted = [work.awaited(now, self._wait(work, now)) for work in left]
        if noted or not leases.fresh(row, self.holder, now):
            # INVARIANT I7: lease and rows in one commit, each at the revision that was read; a claim meanwhile wins.
            self.store.commit([], None, state=[lease, *noted])
        return self._send([work.id for work in due])

    def _send(self, ids: list[str]) -> int:
        for place, id in enumerate(ids):
            self._missed.pop(id, None)
            if not self.send(id):
                # A broker that is away would make each of them wait.
                for left in ids[place:]:
                    self.missed(left)
                return place
        return len(ids)

    def _due(self, work: Work, row: State, now: int) -> bool:
        if not work.open_at(now):
            return False
        resend = int(self.bounds.resend_seconds * 1_000_000)
        if not work.attempts and work.until == work.since and 0 <= now - work.since < resend:
            # Whoever made or freed it sent it just now.
            return False
        noted = row.due if row.due is not None and row.due != work.until else now
        return not now < noted <= now + self._longest()

    def _unsent(self, work: Work, now: int) -> bool:
        """Whether its wait ended after the last look, so that nobody has sent it; what was made open its maker sent."""
        return work.since < work.until and self._looked < work.until <= now

    def _wait(self, work: Work, now: int) -> int:
        """As long again as it has waited already, within the bounds."""
        return max(int(self.bounds.resend_seconds * 1_000_000), min(now - work.until, self._longest()))

    def _longest(self) -> int:
        return int(self.bounds.resend_max_seconds * 1_000_000)

    def _soonest(self) -> list[State]:
        return self.store.scan(works.KIND, due=EVER, first=self.bounds.reconcile_batch)
