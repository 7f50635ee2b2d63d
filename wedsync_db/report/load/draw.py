"""The pictures of a load test as SVG, wide and narrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wedsync_db.report.canvas import FONT, LEFT_NARROW, LEFT_WIDE, NARROW, TOP, WIDE, axes_of, dashes, gapped, svg
from wedsync_db.report.load.axis import one_in_ticks, round_outwards, said, second_ticks, value_ticks
from wedsync_db.report.load.plot import Layer, Limit, Picture, Plot, Row, Span, Strip
from wedsync_db.report.load.series import Heat
from wedsync_db.report.svg import placeholder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_WIDE, _ROW_NARROW = 34, 54
_STRIP_LEFT = 400
_LOWEST_MS = 0.05  # below it a logarithm would take most of the picture
_LONGEST = 54  # letters across a telephone
_LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)
_LETTER = 0.62  # of the font's size: the width of a letter, about
_LEAST_APART = 74  # pixels, of two names
_MARGIN = 1.3


def pictures(picture: Picture) -> tuple[str, str]:
    """The picture wide and narrow, as two SVG elements; two empty texts where there is nothing to draw."""
    return ("", "") if picture.is_empty else (_svg(picture, narrow=False), _svg(picture, narrow=True))


def described(picture: Picture) -> str:
    """What somebody learns who cannot see it."""
    if isinstance(picture, Strip):
        found = [f"{row.label}: {row.low:.2f} to {row.high:.2f}." for row in picture.rows]
    else:
        found = [f"{layer.label}: {_range(layer, picture)}." for layer in picture.layers]
    return " ".join([picture.says, *found, *picture.notes])


def _range(layer: Layer, plot: Plot) -> str:
    known = [value for value in layer.values if value is not None]
    return f"{said(min(known), plot.unit)} to {said(max(known), plot.unit)}" if known else "not known"


def _svg(picture: Picture, *, narrow: bool) -> str:
    name = f"{picture.key}-{'narrow' if narrow else 'wide'}"
    if isinstance(picture, Strip):
        size = _strip_size(picture, narrow=narrow)
        draw: Any = lambda drawn: _draw_strip(drawn, picture, size, narrow=narrow)  # noqa: E731
    else:
        size = NARROW if narrow else WIDE
        draw = lambda drawn: _draw_plot(drawn, picture, size, narrow=narrow)  # noqa: E731
    return svg(name, size, draw, title=picture.title, description=described(picture))


def _draw_plot(drawn: Figure, plot: Plot, size: tuple[int, int], *, narrow: bool) -> None:
    axes = axes_of(drawn, size, LEFT_NARROW if narrow else LEFT_WIDE)
    _across(axes, plot, narrow=narrow)
    _spans(axes, plot, size[0] - (LEFT_NARROW if narrow else LEFT_WIDE))
    _upwards(axes, plot)
    if plot.heat:
        _heat(axes, plot.heat)
    _layers(axes, plot)
    _limits(axes, plot)
    for at, _ in plot.marks:
        axes.axvline(at, color=placeholder("ink"), linewidth=1.2, linestyle=(0, (1.0, 2.0)))


def _across(axes: Axes, plot: Plot, *, narrow: bool) -> None:
    if plot.over == "one in":
        axes.set_xscale("log")
        axes.set_xlim(1, max(plot.at) * 1.15)
        places = one_in_ticks(max(plot.at), narrow=narrow)
        axes.grid(visible=True, axis="x", color=placeholder("line"), linewidth=0.8)
    else:
        axes.set_xlim(0, plot.end)
        places = second_ticks(plot.end, 5 if narrow else 12)
    axes.set_xticks([at for at, _ in places])
    axes.set_xticks([], minor=True)
    labels = axes.set_xticklabels([text for _, text in places])
    if places and places[0][0] == axes.get_xlim()[0]:
        labels[0].set_horizontalalignment("left")


def _upwards(axes: Axes, plot: Plot) -> None:
    low, high = _range_of(plot)
    if plot.unit == "milliseconds":
        axes.set_yscale("log")
        axes.set_ylim(*round_outwards(low, high))
    elif plot.unit == "ratio":
        axes.set_ylim(0, 1.05)
    else:
        axes.set_ylim(0, high * 1.12 or 1.0)
    places = value_ticks(*axes.get_ylim(), plot.unit)
    axes.set_yticks([at for at, _ in places])
    axes.set_yticks([], minor=True)
    axes.set_yticklabels([text for _, text in places])
    axes.grid(visible=True, axis="y", color=placeholder("line"), linewidth=0.8)


def _range_of(plot: Plot) -> tuple[float, float]:
    """The lowest and the highest of all that is drawn."""
    stacked = [layer.values for layer in plot.layers if layer.kind in ("area", "bars")]
    known = [value for layer in plot.layers for value in layer.values if value is not None]
    known += [sum(value or 0.0 for value in at) for at in zip(*stacked, strict=True)]
    known += [limit.value for limit in plot.limits]
    if plot.heat:
        known += [plot.heat.edges[0], plot.heat.edges[-1]]
    return max(min(known), _LOWEST_MS), max(known)


def _spans(axes: Axes, plot: Plot, width: float) -> None:
    """Every second phase shaded, each with its name on top where there is room for it."""
    for number, span in enumerate(plot.spans):
        if number % 2:
            axes.axvspan(span.begin, span.end, color=placeholder("gap"), linewidth=0, zorder=0.3, alpha=0.5)
        text = _span_text(span, (span.end - span.begin) / plot.end * width)
        if text:
            axes.annotate(
                text,
                ((span.begin + span.end) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                color=placeholder("soft"),
                fontsize=FONT - 1,
            )


def _span_text(span: Span, room: float) -> str:
    full = span.name if span.measured else f"{span.name} (not judged)"
    for text in (full, span.name):
        if len(text) * FONT * _LETTER < room:
            return text
    return ""


def _layers(axes: Axes, plot: Plot) -> None:
    below = [0.0] * len(plot.at)
    before: Sequence[float | None] = ()
    for layer in plot.layers:
        colour, values = placeholder(layer.colour), gapped(layer.values)
        if layer.kind == "bars":
            axes.bar(
                plot.at, [value or 0.0 for value in layer.values], plot.step * 0.96, below, color=colour, linewidth=0
            )
        elif layer.kind == "area":
            top = [low + (value or 0.0) for low, value in zip(below, layer.values, strict=True)]
            axes.fill_between(plot.at, below, top, color=colour, alpha=0.5, linewidth=0)
            axes.plot(plot.at, top, color=colour, linewidth=1.1)
        elif layer.kind == "between":
            low = [max(value, _LOWEST_MS) for value in gapped(before)]
            axes.fill_between(plot.at, low, values, color=colour, alpha=0.4, linewidth=0)
        else:
            axes.plot(
                plot.at,
                [max(value, _LOWEST_MS) for value in values],
                color=colour,
                linewidth=1.8,
                linestyle=dashes(layer.look),
            )
        if layer.kind in ("area", "bars"):
            below = [low + (value or 0.0) for low, value in zip(below, layer.values, strict=True)]
        before = layer.values


def _heat(axes: Axes, heat: Heat) -> None:
    """A shape for each level of darkness, so that a picture of thousands of fields stays small."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    most = max(max(counts) for counts in heat.counts)
    fields: dict[float, list[Path]] = {level: [] for level in _LEVELS}
    for at, counts in zip(heat.at, heat.counts, strict=True):
        for band, count in enumerate(counts):
            if count:
                level = next(one for one in _LEVELS if (count / most) ** 0.5 <= one)
                fields[level].append(_field(at, at + heat.seconds, heat.edges[band], heat.edges[band + 1]))
    for level, paths in fields.items():
        if paths:
            path = Path.make_compound_path(*paths)
            axes.add_patch(PathPatch(path, color=placeholder("c1"), alpha=level, linewidth=0, zorder=2))


