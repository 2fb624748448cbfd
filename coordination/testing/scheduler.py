"""Scheduler: runs workers as threads that pass one baton at port calls, in an order that a seed decides, with crashes and pauses.

Invariants: one worker runs at a time and every choice comes from the seed, so a seed is a whole run again; after a crash every port
call of that life of the worker is refused, so no `finally` or `except` can tidy up what a dead process could not. Public, for
tests of whoever builds on coordination. A worker that waits for another in a lock of its own keeps the baton for ever: workflows
need `Pace(one_by_one=False)`.
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")
#: Port calls of one run; beyond this the run is taken to be endless.
TURNS_MAX: Final = 200_000


class CrashedError(BaseException):
    """This worker's process is gone; nothing it calls is answered any more."""


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely, at each port call: that another may run first, a crash before it, a crash after it took effect, and, where others
    may run, a pause of up to `pause_turns` turns.
    """

    switch: float = 0.5

    crash_before: float = 0.004
    crash_after: float = 0.004
    pause: float = 0.06
    pause_turns: int = 80


def _closed() -> threading.Lock:
    """A lock that waits to be released: the baton of one worker."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class Life:
    """One worker as the scheduler knows it. `crashed` until it is born anew."""

    name: str
    go: threading.Lock = field(default_factory=_closed)
    crashed: bool = False
    asleep_until: int = 0
    crashes: int = 0


class Scheduler:
    """Gives the baton to one worker at a time."""

    def __init__(self, seed: int, chances: Chances | None = None) -> None:
        self.random = random.Random(seed)
        self.chances = chances or Chances()
        self.turns = 0
        self._alive: list[Life] = []
        self._ended = _closed()
        self._error: BaseException | None = None

    def run(self, workers: Mapping[str, Callable[[Life], None]]) -> None:
        """Run every worker to its end; the first error of any is raised here."""
        lives = {name: Life(name) for name in workers}
        self._alive = list(lives.values())
        threads = [
            threading.Thread(target=self._thread, args=(lives[name], body), daemon=True)
            for name, body in workers.items()
        ]
        for thread in threads:
            thread.start()
        self._next().go.release()
        self._ended.acquire()
        if self._error is not None:
            raise self._error
        for thread in threads:
            thread.join()

    def call(self, life: Life, act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """A port call: others may run first, and the worker may die before or after it."""
        self.alive(life)
        self.pass_on(life)
        self._perhaps(life, self.chances.crash_before)
        result = act(*args, **kwargs)
        self._perhaps(life, self.chances.crash_after)
        return result

    def alive(self, life: Life) -> None:
        """Refuse the call of a worker that crashed."""
        if life.crashed or self._error is not None:
            raise CrashedError

    def alive_or_end(self) -> None:
        """Refuse to go on where the run is over because another worker found an error."""
        if self._error is not None:
            raise CrashedError

    def pass_on(self, life: Life) -> None:
        """Let the seed say who runs now."""
        self.turns += 1
        if self.turns > TURNS_MAX:
            raise AssertionError(f"more than {TURNS_MAX:,} port calls: the run does not come to rest")
        if self.random.random() >= self.chances.switch:
            return
        if self.random.random() < self.chances.pause:
            life.asleep_until = self.turns + self.random.randint(1, self.chances.pause_turns)
        self._give(life)

    def _give(self, life: Life) -> None:
        following = self._next()
        if following is not life:
            following.go.release()
            life.go.acquire()
            self.alive(life)

    def rest(self, life: Life, turns: int) -> None:
        """Let others run for so many turns."""
        life.asleep_until = self.turns + turns
        self.turns += 1
        self._give(life)

    def reborn(self, life: Life) -> None:
        """Start a new process in the place of the one that crashed."""
        life.crashed = False
        life.asleep_until = 0

    def _perhaps(self, life: Life, chance: float) -> None:
        if self.random.random() < chance:
            life.crashed = True
            life.crashes += 1
            raise CrashedError

    def _next(self) -> Life:
        awake = [life for life in self._alive if life.asleep_until <= self.turns]
        if not awake:
            return min(self._alive, key=lambda life: (life.asleep_until, life.name))
        return self.random.choice(awake)

    def _thread(self, life: Life, body: Callable[[Life], None]) -> None:
        life.go.acquire()
        try:
            if self._error is None:
                body(life)
        except CrashedError:
            pass
        except BaseException as error:
            self._error = self._error or error
        self._alive.remove(life)
        if self._alive:
            self._next().go.release()
        else:
            self._ended.release()


class Port:
    """Any port's adapter, whose methods are the worker's calls through the scheduler."""

    def __init__(self, scheduler: Scheduler, life: Life, target: Any) -> None:
        self._scheduler, self._life, self._target = scheduler, life, target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._scheduler.call(self._life, found, *args, **kwargs)

        self.__dict__[name] = call
        return call


class LifeClock:
    """A clock that a dead worker cannot read; reading it passes no baton."""

    def __init__(self, scheduler: Scheduler, life: Life, target: Any) -> None:
        self._scheduler, self._life, self._target = scheduler, life, target

    def __getattr__(self, name: str) -> Any:
        self._scheduler.alive(self._life)
        return getattr(self._target, name)
