"""What is drawn of a load test, as plain values: tests look at these, and the pictures only show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wedsync_db.report.daily.chart import Colour, Unit
from wedsync_db.report.load.series import Heat

Scale = Unit | Literal["milliseconds"]
Kind = Literal["line", "area", "bars", "between"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A line, an area or bars that are stacked in their order, or what lies `between` the line before and this one."""

    label: str
    colour: Colour
    values: tuple[float | None, ...]
    kind: Kind = "line"
    look: str = ""  # a line's dashes: no two may differ by their colour alone


@dataclass(frozen=True, slots=True)
class Span:
    """A phase, from one second to another; `measured` ones are judged."""

    name: str
    begin: float
    end: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """What is asked, from one place of the axis to another; `said` is its value in words."""

    label: str
    said: str
    value: float
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture over the seconds of a run, or over percentiles. Without anything in `layers`, `notes` say why."""

    key: str
    title: str
    says: str
    unit: Scale
    end: float = 0.0
    at: tuple[float, ...] = ()
    layers: tuple[Layer, ...] = ()
    limits: tuple[Limit, ...] = ()
    spans: tuple[Span, ...] = ()
    step: float = 1.0
    over: Literal["seconds", "one in"] = "seconds"
    heat: Heat | None = None
    marks: tuple[tuple[float, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        drawn = any(value is not None for layer in self.layers for value in layer.values)
        return not drawn and not (self.heat and self.heat.counts)


@dataclass(frozen=True, slots=True)
class Row:
    """Something in each run, and from where to where it lies, as multiples of what it is measured by."""

    label: str
    runs: tuple[float, ...]
    low: float
    high: float
    colour: Colour
    limit: float | None = 1.0  # the multiple that is asked for


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows below each other, each run a point. `names` are what multiples are called, the most important first."""

    key: str
    title: str
    says: str
    rows: tuple[Row, ...]
    names: tuple[tuple[float, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.rows


Picture = Plot | Strip
