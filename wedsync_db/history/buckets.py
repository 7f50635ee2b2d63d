"""Samples by equal stretches of time, to be drawn: gaps stay gaps, and no rate reaches across an epoch. Pure.

A frame is what `wedsync_db.history.raw.raw_frame` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from wedsync_db.history.raw import EPOCH

EVERY = timedelta(minutes=1)
_LATE = 2.5  # intervals: one sample that came late is no gap
_LEAST_KNOWN = 0.25  # of a bucket: a checkpoint in the only three minutes that are known makes no twenty an hour
_WIDTHS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which nothing is known."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Drawn:
    """Series as points in time; None: nothing is known there, and no line goes across."""

    times: tuple[datetime, ...]
    values: Mapping[str, tuple[float | None, ...]]
    width: timedelta


def width_for(since: datetime, until: datetime, most: int = 340) -> timedelta:
    """The narrowest bucket of which no more than so many fit."""
    return next((width for width in _WIDTHS if (until - since) / width <= most), _WIDTHS[-1])


def gaps(found: pd.DataFrame, until: datetime, every: timedelta = EVERY) -> tuple[Gap, ...]:
    """Where more than two samples in a row are missing, between the first one and now."""
    times = _times(found)
    if times.empty:
        return ()
    ends = pd.DatetimeIndex([*times[1:], until])
    long = (ends - times) > pd.Timedelta(_LATE * every)
    return tuple(Gap(_utc(one), _utc(end)) for one, end in zip(times[long], ends[long], strict=True))


def restarts(found: pd.DataFrame) -> tuple[datetime, ...]:
    """When counters were first seen to have begun anew: a restart, a crash, a reset, another server."""
    epochs = found[EPOCH]
    changed = epochs.ne(epochs.shift()) & epochs.shift().notna()
    return tuple(_utc(at) for at in found.index[changed])


def levels(
    found: pd.DataFrame, names: Iterable[str], since: datetime, until: datetime, how: Literal["mean", "max"] = "mean"
) -> Drawn:
    """The average or the highest of each bucket; broken at gaps."""
    width = width_for(since, until)
    buckets = _times(found).floor(width)
    values = {name: _of(found, name).groupby(buckets).agg(how) for name in names}
    return _drawn(values, since, until, width, _middles(gaps(found, until)))


def rates(found: pd.DataFrame, names: Iterable[str], since: datetime, until: datetime) -> Drawn:
    """What each counter grew by in a second, by bucket; broken at gaps and where counters began anew."""
    width = width_for(since, until)
    buckets = _times(found).floor(width)
    values = {}
    for name in names:
        grown, seconds = _grown(found, name)
        known = seconds.groupby(buckets).sum()
        values[name] = grown.groupby(buckets).sum() / known.where(known >= _LEAST_KNOWN * width.total_seconds())
    return _drawn(values, since, until, width, [*_middles(gaps(found, until)), *restarts(found)])


def share(found: pd.DataFrame, part: str, rest: str, since: datetime, until: datetime, least: float) -> Drawn:
    """The share of one counter's growth in that of both, by bucket; not known where both grew by less than `least`."""
    width = width_for(since, until)
    buckets = _times(found).floor(width)
    one, other = (grown.groupby(buckets).sum() for grown in _grown_together(found, part, rest))
    both = one + other
    values = {part: (one / both.replace(0.0, np.nan)).where(both >= least)}
    return _drawn(values, since, until, width, [*_middles(gaps(found, until)), *restarts(found)])


def growth_between(found: pd.DataFrame, name: str, since: datetime, until: datetime) -> tuple[float, float] | None:
    """What a counter grew by, and the seconds that is known of; None: nothing is."""
    grown, seconds = _grown(found, name)
    inside = (found.index > pd.Timestamp(since)) & (found.index <= pd.Timestamp(until))
    known = float(seconds[inside].sum())
    return (float(grown[inside].sum()), known) if known > 0 else None


