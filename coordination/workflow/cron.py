"""Cron lines: what they mean and when they are next due.

Invariant: five fields (or a name such as @daily), read in UTC, so that no clock change skips or repeats a run; the library that
reads them stays in here. Starts nothing.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

#: How far ahead a next time is sought, in years; 29 February comes within eight.
YEARS_MAX: Final = 10
TEXT_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron line; ValueError, saying why, where it is none or never comes due."""

    text: str
    _line: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > TEXT_MAX:
            raise ValueError(f"it is longer than {TEXT_MAX} characters")
        line = " ".join(self.text.split())
        if not line.startswith("@") and len(line.split(" ")) != 5:
            raise ValueError(f"it has {len(line.split(' ')) if line else 0} fields and needs 5")
        object.__setattr__(self, "_line", line)
        self.after(datetime(2024, 1, 1, tzinfo=UTC))

    def after(self, moment: datetime) -> datetime:
        """The first time it is due after a moment, in UTC."""
        from croniter import CroniterError, croniter

        try:
            found = croniter(self._line, moment.astimezone(UTC), max_years_between_matches=YEARS_MAX).get_next(datetime)
        except (CroniterError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(" ".join(str(error).split())[:160] or "it cannot be read") from None
        if not isinstance(found, datetime):
            raise ValueError("it never comes due")
        return found.astimezone(UTC)
