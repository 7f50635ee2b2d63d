"""Where the axes of a load test's pictures have their ticks, and what stands there. Pure."""

from __future__ import annotations

import math

from wedsync_db.report.daily.axis import tick_text, ticks
from wedsync_db.report.daily.chart import Unit
from wedsync_db.report.daily.words import figure
from wedsync_db.report.load.plot import Scale
from wedsync_db.report.load.words import milliseconds

_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400)
_MINUTE = 60
_ONE_IN = ((1, "fastest"), (2, "50 %"), (10, "90 %"), (100, "99 %"), (1000, "99.9 %"), (10_000, "99.99 %"))
_EDGE = 0.97
_ROOM = 1.8  # above the highest, for its words
_LEAST_SPAN = 20.0  # of the highest to the lowest: less does not need powers of ten


def said(value: float | None, unit: Scale) -> str:
    """A value with its unit."""
    return milliseconds(value) if unit == "milliseconds" else figure(value, unit)


def value_ticks(low: float, high: float, unit: Scale) -> list[tuple[float, str]]:
    """Round values from the lower to the higher."""
    if unit == "milliseconds":
        return [(10.0**n, milliseconds(10.0**n)) for n in powers(low, high)]
    known: Unit = unit
    return [(value, tick_text(value, known)) for value in ticks(low, high, known)]


def powers(low: float, high: float) -> range:
    """The powers of ten between two values."""
    return range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)


def second_ticks(end: float, most: int) -> list[tuple[float, str]]:
    """Seconds from the begin of the run, or minutes where it is long."""
    step = next((one for one in _SECONDS if end / one <= most), _SECONDS[-1])
    places = range(0, math.floor(end * _EDGE) + 1, step)
    if step < _MINUTE:
        return [(at, f"{at} s" if at else "0") for at in places]
    return [(at, f"{at // _MINUTE} min" if at else "0") for at in places]


def one_in_ticks(highest: float, *, narrow: bool) -> list[tuple[float, str]]:
    """Percentiles, by of how many requests one is slower."""
    found = [(float(one), text) for one, text in _ONE_IN if one <= highest * 1.01]
    return [one for one in found if one[0] != 2] if narrow else found  # noqa: PLR2004 no room for the median


def round_outwards(low: float, high: float) -> tuple[float, float]:
    """The scale for times: from a power of ten to a little above the highest, or to the next."""
    bottom = 10.0 ** math.floor(math.log10(max(low, 0.01)) + 1e-9)
    top = max(high * _ROOM, bottom * _LEAST_SPAN)
    return bottom, top
