"""Ticker: tells those who follow the change log that it has grown.

Commits of this process ring it at once; those of others are found by looking at the head while somebody waits. Invariant: it only
wakes; who is woken reads the log itself, so a missed or doubled ring loses and repeats nothing (I2).
"""

import asyncio
import contextlib

from api.threads import Threads
from kg.store import GraphStore


class Ticker:
    """Belongs to one event loop; `ring` may be called from any thread."""

    def __init__(self, store: GraphStore, threads: Threads, seconds: float) -> None:
        self._store = store
        self._threads = threads
        self._seconds = seconds
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.position = 0

    def ring(self, position: int) -> None:
        """Say that the log reached a position."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._reach, position)

    def _reach(self, position: int) -> None:
        if position > self.position:
            self.position = position
            self._changed.set()
            self._changed = asyncio.Event()

    async def wait(self, position: int) -> None:
        """Return when the log is beyond the position."""
        self._loop = asyncio.get_running_loop()
        while self.position <= position:
            changed = self._changed
            try:
                async with asyncio.timeout(self._seconds):
                    await changed.wait()
            except TimeoutError:
                head = await self._threads.run(self._store.head)
                self._reach(head.position)
