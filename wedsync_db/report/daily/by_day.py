"""The pictures of what happens once a day or night, and those of tables and statements. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from wedsync_db.history.daily import BackupSeen, Known, NightSeen
from wedsync_db.monitor.metrics import Metric
from wedsync_db.report.daily.chart import Band, Bar, Chart, Colour, Layer, Limit, Ranking, marks_of
from wedsync_db.report.daily.words import counted_short, day_time, figure
from wedsync_db.report.markdown import counted, duration, size

_AHEAD_DAYS = 30
_TOP, _MOST_BAD = 10, 5
_MARGIN = timedelta(hours=12)  # a marker needs room on the axis
_WIDEST_BAR, _BARS = 0.55, 25  # days; of so many in a window of any length there is room between them
_THRESHOLD_ROWS, _THRESHOLD_SHARE, _HIGHEST_THRESHOLD = 50.0, 0.2, 100_000_000.0  # as autovacuum's settings come
_ACTIONS: tuple[tuple[str, Colour], ...] = (("freeze", "c1"), ("vacuum", "c3"), ("analyze", "c5"))
_PROVEN: tuple[tuple[str, str, Colour, str], ...] = (
    ("restored", "restored and compared", "good", "o"),
    ("verified", "read back", "c1", "s"),
    ("complete", "written", "c5", "D"),
    ("failed", "failed", "bad", "x"),
)


def size_chart(known: Known, free_bytes: int | None) -> Chart:
    """The size of the database, and where it will be in a month, with the room there is."""
    sizes = known.sizes.dropna()
    times = tuple(at.to_pydatetime() for at in sizes.index)
    band = _band(known)
    until = band.times[-1] if band else known.until
    room = (max(sizes) + free_bytes) if free_bytes is not None and len(sizes) else None
    highest = max([*(band.highest if band else ()), *(float(v) for v in sizes)], default=0.0)
    near = room is not None and room <= 2 * highest
    return Chart(
        key="size",
        title="Size of the database",
        says="What it took on disk at the end of each day, and where it will most likely be in a month.",
        unit="bytes",
        since=times[0] if times else known.since,
        until=max(until, known.until),
        times=times,
        layers=(Layer("size", "c1", tuple(map(float, sizes))),) if times else (),
        limits=(Limit("disk full", room, "bad"),) if room is not None and near else (),
        marks=marks_of(known.deployments),
        band=band,
        notes=tuple(_size_notes(known, free_bytes if not near else None)),
    )


def _size_notes(known: Known, free_bytes: int | None) -> list[str]:
    if known.sizes.dropna().empty:
        return ["No size was measured yet."]
    if not known.growth:
        return ["No forecast: that takes a week of days."]
    growth = known.growth
    low, high = sorted((growth.lowest, growth.highest))
    said = f"It grows by {figure(growth.per_day, 'bytes')} a day"
    notes = [f"{said} (90 %: {figure(low, 'bytes')} to {figure(high, 'bytes')}), by {growth.points} days."]
    return notes + ([f"The disk has room for {size(free_bytes)} more."] if free_bytes is not None else [])


def _band(known: Known) -> Band | None:
    if not known.growth or known.sizes.dropna().empty:
        return None
    days = range(0, _AHEAD_DAYS + 1, 2)
    ahead = [known.growth.at(day) for day in days]
    low, likely, high = zip(*((min(a, c), b, max(a, c)) for a, b, c in ahead), strict=True)
    last = known.sizes.dropna().index[-1].to_pydatetime()
    times = tuple(last + timedelta(days=day) for day in days)
    return Band(times, tuple(max(v, 0.0) for v in low), tuple(max(v, 0.0) for v in likely), high)


def dead_rows(known: Known) -> Ranking:
    """The tables with most dead rows, measured by what starts autovacuum."""
    dead, live = _by_table(known.tables, "table_dead_rows"), _by_table(known.tables, "table_live_rows")
    shares = {table: count / _threshold(live.get(table, 0.0)) for table, count in dead.items() if count > 0}
    first = sorted(shares, key=lambda table: (-shares[table], table))[:_TOP]
    return Ranking(
        key="dead-rows",
        title="Dead rows",
        says="Tables with most dead rows, as a share of the number that starts autovacuum.",
        unit="ratio",
        bars=tuple(Bar(table, shares[table], f"{counted_short(dead[table])} rows") for table in first),
        limit=1.0,
        limit_label="autovacuum starts",
        notes=(
            (f"The first {len(first)} of {counted(len(shares), 'table')} with any. " if len(shares) > _TOP else "")
            + "The limit is that of PostgreSQL's default settings, 50 rows and 20 % of the table.",
        )
        if first
        else ("No table has dead rows." if dead else "No table was measured in the last two days.",),
    )


def _threshold(live: float) -> float:
    return min(_THRESHOLD_ROWS + _THRESHOLD_SHARE * max(live, 0.0), _HIGHEST_THRESHOLD)


def _by_table(values: Mapping[Metric, float | None], name: str) -> dict[str, float]:
    return {
        label: value
        for metric, value in values.items()
        if metric.name == name and value is not None
        for key, label in metric.labels
        if key == "table"
    }


def nights_chart(known: Known) -> Chart:
    """How long each night's work took, by what was done."""
    nights = known.nights
    layers = [
        Layer(action, colour, tuple(_minutes(night, action) for night in nights), "bars") for action, colour in _ACTIONS
    ]
    rest = tuple(_rest(night) for night in nights)
    failed = tuple(_took(night) if night.outcome == "failed" else None for night in nights)
    besides = (Layer("backup and the rest", "soft", rest, "bars"), Layer("failed", "bad", failed, "points", "x"))
    shown = [layer for layer in (*layers, *besides) if any(layer.values)]
    return Chart(
        key="nights",
        title="Nightly maintenance",
        says="How long each night took, by what was done to the tables.",
        unit="seconds",
        since=known.since,
        until=known.until,
        times=tuple(night.started_at for night in nights),
        layers=tuple(shown) if nights else (),
        marks=marks_of(known.deployments),
        bar_days=min(_WIDEST_BAR, (known.until - known.since) / timedelta(days=_BARS)),
        notes=tuple(_night_notes(nights)),
    )


