"""Fibers: many pieces of work that take turns in one thread of a crew, and whose commits go into one transaction together.

A commit from a thread of its own costs two changes of thread, and a turn of the interpreter's lock for each; a fiber that commits
lets the next one run, and when none can go on all that was handed in is committed at once. Invariants: each gets its own result;
what may take long is done by the thread that brought the work (`apart`); work that is caught behind a fiber that does not come
back is let go, for the caller to put back. The one module that imports greenlet.
"""

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from kg.committer import Committer
from kg.errors import NoesisError
from kg.model import Commit
from kg.promises import together, undisturbed
from kg.store import GraphStore, Request

if TYPE_CHECKING:
    from greenlet import greenlet

T = TypeVar("T")
Outcomes = list[Commit | Exception]
#: Pieces of work in turns at once; further ones wait until one ends.
MEMBERS_MAX: Final = 64
#: How long one turn may take before those behind it are let go.
STUCK_SECONDS: Final = 5.0
STOP_SECONDS: Final = 10.0


class StuckError(NoesisError):
    """Work was caught behind other work of its thread that does not come back; put it back and do it again."""


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Member:
    """One piece of work: what its own thread waits for, and what its fiber goes on with."""

    job: Callable[[], object]
    context: contextvars.Context
    #: Released for its own thread: there is an errand, or it has ended.
    told: threading.Lock = field(default_factory=_closed)
    errand: Callable[[], object] | None = None
    requests: Sequence[Request] | None = None
    #: What the fiber is given when it goes on.
    given: object = None
    ended: bool = False
    #: Its own thread waits no more.
    left: bool = False
    error: BaseException | None = None


class _Here(threading.local):
    """The hub whose thread this is, and whose turn it is."""

    hub: "_Hub | None" = None
    member: _Member | None = None


_here = _Here()


def apart(call: Callable[[], T]) -> T:
    """Call this, from a fiber in the thread that brought its work: for what may wait or take long."""
    hub, member = _here.hub, _here.member
    return call() if hub is None or member is None else cast(T, hub.send(member, call))


class Crew:
    """Pieces of work that take turns, over one committer; `run` is safe from any thread."""

    def __init__(
        self, committer: Committer, members_max: int = MEMBERS_MAX, stuck_seconds: float = STUCK_SECONDS
    ) -> None:
        self._committer = committer
        self._members_max = members_max
        self._stuck_seconds = stuck_seconds
        self._guard = threading.Lock()
        self._hub: _Hub | None = None
        self._closing = False

    def run(self, job: Callable[[], T]) -> T:
        """Do a piece of work in turns with others; what it raises is raised here.

        StuckError where other work holds the turn for too long: it may be half done, and writes no more by the claim that it has.
        """
        found: list[T] = []
        member = _Member(lambda: found.append(job()), contextvars.copy_context())
        hub = self._joined(member)
        if hub is None:
            return job()
        while True:
            if not member.told.acquire(timeout=self._stuck_seconds):
                if self._stuck(hub) and hub.leave(member):
                    raise StuckError("other work of this thread does not come back; it is done again elsewhere")
            elif member.errand is None:
                break
            else:
                hub.do(member)
        if member.error is not None:
            raise member.error
        return found[0]

    def close(self) -> None:
        """Let what is under way end, for a while; later work is done where it comes from."""
        with self._guard:
            self._closing = True
            hub, self._hub = self._hub, None
        if hub is not None:
            hub.end()

    def _joined(self, member: _Member) -> "_Hub | None":
        """The hub that took a piece of work; none while the crew ends, or for work of a fiber, which goes on in it."""
        with self._guard:
            if self._closing or _here.hub is not None:
                return None
            if self._hub is None:
                self._hub = _Hub(self._committer, self._members_max)
            self._hub.take(member)
            return self._hub

    def _stuck(self, hub: "_Hub") -> bool:
        """Whether a hub's turn lasts too long, or its thread ended; then further work goes to another one."""
        since = hub.since
        if hub.alive() and (since is None or time.monotonic() - since < self._stuck_seconds):
            return False
        with self._guard:
            if self._hub is hub:
                self._hub = None
                hub.over()
        return True


