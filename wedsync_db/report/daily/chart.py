"""What is drawn, as plain values: tests look at these, and the pictures only show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # pandas, which a load test does without
    from wedsync_db.history.buckets import Gap
    from wedsync_db.history.deployments import Deployed


Unit = Literal["count", "per_second", "bytes", "bytes_per_second", "ratio", "seconds", "transactions"]
Colour = Literal["c1", "c2", "c3", "c4", "c5", "c6", "c7", "soft", "good", "warn", "bad"]
Kind = Literal["line", "area", "bars", "points"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One series: a line, areas or bars that are stacked in their order, or points.

    `look` is for a line its dashes, `5 3`, and for points a marker (`o`, `s`, `D`, `x`): no two may differ by their
    colour alone.
    """

    label: str
    colour: Colour
    values: tuple[float | None, ...]
    kind: Kind = "line"
    look: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across, with its name."""

    label: str
    value: float
    colour: Colour = "warn"


@dataclass(frozen=True, slots=True)
class Mark:
    """A deployment: where on the axis, and the number under which the page lists it."""

    at: datetime
    number: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Band:
    """Where something will lie: its limits by time."""

    times: tuple[datetime, ...]
    lowest: tuple[float, ...]
    likely: tuple[float, ...]
    highest: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture over time. With nothing in `layers` there is none, and `notes` say why."""

    key: str
    title: str
    says: str
    unit: Unit
    since: datetime
    until: datetime
    times: tuple[datetime, ...] = ()
    layers: tuple[Layer, ...] = ()
    limits: tuple[Limit, ...] = ()
    marks: tuple[Mark, ...] = ()
    gaps: tuple[Gap, ...] = ()
    restarts: tuple[datetime, ...] = ()
    band: Band | None = None
    bar_days: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value is not None for layer in self.layers for value in layer.values)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `more` stands beside its value."""

    label: str
    value: float
    more: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Bars from the longest to the shortest; without any, `notes` say why."""

    key: str
    title: str
    says: str
    unit: Unit
    bars: tuple[Bar, ...] = ()
    limit: float | None = None
    limit_label: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.bars


Picture = Chart | Ranking


def marks_of(deployments: tuple[Deployed, ...]) -> tuple[Mark, ...]:
    """The deployments by number, from 1 in the order of their beginning."""
    return tuple(Mark(one.started_at, number, one.outcome) for number, one in enumerate(deployments, 1))
