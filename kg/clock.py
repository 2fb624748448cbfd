"""Port Clock: time, ids and entropy in one place, so that a simulator can own all three.

Invariant: nothing below `api` reads the wall clock, makes an id or draws randomness by another way. Does not promise that
`now` never goes back: the store's commit time does that.
"""

import os
import threading
import time
from datetime import UTC, datetime
from typing import Final, Protocol

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
#: The two digits of each number of ten bits, and where each such number stands in an id of 130.
_PAIRS: Final = [high + low for high in _DIGITS for low in _DIGITS]
_PLACES: Final = range(120, -1, -10)

#: Bytes of entropy drawn at once; an id takes 10, a salt 16.
DRAWN: Final = 4_096


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


class _Drawn(threading.local):
    """What the operating system gave this thread of this process, and how much of it is used."""

    bytes = b""
    used = 0
    process = 0


_drawn = _Drawn()


def _entropy(size: int) -> bytes:
    """Bytes of the operating system's generator, drawn many at a time: each draw lets go of the interpreter, and a thread that
    draws for every row of a commit would wait for its turn as often."""
    start, end = _drawn.used, _drawn.used + size
    # A child of a fork has the bytes of its parent; both would make the same ids and salts of them.
    if end > len(_drawn.bytes) or _drawn.process != os.getpid():
        _drawn.bytes, _drawn.process = os.urandom(max(size, DRAWN)), os.getpid()
        start, end = 0, size
    _drawn.used = end
    return _drawn.bytes[start:end]


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
        return opaque(time.time_ns() // 1_000_000, _entropy(10))

    def entropy(self, size: int) -> bytes:
        """Bytes of the operating system's generator."""
        return _entropy(size)