def share_between(found: pd.DataFrame, part: str, rest: str, since: datetime, until: datetime) -> float | None:
    """The share of one counter's growth in that of both; None where nothing is known of either, or nothing happened."""
    inside = (found.index > pd.Timestamp(since)) & (found.index <= pd.Timestamp(until))
    one, other = (float(grown[inside].sum()) for grown in _grown_together(found, part, rest))
    return one / (one + other) if one + other > 0 else None


def highest_between(found: pd.DataFrame, name: str, since: datetime, until: datetime) -> float | None:
    """The highest of a series between two times, or None where nothing is known."""
    inside = (found.index > pd.Timestamp(since)) & (found.index <= pd.Timestamp(until))
    return number(_of(found, name)[inside].max())


def risen_between(found: pd.DataFrame, name: str, since: datetime, until: datetime) -> tuple[float, float] | None:
    """How much a gauge went up in all, what it fell by left aside, and in how many seconds; None: nothing is known."""
    inside = (found.index > pd.Timestamp(since)) & (found.index <= pd.Timestamp(until))
    known = _of(found, name)[inside].dropna()
    if len(known) < 2:  # noqa: PLR2004 one value is no rise
        return None
    return float(known.diff().clip(lower=0).sum()), (known.index[-1] - known.index[0]).total_seconds()


def newest_of(found: pd.DataFrame, name: str) -> float | None:
    """The newest value that is known."""
    known = _of(found, name).dropna()
    return number(known.iloc[-1]) if len(known) else None


def number(value: object) -> float | None:
    """A plain number, or None for what is none."""
    return float(value) if isinstance(value, int | float | np.number) and math.isfinite(value) else None


def _grown(found: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    """What a counter grew by up to each sample, and in how many seconds; zero for both where that is not known."""
    values, epochs = _of(found, name), found[EPOCH]
    seconds = pd.Series(found.index, index=found.index).diff().dt.total_seconds()
    steps = values.diff()
    good = epochs.eq(epochs.shift()) & (seconds <= _LATE * EVERY.total_seconds()) & (steps >= 0)
    return steps.where(good, 0.0), seconds.where(good, 0.0)


def _grown_together(found: pd.DataFrame, part: str, rest: str) -> tuple[pd.Series, pd.Series]:
    """The growth of two counters, where that of both is known: else what is unknown of one would count as nothing."""
    (one, known), (other, known_too) = _grown(found, part), _grown(found, rest)
    both = (known > 0) & (known_too > 0)
    return one.where(both, 0.0), other.where(both, 0.0)


def _of(found: pd.DataFrame, name: str) -> pd.Series:
    if name in found:
        return found[name].replace([np.inf, -np.inf], np.nan)
    return pd.Series(np.nan, index=found.index, dtype="float64")


def _times(found: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(found.index)


def _utc(at: pd.Timestamp) -> datetime:
    return at.to_pydatetime().astimezone(UTC)


def _middles(missing: Sequence[Gap]) -> list[datetime]:
    return [gap.since + (gap.until - gap.since) / 2 for gap in missing]


def _drawn(
    values: Mapping[str, pd.Series], since: datetime, until: datetime, width: timedelta, breaks: Iterable[datetime]
) -> Drawn:
    """The buckets by their middles, with nothing in each break between them."""
    starts = pd.date_range(pd.Timestamp(since).floor(width), pd.Timestamp(until), freq=width)
    whole = pd.DataFrame({name: series.reindex(starts) for name, series in values.items()}, index=starts)
    whole.index = pd.DatetimeIndex([min(max(at + width / 2, since), until) for at in starts.to_pydatetime()])
    whole = whole[~whole.index.duplicated(keep="last")]
    between = pd.DatetimeIndex([at for at in breaks if since < at < until])
    whole = whole.reindex(whole.index.union(between)) if len(between) else whole
    return Drawn(tuple(map(_utc, whole.index)), {str(name): tuple(map(number, whole[name])) for name in whole}, width)
