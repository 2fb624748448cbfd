"""Dispatch: claims a piece of work, has it done, and keeps the record of tries; `handle` is plain and synchronous.

Invariant I7: claim, retry and failure are compare-and-set on the work's row, so of several workers one acts and a stale one
writes nothing. A lost or doubled message costs time, never work. Does not know what a task does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from coordination import works
from coordination.beats import living, orphaned
from coordination.bounds import Bounds
from coordination.errors import GiveUp, HeldError, RetryLater
from coordination.works import CLAIMED, Work, micros
from kg import tracing
from kg.clock import Clock
from kg.errors import ConflictError
from kg.model import StateWrite
from kg.store import GraphStore

#: Characters of a failure that are kept.
REASON_MAX = 500


class Task(Protocol):
    """One kind of work."""

    def run(self, work: Work) -> Sequence[str]:
        """Do the work and commit it together with `work.done()`; returns the ids of the work that follows.

        Raises RetryLater or GiveUp; any other exception counts as RetryLater.
        """

    def abandon(self, work: Work, reason: str) -> Sequence[str]:
        """Put the work aside for a person, with what that means for its subject, in one commit."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The one road from a message to work done."""

    store: GraphStore
    clock: Clock
    bounds: Bounds
    tasks: Mapping[str, Task]
    holder: str = ""

    def handle(self, id: str) -> list[str]:
        """Claim and do the work with this id where it is open; returns the ids of the work that follows."""
        work = works.read(self.store, id)
        if work is None or not self._open(work):
            return []
        claimed = work.claim(self._now(), self.bounds.work_lease_seconds, self.holder)
        try:
            # INVARIANT I7: of several workers one wins the revision.
            self.store.commit([], None, state=[claimed.write()])
        except ConflictError:
            return []
        what: dict[str, tracing.Attribute] = {
            "work": work.id,
            "task": work.task,
            "agent": work.agent,
            "attempt": claimed.attempts,
        }
        with tracing.span(tracing.HANDLE, work.trace, **what):
            return self._run(claimed.committed())

    def put_back(self, id: str) -> list[str]:
        """Let go what this process has in hand and does not get on with; whoever still works at it writes nothing (I7)."""
        work = works.read(self.store, id)
        if work is None or work.state not in (CLAIMED, works.READY) or work.holder not in ("", self.holder):
            return []
        if work.state == CLAIMED:
            row = work.later(self._now(), 0, "caught behind other work of its process", counted=False).write()
            try:
                self.store.commit([], None, state=[row])
            except ConflictError:
                return []
        return [id]

    def _open(self, work: Work) -> bool:
        if work.open_at(self._now()):
            return True
        return work.state == CLAIMED and orphaned(work, living(self.store, self.clock, self.holder))

    def _run(self, work: Work) -> list[str]:
        task = self.tasks[work.task]
        if work.attempts > self.bounds.attempts_max:
            return self._aside(work, task, f"given up after {work.attempts - 1} tries: {work.reason}")
        try:
            return list(task.run(work))
        except GiveUp as error:
            return self._aside(work, task, _reason(error))
        except HeldError as error:
            row = work.waiting(self._now(), self.bounds.hold_seconds, _reason(error)).write()
            self._unless_stale(work, lambda: self._put(row))
        except RetryLater as error:
            self._later(work, _reason(error), error.seconds, error.counted)
        except ConflictError as error:
            if self._still_ours(work):
                self._later(work, _reason(error), None, True)
        except Exception as error:
            # Whatever an agent or an effector raises is its own trouble: the work waits, the worker lives.
            self._later(work, f"{type(error).__name__}: {_reason(error)}", None, True, unsure=True)
        return []

    def _aside(self, work: Work, task: Task, reason: str) -> list[str]:
        tracing.count(tracing.ASIDE, task=work.task)
        return self._unless_stale(work, lambda: task.abandon(work, reason))

    def _later(self, work: Work, reason: str, seconds: float | None, counted: bool, unsure: bool = False) -> None:
        wait = self._backoff(work.attempts) if seconds is None else seconds
        row = work.later(self._now(), wait, reason, counted, unsure).write()
        self._unless_stale(work, lambda: self._put(row))

    def _put(self, row: StateWrite) -> Sequence[str]:
        self.store.commit([], None, state=[row])
        return ()

    def _unless_stale(self, work: Work, write: Callable[[], Sequence[str]]) -> list[str]:
        for _ in range(self.bounds.race_tries_max):
            try:
                return list(write())
            except ConflictError as error:
                if not self._still_ours(work):
                    return []
                lost = error
        raise lost

    def _still_ours(self, work: Work) -> bool:
        found = works.read(self.store, work.id)
        return found is not None and found.revision == work.revision

    def _backoff(self, attempts: int) -> float:
        """Doubling waits with jitter of a half, so that what failed together does not come back together."""
        longest = min(self.bounds.backoff_max_seconds, self.bounds.backoff_seconds * 2.0 ** (attempts - 1))
        return longest * (0.5 + int.from_bytes(self.clock.entropy(2), "big") / 131_072)

    def _now(self) -> int:
        return micros(self.clock.now())


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__)[:REASON_MAX]
