"""A runner that is killed, and a server that is: whoever comes next finds the truth in the target and finishes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest

from tests.support.applying import QUICK, Target
from tests.support.majors import every_major
from tests.support.waiting import until
from wedsync_db.errors import Displaced, Inconclusive, MigrationFailed, WedsyncError
from wedsync_db.migrate import apply as applying
from wedsync_db.migrate import journal
from wedsync_db.postgres.cluster import scratch, start, stop
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys
from pathlib import Path
from tests.support.applying import Target
from wedsync_db.migrate import journal
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address, session
address = Address(**json.loads(sys.argv[1]))
target = Target(address, Path(sys.argv[2]))
with target_lock(address, "killed", wait_seconds=5, say=print) as lock:
    with session(address, "look") as connection:
        (deployment,) = journal.unfinished(connection)
    target.apply(deployment=deployment, lock_pid=lock.pid, atomic=sys.argv[3])
"""


@pytest.fixture
def target(address, tmp_path) -> Target:
    return prepared(address, tmp_path)


def prepared(address, tmp_path) -> Target:
    target = Target(address, tmp_path / "migrations")
    target.sql("create table t (id int primary key, n int)")
    target.sql("insert into t values (1, 1), (2, 2)")
    target.sql("create table gate (shut boolean)")
    target.sql("insert into gate values (true)")
    target.sql(
        "create function wait_at_gate() returns boolean language plpgsql volatile as $$ begin "
        "if exists (select from public.gate where shut) then perform pg_sleep(60); end if; return true; end $$"
    )
    return target


@contextmanager
def runner(target: Target, atomic: str = "deployment"):
    """A process of its own that applies; killed at the end of the block at the latest."""
    given = json.dumps({k: v for k, v in asdict(target.address).items() if v is not None})
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, given, str(target.folder), atomic], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def sleeping(target: Target) -> bool:
    return target.sql(
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')"
    )[0][0]


def take_over(target: Target) -> None:
    """What recover does before it finishes."""
    target.sql("update gate set shut = false")
    with target_lock(target.address, "recover", wait_seconds=10, say=print) as lock:
        with session(target.address, "recover") as connection:
            (old,) = journal.unfinished(connection)
            journal.end_backend(connection, old)
            new = journal.raise_epoch(connection, old, runner="second")
        target.apply(deployment=new, lock_pid=lock.pid, locks=QUICK)


@every_major
@pytest.mark.parametrize("atomic", ["deployment", "migration"])
def test_a_runner_killed_inside_a_transaction_leaves_before_or_after(target, atomic):
    target.write("0001_a", "create table a (id int);")
    target.write("0002_b", "create table b (id int);\nselect wait_at_gate();\ninsert into b values (1);")
    target.write("0003_c", "create table c (id int);")
    target.begin()
    with runner(target, atomic) as process:
        until(lambda: sleeping(target))
        process.kill()
        process.wait()
        assert target.applied() == ([] if atomic == "deployment" else ["0001_a"])
        take_over(target)
    assert target.applied() == ["0001_a", "0002_b", "0003_c"]
    assert target.sql("select count(*) from b") == [(1,)]


@every_major
def test_a_runner_killed_while_it_builds_an_index(target, address):
    target.write(
        "0001_x",
        "-- transaction: none\ncreate table a (id int);\n"
        "create unique index concurrently t_ux on t (held_at_gate(n));\nvacuum t;",
    )
    target.sql(
        "create function held_at_gate(n int) returns int language plpgsql immutable as $$ begin "
        "if exists (select from public.gate where shut) then perform pg_sleep(60); end if; return n; end $$"
    )
    target.begin()
    with runner(target) as process:
        until(lambda: sleeping(target))
        process.kill()
        process.wait()
        with session(address, "recover") as connection:
            (deployment,) = journal.unfinished(connection)
            journal.end_backend(connection, deployment)
    assert target.sql("select indisvalid from pg_index where indexrelid = 't_ux'::regclass") == [(False,)]
    take_over(target)
    assert target.sql("select indisvalid from pg_index where indexrelid = 't_ux'::regclass") == [(True,)]
    assert target.applied() == ["0001_x"]


@every_major
def test_the_orphan_of_a_killed_runner_does_not_commit_after_its_death(target):
    """Without anybody's help: the server notices that the client is gone and ends the statement."""
    target.write("0001_x", "-- transaction: none\ncreate table a as select wait_at_gate() as waited;")
    target.begin()
    with runner(target) as process:
        until(lambda: sleeping(target))
        process.kill()
        process.wait()
        until(lambda: not sleeping(target), 10)
    assert not target.exists("a")
    assert target.applied() == []


@every_major
def test_a_living_runner_is_displaced_by_the_one_that_ended_its_lock(target, db):
    """It is stopped inside a transaction, its lock session is ended, another takes over; then it goes on."""
    target.write("0001_a", "create table a (id int);\nselect wait_at_gate();")
    target.begin()
    with target_lock(target.address, "first", wait_seconds=0, say=print) as lock:
        with runner_thread(target, lock.pid) as outcome:
            until(lambda: sleeping(target))
            db.execute("select pg_terminate_backend(%s, 5000)", [lock.pid])
            take_over(target)
    assert isinstance(outcome[0], (Displaced, MigrationFailed))
    assert target.applied() == ["0001_a"]
    assert target.sql("select epoch from wedsync_db.deployment") == [(2,)]


@contextmanager
def runner_thread(target: Target, lock_pid: int, atomic: str = "deployment"):
    outcome: list[WedsyncError] = []

    def run():
        try:
            target.apply(lock_pid=lock_pid, atomic=atomic)
        except WedsyncError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield outcome
    thread.join()


@every_major
def test_a_server_that_is_lost_in_commit_and_does_not_come_back(major, tmp_path, monkeypatch):
    with scratch(major) as cluster:
        target = prepared(cluster.address(), tmp_path)
        target.write("0001_a", "create table a (id int);")
        target.begin()
        execute = psycopg.Connection.execute

        def losing(self, text, *args, **more):
            if str(text).endswith("\ncommit"):
                stop(cluster, "immediate")
            return execute(self, text, *args, **more)

        monkeypatch.setattr(psycopg.Connection, "execute", losing)
        monkeypatch.setattr(applying, "_OUTCOME_SECONDS", 0.3)
        with pytest.raises(Inconclusive, match="not known whether it committed"):
            target.apply()


@every_major
def test_a_server_that_crashes_in_the_middle(major, tmp_path):
    with scratch(major, settings={"synchronous_commit": "on"}) as cluster:
        target = prepared(cluster.address(), tmp_path)
        target.write("0001_a", "create table a (id int);")
        target.write("0002_b", "create table b (id int);\nselect wait_at_gate();")
        target.begin()
        with target_lock(target.address, "first", wait_seconds=0, say=print) as lock:
            with runner_thread(target, lock.pid, "migration") as outcome:
                until(lambda: sleeping(target))
                stop(cluster, "immediate")
        assert isinstance(outcome[0], MigrationFailed)
        start(cluster)
        assert target.applied() == ["0001_a"]
        take_over(target)
        assert target.applied() == ["0001_a", "0002_b"]
