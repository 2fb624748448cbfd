"""Promises: what is promised of the thread that commits, so that its commits may take a shorter way than through another thread."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kg.model import Commit
from kg.store import GraphStore, Request

#: Takes requests to a store, to hand them in with others'; gives None for those that go by themselves.
Taken = Callable[[GraphStore, Sequence[Request]], list[Commit | Exception] | None]


class _Promise(threading.local):
    """What was promised of the thread that looks."""

    undisturbed = False
    together: Taken | None = None


promise = _Promise()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Promise that nobody throws exceptions into this thread meanwhile, so that its commits may run in it: two changes of thread
    less for each. Means nothing in the main thread, into which the interpreter throws those of signals.
    """
    before = promise.undisturbed
    promise.undisturbed = threading.current_thread() is not threading.main_thread()
    try:
        yield
    finally:
        promise.undisturbed = before


@contextmanager
def together(taken: Taken) -> Iterator[None]:
    """Have what this thread commits meanwhile handed to `taken` first."""
    before = promise.together
    promise.together = taken
    try:
        yield
    finally:
        promise.together = before
