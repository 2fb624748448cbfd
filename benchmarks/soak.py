"""A long run under load with random kills: `python -m benchmarks.soak --minutes N [--broker redis|rabbitmq] [--rate R] [--json]`.

A source commits changes at an even rate; worker processes make an effect of each over a real broker; at random moments one of
them is killed (SIGKILL) and another started, or one is stopped (SIGSTOP) beyond its leases. At the end every change must have had
one effect, the ledger must verify, and the memory of the process that is never killed must be flat. Exit code 0 only if all of
that holds.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.workers import Source, start
from kg.model import Cursor, Entity
from tests.services.server import start as start_server
from tests.services.server import stop as stop_server

THREADS: Final = 4
WORKERS: Final = 3
#: Seconds between two kills, at least and at most.
KILL_SECONDS: Final = (4.0, 12.0)
#: How often a process is stopped (SIGSTOP) instead, and for how long: beyond its leases.
PAUSED: Final = 0.3
PAUSE_SECONDS: Final = 6.0
LOOK_SECONDS: Final = 1.0
#: How long the workers get to finish when the source has ended.
REST_SECONDS_MAX: Final = 900.0
#: Memory counts as flat where its end lies within this of what it was after the first fifth of the run.
FLAT: Final = 1.25
PAGE: Final = 500
#: Versions of a product: as the source made it, and as its one effect left it.
VERSIONS: Final = 2


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the changes, and the figures of the run."""

    minutes: float
    broker: str
    changes: int
    rate: float
    kills: int
    pauses: int
    lost: int
    doubled: int
    left: int
    rest_seconds: float
    memory_early_mb: float
    memory_late_mb: float
    verified: bool

    @property
    def held(self) -> bool:
        """Whether the run shows what it should."""
        flat = self.memory_late_mb <= self.memory_early_mb * FLAT
        return not (self.lost or self.doubled or self.left) and self.verified and flat


class Soak:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, url: str, seed: int) -> None:
        self.folder, self.url = folder, url
        self.random = random.Random(seed)
        self.source = Source(folder)
        self.made = 0
        self.kills = 0
        self.pauses = 0
        self.timers: list[threading.Timer] = []
        self.memory: list[float] = []
        # The first is never killed, since its memory is watched; it is stopped now and then, so that others lead and die leading.
        self.workers = [self._start() for _ in range(WORKERS)]

    def _start(self) -> "subprocess.Popen[bytes]":
        return start(self.folder, self.url, "stamping", THREADS)

    def run(self, seconds: float, rate: float) -> None:
        """Commit changes at the rate, killing as it goes."""
        begun = time.monotonic()
        kill_at, look_at = begun + self.random.uniform(*KILL_SECONDS), begun
        while (now := time.monotonic()) - begun < seconds:
            due = int((now - begun) * rate)
            for number in range(self.made, due):
                self.source.put([f"product-{number}"])
            self.made = max(self.made, due)
            if now >= kill_at:
                self._pause() if self.random.random() < PAUSED else self._kill()
                kill_at = time.monotonic() + self.random.uniform(*KILL_SECONDS)
            if now >= look_at:
                self.memory.append(resident_mb(self.workers[0].pid))
                look_at = now + LOOK_SECONDS
            time.sleep(0.5 / rate)
        for timer in self.timers:
            timer.join()

    def _pause(self) -> None:
        """Stop the watched process; a thread lets it go on, since it may hold the store's turn to write."""
        process = self.workers[0]
        process.send_signal(signal.SIGSTOP)
        self.pauses += 1
        timer = threading.Timer(PAUSE_SECONDS, process.send_signal, (signal.SIGCONT,))
        self.timers.append(timer)
        timer.start()

    def _kill(self) -> None:
        place = self.random.randrange(1, WORKERS)
        process = self.workers[place]
        process.send_signal(signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self.kills += 1
        self.workers[place] = self._start()

    def rest(self) -> float:
        """Wait until nothing is open, then end the workers; how long it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < REST_SECONDS_MAX:
            if not self.left() and self.source.applied() >= self.made:
                break
            time.sleep(LOOK_SECONDS)
        taken = time.monotonic() - begun
        for process in self.workers:
            if process.stdin is not None:
                process.stdin.close()
        for process in self.workers:
            process.wait()
        return taken

    def left(self) -> int:
        """Work that is open."""
        return len(self.source.store.scan("work", due=2**53 - 1, first=100))

    def count(self) -> tuple[int, int]:
        """Changes without an effect, and changes with more than one."""
        effects = Counter(str(effect["target"]) for effect in self._every("Effect") if effect["status"] == "done")
        lost = doubled = seen = 0
        for product in self._every("Product"):
            seen += 1
            lost += not effects[product.id]
            # The source made the first version and its one effect the second.
            doubled += product.version > VERSIONS
        return lost + self.made - seen, doubled + sum(1 for times in effects.values() if times > 1)

    def _every(self, cls: str) -> Iterator[Entity]:
        after: Cursor | None = None
        while True:
            page = self.source.store.find(cls, after=after, first=PAGE)
            yield from page.items
            after = page.next
            if after is None:
                return


def resident_mb(pid: int) -> float:
    """The memory that a process holds, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_024
    return 0.0


def soak(minutes: float, broker: str, rate: float, seed: int) -> Report:
    """One run on a new broker."""
    server = start_server(broker)
    try:
        with tempfile.TemporaryDirectory(prefix="noesis-soak-") as folder:
            run = Soak(Path(folder), server.url, seed)
            with closing(run.source.store) as store:
                run.run(minutes * 60, rate)
                rested = run.rest()
                lost, doubled = run.count()
                verified = store.verify() == store.head().position
                fifth = max(1, len(run.memory) // 5)
                early, late = run.memory[fifth - 1 : 2 * fifth], run.memory[-fifth:]
                return Report(
                    minutes=minutes,
                    broker=broker,
                    changes=run.made,
                    rate=run.made / (minutes * 60),
                    kills=run.kills,
                    pauses=run.pauses,
                    lost=lost,
                    doubled=doubled,
                    left=run.left(),
                    rest_seconds=rested,
                    memory_early_mb=max(early),
                    memory_late_mb=max(late),
                    verified=verified,
                )
    finally:
        stop_server(server)


def main(arguments: list[str]) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis")
    parser.add_argument("--rate", type=float, default=50.0, help="changes a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    report = soak(options.minutes, options.broker, options.rate, options.seed)
    if options.json:
        print(json.dumps({**asdict(report), "held": report.held}, indent=1))
    else:
        for name, value in asdict(report).items():
            print(f"{name.replace('_', ' '):<18} {value:,.1f}" if isinstance(value, float) else f"{name:<18} {value}")
        print("it held" if report.held else "IT DID NOT HOLD")
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
