"""Samples in the history store: what went in comes out, by day, by hour, and with its gaps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from wedsync_db.history.frame import database_growth, frame
from wedsync_db.history.samples import last_at, make_partitions, newest, partitions, store, tidy
from wedsync_db.history.store import open_history
from wedsync_db.monitor.metrics import Metric, Sample
from wedsync_db.settings import HistorySettings

NOW = datetime(2026, 6, 7, 23, 58, tzinfo=UTC)
EPOCH = "0" * 32
COMMITS = Metric("commits", "counter", "transactions")
LAG = Metric("replica_lag", "gauge", "seconds")
SIZE = Metric("database_size", "gauge", "bytes")
IDLE = Metric("clients", "gauge", "clients", (("state", "idle"),))


def inserted(table):
    return Metric("table_rows_inserted", "counter", "rows", (("table", table),))


def sample(at, values, tier="fast", epoch=EPOCH, problems=()):
    return Sample(at, tier, epoch, values, problems)


@pytest.fixture
def history(address):
    with open_history(address) as connection:
        yield connection


def test_what_went_in_comes_out(history):
    one = sample(NOW, {COMMITS: 5.0, LAG: None, IDLE: 2.0}, problems=("wal: this role may not ask",))
    store(history, "case", one)
    store(history, "case", one)  # told twice
    assert newest(history, "case", "fast", NOW) == one
    assert newest(history, "other", "fast", NOW) is None
    assert newest(history, "case", "fast", NOW + timedelta(days=3)) is None
    later = sample(NOW + timedelta(minutes=3), {COMMITS: 7.0, LAG: 0.5, IDLE: 2.0}, epoch="1" * 32)
    store(history, "case", later)  # in the next day's partition
    assert newest(history, "case", "fast", later.at) == later
    assert last_at(history, "case", later.at) == {"fast": later.at}
    assert history.execute("select count(*) from history.metric_set").fetchone() == (1,)
    assert history.execute("select count(distinct tableoid) from history.metric_sample").fetchone() == (2,)


def test_a_table_that_did_nothing_costs_nothing_and_is_still_known(history):
    store(history, "case", sample(NOW, {inserted("public.a"): 1.0, inserted("public.b"): 1.0}, "tables"))
    nothing = sample(NOW + timedelta(minutes=5), {}, "tables")
    store(history, "case", nothing)
    moved = sample(NOW + timedelta(minutes=10), {inserted("public.a"): 4.0}, "tables")
    store(history, "case", moved)
    known = newest(history, "case", "tables", moved.at)
    assert known.at == moved.at
    assert known.values == {inserted("public.a"): 4.0, inserted("public.b"): 1.0}  # noqa: PD011 no frame
    assert last_at(history, "case", moved.at) == {"tables": moved.at}
    assert history.execute("select count(*) from history.metric_sample where cardinality(values) > 0").fetchone() == (
        3,
    )


def test_partitions_are_made_ahead_and_dropped_whole_when_they_are_old(history):
    make_partitions(history, NOW)
    make_partitions(history, NOW)
    assert partitions(history) == tuple(date(2026, 6, day) for day in (7, 8, 9, 10))
    for day in range(4):
        store(history, "case", sample(NOW + timedelta(days=day), {COMMITS: float(day)}))
    tidy(history, HistorySettings(raw_days=2, hourly_days=3, daily_days=4), NOW + timedelta(days=3))
    assert partitions(history)[0] == date(2026, 6, 8), "two days and today"
    hours, days = (
        history.execute("select at from history.metric_rollup where step = %s order by at", [step]).fetchall()
        for step in ("hour", "day")
    )
    assert [at.astimezone(UTC).day for (at,) in hours] == [8, 9, 10], "rolled up before it was dropped; older is gone"
    assert [at.astimezone(UTC).day for (at,) in days] == [7, 8, 9, 10]


def test_hours_and_days_have_least_average_most_and_last(history):
    start = datetime(2026, 6, 7, 10, 0, tzinfo=UTC)
    for minute, (lag, commits) in {0: (4.0, 1.0), 30: (None, 2.0), 59: (2.0, 9.0), 60: (None, 10.0)}.items():
        store(history, "case", sample(start + timedelta(minutes=minute), {LAG: lag, COMMITS: commits}))
    for _ in range(2):  # twice changes nothing
        tidy(history, HistorySettings(), start + timedelta(hours=1))
    read = "select samples, minimum, average, maximum, last from history.metric_rollup where step = %s order by at"
    assert history.execute(read, ["hour"]).fetchall() == [
        (3, [2.0, 1.0], [3.0, 4.0], [4.0, 9.0], [2.0, 9.0]),
        (1, [None, 10.0], [None, 10.0], [None, 10.0], [None, 10.0]),
    ]
    assert history.execute(read, ["day"]).fetchall() == [(4, [2.0, 1.0], [3.0, 5.5], [4.0, 10.0], [2.0, 10.0])]
    store(history, "case", sample(start + timedelta(minutes=70), {LAG: 8.0, COMMITS: 20.0}))
    tidy(history, HistorySettings(), start + timedelta(hours=2))
    assert history.execute(read, ["hour"]).fetchall()[-1] == (2, [8.0, 10.0], [8.0, 15.0], [8.0, 20.0], [8.0, 20.0])


def test_a_frame_is_wide_and_shows_its_gaps(history):
    for minute, lag in {0: 1.0, 1: None, 2: 3.0, 9: 4.0, 11: 5.0}.items():
        store(history, "case", sample(NOW + timedelta(minutes=minute), {LAG: lag, IDLE: 2.0}))
    found = frame(history, "case", "fast", NOW, NOW + timedelta(minutes=11))
    assert list(found.columns) == ["pgops_replica_lag_seconds", 'pgops_clients{state="idle"}']
    assert str(found.index.tz) == "UTC"
    assert [(at - pd.Timestamp(NOW)).total_seconds() / 60 for at in found.index] == [0, 1, 2, 3, 9]
    np.testing.assert_array_equal(found["pgops_replica_lag_seconds"], [1, np.nan, 3, np.nan, 4])
    np.testing.assert_array_equal(found['pgops_clients{state="idle"}'], [2, 2, 2, np.nan, 2])
    assert frame(history, "case", "sizes", NOW, NOW + timedelta(days=1)).empty


def test_growth_by_day(history):
    assert database_growth(history, "case", NOW) is None
    for day in range(10):
        at = NOW - timedelta(days=10 - day)
        store(history, "case", sample(at, {SIZE: 1e9 + day * 1e6}, "sizes"))
    tidy(history, HistorySettings(), NOW)
    found = database_growth(history, "case", NOW)
    assert found.per_day == pytest.approx(1e6)
    assert found.level == pytest.approx(1e9 + 9e6)
