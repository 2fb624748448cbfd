"""Packs instants for the driver, which would otherwise be most of a commit's time in this process.

The driver turns every instant into a time of its own and over a time-zone library first: a hundred times the work of the four
fields that travel (Bolt 5: `DateTime` is tag 0x49, seconds since 1970 UTC, nanoseconds, offset in seconds). Invariant: what
arrives is the same. Where a driver no longer has its `Structure`, instants are left to it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY: Final = 86_400
_NANOSECONDS: Final = 1_000
_TAG: Final = b"I"


@cache
def _structure() -> Any:
    try:
        from neo4j._codec.packstream import Structure
    except ImportError:
        return None
    return Structure


def packed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Properties with their instants, alone or in lists, as they travel."""
    return {name: _packed(value) for name, value in values.items()}


def _packed(value: Any) -> Any:
    kind = type(value)
    if kind is datetime:
        make = _structure()
        if make is None or value.tzinfo is not UTC:
            return value
        since = value - _EPOCH
        return make(_TAG, since.days * _SECONDS_A_DAY + since.seconds, since.microseconds * _NANOSECONDS, 0)
    if kind is list:
        return [_packed(item) for item in value]
    return value
