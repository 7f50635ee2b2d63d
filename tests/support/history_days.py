"""Fourteen made-up days of a database: weekdays and nights, a gap, a crash, deployments, a night that failed.

The same each time. `known_days` is what the history store would give; `write_days` puts it into a real one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd

from wedsync_db.history import samples
from wedsync_db.history.daily import BackupSeen, DrillSeen, FindingSeen, Firing, KeySeen, Known, NightSeen, Told
from wedsync_db.history.deployments import Deployed, Deployments
from wedsync_db.history.forecast import Growth, growth
from wedsync_db.history.raw import EPOCH, series
from wedsync_db.history.statements import Cost
from wedsync_db.monitor.metrics import Metric, Sample

NOW = datetime(2026, 6, 12, 5, 30, tzinfo=UTC)  # a Friday, 06:30 in London
DAYS = 14
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GAP = (datetime(2026, 6, 11, 3, 10, tzinfo=UTC), datetime(2026, 6, 11, 4, 20, tzinfo=UTC))
CRASH = datetime(2026, 6, 6, 16, 42, tzinfo=UTC)
MIB, GIB = 1 << 20, 1 << 30
CLIENTS = {
    state: Metric("clients", "gauge", "clients", (("state", state),))
    for state in (
        "active",
        "idle",
        "idle_in_transaction",
        "idle_in_transaction_aborted",
        "fastpath",
        "disabled",
        "hidden",
    )
}
GAUGES = {
    name: Metric(name, "gauge", unit)
    for name, unit in (
        ("connections_used", "connections"), ("connections_limit", "connections"), ("waiting_for_lock", "sessions"),
        ("longest_lock_wait", "seconds"), ("oldest_xid_age", "transactions"), ("oldest_multixact_age", "transactions"),
    )
}  # fmt: skip
COUNTERS = {
    name: Metric(name, "counter", unit)
    for name, unit in (
        ("commits", "transactions"), ("rollbacks", "transactions"), ("blocks_hit", "blocks"), ("blocks_read", "blocks"),
        ("wal", "bytes"), ("checkpoints_timed", "checkpoints"), ("checkpoints_requested", "checkpoints"),
        ("deadlocks", "deadlocks"),
    )
}  # fmt: skip
TABLES = ("app.bookings", "app.messages", "app.guests", "app.payments", "audit.log", 'app."odd <b>name</b>"')


def busy(at: datetime) -> float:
    """How much is going on, 0 to 1: evenings, and most of all on Sundays, when couples plan."""
    hour = at.hour + at.minute / 60
    day = 0.12 + 0.55 * math.exp(-(((hour - 20) / 3.2) ** 2)) + 0.3 * math.exp(-(((hour - 11.5) / 3) ** 2))
    return day * (1.35 if at.weekday() == 6 else 1.0)


def minutes(days: int = DAYS, until: datetime = NOW, seed: int = 7) -> Iterator[Sample]:
    """A sample for each minute, but for those of the gap."""
    chance = random.Random(seed)
    counters = dict.fromkeys(COUNTERS, 0.0) | {"commits": 4e7, "blocks_hit": 9e9, "blocks_read": 6e7, "wal": 3e11}
    age, epoch = 88_000_000.0, "a" * 32
    for number in range(days * 1440):
        at = until - days * DAY + number * MINUTE
        if at == CRASH:
            counters, epoch = dict.fromkeys(COUNTERS, 0.0), "b" * 32
        load = busy(at) * chance.uniform(0.85, 1.15)
        batch = at.hour == 2 and 30 <= at.minute < 52  # the nightly work
        counters["commits"] += 60 * 95 * load
        counters["rollbacks"] += 60 * (0.6 * load + (7 if at.date().day == 9 and at.hour == 19 else 0))
        counters["blocks_hit"] += 60 * 42_000 * load
        counters["blocks_read"] += 60 * 42_000 * load * (0.05 if batch else 0.006)
        counters["wal"] += 60 * (0.9 * MIB * load + (9 * MIB if batch else 0))
        counters["checkpoints_timed"] += at.minute % 5 == 0
        counters["checkpoints_requested"] += batch and at.minute % 4 == 0
        counters["deadlocks"] += at.date().day == 11 and at.hour == 18 and at.minute in (3, 31)
        age += 60 * 42 * load
        if batch and at.minute == 45 and at.weekday() == 6:
            age = 31_000_000.0
        if GAP[0] < at < GAP[1]:
            continue
        yield Sample(at, "fast", epoch, _values(at, load, counters, age, chance))


def _values(at: datetime, load: float, counters: dict, age: float, chance: random.Random) -> dict[Metric, float | None]:
    blocked = 46.0 if at.date().day == 11 and at.hour == 14 and 4 <= at.minute < 6 else 0.0
    active = round(2 + 26 * load + chance.random() * 3 + (38 if blocked else 0))
    idle, forgotten = round(24 + 18 * load), int(chance.random() < 0.2) + (2 if blocked else 0)
    clients = dict.fromkeys(CLIENTS, 0.0) | {"active": active, "idle": idle, "idle_in_transaction": forgotten}
    return {
        **{CLIENTS[state]: float(count) for state, count in clients.items()},
        GAUGES["connections_used"]: float(active + idle + forgotten),
        GAUGES["connections_limit"]: 97.0,
        GAUGES["waiting_for_lock"]: 17.0 if blocked else float(chance.random() < 0.02),
        GAUGES["longest_lock_wait"]: blocked or (chance.uniform(0.1, 2.5) if chance.random() < 0.03 else 0.0),
        GAUGES["oldest_xid_age"]: age,
        GAUGES["oldest_multixact_age"]: age / 40,
        **{metric: counters[name] for name, metric in COUNTERS.items()},
    }


def _numbers(one: Sample) -> list[float | None]:
    return list(one.values.values())  # noqa: PD011 no frame


def as_frame(taken: list[Sample]) -> pd.DataFrame:
    """Samples as the history store gives them."""
    index = pd.DatetimeIndex([one.at for one in taken], tz="UTC", name="at")
    columns = [series(metric) for metric in taken[0].values] if taken else []  # noqa: PD011 no frame
    found = pd.DataFrame(list(map(_numbers, taken)), index=index, columns=columns, dtype="float64")
    found[EPOCH] = pd.Series([one.epoch for one in taken], index=index, dtype="object")
    return found


def sizes(until: datetime = NOW, days: int = 60) -> pd.Series:
    """The size at the end of each day, and now."""
    chance = random.Random(11)
    ends = [until.replace(hour=0, minute=0) - (days - n) * DAY for n in range(1, days + 1)]
    values = [11.2 * GIB + n * 148 * MIB + chance.uniform(-90, 160) * MIB for n in range(days)]
    return pd.Series([*values, values[-1] + 40 * MIB], index=pd.DatetimeIndex([*ends, until]))


def tables() -> dict[Metric, float | None]:
    """The newest counters of every table."""
    dead = (61_000.0, 412_000.0, 8_400.0, 150.0, 990_000.0, 1_300.0)
    live = (240_000.0, 1_900_000.0, 310_000.0, 88_000.0, 9_400_000.0, 5_200.0)
    found: dict[Metric, float | None] = {}
    for table, gone, there in zip(TABLES, dead, live, strict=True):
        found[Metric("table_dead_rows", "gauge", "rows", (("table", table),))] = gone
        found[Metric("table_live_rows", "gauge", "rows", (("table", table),))] = there
    return found


def deployments() -> tuple[Deployed, ...]:
    """Four of them: one was rolled back."""

    def one(day: int, hour: int, minute: int, outcome: str, *migrations: str) -> Deployed:
        at = datetime(2026, 6, day, hour, minute, tzinfo=UTC)
        identity = f"{at:%Y%m%dT%H%M%SZ}-4f2a"
        return Deployed(
            identity, at, at + 2 * MINUTE, outcome, migrations, f"http://127.0.0.1:4200/runs/flow-run/{day}"
        )

    return (
        one(1, 9, 12, "done", "0017_vendor_notes", "0018_vendor_notes_index"),
        one(4, 10, 40, "rolled_back", "0019_guest_names"),
        one(8, 9, 5, "done", "0019_guest_names"),
        one(11, 14, 3, "done", "0020_message_threads"),
    )


def statements() -> tuple[Cost, ...]:
    """Eleven of them, and all others together."""
    texts = (
        "select m.* from app.messages as m where m.wedding_id = $1 and m.created_at > $2 order by m.created_at",
        "insert into app.messages (wedding_id, author_id, body) values ($1, $2, $3)",
        "update app.bookings set state = $1 where id = $2 and tenant_id = $3",
        "select count(*) from app.guests where household_id = any ($1) and '<b>' <> $2",
        "select w.id, w.place from app.weddings as w where w.day between $1 and $2",
        "delete from app.sessions where expires_at < $1",
        "select s.* from app.suppliers as s where s.search @@ plainto_tsquery($1)",
        "insert into audit.log select * from audit.pending where id <= $1",
        "select id from app.payments where state = $1 for update skip locked",
        None,
        "select 1",
    )
    seconds = (18_400.0, 9_100.0, 7_350.0, 5_200.0, 2_900.0, 2_050.0, 1_600.0, 900.0, 620.0, 410.0, 200.0, 1_900.0)
    whole = sum(seconds)
    return tuple(
        Cost(
            n + 1 if n < 11 else 0, texts[n] if n < 11 else None, 90_000.0 / (n + 1), took, 1e5, 1e6, 1e3, took / whole
        )
        for n, took in enumerate(seconds)
    )


def backups() -> tuple[BackupSeen, ...]:
    """One each night, proven further on Sundays; one that failed."""
    found = []
    for number in range(28):
        at = NOW.replace(hour=1, minute=31) - (27 - number) * DAY
        state = "restored" if at.weekday() == 6 else "failed" if at.date().day == 10 else "verified"
        kept = state != "failed"
        found.append(
            BackupSeen(
                f"{at:%Y%m%dT%H%M%SZ}-0b1c", state, at, at + 4 * MINUTE if kept else None,
                at + 4 * timedelta(hours=1) if state == "restored" else None,
                int((2.1 + 0.022 * number) * GIB) if kept else None, None, "" if kept else "no space left on device",
            )
        )  # fmt: skip
    return tuple(found)


def nights() -> tuple[NightSeen, ...]:
    """Thirteen, with more to do when more was written; one failed."""
    found = []
    for number in range(DAYS):
        at = NOW.replace(hour=1, minute=30) - (DAYS - 1 - number) * DAY
        failed = at.date().day == 10
        work = {("vacuum", "done"): (6 + number % 3, 260.0 + 31 * (number % 5)), ("analyze", "done"): (9, 48.0)}
        if at.weekday() == 6:
            work[("freeze", "done")] = (3, 610.0)
        took = 420 + sum(seconds for _, seconds in work.values())
        found.append(
            NightSeen(at, at + timedelta(seconds=90 if failed else took), "failed" if failed else "done",
                      "case: failed; no space left on device" if failed else "case: done; 15 done",
                      {} if failed else work)
        )  # fmt: skip
    return tuple(found)


def known_days(days: int = DAYS, environment: str = "production") -> Known:
    """All of it."""
    measured = sizes()
    ages = [float(age) for age in (measured.index - measured.index[0]) / pd.Timedelta(days=1)]
    return Known(
        environment,
        NOW - days * DAY,
        NOW,
        as_frame(list(minutes(days))),
        measured,
        growth(ages, [float(value) for value in measured]),
        (KeySeen("app.messages.id", 0.41, Growth(0.0011, 0.0009, 0.0014, 0.41, 14)),),
        tables(),
        tuple(one for one in deployments() if one.started_at > NOW - days * DAY),
        backups(),
        (DrillSeen(datetime(2026, 6, 7, 5, 4, tzinfo=UTC), "20260607T013100Z-0b1c", "restored", 1130.0, 12_780.0, ""),),
        tuple(night for night in nights() if night.started_at > NOW - days * DAY),
        (
            FindingSeen("unused_index", "app.messages_old_idx: not used for 30 days", NOW - 240 * MINUTE, still=True),
            FindingSeen("missing_fk_index", "app.guests.household_id <script>", NOW - 9 * DAY, still=True),
            FindingSeen("no_primary_key", "app.import_2025", NOW - 40 * DAY, still=False),
        ),
        (Firing("replication_slot", "old_replica", "degraded", NOW - 31 * timedelta(hours=1)),),
        (
            Told(datetime(2026, 6, 10, 22, 29, tzinfo=UTC), "replication_slot", "old_replica", "firing", "degraded",
                 "slot old_replica is unused and keeps 3.1 GiB of WAL"),
            Told(datetime(2026, 6, 11, 14, 5, tzinfo=UTC), "blocked", "pid 4711", "firing", "unhealthy",
                 "17 sessions wait for pid 4711 (wedsync-api, user app, idle in transaction)"),
            Told(datetime(2026, 6, 11, 14, 12, tzinfo=UTC), "blocked", "pid 4711", "resolved", "healthy", ""),
        ),
        statements(),
    )  # fmt: skip


def write_days(connection, environment: str, days: int) -> None:
    """Put so many of the days into a history store."""
    taken = list(minutes(days))
    samples.store(connection, environment, taken[0])
    for number in range(days + 1):
        samples.make_partitions(connection, NOW - (days - number) * DAY)
    (set_id,) = connection.execute(
        "select id from history.metric_set where environment = %s and tier = 'fast' and subject = ''", [environment]
    ).fetchone()
    with connection.cursor().copy('copy history.metric_sample (set_id, at, epoch, "values") from stdin') as copy:
        for one in taken[1:]:
            copy.write_row((set_id, one.at, one.epoch, _numbers(one)))
    size = Metric("database_size", "gauge", "bytes")
    for at, value in sizes(days=20).items():
        samples.make_partitions(connection, at.to_pydatetime())
        samples.store(connection, environment, Sample(at.to_pydatetime(), "sizes", "a" * 32, {size: float(value)}))
    samples.store(connection, environment, Sample(NOW - 4 * MINUTE, "tables", "a" * 32, tables()))
    _write_rows(connection, environment)


def _write_rows(connection, environment: str) -> None:
    kept = Deployments(environment)
    kept.attempt = lambda work: work(connection)
    for one in deployments():
        kept.begin(one.id, one.started_at, one.migrations, one.run_url)
        kept.end(one.id, one.outcome, started_at=one.started_at, finished_at=one.finished_at)
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into history.backup (environment, id, state, created_at, verified_at, drilled_at, stored_bytes, "
            "deleted_at, problem) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(environment, b.id, b.state, b.created_at, b.verified_at, b.drilled_at, b.stored_bytes, None, b.problem)
             for b in backups()],
        )  # fmt: skip
        cursor.executemany(
            "insert into history.maintenance (environment, started_at, finished_at, outcome, summary) "
            "values (%s, %s, %s, %s, %s)",
            [(environment, n.started_at, n.finished_at, n.outcome, n.summary) for n in nights()],
        )
        cursor.executemany(
            "insert into history.maintenance_work (environment, started_at, table_name, action, outcome, seconds) "
            "values (%s, %s, %s, %s, %s, %s)",
            [(environment, n.started_at, f"app.t{place}", action, outcome, seconds / count)
             for n in nights() for (action, outcome), (count, seconds) in n.work.items() for place in range(count)],
        )  # fmt: skip
    connection.execute(
        "insert into history.alert_event values (%s, %s, 'blocked', 'pid 1', 'firing', 'unhealthy', 'they wait')",
        [environment, NOW - timedelta(hours=3)],
    )
