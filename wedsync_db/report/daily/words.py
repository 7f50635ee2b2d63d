"""Figures and times of the daily report in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wedsync_db.report.daily.chart import Unit
from wedsync_db.report.markdown import duration, size

if TYPE_CHECKING:  # pandas, which a load test does without
    from wedsync_db.history.buckets import Gap

NOT_KNOWN = "not known"
_MOST_GAPS = 4
_THOUSAND = 1000.0
_SMALL = 10


def figure(value: float | None, unit: Unit) -> str:
    """A value with its unit; what is not known is said to be."""
    if value is None:
        return NOT_KNOWN
    if unit == "bytes":
        return f"-{size(-value)}" if value < 0 else size(value)
    if unit == "bytes_per_second":
        return f"{size(value)}/s"
    if unit == "ratio":
        return percent(value)
    if unit == "seconds":
        return duration(value) if value else "0 s"
    return f"{counted_short(value)}/s" if unit == "per_second" else counted_short(value)


def percent(value: float) -> str:
    """A share; where hardly anything is missing to the whole, with as many digits as it takes to see that."""
    share = 100 * value
    if 99 < share < 100:  # noqa: PLR2004 99.97 % is not 100 %
        return f"{min(share, 99.99):.2f} %"
    return f"{share:.0f} %" if share >= _SMALL or share == int(share) else f"{share:.1f} %"


def counted_short(value: float) -> str:
    """A count in few characters: 7, 0.4, 1,240, 3.2 M."""
    size_of = abs(value)
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size_of >= factor:
            scale = _THOUSAND if letter == "k" else factor
            return f"{value / scale:.3g} {letter}"
    if size_of >= _SMALL or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}"


def day_time(at: datetime) -> str:
    """`18 Nov 03:10`."""
    return f"{at.astimezone(UTC):%-d %b %H:%M}"


def span(since: datetime, until: datetime) -> str:
    """`18 Nov 03:10–04:20`, with the second day where that is another one."""
    one, other = since.astimezone(UTC), until.astimezone(UTC)
    return f"{day_time(one)}–{other:%H:%M}" if one.date() == other.date() else f"{day_time(one)} – {day_time(other)}"


def no_data(gaps: Iterable[Gap]) -> str:
    """What is missing, the longest first where there is much of it; nothing where nothing is."""
    found = sorted(gaps, key=lambda gap: gap.since)
    if not found:
        return ""
    longest = sorted(found, key=lambda gap: gap.since - gap.until)[:_MOST_GAPS]
    said = ", ".join(span(gap.since, gap.until) for gap in sorted(longest, key=lambda gap: gap.since))
    more = len(found) - len(longest)
    return f"No data {said}" + (f", and {more} shorter {'gap' if more == 1 else 'gaps'}" if more else "")


def age(delta: timedelta) -> str:
    """How long ago, in one unit: `40 minutes`, `9 hours`, `3 days`."""
    seconds = max(delta.total_seconds(), 0.0)
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or unit == "minute":
            count = round(seconds / length)
            return f"{count} {unit if count == 1 else f'{unit}s'}"
    raise AssertionError  # minutes take everything


def width_text(width: timedelta) -> str:
    """How wide a bucket is."""
    minutes = round(width.total_seconds() / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"  # noqa: PLR2004 minutes of an hour
