"""Where an axis has its ticks, and what stands there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from wedsync_db.report.daily.chart import Unit
from wedsync_db.report.daily.words import figure

_IDLE = re.compile(r"\.0(?= )| 0 (?:s|min)$")
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400)
_EDGE = 0.02
_HOURS = (1 / 12, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 72, 96, 168, 336, 720, 1440, 2880, 8760)


def ticks(low: float, high: float, unit: Unit) -> list[float]:
    """Round values: of bytes in their own units, of time in theirs."""
    step = _step((high - low) / 5, unit)
    first = int(low / step) + (1 if low % step else 0)
    return [step * n for n in range(first, int(high / step + 1e-9) + 1)]


def _step(rough: float, unit: str) -> float:
    if unit == "seconds" and rough >= 1:
        return next((float(s) for s in _SECONDS if s >= rough), 86_400.0 * max(1, round(rough / 86_400)))
    base, most = (1024.0, 512.0) if unit.startswith("bytes") else (1000.0, 1000.0)
    scale = 1.0
    while rough / scale > most:
        scale *= base
    if unit not in ("per_second", "seconds", "ratio"):
        rough = max(rough, 1.0)  # of half a row or byte there is none
    if unit == "seconds":
        rough = max(rough, 0.001)  # shorter ones have no words
    while rough / scale < 1:
        scale /= 10
    factors = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    return next((scale * f for f in factors if scale * f >= rough), scale * most)


def tick_text(value: float, unit: Unit) -> str:
    """A round value, without digits that say nothing: `20 GiB`, `10 min`."""
    text = figure(value, unit)
    return "0" if value == 0 else _IDLE.sub("", text)


def time_ticks(since: datetime, until: datetime, most: int) -> Iterator[tuple[datetime, str]]:
    """Midnights with their date; in a window of two days or less hours, too."""
    hours = next((h for h in _HOURS if (until - since) / timedelta(hours=h) <= most), _HOURS[-1])
    midnight = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if hours > 24:  # noqa: PLR2004 days are counted back from the last, so that today has its name
        last = until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        midnight = last - timedelta(hours=hours) * ((last - midnight) // timedelta(hours=hours))
    edge = (until - since) * _EDGE  # there a date would be cut
    for number in range((until - midnight) // timedelta(hours=hours) + 1):
        at = midnight + number * timedelta(hours=hours)
        if since + edge <= at <= until - edge:
            yield at, f"{at:%-d %b}" if at.hour == 0 else f"{at:%H:%M}"
