"""The daily report's pictures as SVG.

Everything is drawn twice: wide, and narrow for a telephone, where a wide picture would be shrunk until nobody can read
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wedsync_db.report.canvas import (
    FONT,
    LEFT_NARROW,
    LEFT_WIDE,
    NARROW,
    RIGHT,
    TOP,
    WIDE,
    axes_of,
    dashes,
    gapped,
    svg,
    wide_of,
)
from wedsync_db.report.daily.axis import tick_text, ticks, time_ticks
from wedsync_db.report.daily.chart import Chart, Layer, Limit, Picture, Ranking
from wedsync_db.report.daily.words import figure
from wedsync_db.report.svg import placeholder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 26
_SHORTEST = timedelta(minutes=5)  # an axis of no length cannot be drawn
_LEAST_GAP_SHARE = 0.002  # of the axis; a narrower gap would not be seen


def pictures(picture: Picture) -> tuple[str, str]:
    """The picture wide and narrow, as two SVG elements; two empty texts where there is nothing to draw."""
    if picture.is_empty:
        return "", ""
    return _svg(picture, narrow=False), _svg(picture, narrow=True)


def _svg(picture: Picture, *, narrow: bool) -> str:
    size = _size(picture, narrow=narrow)

    def draw(drawn: Figure) -> None:
        if isinstance(picture, Ranking):
            _draw_ranking(drawn, picture, *size, narrow=narrow)
        else:
            begin = min(picture.since, picture.until - _SHORTEST)
            _draw_chart(drawn, replace(picture, since=begin), *size, narrow=narrow)

    name = f"{picture.key}-{'narrow' if narrow else 'wide'}"
    return svg(name, size, draw, title=picture.title, description=described(picture))


def described(picture: Picture) -> str:
    """What somebody learns who cannot see it."""
    if isinstance(picture, Ranking):
        said = [f"{bar.label}: {figure(bar.value, picture.unit)}" for bar in picture.bars]
    else:
        said = [f"{layer.label}: {_range(layer, picture)}" for layer in picture.layers]
    return " ".join([picture.says, *(f"{one}." for one in said), *picture.notes])


def _range(layer: Layer, chart: Chart) -> str:
    known = [value for value in layer.values if value is not None]
    return f"{figure(min(known), chart.unit)} to {figure(max(known), chart.unit)}" if known else "not known"


def _size(picture: Picture, *, narrow: bool) -> tuple[int, int]:
    if isinstance(picture, Ranking):
        rows = len(picture.bars)
        return (NARROW[0], 2 * _ROW * rows + TOP) if narrow else (WIDE[0], _ROW * rows + TOP + 6)
    return NARROW if narrow else WIDE


def _draw_chart(drawn: Figure, chart: Chart, width: int, height: int, *, narrow: bool) -> None:
    axes = axes_of(drawn, (width, height), LEFT_NARROW if narrow else LEFT_WIDE)
    axes.set_xlim(_days(chart.since), _days(chart.until))
    _gaps(axes, chart, narrow=narrow)
    highest = _layers(axes, chart)
    _band(axes, chart)
    if chart.band:
        highest = max(highest, *chart.band.highest)
    _limits(axes, chart.limits, chart)
    _scale(axes, chart, max([highest, *(one.value for one in chart.limits)]))
    _marks(axes, chart, width)
    _time_axis(axes, chart, narrow=narrow)


def _layers(axes: Axes, chart: Chart) -> float:
    """Draw what was measured; gives the highest value."""
    at = [_days(one) for one in chart.times]
    below, highest = [0.0] * len(at), 0.0
    for layer in chart.layers:
        draw = {"line": _line, "area": _area, "bars": _bars, "points": _points}[layer.kind]
        draw(axes, at, layer, below, chart)
        if layer.kind in ("area", "bars"):
            below = [low + (value or 0.0) for low, value in zip(below, layer.values, strict=True)]
            highest = max([highest, *below])
        else:
            highest = max([highest, *(value for value in layer.values if value is not None)])
    return highest


def _line(axes: Axes, at: Sequence[float], layer: Layer, _below: Sequence[float], _chart: Chart) -> None:
    axes.plot(at, gapped(layer.values), color=placeholder(layer.colour), linewidth=1.7, linestyle=dashes(layer.look))
    _alone(axes, at, layer.values, layer)


def _alone(axes: Axes, at: Sequence[float], values: Sequence[float | None], layer: Layer) -> None:
    """A point with nothing before or after it makes no line, and would not be seen."""
    padded = [None, *values, None]
    single = [n for n, value in enumerate(values) if value is not None and padded[n] is None and padded[n + 2] is None]
    if single:
        heights = [float(values[n] or 0.0) for n in single]
        axes.plot([at[n] for n in single], heights, "o", color=placeholder(layer.colour), markersize=3.5)


def _area(axes: Axes, at: Sequence[float], layer: Layer, below: Sequence[float], _chart: Chart) -> None:
    top = [None if value is None else low + value for low, value in zip(below, layer.values, strict=True)]
    colour = placeholder(layer.colour)
    axes.fill_between(
        at,
        list(below),
        gapped(top),
        where=[value is not None for value in top],
        color=colour,
        alpha=0.55,
        linewidth=0,
    )
    axes.plot(at, gapped(top), color=colour, linewidth=1.1)
    _alone(axes, at, top, layer)


def _bars(axes: Axes, at: Sequence[float], layer: Layer, below: Sequence[float], chart: Chart) -> None:
    heights = [value or 0.0 for value in layer.values]
    axes.bar(at, heights, width=chart.bar_days, bottom=list(below), color=placeholder(layer.colour), alpha=0.85)


def _points(axes: Axes, at: Sequence[float], layer: Layer, _below: Sequence[float], _chart: Chart) -> None:
    colour = placeholder(layer.colour)
    known = [(x, value) for x, value in zip(at, layer.values, strict=True) if value is not None]
    axes.plot(
        [x for x, _ in known],
        [value for _, value in known],
        layer.look,
        color=colour,
        markersize=8,
        markeredgewidth=2,
        linestyle="none",
        clip_on=False,
    )


def _band(axes: Axes, chart: Chart) -> None:
    if not chart.band:
        return
    at, colour = [_days(one) for one in chart.band.times], placeholder("c1")
    axes.fill_between(at, chart.band.lowest, chart.band.highest, color=colour, alpha=0.22, linewidth=0)
    axes.plot(at, chart.band.likely, color=colour, linewidth=1.5, linestyle=(0, (5.0, 3.0)))


def _limits(axes: Axes, limits: Iterable[Limit], chart: Chart) -> None:
    for limit in limits:
        colour = placeholder(limit.colour)
        axes.axhline(limit.value, color=colour, linewidth=1.2, linestyle=(0, (2.0, 2.0)))
        axes.annotate(
            f"{limit.label}: {figure(limit.value, chart.unit)}",
            (1, limit.value),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=colour,
            fontsize=FONT - 1,
        )


def _gaps(axes: Axes, chart: Chart, *, narrow: bool) -> None:
    """Grey where nothing is known, with the words where they fit."""
    whole = (chart.until - chart.since).total_seconds()
    for gap in chart.gaps:
        share = (gap.until - gap.since).total_seconds() / whole
        if share < _LEAST_GAP_SHARE:
            continue
        axes.axvspan(_days(gap.since), _days(gap.until), color=placeholder("gap"), linewidth=0, zorder=0.5)
        if share > (0.2 if narrow else 0.075):
            middle = _days(gap.since + (gap.until - gap.since) / 2)
            axes.annotate(
                "no data", (middle, 0.5), xycoords=("data", "axes fraction"), ha="center", color=placeholder("soft")
            )


def _marks(axes: Axes, chart: Chart, width: int) -> None:
    """A line for each deployment with its number on top, and for each restart."""
    for at in chart.restarts:
        axes.axvline(_days(at), color=placeholder("soft"), linewidth=1, linestyle=(0, (1.0, 2.0)))
        _on_top(axes, at, "↻", "soft")
    free = chart.since - timedelta(days=999)
    least = (chart.until - chart.since) * 30 / width
    for mark in chart.marks:
        if not chart.since <= mark.at <= chart.until:
            continue
        colour = "ink" if mark.outcome in ("done", "running", "reverted") else "bad"
        axes.axvline(_days(mark.at), color=placeholder(colour), linewidth=1, alpha=0.55, zorder=1.5)
        if mark.at - free >= least:  # of several at one time the first has its number, and the page lists all
            _on_top(axes, mark.at, f"D{mark.number}" if colour == "ink" else f"D{mark.number}!", colour)
            free = mark.at


def _on_top(axes: Axes, at: datetime, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (_days(at), 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        color=placeholder(colour),
        fontsize=FONT - 1,
    )


def _scale(axes: Axes, chart: Chart, highest: float) -> None:
    """From zero to a little above the highest; a ratio to its end, from where it says something."""
    if chart.unit == "ratio":
        known = [v for layer in chart.layers for v in layer.values if v is not None]
        lowest = min([*known, *(one.value for one in chart.limits)])
        axes.set_ylim(max(0.0, lowest - 0.05 - (1 - lowest) * 0.2), 1.005)
    else:
        axes.set_ylim(0, highest * 1.12 or 1.0)
    places = ticks(*axes.get_ylim(), chart.unit)
    axes.set_yticks(places)
    axes.set_yticklabels([tick_text(value, chart.unit) for value in places])
    axes.grid(visible=True, axis="y", color=placeholder("line"), linewidth=0.8)


def _time_axis(axes: Axes, chart: Chart, *, narrow: bool) -> None:
    places = list(time_ticks(chart.since, chart.until, 4 if narrow else 9))
    axes.set_xticks([_days(at) for at, _ in places])
    axes.set_xticklabels([text for _, text in places])


def _draw_ranking(drawn: Figure, ranking: Ranking, width: int, height: int, *, narrow: bool) -> None:
    """Bars beside their names; on a telephone below them."""
    left = 8 if narrow else 330
    axes = axes_of(drawn, (width, height), left, bottom=4, top=14)
    places = list(range(len(ranking.bars)))[::-1]
    values = [bar.value for bar in ranking.bars]
    longest = max([*values, ranking.limit or 0.0]) or 1.0
    said = [f"{figure(bar.value, ranking.unit)}{f', {bar.more}' if bar.more else ''}" for bar in ranking.bars]
    room = width - left - RIGHT
    axes.set_xlim(
        0, max([longest * 1.02, *(v / (1 - wide_of(text) / room) for v, text in zip(values, said, strict=True))])
    )
    axes.set_ylim(-0.7, len(places) - 0.4)
    axes.barh(
        [p - (0.22 if narrow else 0) for p in places],
        values,
        height=0.4 if narrow else 0.6,
        color=placeholder("c1"),
        alpha=0.85,
    )
    axes.set_xticks([])
    axes.set_yticks([] if narrow else places)
    if not narrow:
        axes.set_yticklabels([_short(bar.label, 44) for bar in ranking.bars])
    for place, bar, text in zip(places, ranking.bars, said, strict=True):
        _bar_words(axes, place, bar.label, text, bar.value, narrow=narrow)
    if ranking.limit is not None:
        axes.axvline(ranking.limit, color=placeholder("warn"), linewidth=1.5, linestyle=(0, (2.0, 2.0)), zorder=1.5)


def _bar_words(axes: Axes, place: float, label: str, value: str, end: float, *, narrow: bool) -> None:
    beside: Callable[..., Any] = axes.annotate
    low = place - 0.22 if narrow else place
    beside(
        value, (end, low), xytext=(6, 0), textcoords="offset points", va="center", color=placeholder("ink")
    )  # fmt: skip
    if narrow:
        beside(
            _short(label, 46),
            (0, place + 0.22),
            xytext=(0, 0),
            textcoords="offset points",
            va="center",
            color=placeholder("soft"),
        )


def _short(text: str, most: int) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else f"{one_line[: most - 1]}…"


def _days(at: datetime) -> float:
    return at.timestamp() / 86_400
