"""Indexing: the thread that keeps the semantic index behind the graph by as little as it can.

Invariant: one process at a time runs it, so one text is embedded once: the owner of an embedded index, or with an index server the
holder of a lease, whose every move of the cursor expects the lease as it was read (I7). It sleeps until a commit is reported or
`interval_seconds` pass, and a fault makes it wait, never end. A commit never waits for it.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Final

from api.platform import Noesis
from coordination import leases
from coordination.works import micros
from kg.errors import NoesisError
from kg.indexer import Indexer
from kg.indexes.shared import SharedIndex
from kg.model import StateWrite

STOP_SECONDS: Final = 30.0
LEASE: Final = "indexer"
#: How long an indexer may be silent before another process takes its part; longer than a batch takes.
LEASE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Indexing:
    """Follows the graph of one platform. Hand `notify` to the committer's `on_commit`."""

    platform: Noesis
    interval_seconds: float = 1.0
    _woken: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _holder: str = ""

    def notify(self, position: int) -> None:
        """Something was committed up to this position."""
        del position
        self._woken.set()

    def start(self) -> None:
        """Start following, now and at each commit."""
        if self.platform.committed is not None:
            self.platform.committed(self.notify)
        self._woken.set()
        self._thread = threading.Thread(target=self._run, name="noesis-indexing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._ending.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            self._leave()

    def _run(self) -> None:
        platform = self.platform
        self._holder = platform.clock.id()
        fence = None if isinstance(platform.index, SharedIndex) else self._fence
        indexer = Indexer(platform.store, platform.index, platform.embedder, platform.ontology, fence)
        while not self._ending.is_set():
            self._woken.wait(self.interval_seconds)
            self._woken.clear()
            try:
                if not self._mine():
                    continue
                while not self._ending.is_set() and indexer.run_once():
                    pass
            except Exception as error:
                # A thread that ended unseen would leave the process alive and its index behind for ever.
                logging.getLogger(__name__).warning("indexing waits and tries again: %s", error)

    def _mine(self) -> bool:
        """Whether this process is the one that indexes."""
        platform, index = self.platform, self.platform.index
        if isinstance(index, SharedIndex):
            return index.owner
        # Taken before the first text is embedded, so that two processes do not both begin.
        return leases.keep(platform.store, platform.clock, LEASE, self._holder, LEASE_SECONDS)

    def _fence(self) -> StateWrite | None:
        platform = self.platform
        now = micros(platform.clock.now())
        return leases.claim(leases.read(platform.store, LEASE), LEASE, self._holder, now, LEASE_SECONDS)

    def _leave(self) -> None:
        if isinstance(self.platform.index, SharedIndex):
            return
        try:
            leases.release(self.platform.store, self.platform.clock, LEASE, self._holder)
        except NoesisError as error:
            logging.getLogger(__name__).warning("the lease of this indexer runs out by itself: %s", error)
