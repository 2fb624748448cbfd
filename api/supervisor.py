"""Supervisor: starts worker processes as children, starts one anew that dies, and ends all of them when it is told to.

Invariants: waits between starts double up to a bound, and a child that again and again dies young ends the whole with exit code 1,
so what supervises this process hears of it. SIGTERM and Ctrl-C reach every child, which finishes what it holds; one that does
not end in time is killed, which loses nothing. A child whose supervisor is gone ends by itself: it watches a pipe that only
the supervisor holds open. Does none of the work.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

#: Seconds after which a child counts as having worked; one that ends sooner died young.
YOUNG_SECONDS: Final = 10.0
#: Deaths in a row, each young, after which a place is given up.
DEATHS_MAX: Final = 6
#: First wait before a start anew; it doubles with each young death up to the second.
WAIT_SECONDS: Final = 0.5
WAIT_MAX_SECONDS: Final = 15.0
#: How long children get to end once told.
END_SECONDS: Final = 45.0
PROCESSES_MAX: Final = 256


@dataclass(slots=True)
class _Place:
    """One child's place: the process that fills it, its deaths in a row, and when it is to be filled again."""

    number: int
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    deaths: int = 0
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps `count` children of one command running. `say` gets a line at each start anew."""

    command: Sequence[str]
    count: int
    say: Callable[[str], None]
    inherit: Sequence[int] = ()
    _events: "queue.SimpleQueue[_Place | None]" = field(default_factory=queue.SimpleQueue)
    _told: bool = False

    def run(self) -> int:
        """Supervise until told to end; the exit code: 0 where told, 1 where a place was given up."""
        places = [_Place(number) for number in range(self.count)]
        with self._heard():
            try:
                return self._keep(places)
            finally:
                self._end(places)

    def _keep(self, places: Sequence[_Place]) -> int:
        while not self._told:
            now = time.monotonic()
            for place in places:
                if place.process is None and place.due <= now:
                    self._start(place)
            waits = [place.due - now for place in places if place.process is None]
            try:
                ended = self._events.get(timeout=max(0.0, min(waits)) if waits else None)
            except queue.Empty:
                continue
            if ended is not None and not self._told and not self._buried(ended):
                self.say(f"worker {ended.number} ended {DEATHS_MAX} times at once; see what it said, then start again")
                return 1
        return 0

    def _start(self, place: _Place) -> None:
        # A session of its own: Ctrl-C on the terminal reaches the children once, through this process.
        process = subprocess.Popen(  # noqa: S603 -- our own interpreter and program, no shell
            self.command, stdin=subprocess.PIPE, pass_fds=tuple(self.inherit), start_new_session=True
        )
        place.process, place.started = process, time.monotonic()

        def watch() -> None:
            process.wait()
            self._events.put(place)

        threading.Thread(target=watch, name=f"noesis-child-{place.number}", daemon=True).start()

    def _buried(self, place: _Place) -> bool:
        """Note a death and when to start anew; whether that is worth it."""
        process, place.process = place.process, None
        if process is None:
            return True
        if process.stdin is not None:
            process.stdin.close()
        young = time.monotonic() - place.started < YOUNG_SECONDS
        place.deaths = place.deaths + 1 if young else 1
        if place.deaths >= DEATHS_MAX:
            return False
        wait = min(WAIT_MAX_SECONDS, WAIT_SECONDS * 2.0 ** (place.deaths - 1))
        place.due = time.monotonic() + wait
        self.say(f"worker {place.number} ended ({_how(process.returncode)}); starting another in {wait:g} s")
        return True

    def _end(self, places: Sequence[_Place]) -> None:
        alive = [place.process for place in places if place.process is not None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()

    @contextmanager
    def _heard(self) -> Iterator[None]:
        def heard(_number: int, _frame: FrameType | None) -> None:
            self._told = True
            self._events.put(None)

        before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def command(*arguments: str) -> list[str]:
    """The command line of a child: this interpreter, this program."""
    return [sys.executable, "-m", "api.cli", *arguments]


def follow_parent() -> None:
    """End this process, as by SIGTERM, when the one that started it is gone: its end of standard input closes."""

    def watch() -> None:
        while os.read(0, 1_024):
            continue
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="noesis-parent", daemon=True).start()
