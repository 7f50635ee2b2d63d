"""Taking locks first: in front of a holder nobody queues behind us, and whoever is in the way is named."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import psycopg
import pytest

from tests.support.applying import QUICK
from tests.support.majors import every_major
from wedsync_db.errors import LockTimeout
from wedsync_db.migrate.acquire import take_locks
from wedsync_db.model import HeldLock
from wedsync_db.postgres.session import session

EXCLUSIVE = (HeldLock("public.t", "AccessExclusiveLock", 0.0),)


@pytest.fixture
def tables(db):
    db.execute("create table t (id int)")
    db.execute('create table "Odd ""name%" (id int)')
    db.execute("create table p (id int) partition by list (id)")
    db.execute("create table p1 partition of p for values in (1)")
    db.execute("create view v as select 1 as one")
    return db


@pytest.fixture
def migrating(address, tables):
    with session(address, "migrate", autocommit=False) as connection:
        connection.execute("select 1")
        yield connection


def held(db, pid: int) -> dict[str, str]:
    rows = db.execute(
        "select relation::regclass::text, mode from pg_locks where pid = %s and locktype = 'relation' "
        "and relation >= 16384",
        [pid],
    )
    return dict(rows.fetchall())


@every_major
def test_free_tables_are_locked_at_once_each_by_itself(tables, migrating):
    locks = [
        HeldLock("public.t", "ShareLock", 0.0),
        HeldLock("public.t", "RowExclusiveLock", 0.0),
        HeldLock('public."Odd ""name%"', "AccessExclusiveLock", 0.0),
        HeldLock("public.p", "AccessExclusiveLock", 0.0),
        HeldLock("public.gone", "AccessExclusiveLock", 0.0),
        HeldLock("public.v", "AccessExclusiveLock", 0.0),
        HeldLock("pg_catalog.pg_class", "AccessExclusiveLock", 0.0),
    ]
    assert take_locks(migrating, locks, QUICK, pytest.fail) == 0
    assert held(tables, migrating.info.backend_pid) == {
        "t": "ShareRowExclusiveLock",
        '"Odd ""name%"': "AccessExclusiveLock",
        "p": "AccessExclusiveLock",  # and not p1
    }
    migrating.rollback()
    assert held(tables, migrating.info.backend_pid) == {}


def test_nothing_to_lock_is_nothing_to_do(migrating):
    assert take_locks(migrating, (), QUICK, pytest.fail) == 0


@every_major
def test_polling_lets_readers_through_and_ends_when_the_holder_does(address, tables, migrating):
    """Whoever waits in the queue blocks the readers behind it: with NOWAIT there is no queue."""
    said, reads = [], []
    with session(address, "holder", autocommit=False) as holder, session(address, "reader") as reader:
        holder.execute("select * from t")
        pid = holder.info.backend_pid
        reader.execute("set statement_timeout = '5s'")

        def say(line):
            said.append(line)
            waiting = tables.execute("select count(*) from pg_locks where not granted").fetchone()
            assert waiting == (0,)
            reads.append(reader.execute("select count(*) from t").fetchone())
            holder.rollback()

        patient = replace(QUICK, poll_seconds=30.0)
        assert take_locks(migrating, EXCLUSIVE, patient, say, rng=random.Random(1)) == 1
    assert reads == [(0,)]
    assert len(said) == 1
    assert f"pid {pid} (wedsync-db/holder" in said[0]
    assert "idle in transaction for 0 s) holds AccessShareLock on public.t" in said[0]


@every_major
def test_when_polling_starves_a_short_wait_gets_the_lock(address, tables, migrating):
    with session(address, "holder", autocommit=False) as holder:
        holder.execute("select * from t")

        def say(line):
            if "try 1 of 2" in line:
                holder.rollback()

        assert take_locks(migrating, EXCLUSIVE, replace(QUICK, poll_seconds=0.05), say) == 2
    assert held(tables, migrating.info.backend_pid) == {"t": "AccessExclusiveLock"}


@every_major
def test_the_budget_ends_with_the_blockers_named_and_no_lock_kept(address, tables, migrating):
    said = []
    locks = (HeldLock("public.p", "AccessExclusiveLock", 0.0), *EXCLUSIVE)
    with session(address, "holder", autocommit=False) as holder:
        holder.execute("select * from t")
        with pytest.raises(LockTimeout) as caught:
            take_locks(migrating, locks, QUICK, said.append)
        pid = holder.info.backend_pid
    assert f"pid {pid} (wedsync-db/holder" in str(caught.value)
    assert caught.value.sqlstate is None, "the budget is spent: not to be retried"
    assert held(tables, migrating.info.backend_pid) == {}
    assert migrating.execute("select current_setting('lock_timeout')").fetchone() == ("2s",)
    assert [line for line in said if "try" in line]


def test_many_blockers_are_counted(address, tables, migrating):
    def hold():
        with session(address, "reader", autocommit=False) as reader:
            reader.execute("select * from t")
            ready.wait(20)
            done.wait(20)

    ready, done = threading.Barrier(6), threading.Event()
    threads = [threading.Thread(target=hold) for _ in range(5)]
    for thread in threads:
        thread.start()
    ready.wait(20)
    with pytest.raises(LockTimeout, match=r"and 2 more$"):
        take_locks(migrating, EXCLUSIVE, replace(QUICK, poll_seconds=0.0, attempts=1), lambda _: None)
    done.set()
    for thread in threads:
        thread.join()


def test_a_table_this_role_may_not_lock_is_left_to_its_statement(address, tables):
    role = f"weak_{tables.info.dbname}"
    tables.execute(f"create role {role}")
    tables.execute(f"grant select, references on t to {role}")
    try:
        with session(replace(address, role=role), "migrate", autocommit=False) as connection:
            assert take_locks(connection, EXCLUSIVE, QUICK, pytest.fail) == 0
            assert held(tables, connection.info.backend_pid) == {}
    finally:
        tables.execute(f"drop owned by {role}")
        tables.execute(f"drop role {role}")


def test_what_is_no_lock_trouble_is_not_retried(migrating, tables):
    tables.execute("select pg_terminate_backend(%s, 5000)", [migrating.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        take_locks(migrating, EXCLUSIVE, QUICK, pytest.fail)
