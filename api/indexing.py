"""Indexing: the thread that keeps the semantic index behind the graph by as little as it can.

Invariant: only the process that owns the index runs it, so one text is embedded once; it sleeps until a commit is reported or
`interval_seconds` pass, and a fault makes it wait, never end. A commit never waits for it.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Final

from api.platform import Noesis
from kg.indexer import Indexer
from kg.indexes.shared import SharedIndex

STOP_SECONDS: Final = 30.0


@dataclass(slots=True)
class Indexing:
    """Follows the graph of one platform. Hand `notify` to the committer's `on_commit`."""

    platform: Noesis
    interval_seconds: float = 1.0
    _woken: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

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

    def _run(self) -> None:
        platform = self.platform
        indexer = Indexer(platform.store, platform.index, platform.embedder, platform.ontology)
        while not self._ending.is_set():
            self._woken.wait(self.interval_seconds)
            self._woken.clear()
            index = platform.index
            if isinstance(index, SharedIndex) and not index.owner:
                continue
            try:
                while not self._ending.is_set() and indexer.run_once():
                    pass
            except Exception as error:
                # A thread that ended unseen would leave the process alive and its index behind for ever.
                logging.getLogger(__name__).warning("indexing waits and tries again: %s", error)
