"""A night's work on bloated tables beside clients that read and write them, and a deployment in the middle of it."""

from __future__ import annotations

import itertools
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from psycopg import sql

from tests.support.broken import good
from tests.support.majors import every_major
from tests.support.waiting import until
from wedsync_db.maintain.giving_way import watching
from wedsync_db.maintain.plan import Work
from wedsync_db.maintain.upkeep import rebuild_one_index
from wedsync_db.maintain.work import work_through
from wedsync_db.postgres.locks import announced, target_lock
from wedsync_db.postgres.session import session
from wedsync_db.settings import MaintenanceSettings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LOCK_TIMEOUT_MS = 300
SETTINGS = MaintenanceSettings(lock_timeout_ms=LOCK_TIMEOUT_MS, cost_delay_ms=20, reindex_least_mb=0)
BUDGET_SECONDS = 60.0
TABLES = tuple(f"public.busy_{number}" for number in range(4))
DEAD = 20_000
FILL = """
create table {0} (id int primary key, number int not null default 0, filler text not null)
  with (autovacuum_enabled = off);
insert into {0} select n, 0, repeat('x', 200) from generate_series(1, {1}) as n;
delete from {0} where {2};
"""
EMPTY_AT_THE_END, HOLES = "id > 100", "id > 100 and id % 10 <> 0"


@dataclass
class Seen:
    """What the clients did, and every wait of theirs for a lock on a table: the program, the mode, seconds."""

    calls: list[float] = field(default_factory=list)
    waits: list[tuple[str, str, float]] = field(default_factory=list)
    announced_at: float | None = None
    was_at_work: bool = False  # when the deployment was announced
    idle_at: float | None = None  # no vacuum any more, after the announcement


WAITS = """
select a.application_name, l.mode, extract(epoch from clock_timestamp() - l.waitstart)::float8
from pg_locks as l join pg_stat_activity as a using (pid)
where not l.granted and l.locktype = 'relation' and l.waitstart is not null
  and a.application_name like 'wedsync-db/client%'
  and l.database = (select oid from pg_database where datname = current_database())
"""


@contextmanager
def clients(address, admin, tables):
    """Two that write rows of their own and two that read, as fast as they can; watched by another session."""
    seen, stop = Seen(), threading.Event()
    threads = [threading.Thread(target=call, args=(address, tables, number, seen, stop)) for number in range(4)]
    threads.append(threading.Thread(target=watch, args=(admin, seen, stop)))
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def call(address, tables, number, seen, stop):
    change = "update {} set number = number + 1 where id = %s" if number < 2 else "select * from {} where id = %s"
    statements = itertools.cycle([sql.SQL(change).format(sql.SQL(table)) for table in tables])
    with session(address, f"client-{number}", lock_timeout_ms=0, statement_timeout_ms=0) as connection:
        while not stop.wait(0.002):
            began = time.monotonic()
            connection.execute(next(statements), [number + 1])
            seen.calls.append(time.monotonic() - began)


def watch(admin, seen, stop):
    with session(admin, "watch") as connection:
        while not stop.wait(0.01):
            seen.waits += connection.execute(WAITS).fetchall()
            at_work = connection.execute("select from pg_stat_progress_vacuum").fetchall()
            if seen.announced_at is None and announced(connection):
                seen.announced_at, seen.was_at_work = time.monotonic(), bool(at_work)
            if seen.announced_at and seen.idle_at is None and not at_work:
                seen.idle_at = time.monotonic()


@pytest.fixture
def logged(cluster, case):
    """The lines in which the server says who waits longer for a lock than maintenance may."""
    log = cluster.data.parent / "server.log"
    name = sql.Identifier(case.address.dbname)
    with session(case.admin, "test") as admin:
        for setting in ("log_lock_waits = on", f"deadlock_timeout = '{LOCK_TIMEOUT_MS}ms'"):
            admin.execute(sql.SQL("alter database {} set " + setting).format(name))
    began = log.stat().st_size

    def lines():
        with log.open("rb") as opened:
            opened.seek(began)
            return re.findall(r"still waiting for .* on relation .*", opened.read().decode(errors="replace"))

    return lines


def filled(case, *tables, rows=DEAD + 100):
    """Every other table has its dead rows at the end, where VACUUM gives back what it holds alone for a moment."""
    with session(case.address, "test") as connection:
        for table, where in zip(tables, itertools.cycle([EMPTY_AT_THE_END, HOLES])):
            connection.execute(FILL.format(table, rows, where).encode())
        connection.execute("select pg_stat_force_next_flush()")


