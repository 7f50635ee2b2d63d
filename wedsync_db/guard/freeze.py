"""The freeze calendar: from Friday evening to Monday morning nobody deploys, as weddings are on Saturdays.

Wall clocks are those of the platform's zone. Where one is ambiguous or skipped (a change of summer time) the longer
freeze counts. Nothing here looks at a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MIDNIGHT = 24  # as an hour: the freeze begins with the Saturday


@dataclass(frozen=True, slots=True)
class Freeze:
    """One weekend's freeze, from `start` up to but not including `end`, both in UTC."""

    start: datetime
    end: datetime


def first_freeze(start: datetime, end: datetime, zone: ZoneInfo, friday_hour: int) -> Freeze | None:
    """The first freeze that something lasting from `start` to `end` runs into, None if it stays outside.

    `friday_hour` is 0 to 24 on the zone's wall clock; Saturday and Sunday are always frozen.
    """
    local = start.astimezone(zone).date()
    monday = local - timedelta(days=local.weekday() + 7)  # a week early: days differ between zones
    while True:
        freeze = weekend(monday, zone, friday_hour)
        if freeze.end > start:
            return freeze if freeze.start <= end else None
        monday += timedelta(days=7)


def weekend(monday: date, zone: ZoneInfo, friday_hour: int) -> Freeze:
    """The freeze at the end of the week that begins with this Monday."""
    friday = monday + timedelta(days=4)
    begins = (friday + timedelta(days=friday_hour // _MIDNIGHT), friday_hour % _MIDNIGHT)
    return Freeze(min(_moments(*begins, zone)), max(_moments(monday + timedelta(days=7), 0, zone)))


def _moments(day: date, hour: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A wall-clock time in UTC by both readings, which differ only around a change of offset."""
    wall = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return wall.replace(fold=0).astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
