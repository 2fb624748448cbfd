"""Over real brokers and between processes: from a source's commit to the call of the agent, and what more processes bring."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.result import Result, within
from benchmarks.workers import WAIT_SECONDS, Source, working
from tests.services.server import Server, kept, start, stop

#: Changes measured over each broker, one at a time, so that none waits for another.
TIMES: Final = 150
WARM: Final = 10
PAUSE_SECONDS: Final = 0.03
P50_MS, P99_MS = 100.0, 500.0
#: Work of the agent that waits, for one process and for four.
CALLS: Final = 160
THREADS: Final = 4
PROCESSES: Final = 4
MORE_BAR: Final = 3.0
SECONDS_MAX: Final = 120.0


@contextmanager
def _server(name: str) -> Iterator[Server]:
    there = kept(name)
    server = there or start(name)
    try:
        yield server
    finally:
        if there is None:
            stop(server)


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("the workers did not come to an end; look at what they said")
        time.sleep(0.002)


def _latency(name: str) -> list[Result]:
    sent: dict[str, int] = {}
    with _server(name) as server, tempfile.TemporaryDirectory() as folder:
        source = Source(Path(folder))
        with closing(source.store), working(Path(folder), server.url, "stamping", 2, THREADS):
            for number in range(WARM + TIMES):
                id = f"product-{number}"
                sent[id] = source.put([id])
                _until(lambda: source.applied() == len(sent))
                time.sleep(PAUSE_SECONDS)
            measured = list(sent)[WARM:]
            flags = {id: int(str(entity["flag"])) for id, entity in source.store.get(measured).items()}
    taken = sorted((flags[id] - sent[id]) / 1e6 for id in measured)
    p99 = taken[int(len(taken) * 0.99)]
    return [
        within(f"feed to agent over {name}, p50", statistics.median(taken), "ms", P50_MS),
        within(f"feed to agent over {name}, p99", p99, "ms", P99_MS),
    ]


def _rate(server: Server, processes: int) -> float:
    """Calls a second of the agent that waits."""
    with tempfile.TemporaryDirectory() as folder:
        source = Source(Path(folder))
        with closing(source.store), working(Path(folder), server.url, "waiting", processes, THREADS):
            # The first change finds everybody awake.
            source.put(["warm"])
            _until(lambda: source.applied() == 1)
            begun = source.put([f"product-{number}" for number in range(CALLS)])
            _until(lambda: source.applied() == CALLS + 1)
            return CALLS / ((time.monotonic_ns() - begun) / 1e9)


def run() -> Sequence[Result]:
    """The bars of brokers and processes."""
    results = [*_latency("redis"), *_latency("rabbitmq")]
    with _server("redis") as server:
        one = _rate(server, 1)
        four = _rate(server, PROCESSES)
    ratio = four / one
    peer = "one process"
    results.append(
        Result(
            f"{PROCESSES} worker processes, agents waiting {WAIT_SECONDS * 1_000:.0f} ms",
            four,
            "calls/s",
            peer,
            one,
            ratio,
            f">= {MORE_BAR:g} x {peer}",
            ratio >= MORE_BAR,
        )
    )
    return results
