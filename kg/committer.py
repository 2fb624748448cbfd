"""One thread a process that groups concurrent commits into one transaction, each caller getting its own result.

Invariant: a request once queued is committed or refused as a whole, whatever becomes of the thread that asked: exceptions
thrown into callers never reach a transaction. Who comes while nobody else commits and is thrown into by nobody (`undisturbed`)
commits where it is, in the committer's turn. It decides nothing about content; every other verb goes to the store.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from kg import tracing
from kg.errors import NoesisError, StoreBusyError, StoreError
from kg.model import (
    Cause,
    Change,
    Commit,
    Cursor,
    Direction,
    Edge,
    Entity,
    Order,
    Page,
    Relation,
    State,
    StateWrite,
    Where,
    Write,
)
from kg.promises import promise
from kg.store import PAGE_MAX, GraphStore, Head, Progress, Request

#: Requests and writes that go into one transaction at most (one request alone may be larger).
GROUP_REQUESTS_MAX: Final = 64
GROUP_WRITES_MAX: Final = 5_000
#: Requests that wait at most; further callers wait for room.
QUEUE_MAX: Final = 1_024
#: Seconds a caller waits for room before it hears that the store is busy.
ROOM_SECONDS: Final = 30.0
#: Where a transaction takes long, callers that just heard of one come again within moments: for that share of its time, and no
#: longer than that, the next one waits for them. Without it they split into two halves that take turns.
GATHER_SHARE: Final = 0.2
GATHER_SECONDS_MAX: Final = 0.005
SLOW_SECONDS: Final = 0.002
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Ticket:
    """Requests of one caller, and the place where their outcomes appear."""

    requests: Sequence[Request]
    writes: int
    urgent: bool = False
    outcomes: list[Commit | Exception] = field(default_factory=list)
    # A held lock is the cheapest thing to wait for that another thread can release.
    done: threading.Lock = field(default_factory=threading.Lock)


def _ticket(requests: Sequence[Request]) -> _Ticket:
    return _Ticket(requests, sum(len(r.writes) for r in requests), any(r.urgent for r in requests))


def _group(waiting: deque[_Ticket]) -> list[_Ticket]:
    """Take as many of the first as one transaction holds."""
    group = [waiting.popleft()]
    requests, writes = len(group[0].requests), group[0].writes
    while waiting:
        requests += len(waiting[0].requests)
        writes += waiting[0].writes
        if requests > GROUP_REQUESTS_MAX or writes > GROUP_WRITES_MAX:
            break
        group.append(waiting.popleft())
    return group


def _made(outcome: Commit | Exception) -> Commit:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _carrying(writes: Sequence[Write], cause: Cause | None, state: Sequence[StateWrite]) -> Sequence[StateWrite]:
    """The state rows of a commit, with one that carries its trace to whoever reads the feed."""
    trace = tracing.carried() if writes and cause is not None else ""
    return [*state, StateWrite(tracing.CARRIED, cause.id, trace)] if trace and cause is not None else state


class Committer:
    """A GraphStore whose commits are queued to one thread."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._waiting: deque[_Ticket] = deque()
        #: Those that go before all others, few at any time.
        self._urgent: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._closing = False
        #: The thread whose turn it is, from before its transaction until everybody has heard of it; 0 between turns.
        self._serving = 0
        #: How many callers the next group waits for; 0 where it waits for nobody.
        self._awaited = 0
        self._callbacks: list[Callable[[int], None]] = []
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call back with the last position after each group that made changes, outside the transaction."""
        self._callbacks.append(callback)

    def commit(
        self,
        writes: Sequence[Write],
        cause: Cause | None,
        expects: Mapping[str, int] | None = None,
        state: Sequence[StateWrite] = (),
    ) -> Commit:
        """Queue one commit and wait for its own result."""
        if cause is None:
            return _made(self._queue([Request(writes, cause, expects or {}, state)])[0])
        with tracing.span(tracing.COMMIT, cause=cause.id, activity=cause.activity, writes=len(writes)) as span:
            done = _made(self._queue([Request(writes, cause, expects or {}, _carrying(writes, cause, state))])[0])
            span.set("position", done.last)
            return done

    def commit_many(self, requests: Sequence[Request]) -> list[Commit | Exception]:
        """Queue several requests that stay together in one transaction."""
        if not requests:
            return []
        with tracing.span(tracing.COMMIT, requests=len(requests), writes=sum(len(r.writes) for r in requests)):
            carrying = [replace(r, state=_carrying(r.writes, r.cause, r.state)) for r in requests]
            return self._queue(carrying)

    def commit_each(self, several: Sequence[Sequence[Request]]) -> list[list[Commit | Exception]]:
        """Commit what several callers handed in together: as `commit_many` for each, in as few transactions as hold it."""
        tickets = [_ticket(requests) for requests in several]
        coming = deque(tickets)
        # Each group takes the turn anew, so that a stop waits for one transaction at most.
        while coming and promise.undisturbed and self._alone():
            self._serve_here(_group(coming))
        for ticket in coming:
            try:
                self._enqueue(ticket)
            except NoesisError as error:
                ticket.outcomes = [error] * len(ticket.requests)
                ticket.done.release()
        for ticket in coming:
            ticket.done.acquire()
        return [ticket.outcomes for ticket in tickets]

    def _queue(self, requests: Sequence[Request]) -> list[Commit | Exception]:
        if promise.together is not None:
            outcomes = promise.together(self, requests)
            if outcomes is not None:
                return outcomes
        ticket = _ticket(requests)
        if promise.undisturbed and self._alone():
            self._serve_here([ticket])
        else:
            self._enqueue(ticket)
            ticket.done.acquire()
        return ticket.outcomes

    def _enqueue(self, ticket: _Ticket) -> None:
        urgent = ticket.urgent
        ticket.done.acquire()
        with self._changed:
            room = self._changed.wait_for(
                lambda: urgent or len(self._waiting) < QUEUE_MAX or self._closing, ROOM_SECONDS
            )
            if self._closing:
                raise StoreError("the store is closed; open it again")
            if not room:
                raise StoreBusyError("more commits wait than the store can take; try again, or send fewer at once")
            (self._urgent if urgent else self._waiting).append(ticket)
            if urgent or len(self._waiting) == 1 or len(self._waiting) == self._awaited:
                self._changed.notify_all()

    def _alone(self) -> bool:
        """Take the turn where nobody has it and nobody waits for it."""
        with self._changed:
            if self._serving or self._waiting or self._urgent or self._closing:
                return False
            self._serving = threading.get_ident()
            return True

    def _serve_here(self, group: Sequence[_Ticket]) -> None:
        """Commit in this thread, which has the turn, and give the turn back."""
        try:
            last = self._serve(group)
            if last:
                self._tell(last)
        finally:
            with self._changed:
                self._serving = 0
                if self._waiting or self._urgent or self._closing:
                    self._changed.notify_all()

    def _due(self) -> bool:
        return not self._serving and bool(self._waiting or self._urgent or self._closing)

    def _run(self) -> None:
        callers, seconds, me = 0, 0.0, threading.get_ident()
        while True:
            with self._changed:
                self._serving = 0
                self._changed.wait_for(self._due)
                if not self._waiting and not self._urgent:
                    return
                self._serving = me
                self._gather(callers, seconds)
                full = len(self._waiting) >= QUEUE_MAX
                group = self._take()
                if full:
                    self._changed.notify_all()
            began = time.monotonic()
            last = self._serve(group)
            callers, seconds = len(group) + len(self._waiting), time.monotonic() - began
            for ticket in group:
                ticket.done.release()
            if last:
                self._tell(last)

    def _gather(self, callers: int, seconds: float) -> None:
        """Wait a moment for the callers there were when the last transaction ended, where that took long."""
        awaited = min(callers, GROUP_REQUESTS_MAX)
        if seconds < SLOW_SECONDS or len(self._waiting) >= awaited or self._urgent:
            return
        self._awaited = awaited
        wait = min(GATHER_SHARE * seconds, GATHER_SECONDS_MAX)
        self._changed.wait_for(lambda: len(self._waiting) >= awaited or self._urgent or self._closing, wait)
        self._awaited = 0

    def _take(self) -> list[_Ticket]:
        return [self._urgent.popleft()] if self._urgent else _group(self._waiting)

    def _serve(self, group: Sequence[_Ticket]) -> int:
        """Commit a group; returns its last new position, 0 where it made none."""
        try:
            outcomes = self._store.commit_many([request for ticket in group for request in ticket.requests])
        except BaseException as error:
            if len(group) > 1:
                # One by one, so that what fails because of one caller does not fail for the others.
                return max(self._serve([ticket]) for ticket in group)
            failure = error if isinstance(error, Exception) else StoreError(f"the commit was broken off ({error!r})")
            group[0].outcomes = [failure] * len(group[0].requests)
            return 0
        start, last = 0, 0
        for ticket in group:
            ticket.outcomes = outcomes[start : start + len(ticket.requests)]
            start += len(ticket.requests)
            for outcome in ticket.outcomes:
                if isinstance(outcome, Commit) and not outcome.repeated and outcome.last >= outcome.first:
                    last = max(last, outcome.last)
        return last

    def _tell(self, last: int) -> None:
        for callback in self._callbacks:
            try:
                callback(last)
            except Exception as error:
                level = logging.WARNING if isinstance(error, NoesisError) else logging.ERROR
                _log.log(level, "a commit callback failed: %r", error)

    def close(self) -> None:
        """Commit what waits, then close the store; later commits raise StoreError."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if threading.get_ident() != self._serving:
            self._thread.join()
        self._store.close()

    # -- every other verb goes straight to the store ------------------------------------------------------------------

    def head(self) -> Head:
        """The end of the log as committed."""
        return self._store.head()

    def position_at(self, instant: datetime) -> int:
        """The last position committed at or before the instant."""
        return self._store.position_at(instant)

    def get(self, ids: Sequence[str], at: int | None = None) -> dict[str, Entity]:
        """The entities with these ids at a position."""
        return self._store.get(ids, at)

    def versions(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Entity]:
        """These exact versions."""
        return self._store.versions(wanted)

    def find(
        self,
        cls: str,
        where: Sequence[Where] = (),
        order: Order | None = None,
        after: Cursor | None = None,
        first: int = 100,
        at: int | None = None,
    ) -> Page:
        """One page of the entities of a class."""
        return self._store.find(cls, where, order, after, first, at)

    def count(self, cls: str, where: Sequence[Where] = (), at_most: int = PAGE_MAX, at: int | None = None) -> int:
        """How many entities `find` would give."""
        return self._store.count(cls, where, at_most, at)

    def expand(
        self,
        ids: Sequence[str],
        relation: str,
        direction: Direction = Direction.OUT,
        where: Sequence[Where] = (),
        first: int = 100,
        at: int | None = None,
        after: str | None = None,
    ) -> dict[str, list[Edge]]:
        """For each id its edges of that name."""
        return self._store.expand(ids, relation, direction, where, first, at, after)

    def relations(self, ids: Sequence[str], at: int | None = None, first: int = PAGE_MAX) -> dict[str, list[Relation]]:
        """For each id every relation that leaves or enters it."""
        return self._store.relations(ids, at, first)

    def paths(
        self,
        source: str,
        target: str,
        relations: Sequence[str] = (),
        depth: int = 4,
        first: int = 10,
        at: int | None = None,
    ) -> list[list[Relation]]:
        """Shortest paths between two entities."""
        return self._store.paths(source, target, relations, depth, first, at)

    def history(self, id: str) -> list[Entity]:
        """Every version of an entity."""
        return self._store.history(id)

    def changes(self, after: int, first: int = PAGE_MAX) -> list[Change]:
        """The next changes after a position."""
        return self._store.changes(after, first)

    def changes_of(self, id: str, first: int = PAGE_MAX) -> list[Change]:
        """The newest changes of an entity."""
        return self._store.changes_of(id, first)

    def causes(self, ids: Sequence[str]) -> dict[str, Cause]:
        """The causes with these ids."""
        return self._store.causes(ids)

    def caused(self, cause: str, first: int = PAGE_MAX) -> list[Change]:
        """The changes that one cause made."""
        return self._store.caused(cause, first)

    def state(self, kind: str, keys: Sequence[str]) -> dict[str, State]:
        """These machine rows."""
        return self._store.state(kind, keys)

    def scan(
        self, kind: str, prefix: str = "", after: str = "", due: int | None = None, first: int = 100
    ) -> list[State]:
        """Machine rows of a kind."""
        return self._store.scan(kind, prefix, after, due, first)

    def search_text(self, query: str, classes: Sequence[str] = (), first: int = 50) -> list[tuple[str, float]]:
        """Ids of entities whose text matches."""
        return self._store.search_text(query, classes, first)

    def ledger(self, after: int = 0, first: int = PAGE_MAX) -> list[tuple[int, bytes]]:
        """Positions and stored leaf hashes."""
        return self._store.ledger(after, first)

    def verify(self, progress: Progress | None = None) -> int:
        """Recompute every leaf and the tree."""
        return self._store.verify(progress)
