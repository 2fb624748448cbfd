"""One measured bar: our figure beside the floor or peer measured in the same run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """`ratio` is ours divided by the peer's (None without a peer); `target` says the bar in words; `met` whether it holds."""

    name: str
    ours: float
    unit: str
    peer: str
    peer_value: float | None
    ratio: float | None
    target: str
    met: bool


def at_most(name: str, ours: float, unit: str, peer: str, peer_value: float, bar: float) -> Result:
    """A bar on the ratio to a peer."""
    ratio = ours / peer_value
    return Result(name, ours, unit, peer, peer_value, ratio, f"<= {bar:g} x {peer}", ratio <= bar)


def at_least(name: str, ours: float, unit: str, bar: float, peer: str = "", peer_value: float | None = None) -> Result:
    """A bar on a rate; the peer, where there is one, is shown beside it."""
    ratio = ours / peer_value if peer_value else None
    return Result(name, ours, unit, peer, peer_value, ratio, f">= {bar:,.0f} {unit}", ours >= bar)


def within(name: str, ours: float, unit: str, bar: float, peer: str = "", peer_value: float | None = None) -> Result:
    """A bar on a time or size; the peer, where there is one, is shown beside it."""
    ratio = ours / peer_value if peer_value else None
    return Result(name, ours, unit, peer, peer_value, ratio, f"<= {bar:,g} {unit}", ours <= bar)


def median_us(call: Callable[[int], object], times: int) -> float:
    """The median duration of a call in microseconds; it is handed its number."""
    taken = []
    for number in range(times):
        start = time.perf_counter_ns()
        call(number)
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken) / 1_000


def interleaved_us(
    ours: Callable[[int], object], peer: Callable[[int], object], times: int, rounds: int = 5
) -> tuple[float, float]:
    """Medians of two calls measured turn by turn, so that a busy machine slows both alike."""
    pairs = [(median_us(ours, times), median_us(peer, times)) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(two for _, two in pairs)


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