def _field(left: float, right: float, low: float, high: float) -> Any:
    from matplotlib.path import Path

    return Path([(left, low), (right, low), (right, high), (left, high), (left, low)], closed=True)


def _limits(axes: Axes, plot: Plot) -> None:
    for limit in plot.limits:
        axes.plot(
            [limit.begin, limit.end],
            [limit.value, limit.value],
            color=placeholder("bad"),
            linewidth=1.6,
            linestyle=(0, (4.0, 2.0)),
        )
        _limit_label(axes, plot, limit)


def _limit_label(axes: Axes, plot: Plot, limit: Limit) -> None:
    """At that corner of the limit where the fewest values are in the way; on a short one the value alone."""
    begin, end = (float(axes.transData.transform((at, limit.value))[0]) for at in (limit.begin, limit.end))
    texts = (f"limit {limit.label} {limit.said}".replace("  ", " "), f"limit {limit.said}", limit.said)
    text = next((one for one in texts if len(one) * FONT * _LETTER < end - begin), "")
    wide = len(text) * FONT * _LETTER
    corners = [(side, up) for up in (1, -1) for side in ("right", "left")]
    left = {"right": end - wide, "left": begin}
    side, up = min(corners, key=lambda one: _in_the_way(axes, plot, limit, left[one[0]], wide, one[1]))
    label: Any = axes.annotate
    label(
        text,
        (limit.end if side == "right" else limit.begin, limit.value),
        xytext=(-3 if side == "right" else 3, 3 * up),
        textcoords="offset points",
        ha=side,
        va="bottom" if up > 0 else "top",
        color=placeholder("bad"),
        fontsize=FONT - 1,
    )


