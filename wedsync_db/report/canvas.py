"""What all pictures have in common: matplotlib without pyplot's global state, the same bytes each time.

Colours are placeholders that `wedsync_db.report.svg` turns into variables of the page.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from wedsync_db.report.svg import placeholder, refined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = 12.5
TOP, BOTTOM, RIGHT = 22, 26, 10
WIDE, NARROW = (1000, 270), (380, 250)  # narrow for a telephone, where a wide one would be shrunk past reading
LEFT_WIDE, LEFT_NARROW = 74, 62
_DPI = 72  # of an SVG: a point is a unit of its viewBox
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the layout is the same on every machine
    "font.size": FONT,
    "axes.unicode_minus": False,
    "text.parse_math": False,  # a name may have two dollars
    "path.simplify": True,
    "path.simplify_threshold": 0.5,
}


def svg(name: str, size: tuple[int, int], draw: Callable[[Figure], None], *, title: str, description: str) -> str:
    """What is drawn, as an element of a page. `name` ends with the class it gets: `memory-wide`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    out = io.StringIO()
    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        drawn = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI)
        draw(drawn)
        drawn.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return refined(out.getvalue(), name, title, description)


def axes_of(drawn: Figure, size: tuple[int, int], left: int, bottom: int = BOTTOM, top: int = TOP) -> Axes:
    """Axes without a frame, with so much room beside them."""
    width, height = size
    place = (left / width, bottom / height, (width - left - RIGHT) / width, (height - top - bottom) / height)
    axes = drawn.add_axes(place)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(placeholder("line"))
    axes.tick_params(length=0, labelcolor=placeholder("soft"), labelsize=FONT)
    return axes


def gapped(values: Iterable[float | None]) -> list[float]:
    """As matplotlib wants what is not known."""
    return [float("nan") if value is None else value for value in values]


def dashes(look: str) -> Any:
    """A line's style of its dashes, `5 3`."""
    return (0, tuple(map(float, look.split()))) if look else "solid"


def wide_of(text: str) -> float:
    """About how wide a text is, with the space before it: browsers have other fonts than matplotlib."""
    return 12 + 0.58 * FONT * len(text)
