"""Clients write into what a revert would remove, all the time: no acknowledged write is ever lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager

import psycopg
import pytest

from tests.support.deployed import Deployed
from tests.support.majors import every_major
from wedsync_db.errors import LockTimeout, PersonNeeded
from wedsync_db.migrate.undo import revert_migration
from wedsync_db.postgres.session import session

DEPLOY = "create table public.made (id int primary key); alter table public.base add column note text;"
UNDO = "alter table public.base drop column note; drop table public.made;"


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    with session(address, "test") as connection:
        connection.execute("create table public.base (id int primary key, name text not null)")
        connection.execute("insert into public.base select n, 'name ' || n from generate_series(1, 20) as n")
    made = Deployed(address, tmp_path / "migrations")
    made.add("0001_x", DEPLOY, UNDO)
    made.deploy()
    return made


@contextmanager
def client(target: Deployed, statement: str, begin: Callable[[int], bool]):
    """Runs the statement with 1, 2, 3 … once `begin` of its number says so; yields the acknowledged numbers."""
    acknowledged: list[int] = []
    stop = threading.Event()

    def work() -> None:
        with session(target.address, "writer", lock_timeout_ms=0) as connection:
            for number in range(1, 10_000):
                if stop.is_set():
                    return
                if not begin(number):
                    connection.execute("select")
                    continue
                try:
                    connection.execute(statement, {"n": number})
                except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                    return
                acknowledged.append(number)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        thread.join()


def attempt(target: Deployed) -> bool:
    """Try once; whether it was reverted."""
    with session(target.address, "revert") as connection:
        try:
            revert_migration(connection, target.run(), target.migrations[0], target.proofs["0001_x"])
        except (PersonNeeded, LockTimeout):
            return False
    return True


@every_major
@pytest.mark.parametrize("wait", [0, 3, 10, 40, 150])
def test_rows_in_a_new_table_and_the_revert_race(target, wait):
    with client(target, "insert into public.made values (%(n)s)", lambda n: n > wait) as acknowledged:
        reverted = attempt(target)
    if reverted:
        assert acknowledged == []
        assert target.applied() == []
    else:
        assert [n for (n,) in target.sql("select id from public.made order by id")] == acknowledged


@every_major
@pytest.mark.parametrize("wait", [0, 3, 10, 40, 150])
def test_values_in_a_new_column_and_the_revert_race(target, wait):
    update = "update public.base set note = %(n)s where id = 1 + %(n)s %% 20"
    with client(target, update, lambda n: n > wait) as acknowledged:
        reverted = attempt(target)
    if reverted:
        assert acknowledged == []
        return
    values = {int(v) for (v,) in target.sql("select note from public.base where note is not null")}
    assert values == set(acknowledged[-20:])


@every_major
def test_writes_to_what_stays_do_not_stop_a_revert_and_are_kept(target):
    update = "update public.base set name = %(n)s where id = 1 + %(n)s %% 20"
    with client(target, update, lambda _: True) as acknowledged:
        for _ in range(5):
            if attempt(target):
                break
    assert target.applied() == []
    values = {v for (v,) in target.sql("select name from public.base")}
    assert {str(n) for n in acknowledged[-20:]} <= values


@every_major
def test_nobody_writes_between_the_look_and_the_revert(target):
    target.add("0001_x", DEPLOY, UNDO, lossless="select 0 from pg_sleep(0.7);")
    looking = (
        "select from pg_stat_activity"
        " where datname = current_database() and application_name = 'wedsync-db/revert' and wait_event = 'PgSleep'"
    )
    done: list[bool] = []
    reverting = threading.Thread(target=lambda: done.append(attempt(target)))
    with session(target.address, "writer", lock_timeout_ms=50) as writer:
        reverting.start()
        try:
            while not writer.execute(looking).fetchall():
                assert reverting.is_alive()
            for statement in ("insert into public.made values (1)", "update public.base set note = 'x' where id = 1"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    writer.execute(statement)
        finally:
            reverting.join()
    assert done == [True]
