"""Threads: the one place where asynchronous code crosses into the synchronous core.

Invariant: at most `size` calls run at once and at most `waiting` more wait, so a flood of requests costs neither memory nor the
event loop. A call that outlives its request keeps its thread until it ends; it is never interrupted inside a transaction.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from api.errors import TooCostlyError

T = TypeVar("T")
#: Calls that wait for each thread before new ones are refused.
WAITING_PER_THREAD = 250


class OverloadedError(TooCostlyError):
    """Too many requests wait already; try again in a moment."""


class Threads:
    """A bounded pool; threads start with the first call."""

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="noesis-api")
        self._bound = size * (WAITING_PER_THREAD + 1)
        self._active = 0

    async def run(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a synchronous function in a thread and give back what it returns or raises."""
        if self._active >= self._bound:
            raise OverloadedError
        self._active += 1
        # The thread goes on with what is under way here: the trace, and the fields of log lines.
        future = self._pool.submit(copy_context().run, partial(function, *args, **kwargs))
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._done(loop))
        return await asyncio.wrap_future(future)

    def _done(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._active -= 1

    def close(self) -> None:
        """Wait for running calls and take no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
