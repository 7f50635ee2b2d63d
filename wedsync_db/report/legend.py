"""A picture on a page, and its legend: what each of its lines and areas is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from markupsafe import Markup

_MARKERS = {
    "o": '<circle cx="13" cy="6" r="4.5" fill="{c}"/>',
    "s": '<rect x="9" y="2" width="8" height="8" fill="{c}"/>',
    "D": '<path d="M13 1 18 6 13 11 8 6z" fill="{c}"/>',
    "x": '<path d="M9 2 17 10M17 2 9 10" stroke="{c}" stroke-width="2"/>',
}


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend."""

    label: str
    swatch: Markup


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with all that belongs to it. The first row of `figures` is the table's head."""

    picture: Any
    wide: Markup
    narrow: Markup
    keys: tuple[Key, ...]
    figures: tuple[tuple[str, ...], ...] = ()


class _Series(Protocol):
    """A layer of a picture."""

    @property
    def label(self) -> str: ...
    @property
    def colour(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def look(self) -> str: ...


def shown(
    picture: Any, drawn: tuple[str, str], keys: Iterable[Key], figures: tuple[tuple[str, ...], ...] = ()
) -> Shown:
    """A picture for a page; `drawn` is what the canvas made of it, wide and narrow."""
    wide, narrow = map(Markup, drawn)  # made by us of escaped parts: see svg.refined
    return Shown(picture, wide, narrow, tuple(keys), figures)


def keys_of(layers: Iterable[_Series]) -> list[Key]:
    """A line of the legend for each layer."""
    return [Key(one.label, swatch(one.kind, one.colour, one.look)) for one in layers]


def swatch(kind: str, colour: str, look: str = "") -> Markup:
    """A small picture of it: of a line its dashes, of points their marker, of everything else a patch of its colour."""
    variable = f"var(--{colour})"
    if kind == "points":
        inside = _MARKERS[look].format(c=variable)
    elif kind == "line":
        dashes = f' stroke-dasharray="{look}"' if look else ""
        inside = f'<path d="M1 6H25" stroke="{variable}" stroke-width="2.5"{dashes}/>'
    else:
        inside = f'<rect x="1" y="1" width="24" height="10" fill="{variable}" opacity=".6"/>'
    return Markup(f'<svg viewBox="0 0 26 12" aria-hidden="true">{inside}</svg>')  # noqa: S704 nothing in it is from outside
