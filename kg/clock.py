"""Port Clock: time, ids and entropy in one place, so that a simulator can own all three.

Invariant: nothing below `api` reads the wall clock, makes an id or draws randomness by another way. Does not promise that
`now` never goes back: the store's commit time does that.
"""

import os
import time
from datetime import UTC, datetime
from typing import Final, Protocol

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
#: The two digits of each number of ten bits, and where each such number stands in an id of 130.
_PAIRS: Final = [high + low for high in _DIGITS for low in _DIGITS]
_PLACES: Final = range(120, -1, -10)


class Clock(Protocol):
    """The source of time, ids and entropy."""

    def now(self) -> datetime:
        """The wall clock in UTC; it may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines inside one process."""

    def id(self) -> str:
        """A new opaque id: 26 characters, no two alike, roughly in order of making."""

    def entropy(self, size: int) -> bytes:
        """Random bytes that nobody can guess (salts, keys)."""


def opaque(milliseconds: int, entropy: bytes) -> str:
    """An id of 48 bits of time and 80 of entropy in lower-case base32hex, whose text order follows time."""
    return text_of(milliseconds.to_bytes(6, "big") + entropy)


def text_of(bits: bytes) -> str:
    """128 bits as an id's 26 characters: base32hex (RFC 4648) in lower case, without padding."""
    number = int.from_bytes(bits) << 2
    return "".join([_PAIRS[number >> place & 0x3FF] for place in _PLACES])


class SystemClock:
    """The machine's own clock and entropy."""

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def id(self) -> str:
        """A new opaque id."""
        return opaque(time.time_ns() // 1_000_000, os.urandom(10))

    def entropy(self, size: int) -> bytes:
        """Bytes of the operating system's generator."""
        return os.urandom(size)
