"""Durations as the specification writes them: an object of days to milliseconds, or ISO 8601 text; here in microseconds.

Invariant: a duration is never negative and never longer than DURATION_MAX. Years and months, whose length depends on a date, are
refused.
"""

import re
from typing import Final

from coordination.workflow.faults import fault
from kg.values import Json

_UNITS: Final = {
    "days": 86_400_000_000,
    "hours": 3_600_000_000,
    "minutes": 60_000_000,
    "seconds": 1_000_000,
    "milliseconds": 1_000,
}
_ISO = re.compile(
    r"P(?=\d|T\d)(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?\Z"
)
_ISO_UNITS: Final = (604_800_000_000, 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)
#: A hundred years, in microseconds.
DURATION_MAX: Final = 36_525 * 86_400_000_000


def microseconds(value: Json) -> int:
    """The length of a duration; the specification's configuration error where it is none."""
    total: float = -1
    if isinstance(value, str) and (found := _ISO.match(value.strip())):
        total = sum(
            float(part.replace(",", ".")) * unit
            for part, unit in zip(found.groups(), _ISO_UNITS, strict=True)
            if part is not None
        )
    elif isinstance(value, dict) and value.keys() <= _UNITS.keys() and value:
        parts = [(value[name], unit) for name, unit in _UNITS.items() if name in value]
        if all(isinstance(part, int | float) and not isinstance(part, bool) and part >= 0 for part, _ in parts):
            total = sum(part * unit for part, unit in parts)
    if not 0 <= total <= DURATION_MAX:
        raise fault(
            "configuration", f"{str(value)[:100]!r} is no duration; write PT10S or seconds: 10, at most a hundred years"
        )
    return round(total)
