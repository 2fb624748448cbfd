"""How each system writes a moment in time: the ERP in Berlin local time without a zone, the helpdesk in UTC, logistics in New
York time with its offset. Inside the generator every moment is an aware UTC datetime.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """Give the UTC moment of a Berlin wall clock time."""
    return datetime.combine(day, time(hour, minute), BERLIN).astimezone(UTC)


def berlin_day(moment: datetime) -> date:
    """Give the Berlin calendar day of a moment."""
    return moment.astimezone(BERLIN).date()


def erp_text(moment: datetime) -> str:
    """Write a moment as the ERP does: `2026-02-27 14:05:00`, Berlin, no zone."""
    return moment.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S")


def helpdesk_text(moment: datetime) -> str:
    """Write a moment as the helpdesk does: `2026-02-27T13:05:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def logistics_text(moment: datetime) -> str:
    """Write a moment as the carriers' platform does: `2026-02-27T08:05:00-05:00`."""
    return moment.astimezone(NEW_YORK).isoformat(timespec="seconds")


def days(count: float) -> timedelta:
    """Give a span of days."""
    return timedelta(days=count)
