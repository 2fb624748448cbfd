"""Worker: the loop of one process, a thread that pumps when something was committed and reconciles at a bounded interval, beside
the carrier's threads that handle work.

Invariant: it sleeps until a commit is reported, some work falls due, or `interval_seconds` pass; where other processes commit too,
the one that reads the feed looks every `poll_seconds`. It never polls faster. Stopping lets what is being handled finish and
leaves the leases to others at once.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from coordination import works
from coordination.beats import beat, ended, forgotten
from coordination.brokers import Carrier
from coordination.runtime import Runtime
from kg.errors import NoesisError
from kg.model import StateWrite
from kg.promises import undisturbed

#: Batches pumped before the loop looks at the time again.
BATCHES_MAX: Final = 100
STOP_SECONDS: Final = 30.0


@dataclass(slots=True)
class Worker:
    """One process at work. Hand `notify` to the committer's `on_commit`."""

    runtime: Runtime
    carrier: Carrier
    interval_seconds: float = 1.0
    poll_seconds: float | None = None
    _woken: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _heart: threading.Thread | None = None

    def notify(self, position: int) -> None:
        """Something was committed up to this position."""
        del position
        self._woken.set()

    def start(self) -> None:
        """Start the carrier's threads and the loop."""
        if self._thread is None:
            # The first beat comes before the first claim: work held by a process that never beat counts as orphaned.
            self._beat()
            self._heart = threading.Thread(target=self._live, name="noesis-beat", daemon=True)
            self._heart.start()
            self.carrier.start()
            self._woken.set()
            self._thread = threading.Thread(target=self._run, name="noesis-worker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the loop, then let the carrier's threads finish what they hold."""
        self._ending.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            self._thread = None
        self.carrier.stop()
        self._ended.set()
        if self._heart is not None:
            self._heart.join(STOP_SECONDS)
            self._heart = None
            self._say(lambda: [ended(self.runtime.holder)])
            try:
                self.runtime.yield_leases()
            except NoesisError as error:
                logging.getLogger(__name__).warning("the leases of this worker run out by themselves: %s", error)

    def _beat(self) -> None:
        bounds, clock, holder = self.runtime.bounds, self.runtime.clock, self.runtime.holder
        self._say(lambda: [beat(clock, holder, bounds.beat_lease_seconds, self.carrier.served)])

    def _live(self) -> None:
        store, now = self.runtime.store, works.micros(self.runtime.clock.now())
        self._say(lambda: forgotten(store, now))
        while not self._ended.wait(self.runtime.bounds.beat_seconds):
            self._beat()

    def _say(self, rows: Callable[[], list[StateWrite]]) -> None:
        if not self.runtime.holder:
            return
        try:
            self.runtime.store.commit([], None, state=rows())
        except NoesisError as error:
            logging.getLogger(__name__).warning("this worker could not give its sign of life: %s", error)

    def _run(self) -> None:
        with undisturbed():
            self._loop()

    def _loop(self) -> None:
        wait = 0.0
        monotonic = self.runtime.clock.monotonic
        look_again = monotonic()
        while not self._ending.is_set():
            self._woken.wait(wait)
            self._woken.clear()
            try:
                for _ in range(BATCHES_MAX):
                    if self._ending.is_set() or not self.runtime.pump():
                        break
                if monotonic() >= look_again:
                    for _ in range(BATCHES_MAX):
                        # A whole batch was sent: more may be due behind it.
                        if self.runtime.reconcile() < self.runtime.bounds.reconcile_batch:
                            break
                    look_again = monotonic() + self._rest()
            except Exception as error:
                # The store may be busy or full for a while, or a part may be at fault: nothing is lost by looking again later,
                # and a thread that ended unseen would leave the process alive and deaf.
                logging.getLogger(__name__).warning("the worker could not go on, it tries again: %s", error)
                look_again = monotonic() + self.interval_seconds
            wait = max(0.0, look_again - monotonic())
            if self.poll_seconds is not None and self.runtime.feed.leading:
                wait = min(wait, self.poll_seconds)

    def _rest(self) -> float:
        due = self.runtime.reconciler.next_due_seconds() if self.runtime.reconciler.leading else None
        return self.interval_seconds if due is None else min(self.interval_seconds, max(due, 0.001))
