"""
Instants and days: what is compared is always an instant in UTC, and a day is a day in France.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

PARIS: Final = ZoneInfo("Europe/Paris")


def instant(text: str) -> datetime:
    """
    An RFC 3339 date and time with its offset, in UTC. Raises ValueError when the offset is missing.
    """
    return in_utc(datetime.fromisoformat(text))


def in_utc(moment: datetime) -> datetime:
    """
    The same instant in UTC, which makes later comparisons cheap. Raises ValueError when it has no offset.
    """
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return moment.astimezone(UTC)


def midnight(day: str, days: int = 0) -> datetime:
    """
    The first instant in France of an ISO day, or of the day that comes `days` later, in UTC.
    """
    return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), PARIS).astimezone(UTC)
