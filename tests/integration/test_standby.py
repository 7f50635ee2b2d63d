"""A real standby: what health, the counters and the 16 functions say there, and that nobody works on it by mistake."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.case import URL_VARIABLE, write_settings
from tests.support.majors import MAJORS, every_major
from tests.support.schema import MIGRATIONS, deploy
from tests.support.standby import primary_and_standby
from tests.support.waiting import until
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.store import check_files
from wedsync_db.errors import Refused
from wedsync_db.load.safety import standby_lag, warn_of_hidden_standbys
from wedsync_db.monitor.collect import collect
from wedsync_db.monitor.health import BackupFacts, look
from wedsync_db.monitor.states import State
from wedsync_db.postgres.cluster import stop
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import session
from wedsync_db.report.health import health_json, health_text

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
NOT_ASKED = {"autovacuum", "table_bloat", "stale_statistics"}
# each function once, and what its rows say of a replica
CALLS = {
    "get_connection_stats()": "",
    "get_performance_stats()": "",
    "get_slow_queries()": "",
    "get_table_sizes(3)": "",
    "get_index_usage(3)": "",
    "get_unused_indexes()": "protected",
    "analyze_table('public.tasks')": "skipped",
    "vacuum_analyze_table('public.tasks')": "skipped",
    "update_table_statistics()": "skipped",
    "get_database_size()": "",
    "get_last_backup_time()": "unknown",
    "get_blocking_tree()": "",
    "get_maintenance_candidates()": "",
    "get_schema_issues()": "",
    "get_replication_status()": "receiver",
}


@pytest.fixture(scope="module", params=MAJORS)
def pair(request):
    """Primary and standby, with the whole schema on both."""
    with primary_and_standby(request.param) as (primary, standby):
        with session(primary.address(), "test") as db:
            deploy(db, *MIGRATIONS)
            db.execute("analyze")
        arrived(primary, standby)
        yield primary, standby


def arrived(primary, standby):
    """The standby has replayed what was written until now."""
    with session(primary.address(), "test") as one, session(standby.address(), "test") as other:
        (here,) = one.execute("select pg_current_wal_flush_lsn()::text").fetchone()
        until(lambda: other.execute("select pg_last_wal_replay_lsn() >= %s::pg_lsn", [here]).fetchone()[0])


def seen(cluster, **overrides):
    """Everything found, by check; a check about several is the worst of them."""
    found = look(cluster.address(), overrides, now=lambda: NOW, backups=BackupFacts(NOW, NOW))
    return found, {one.name: one for one in reversed(found)}


def test_a_load_test_knows_how_far_behind_it_is(pair):
    primary, standby = pair
    with session(primary.address(), "test") as db, session(standby.address(), "test") as there:
        until(lambda: standby_lag(db) < 1)  # others write, and it says once a second how far it is
        there.execute("select pg_wal_replay_pause()")
        try:
            until(lambda: db.execute("select pg_logical_emit_message(false, 'test', 'x')") and standby_lag(db) > 1)
        finally:
            there.execute("select pg_wal_replay_resume()")
        until(lambda: db.execute("select pg_logical_emit_message(false, 'test', 'x')") and standby_lag(db) < 1)


def test_a_load_test_says_what_it_is_not_shown_of_a_standby(pair):
    primary, _ = pair
    said = []
    with session(primary.address(), "test") as db:
        warn_of_hidden_standbys(db, said.append)
        assert said == []
        db.execute("create role looks_little")
        try:
            db.execute("set role looks_little")
            warn_of_hidden_standbys(db, said.append)
        finally:
            db.execute("reset role")
            db.execute("drop role looks_little")
    assert [line.partition(":")[0] for line in said] == ["how far 1 standby is behind is not shown, and ends no run"]


def test_a_standby_that_streams_is_healthy_and_says_what_is_not_asked_there(pair):
    _, standby = pair
    found, by_name = seen(standby)
    assert {one.name for one in found if one.state is not State.HEALTHY} == set()
    assert {one.name for one in found if not one.asked} == NOT_ASKED
    assert by_name["replica_lag"].evidence[0].startswith("the receiver is streaming")
    text = health_text(found, (), "case")
    assert all(f"not asked: {name}, a replica has no counters" in text for name in NOT_ASKED)
    told = {one["name"]: one["asked"] for one in health_json(found, "case")["checks"]}
    assert {name for name, asked in told.items() if not asked} == NOT_ASKED


@contextmanager
def paused(primary, standby):
    """The standby receives a row and does not replay it."""
    with session(primary.address(), "test") as one, session(standby.address(), "test") as other:
        other.execute("select pg_wal_replay_pause()")
        until(lambda: other.execute("select pg_get_wal_replay_pause_state() = 'paused'").fetchone()[0])
        one.execute("create table if not exists public.late (id int); insert into public.late values (1)")
        yield
        other.execute("select pg_wal_replay_resume()")


def test_a_standby_that_is_behind_says_so_on_both_sides(pair):
    with paused(*pair):
        for cluster, subject in zip(pair, ("copy", "receiver"), strict=True):
            until(lambda c=cluster: (seen(c, replica_lag={"degraded": 0})[1]["replica_lag"].observed or 0) > 0)
            late = seen(cluster, replica_lag={"degraded": 0})[1]["replica_lag"]
            assert (late.subject, late.state) == (subject, State.DEGRADED)
        assert "replay is paused" in late.evidence[0]


def test_what_a_query_on_the_standby_keeps_on_the_primary_is_named(pair):
    primary, standby = pair
    text = query("health", "oldest_snapshot").replace("1000000", "-1")  # a million transactions take their time
    with session(standby.address(), "test", autocommit=False) as reader, session(primary.address(), "test") as db:
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select 1 from pg_class limit 1")
        until(lambda: db.execute("select backend_xmin is not null from pg_stat_replication").fetchone()[0])
        kept = {row[0]: row[1:] for row in db.execute(text, {}).fetchall()}
    assert kept["standby copy"][0] is None, "nobody knows since when"
    assert "keeps what was deleted in the last" in kept["standby copy"][1]


@every_major
def test_equal_positions_are_no_health_when_the_primary_is_gone(major):
    with primary_and_standby(major) as (primary, standby):
        arrived(primary, standby)
        stop(primary, "immediate")
        with session(standby.address(), "test") as db:
            until(lambda: not db.execute("select from pg_stat_wal_receiver").fetchall())
            equal = "select pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()"
            assert db.execute(equal).fetchall() == [(True,)], "what others take for no lag"
        lag = seen(standby)[1]["replica_lag"]
    assert (lag.state, lag.observed) == (State.DEGRADED, None)
    assert "its primary is gone" in lag.evidence[0]


def test_the_counters_of_a_standby_are_collected(pair):
    _, standby = pair
    for tier in ("tables", "sizes", "fast"):
        sample = collect(standby.address(), tier, clock=lambda: NOW)
        assert sample.problems == ()
    values = {metric.name: value for metric, value in sample.values.items()}
    assert values["in_recovery"] == 1


@pytest.mark.parametrize("call", CALLS)
def test_the_functions_answer_on_a_standby(pair, call):
    with session(pair[1].address(), "test") as db:
        cursor = db.execute(f"select * from ops.{call}".encode())
        rows = [dict(zip([c.name for c in cursor.description], row, strict=True)) for row in cursor.fetchall()]
    assert CALLS[call] in str(rows)
    assert not [row for row in rows if row.get("xid_age") == 2**31 - 1], "no table is as old as that"


def test_a_migration_by_hand_is_refused_by_the_server_itself(pair):
    with session(pair[1].address(), "test") as db, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        db.execute("select * from ops.execute_migration('select 1', 'x')")


def test_nobody_maintains_a_standby_and_a_backup_of_it_is_one(pair, home, tmp_path, monkeypatch):
    from tasks.maintenance import held_for_maintenance

    where = pair[1].address()
    monkeypatch.setenv("WEDSYNC_ENVIRONMENTS", str(write_settings(tmp_path)))
    monkeypatch.setenv("WEDSYNC_HOME", str(home.path))
    monkeypatch.setenv(URL_VARIABLE, f"postgresql://{where.user}@/{where.dbname}?host={where.host}&port={where.port}")
    with pytest.raises(Refused, match="case is a replica"), held_for_maintenance("case", None):
        pass
    backup = create_backup(where, tmp_path / "backups", environment="case")
    check_files(backup)
    assert backup.manifest.server.in_recovery
