"""Applying transactional migrations: all or nothing, verified, recorded, fenced, and no SET outlives its script."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tests.support.applying import QUICK, Target, proof
from tests.support.majors import every_major
from wedsync_db.errors import Displaced, LockTimeout, MigrationFailed, Refused, VerifyFailed
from wedsync_db.migrate import journal
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session

LOCK = ("public.old", "AccessExclusiveLock")


class Counting:
    """A watch, with which `apply` takes the way of a rehearsal: one statement at a time."""

    def __init__(self):
        self.seen = []

    def before(self, migration_id, index, statement):
        self.seen.append((migration_id, index))

    def after(self, migration_id, index, statement, rows):
        pass


@pytest.fixture(params=[False, True], ids=["batched", "watched"])
def way(request):
    return {"watch": Counting()} if request.param else {}


@pytest.fixture
def target(address, tmp_path) -> Target:
    target = Target(address, tmp_path / "migrations")
    target.folder.mkdir()
    target.sql("create table old (id int primary key)")
    return target


def quiet(_: str) -> None:
    """Says nothing."""


@every_major
def test_pending_migrations_are_applied_and_recorded(target, way):
    target.write("0001_a", "create table a (id int);\n\ncreate index a_id on a (id);", "select true")
    target.write("0002_b", "create table b (id int);")
    done = target.apply(**way)
    assert done.migrations == ("0001_a", "0002_b")
    assert (done.deployment_id, done.lock_attempts) == (target.deployment.id, 1)
    assert target.applied() == ["0001_a", "0002_b"]
    assert target.steps() == [("0001_a", None, "done"), ("0002_b", None, "done")]
    if way:
        assert way["watch"].seen == [("0001_a", 0), ("0001_a", 1), ("0002_b", 0)]


def test_nothing_pending_is_nothing_to_do(target):
    assert target.apply().migrations == ()


@every_major
@pytest.mark.parametrize(("atomic", "left"), [("deployment", []), ("migration", ["0001_a"])])
def test_a_failure_takes_back_its_own_transaction(target, way, atomic, left):
    target.write("0001_a", "create table a (id int);")
    target.write("0002_b", "create table b (id int);\ninsert into old values (1);\ninsert into old values (1);")
    target.write("0003_c", "create table c (id int);")
    with pytest.raises(MigrationFailed) as caught:
        target.apply(atomic=atomic, **way)
    assert str(caught.value).startswith("0002_b/deploy.sql:3:1: duplicate key")
    assert caught.value.sqlstate == "23505"
    assert target.applied() == left
    assert target.exists("a") is bool(left)
    assert not target.exists("b")


@every_major
def test_a_verify_script_that_says_no_takes_it_back(target, way):
    target.write("0001_a", "create table a (id int);", "select true;\nselect count(*) > 0 from a;")
    target.write("0002_b", "select 1 / 0;")
    with pytest.raises(VerifyFailed, match=r"^0001_a/verify\.sql:2:1: "):
        target.apply(**way)
    assert not target.exists("a")


def test_a_verify_script_that_fails_takes_it_back(target, way):
    target.write("0001_a", "create table a (id int);", "select nope from a;")
    with pytest.raises(VerifyFailed, match="column"):
        target.apply(**way)
    assert not target.exists("a")


def test_a_verify_script_leaves_nothing(target, way):
    target.write("0001_a", "create table a (id int);", "insert into a values (1);\nset search_path = nowhere;")
    target.write("0002_b", "create table b (id int);")
    target.apply(**way)
    assert target.sql("select count(*) from a") == [(0,)]
    assert target.exists("public.b")


@every_major
def test_settings_and_roles_of_one_migration_do_not_reach_the_next(target, db, way):
    role, other = (f"{name}_{db.info.dbname}" for name in ("owner", "other"))
    for name in (role, other):
        db.execute(f"create role {name}")
        db.execute(f"grant create on database {db.info.dbname} to {name}")
        db.execute(f"grant create on schema public to {name}")
    note = "create table {} as select current_user as who, current_setting('search_path') as path, "
    note += "current_setting('lock_timeout') as lock, current_setting('my.own', true) as own;"
    target.address = replace(target.address, role=role)
    target.write(
        "0001_a",
        f"set search_path = pg_catalog;\nset lock_timeout = '7s';\nset my.own = 'x';\nset role {other};\n"
        + note.format("public.a"),
    )
    target.write("0002_b", note.format("b"))
    try:
        target.apply(**way)
        assert db.execute("select * from a").fetchall() == [(other, "pg_catalog", "7s", "x")]
        (found,) = db.execute("select * from b").fetchall()
        assert found[:3] == (role, '"$user", public', "50ms")
        assert not found[3]
    finally:
        for name in (role, other):
            db.execute(f"drop owned by {name} cascade")
            db.execute(f"drop role {name}")


@every_major
def test_a_deferred_constraint_speaks_before_commit(target, way):
    target.write(
        "0001_a",
        "create table a (id int references old deferrable initially deferred);\ninsert into a values (7);",
    )
    with pytest.raises(MigrationFailed) as caught:
        target.apply(**way)
    assert str(caught.value).startswith("at the end of 0001_a: ")
    assert "constraint a_id_fkey" in str(caught.value)
    assert "(7)" not in str(caught.value)
    assert not target.exists("a")


def test_an_invariant_that_says_no_takes_the_group_back(target):
    def keep_it_empty(connection):
        if connection.execute("select count(*) from old").fetchone() != (0,):
            raise VerifyFailed("old is to stay empty")

    target.write("0001_a", "create table a (id int);")
    target.write("0002_b", "insert into old values (1);")
    with pytest.raises(VerifyFailed, match="stay empty"):
        target.apply(invariants=[keep_it_empty])
    assert target.applied() == []
    assert not target.exists("a")


def test_the_guard_is_asked_before_each_transaction_and_stops_there(target):
    asked = []

    def between():
        asked.append(target.applied())
        if len(asked) == 3:
            raise Refused("a wedding began")

    for name in ("0001_a", "0002_b", "0003_c"):
        target.write(name, f"create table {name[-1]} (id int);")
    with pytest.raises(Refused):
        target.apply(atomic="migration", between=between)
    assert asked == [[], ["0001_a"], ["0001_a", "0002_b"]]
    assert not target.exists("c")


@every_major
def test_the_locks_of_the_rehearsal_are_taken_before_anything_runs(target, address):
    target.write("0001_a", "create table a (id int);\nalter table old add column x int;")
    with session(address, "reader", autocommit=False) as reader:
        reader.execute("select * from old")
        with pytest.raises(LockTimeout, match="wedsync-db/reader") as caught:
            target.apply(proofs=[proof("0001_a", LOCK)], watch=(watch := Counting()))
    assert watch.seen == []
    assert caught.value.exit_code == 1
    done = target.apply(proofs=[proof("0001_a", LOCK)])
    assert done.lock_attempts == 1


@every_major
def test_an_unforeseen_lock_is_tried_again_from_the_beginning(target, address, way):
    target.write("0001_a", "create table a (id int);\nalter table old add column x int;")
    with session(address, "reader", autocommit=False) as reader:
        reader.execute("select * from old")

        def say(line):
            assert line.startswith("0001_a/deploy.sql:2:1: canceling statement due to lock timeout")
            reader.rollback()

        assert target.apply(say=say, **way).lock_attempts == 2
    assert target.applied() == ["0001_a"]


def test_an_unforeseen_lock_is_not_tried_for_ever(target, address):
    target.write("0001_a", "alter table old add column x int;")
    with session(address, "reader", autocommit=False) as reader:
        reader.execute("select * from old")
        with pytest.raises(LockTimeout) as caught:
            target.apply()
    assert caught.value.sqlstate == "55P03"
    assert len(target.said) == QUICK.attempts - 1


@every_major
def test_a_statement_timeout_takes_it_back(target, way):
    target.write("0001_a", "create table a (id int);\nselect pg_sleep(10);")
    with pytest.raises(MigrationFailed) as caught:
        target.apply(locks=replace(QUICK, statement_timeout_ms=50), **way)
    assert caught.value.sqlstate == "57014"
    assert not target.exists("a")


def test_a_file_that_ends_its_transaction_does_not_run(target, way):
    target.write("0001_a", "create table a (id int);\ncommit;")
    with pytest.raises(MigrationFailed, match=r"0001_a/deploy\.sql begins or ends a transaction"):
        target.apply(**way)
    assert not target.exists("a")


def test_a_do_block_cannot_commit_either(target, way):
    target.write("0001_a", "create table a (id int);\ndo $$ begin commit; end $$;")
    with pytest.raises(MigrationFailed, match="invalid transaction termination"):
        target.apply(**way)
    assert not target.exists("a")


# -- who may commit ----------------------------------------------------------------------------------------------------
@every_major
@pytest.mark.parametrize("when", ["between", "inside"])
def test_a_runner_without_its_lock_session_commits_nothing(target, address, db, when, way):
    def end_the_lock():
        db.execute("select pg_terminate_backend(%s, 5000)", [lock.pid])

    target.write("0001_a", "create table a (id int);")
    if when == "inside":
        target.write("0001_a", "create table a (id int);\nselect pg_terminate_backend(pid, 5000) from public.lock;")
        target.sql("create table lock (pid int)")
    with target_lock(address, "deploy", wait_seconds=0, say=quiet) as lock:
        if when == "inside":
            target.sql("insert into lock values (%s)", lock.pid)
        between = end_the_lock if when == "between" else lambda: None
        with pytest.raises(Displaced, match="lock on the target is gone"):
            target.apply(lock_pid=lock.pid, between=between, **way)
    assert target.applied() == []
    assert not target.exists("a")


@every_major
def test_a_displaced_runner_commits_nothing_while_the_second_goes_on(target, address, db):
    """The first loses its lock session between two transactions; the second takes over and finishes."""
    target.write("0001_a", "create table a (id int);")
    target.write("0002_b", "create table b (id int);")
    first = target.begin()
    taken = []

    def between():
        if target.applied() == ["0001_a"] and not taken:
            db.execute("select pg_terminate_backend(%s, 5000)", [lock.pid])
            with target_lock(address, "second", wait_seconds=5, say=quiet) as mine:
                taken.append(journal.raise_epoch(db, first, runner="second"))
                target.apply(deployment=taken[0], lock_pid=mine.pid)

    with target_lock(address, "first", wait_seconds=0, say=quiet) as lock:
        with pytest.raises(Displaced):
            target.apply(atomic="migration", lock_pid=lock.pid, between=between)
    assert target.applied() == ["0001_a", "0002_b"]
    assert journal.unfinished(db)[0].epoch == first.epoch + 1


@every_major
def test_an_outdated_epoch_commits_nothing_even_with_the_lock(target, db, way):
    target.write("0001_a", "create table a (id int);")
    old = target.begin()
    journal.raise_epoch(db, old)
    with pytest.raises(Displaced, match="took over"):
        target.apply(**way)

    again = journal.unfinished(db)[0]
    with pytest.raises(Displaced, match="took over"):
        target.apply(deployment=again, between=lambda: journal.raise_epoch(db, again), **way)
    assert not target.exists("a")


@every_major
def test_a_backend_that_is_ended_in_the_middle_leaves_nothing(target, way):
    target.write("0001_a", "create table a (id int);\nselect pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(MigrationFailed) as caught:
        target.apply(**way)
    assert caught.value.sqlstate == "57P01"
    assert target.applied() == []
    assert not target.exists("a")


# -- a COMMIT that was never answered ----------------------------------------------------------------------------------
@every_major
@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_commit_is_looked_up(target, db, monkeypatch, happened):
    """The session is cut right after, or right before, the server has committed."""
    target.write("0001_a", "create table a (id int);")
    target.write("0002_b", "create table b (id int);")
    cut = []
    execute = psycopg.Connection.execute

    def cutting(self, text, *args, **more):
        if str(text).endswith("\ncommit") and not cut:
            cut.append(self.info.backend_pid)
            if happened:
                execute(self, text)
            db.execute("select pg_terminate_backend(%s, 5000)", [self.info.backend_pid])
        return execute(self, text, *args, **more)

    target.begin()
    monkeypatch.setattr(psycopg.Connection, "execute", cutting)
    if happened:
        assert target.apply(atomic="migration").migrations == ("0001_a", "0002_b")
        assert target.applied() == ["0001_a", "0002_b"]
    else:
        with pytest.raises(MigrationFailed, match="lost in COMMIT, and 0001_a is not in the ledger"):
            target.apply(atomic="migration")
        assert target.applied() == []
    assert len(cut) == 1