def _minutes(night: NightSeen, action: str) -> float:
    return sum(seconds for (what, _), (_, seconds) in night.work.items() if what == action)


def _rest(night: NightSeen) -> float:
    return max(_took(night) - sum(seconds for _, seconds in night.work.values()), 0.0)


def _took(night: NightSeen) -> float:
    return (night.finished_at - night.started_at).total_seconds()


def _night_notes(nights: Sequence[NightSeen]) -> list[str]:
    if not nights:
        return ["No night is remembered."]
    last = nights[-1]
    bad = [night for night in nights if night.outcome != "done"]
    said = [f"The last one began {day_time(last.started_at)} and took {duration(_took(last))}."]
    return said + [f"{day_time(night.started_at)}: {night.summary}." for night in bad[-_MOST_BAD:]]


def backups_chart(known: Known) -> Chart:
    """The backups by their size, and how far each is proven."""
    seen = [one for one in known.backups if one.state != "started"]
    times = tuple(one.created_at for one in seen)
    layers = tuple(
        Layer(label, colour, tuple(_height(one) if one.state == state else None for one in seen), "points", look)
        for state, label, colour, look in _PROVEN
        if any(one.state == state for one in seen)
    )
    return Chart(
        key="backups",
        title="Backups",
        says="Each backup by its size, and how far it is proven. Only one that was restored and compared is sure.",
        unit="bytes",
        since=min([*(at - _MARGIN for at in times), known.since]),
        until=known.until,
        times=times,
        layers=layers,
        marks=marks_of(known.deployments),
        notes=tuple(_backup_notes(known, seen)),
    )


def _height(backup: BackupSeen) -> float:
    return float(backup.stored_bytes or 0)


def _backup_notes(known: Known, seen: Sequence[BackupSeen]) -> list[str]:
    notes = [] if seen else ["No backup is known."]
    for drill in known.drills[-1:]:
        took = f", ready again in {duration(drill.recovery_seconds)}" if drill.recovery_seconds is not None else ""
        lost = f", with data {duration(drill.data_age_seconds)} old" if drill.data_age_seconds is not None else ""
        why = f": {drill.problem}" if drill.problem else ""
        notes.append(f"The last drill, {day_time(drill.at)}: {drill.outcome}{took}{lost}{why}.")
    deleted = [one for one in known.backups if one.deleted_at]
    return notes + ([f"{counted(len(deleted), 'backup')} of these were deleted since."] if deleted else [])


def newest(backups: Sequence[BackupSeen], states: Sequence[str]) -> datetime | None:
    """When the newest of these states was made that is still there."""
    return max((one.created_at for one in backups if one.state in states and not one.deleted_at), default=None)