def sizes(case, tables):
    return {table: case.rows(f"select pg_relation_size('{table}')")[0][0] for table in tables}


@every_major
def test_a_busy_bloated_database(case, logged, record_property):
    """In its budget, with the effect it says, and no client waits for longer than the lock_timeout."""
    filled(case, *TABLES)
    before = sizes(case, TABLES)
    with ExitStack() as stack:
        seen = stack.enter_context(clients(case.address, case.admin, TABLES))
        lock = stack.enter_context(target_lock(case.address, "maintenance", wait_seconds=0, say=lambda _: None))
        watch = stack.enter_context(watching(case.address, lock.pid))
        until(lambda: len(seen.calls) > 50)
        began, earlier = time.monotonic(), len(seen.calls)
        work = [Work(table, "vacuum", 1) for table in TABLES]
        done = work_through(case.address, work, SETTINGS, watch, budget_seconds=BUDGET_SECONDS)
        rebuilt = rebuild_one_index(
            case.address, SETTINGS, watch, not_of=(), free_bytes=lambda: 1 << 40, budget_seconds=BUDGET_SECONDS
        )
        took, calls = time.monotonic() - began, len(seen.calls) - earlier
    assert [one.outcome for one in (*done, *rebuilt)] == ["done"] * 5, (done, rebuilt)
    assert took < BUDGET_SECONDS
    assert calls > 100, "beside clients"
    for one in done:
        assert one.before.dead_rows - one.after.dead_rows > DEAD * 0.85, "by the counters"
    assert [wait for wait in seen.waits if wait[2] * 1000 > LOCK_TIMEOUT_MS] == []
    assert logged() == []
    # what was freed is used again: as many rows as were deleted need no more room
    again = "insert into {} select n, 0, repeat('x', 200) from generate_series(101, %s) as n on conflict do nothing"
    with session(case.address, "test") as connection:
        for table in TABLES:
            connection.execute(sql.SQL(again).format(sql.SQL(table)), [DEAD + 100])
    assert all(after <= before[table] * 1.02 for table, after in sizes(case, TABLES).items()), (
        "clients changed some, too"
    )
    record_property("maintenance beside clients", {"calls": calls, "waits for a table": len(seen.waits)})


def test_a_night_that_is_over_ends_what_it_is_at(case, logged):
    """Tables that would take minutes: the first is ended with the budget, the others are not begun."""
    filled(case, *TABLES[:2], rows=60_000)
    slow = MaintenanceSettings(lock_timeout_ms=LOCK_TIMEOUT_MS, cost_delay_ms=100)
    with clients(case.address, case.admin, TABLES[:2]) as seen, watching(case.address) as watch:
        work = [Work(table, "vacuum", 1) for table in TABLES[:2]]
        done = work_through(case.address, work, slow, watch, budget_seconds=1.5)
        until(lambda: len(seen.calls) > 100)
    assert [one.outcome for one in done] == ["over_budget"] * 2
    assert done[1].seconds == 0.0
    assert [wait for wait in seen.waits if wait[2] * 1000 > LOCK_TIMEOUT_MS] == []
    assert logged() == []


def test_a_deployment_gets_the_target_at_once(based, tool, record_property):
    """A real one, from another process: it succeeds, and the night has stopped long before it would have given up."""
    table = TABLES[0]
    filled(based, table, rows=60_000)
    good(based, 2)
    slow = MaintenanceSettings(lock_timeout_ms=LOCK_TIMEOUT_MS, cost_delay_ms=100)
    with clients(based.address, based.admin, (table,)) as seen:
        with (
            target_lock(based.address, "maintenance", wait_seconds=0, say=lambda _: None) as lock,
            watching(based.address, lock.pid) as watch,
        ):
            deploying = tool.start("deploy", "case")
            work = [Work(table, "vacuum", 1), Work(table, "analyze", 1)]
            done = work_through(based.address, work, slow, watch, budget_seconds=200)
        ended = deploying.wait()
        until(lambda: seen.idle_at)
    assert [one.outcome for one in done] == ["yielded", "yielded"]
    assert "wedsync-db/deployment" in done[0].detail
    assert ended.code == 0, ended.text
    assert seen.was_at_work
    record_property(
        "maintenance gave way", {"milliseconds": round(1000 * (seen.idle_at - seen.announced_at)), "times": 1}
    )
