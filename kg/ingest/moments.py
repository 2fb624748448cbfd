"""Reads days, instants and durations as sources write them.

Invariant: a time without zone is taken in the declared zone or refused, never guessed; an hour that summer time skips is refused,
of an hour that occurs twice the first is taken. Instants come out in UTC.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from kg.ingest.unfit import Unfit, shown

_ISO_DURATION = re.compile(
    r"(-?)P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?\Z", re.ASCII
)
_CLOCK = re.compile(r"(-?)(\d{1,6}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?\Z", re.ASCII)
_EPOCH = {"epoch": 1, "epoch_ms": 1000}
_START = datetime(1970, 1, 1, tzinfo=UTC)


def _unfit(value: Any, reason: str) -> Unfit:
    return Unfit(f"{shown(value)} {reason}")


def _moment(value: Any, style: str | None) -> datetime | date:
    if isinstance(value, datetime | date):
        return value
    if style in _EPOCH:
        return _from_epoch(value, _EPOCH[style or "epoch"])
    if not isinstance(value, str):
        raise _unfit(value, "is no date; correct it, or declare `format` (epoch for seconds since 1970)")
    written = value.strip()
    try:
        if style is not None:
            return datetime.strptime(written, style)
        return date.fromisoformat(written) if len(written) == 10 else datetime.fromisoformat(written)
    except ValueError:
        hint = f"in the format {style}; correct it" if style else "an ISO 8601 date; declare `format`, e.g. '%d.%m.%Y'"
        raise _unfit(value, f"is not {hint}") from None


def _from_epoch(value: Any, per_second: int) -> datetime:
    try:
        return _START + timedelta(seconds=float(Decimal(str(value)) / per_second))
    except (ArithmeticError, ValueError, OverflowError):
        raise _unfit(value, "is no number of seconds since 1970; correct it") from None


def day(style: str | None, zone: tzinfo | None) -> Callable[[Any], date]:
    """A reader of calendar days; an instant becomes the day it has in the declared zone."""

    def read(value: Any) -> date:
        found = _moment(value, style)
        if not isinstance(found, datetime):
            return found
        if found.tzinfo is not None and zone is not None:
            found = found.astimezone(zone)
        return found.date()

    return read


def instant(style: str | None, zone: tzinfo | None) -> Callable[[Any], datetime]:
    """A reader of instants in UTC; a day is its first moment."""

    def read(value: Any) -> datetime:
        found = _moment(value, style)
        if not isinstance(found, datetime):
            found = datetime(found.year, found.month, found.day)
        if found.tzinfo is None:
            if zone is None:
                raise _unfit(value, "has no time zone; declare `time_zone` in the mapping")
            local = found.replace(tzinfo=zone)
            found = local.astimezone(UTC)
            if found.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
                raise _unfit(value, f"does not exist in {zone}: the clock skips it; correct it")
            return found
        try:
            return found.astimezone(UTC)
        except OverflowError:
            raise _unfit(value, "is out of the calendar; correct it") from None

    return read


def duration(unit: str | None) -> Callable[[Any], timedelta]:
    """A reader of durations: numbers of a unit, ISO 8601 (``PT90M``), or ``hours:minutes[:seconds]``."""

    def read(value: Any) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            if isinstance(value, str) and (found := _written(value.strip())) is not None:
                return found
            if unit is not None and not isinstance(value, bool):
                number = Decimal(str(value).strip())
                per_unit = timedelta(**{unit: 1}) // timedelta(microseconds=1)
                return timedelta(microseconds=int((number * per_unit).to_integral_value()))
        except (ArithmeticError, ValueError, OverflowError):
            raise _unfit(value, "is no duration; correct it") from None
        raise _unfit(value, "is no duration; write PT90M or 1:30, or declare `unit`, e.g. minutes")

    return read


def _written(written: str) -> timedelta | None:
    if match := _ISO_DURATION.match(written):
        sign, days, hours, minutes, seconds = match.groups()
        if days or hours or minutes or seconds:
            found = timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0))
            return (-1 if sign else 1) * (found + _seconds(seconds))
    if match := _CLOCK.match(written):
        sign, hours, minutes, seconds = match.groups()
        return (-1 if sign else 1) * (timedelta(hours=int(hours), minutes=int(minutes)) + _seconds(seconds))
    return None


def _seconds(written: str | None) -> timedelta:
    return timedelta(microseconds=int(Decimal(written or 0) * 1_000_000))