class _Hub:
    """One thread of fibers."""

    def __init__(self, committer: Committer, members_max: int) -> None:
        self._committer = committer
        self._members_max = members_max
        self._changed = threading.Condition()
        self._coming: deque[_Member] = deque()
        self._back: deque[_Member] = deque()
        self._over = False
        self._fibers: dict[_Member, greenlet] = {}
        self._main: greenlet | None = None
        #: When the turn began that lasts, by the monotonic clock; None between turns.
        self.since: float | None = None
        self._thread = threading.Thread(target=self._run, name="fibers", daemon=True)
        self._thread.start()

    def take(self, member: _Member) -> None:
        """Let a piece of work come."""
        with self._changed:
            self._coming.append(member)
            self._changed.notify()

    def do(self, member: _Member) -> None:
        """Do an errand of a fiber, in the thread that calls."""
        errand, member.errand = member.errand, None
        try:
            member.given = (errand() if errand is not None else None, None)
        except BaseException as error:
            member.given = (None, error)
        with self._changed:
            self._back.append(member)
            self._changed.notify()

    def leave(self, member: _Member) -> bool:
        """Wait no more for a piece of work; False where it has just been told something."""
        with self._changed:
            if member.told.acquire(blocking=False):
                member.told.release()
                return False
            member.left = True
            return True

    def alive(self) -> bool:
        """Whether its thread goes on."""
        return self._thread.is_alive()

    def over(self) -> None:
        """End when all that came has ended."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def end(self) -> None:
        """The same, and wait for it a while."""
        self.over()
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    # -- in a fiber ---------------------------------------------------------------------------------------------------

    def send(self, member: _Member, call: Callable[[], object]) -> object:
        """Have a call done by the thread that brought this fiber's work; its result, or what it raised."""
        context = contextvars.copy_context()
        member.errand = lambda: context.run(call)
        result, error = self._pause(member)
        if error is not None:
            raise error
        return result

    def _commit(self, store: GraphStore, requests: Sequence[Request]) -> Outcomes | None:
        """Hand requests in; None where they go by themselves: of another graph, or so urgent that they wait for nobody."""
        member = _here.member
        if member is None or store is not self._committer or any(request.urgent for request in requests):
            return None
        member.requests = requests
        return cast(Outcomes, self._pause(member))

    def _pause(self, member: _Member) -> Any:
        if self._main is None:
            raise RuntimeError("a fiber runs outside its hub")
        self._main.switch()
        given, member.given = member.given, None
        return given

    # -- in the hub's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        from greenlet import getcurrent

        self._main, _here.hub = getcurrent(), self
        with undisturbed(), together(self._commit):
            ready: list[_Member] = []
            while True:
                ready += self._next(wait=not ready)
                if not ready:
                    return
                for member in ready:
                    self._turn(member)
                ready = self._committed()

    def _next(self, wait: bool) -> list[_Member]:
        """Who can go on, and as many of those that come as there is room for; `wait` until there is one, none when all is over."""
        with self._changed:
            while True:
                found = list(self._back)
                self._back.clear()
                while self._coming and len(self._fibers) < self._members_max:
                    member = self._coming.popleft()
                    if not member.left:
                        found.append(self._made(member))
                if found or not wait or (self._over and not self._fibers and not self._coming):
                    return found
                self._changed.wait()

    def _made(self, member: _Member) -> _Member:
        from greenlet import greenlet

        def body() -> None:
            try:
                member.job()
            except BaseException as error:
                member.error = error
            member.ended = True

        self._fibers[member] = greenlet(body)
        self._fibers[member].gr_context = member.context
        return member

    def _turn(self, member: _Member) -> None:
        """Let a fiber run until it commits, sends an errand or ends."""
        _here.member, self.since = member, time.monotonic()
        try:
            self._fibers[member].switch()
        finally:
            _here.member = self.since = None
        if member.ended:
            del self._fibers[member]
        if member.ended or member.errand is not None:
            self._tell(member)

    def _tell(self, member: _Member) -> None:
        """Wake the thread that brought the work; an errand of work that nobody waits for fails."""
        with self._changed:
            if not member.left:
                member.told.release()
            elif not member.ended:
                gone = StuckError("whoever brought this work waits no more; it is done again elsewhere")
                member.errand, member.given = None, (None, gone)
                self._back.append(member)

    def _committed(self) -> list[_Member]:
        """Commit what was handed in, each with its own result; who goes on by that."""
        waiting = [member for member in self._fibers if member.requests is not None]
        handed = [member.requests or () for member in waiting]
        outcomes = self._committer.commit_each(handed) if handed else []
        for member, own in zip(waiting, outcomes, strict=True):
            member.requests, member.given = None, own
        return waiting