def _in_the_way(axes: Axes, plot: Plot, limit: Limit, left: float, wide: float, up: int) -> int:
    """How many values are where a text would be."""
    low = float(axes.transData.transform((limit.end, limit.value))[1])
    low, high = (low, low + 1.6 * FONT) if up > 0 else (low - 1.6 * FONT, low)
    places = [
        axes.transData.transform((at, value))
        for layer in plot.layers
        for at, value in zip(plot.at, layer.values, strict=True)
        if value
    ]
    return sum(left <= x <= left + wide and low <= y <= high for x, y in places)


def _strip_size(strip: Strip, *, narrow: bool) -> tuple[int, int]:
    rows = len(strip.rows)
    return (NARROW[0], _ROW_NARROW * rows + 2 * TOP) if narrow else (WIDE[0], _ROW_WIDE * rows + 2 * TOP)


def _draw_strip(drawn: Figure, strip: Strip, size: tuple[int, int], *, narrow: bool) -> None:
    left = 10 if narrow else _STRIP_LEFT
    axes = axes_of(drawn, size, left)
    low = min(min(row.low, row.limit or 1.0, *row.runs) for row in strip.rows) / _MARGIN
    high = max(max(row.high, row.limit or 1.0, *row.runs) for row in strip.rows) * _MARGIN
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(-0.6, len(strip.rows) - 0.4)
    places = _names(strip, low, high, (size[0] - left) / math.log(high / low))
    axes.set_xticks([at for at, _ in places])
    axes.set_xticks([], minor=True)
    axes.set_xticklabels([text for _, text in places])
    axes.set_yticks([] if narrow else range(len(strip.rows)))
    if not narrow:
        axes.grid(visible=True, axis="x", color=placeholder("line"), linewidth=0.8)
        axes.set_yticklabels([row.label for row in reversed(strip.rows)])
    for place, row in enumerate(reversed(strip.rows)):
        _row(axes, place, row, narrow=narrow)


def _names(strip: Strip, low: float, high: float, width: float) -> list[tuple[float, str]]:
    """The names that have room beside the more important ones; `width` is that of a factor of e."""
    found: list[tuple[float, str]] = []
    for at, text in strip.names:
        if low <= at <= high and all(abs(math.log(at / other)) * width > _LEAST_APART for other, _ in found):
            found.append((at, text))
    return found


def _row(axes: Axes, place: float, row: Row, *, narrow: bool) -> None:
    """A condition; on a telephone below its name."""
    at, half = (place - 0.2, 0.25) if narrow else (place, 0.5)
    colour = placeholder(row.colour)
    if row.limit:
        ends = [at - half, at + half]
        axes.plot([row.limit] * 2, ends, color=placeholder("bad"), linewidth=1.6, linestyle=dashes("4 2"))
    axes.plot([row.low, row.high], [at, at], color=colour, linewidth=7, alpha=0.4, solid_capstyle="butt")
    axes.plot(row.runs, [at] * len(row.runs), "o", color=colour, markersize=6)
    if narrow:
        label: Any = axes.annotate
        label(
            _short(row.label),
            (0, place + 0.22),
            xycoords=("axes fraction", "data"),
            va="center",
            color=placeholder("soft"),
        )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
