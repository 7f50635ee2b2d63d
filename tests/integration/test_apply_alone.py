"""Non-transactional files: nothing is done twice after an interruption, and no invalid index passes for a good one."""

from __future__ import annotations

import hashlib
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.support.applying import QUICK, Target
from tests.support.majors import every_major
from wedsync_db.errors import Displaced, MigrationFailed, PersonNeeded, VerifyFailed
from wedsync_db.migrate import journal
from wedsync_db.migrate.execute import _NoWatch
from wedsync_db.migrate.files import read_migrations
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session

ALONE = "-- transaction: none\n"
UNIQUE = "create unique index concurrently t_ux on t (n)"


@pytest.fixture
def target(address, tmp_path) -> Target:
    target = Target(address, tmp_path / "migrations")
    target.sql("create table t (id int primary key, n int)")
    target.sql("insert into t values (1, 1), (2, 2)")
    return target


def valid(target: Target, index: str = "t_ux") -> bool | None:
    rows = target.sql("select indisvalid from pg_index where indexrelid = to_regclass(%s)", index)
    return rows[0][0] if rows else None


def interrupt(target: Target, index: int, status: str, statement: str | None = None) -> None:
    """Put the journal into the state a killed runner leaves."""
    migrations, _ = read_migrations(target.folder)
    text = statement or migrations[0].deploy.statements[index].sql
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    with session(target.address, "test") as connection:
        step = {"direction": "deploy", "statement": index}
        journal.start_step(connection, target.deployment, migrations[0].id, sql_sha256=sha256, **step)
        if status != "started":
            journal.finish_step(connection, target.deployment, migrations[0].id, status=status, **step)


def leave_invalid(target: Target, sql: str = UNIQUE) -> None:
    """What a failed or killed build leaves."""
    target.sql("insert into t values (9, 1)")
    with pytest.raises(Exception, match="could not create unique index"):
        target.sql(sql)
    target.sql("delete from t where id = 9")
    assert valid(target) is False


@every_major
def test_each_statement_is_journalled_and_the_whole_recorded(target):
    target.write(
        "0001_x", f"{ALONE}create table a (id int);\n{UNIQUE};\nset work_mem = '8MB';\nvacuum t;", "select true"
    )
    target.write("0002_y", "create table b (id int);")
    done = target.apply()
    assert done.migrations == ("0001_x", "0002_y")
    assert target.applied() == ["0001_x", "0002_y"]
    assert valid(target)
    assert target.steps() == [
        ("0001_x", 0, "done"),
        ("0001_x", 1, "done"),
        ("0001_x", 3, "done"),
        ("0001_x", None, "done"),
        ("0002_y", None, "done"),
    ]


@every_major
def test_settings_hold_within_the_file_and_not_beyond(target):
    target.write(
        "0001_x",
        f"{ALONE}set search_path = pg_catalog, public;\nset lock_timeout = '3s';\n{UNIQUE};\n"
        "create table public.seen as select current_setting('lock_timeout') as l, current_setting('search_path') p;",
    )
    target.write("0002_y", "create table after as select current_setting('lock_timeout') as lock;")
    target.apply()
    assert target.sql("select * from seen") == [("3s", "pg_catalog, public")]
    assert target.sql("select * from after") == [("50ms",)]


@every_major
def test_a_failed_build_is_dropped_and_built_again_when_the_data_is_mended(target):
    target.write("0001_x", f"{ALONE}create unique index concurrently if not exists t_ux on t (n);")
    target.sql("insert into t values (3, 1)")
    with pytest.raises(MigrationFailed) as caught:
        target.apply()
    assert caught.value.sqlstate == "23505"
    assert "(n)=" not in str(caught.value)
    assert valid(target) is False
    assert target.steps() == [("0001_x", 0, "failed")]
    target.sql("delete from t where id = 3")
    target.apply()
    assert valid(target) is True
    assert target.applied() == ["0001_x"]


@every_major
def test_an_invalid_index_of_an_earlier_deployment_of_ours_is_dropped(target):
    target.write("0001_x", f"{ALONE}{UNIQUE};")
    target.begin()
    interrupt(target, 0, "failed")
    leave_invalid(target)
    target.sql("update wedsync_db.deployment set status = 'rolled_back', finished_at = now()")
    target.deployment = None
    target.apply()
    assert valid(target) is True


@every_major
def test_an_invalid_index_of_somebody_else_is_not_touched(target):
    target.write("0001_x", f"{ALONE}create unique index concurrently if not exists t_ux on t (n);")
    leave_invalid(target)
    with pytest.raises(MigrationFailed, match=r"invalid index public\.t_ux is there, and not of our making") as caught:
        target.apply()
    assert "drop index concurrently public.t_ux" in caught.value.hint
    assert valid(target) is False
    assert target.applied() == []


@every_major
def test_if_not_exists_does_not_pass_with_an_index_of_another_table(target):
    target.sql("create table other (n int)")
    target.sql("create index t_ux on other (n)")
    target.write("0001_x", f"{ALONE}create unique index concurrently if not exists t_ux on t (n);")
    with pytest.raises(MigrationFailed, match="is not a valid index of that table"):
        target.apply()
    assert target.applied() == []


def test_an_index_without_a_name_is_built(target):
    target.write("0001_x", f"{ALONE}create index concurrently on t (n);")
    target.apply()
    assert valid(target, "t_n_idx") is True


# -- going on after an interruption ------------------------------------------------------------------------------------
@every_major
def test_what_is_done_is_not_done_again(target):
    target.write("0001_x", f"{ALONE}create table a (id int);\ncall p();\n{UNIQUE};")
    target.sql("create table called (n int)")
    target.sql("create procedure p() language plpgsql as $$ begin insert into called values (1); commit; end $$")
    target.begin()
    target.sql("create table a (id int)")
    interrupt(target, 0, "done")
    interrupt(target, 1, "done")
    target.apply()
    assert target.sql("select count(*) from called") == [(0,)]
    assert valid(target) is True


@every_major
@pytest.mark.parametrize("built", [True, False, None], ids=["valid", "invalid", "absent"])
def test_an_index_in_doubt_is_settled_by_the_catalog(target, built):
    target.write("0001_x", f"{ALONE}{UNIQUE};")
    target.begin()
    interrupt(target, 0, "started")
    if built:
        target.sql(UNIQUE)
    if built is False:
        leave_invalid(target)
    before = target.sql("select to_regclass('t_ux')::oid")
    target.apply()
    assert valid(target) is True
    assert (target.sql("select to_regclass('t_ux')::oid") == before) is bool(built)
    assert target.steps()[0] == ("0001_x", 0, "done")


@every_major
@pytest.mark.parametrize("dropped", [True, False])
def test_a_drop_in_doubt_is_settled_by_the_catalog(target, dropped):
    target.write("0001_x", f"{ALONE}drop index concurrently public.t_ux;")
    target.sql(UNIQUE)
    target.begin()
    interrupt(target, 0, "started")
    if dropped:
        target.sql("drop index t_ux")
    target.apply()
    assert valid(target) is None


@every_major
def test_an_interrupted_reindex_is_repeated_and_its_leftovers_go(target):
    target.write("0001_x", f"{ALONE}reindex index concurrently t_ux;")
    target.sql("create index t_ux on t (n)")
    target.begin()
    interrupt(target, 0, "started")
    target.sql("insert into t values (9, 1)")
    with pytest.raises(Exception, match="could not create unique index"):
        target.sql("create unique index concurrently t_ux_ccnew on t (n)")
    target.apply()
    assert valid(target, "t_ux_ccnew") is None
    assert valid(target) is True


def test_a_reindex_of_a_whole_table_clears_only_its_own_leftovers(target):
    target.write("0001_x", f"{ALONE}reindex table concurrently t;\nreindex schema concurrently public;")
    target.sql("create table other (n int)")
    target.sql("insert into other values (1), (1)")
    target.begin()
    interrupt(target, 0, "started")
    interrupt(target, 1, "started")
    with pytest.raises(Exception, match="could not create unique index"):
        target.sql("create unique index concurrently other_ccnew on other (n)")
    target.apply()
    assert valid(target, "other_ccnew") is False


@every_major
@pytest.mark.parametrize("sql", ["call p()", "do $$ begin commit; end $$", "create index concurrently on t (n)"])
def test_what_nobody_can_know_is_left_to_a_person(target, sql):
    target.write("0001_x", f"{ALONE}select 1;\n{sql};")
    target.begin()
    interrupt(target, 1, "started")
    with pytest.raises(PersonNeeded, match=r"^0001_x/deploy\.sql:3:1: it is not known") as caught:
        target.apply()
    assert caught.value.exit_code == 4
    assert len(caught.value.at_risk) == 1
    assert target.applied() == []


@every_major
def test_a_statement_that_may_run_in_a_transaction_is_never_in_doubt(target, address):
    """Its journal row commits with it: the backend is ended right after the statement, before COMMIT."""
    target.write("0001_x", f"{ALONE}create table a as select pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(MigrationFailed):
        target.apply()
    assert target.steps() == []
    assert not target.exists("a")


# -- how it runs -------------------------------------------------------------------------------------------------------
class Meeting(_NoWatch):
    """Somebody who begins to write just when a statement starts, and commits after `seconds`."""

    def __init__(self, stack: ExitStack, address, seconds: float) -> None:
        self.stack, self.address, self.seconds = stack, address, seconds

    def before(self, migration_id, index, statement):
        writer = self.stack.enter_context(session(self.address, "writer", autocommit=False))
        writer.execute("update t set n = n")
        timer = threading.Timer(self.seconds, writer.commit)
        timer.start()
        self.stack.callback(timer.join)


@every_major
def test_a_build_waits_for_others_longer_than_lock_timeout(target, address):
    target.write("0001_x", f"{ALONE}{UNIQUE};")
    with ExitStack() as stack:
        done = target.apply(locks=replace(QUICK, lock_timeout_ms=20), watch=Meeting(stack, address, 0.4))
    assert done.lock_attempts == 1
    assert valid(target) is True


def test_a_build_is_bounded_by_the_statement_timeout(target, address):
    target.write("0001_x", f"{ALONE}{UNIQUE};")
    with ExitStack() as stack, pytest.raises(MigrationFailed) as caught:
        target.apply(locks=replace(QUICK, statement_timeout_ms=200), watch=Meeting(stack, address, 1.0))
    assert caught.value.sqlstate == "57014"
    assert valid(target) is False
    target.apply()
    assert valid(target) is True


@every_major
def test_readers_do_not_queue_for_long_behind_what_is_not_concurrent(target, address):
    target.write("0001_x", f"{ALONE}vacuum full t;")
    with session(address, "reader", autocommit=False) as reader:
        reader.execute("select * from t")

        def say(line):
            assert "lock timeout" in line
            reader.rollback()

        assert target.apply(say=say).lock_attempts == 2


@every_major
def test_a_plain_statement_that_meets_a_lock_is_tried_again(target, address):
    target.write("0001_x", f"{ALONE}alter table t add column x int;")
    with session(address, "reader", autocommit=False) as reader:
        reader.execute("select * from t")
        assert target.apply(say=lambda _: reader.rollback()).lock_attempts == 2
    assert target.applied() == ["0001_x"]


@every_major
def test_without_the_lock_session_no_further_statement_runs(target, address, db):
    target.write("0001_x", f"{ALONE}{UNIQUE};")
    with target_lock(address, "deploy", wait_seconds=0, say=lambda _: None) as lock:
        with pytest.raises(Displaced):
            target.apply(
                lock_pid=lock.pid, between=lambda: db.execute("select pg_terminate_backend(%s, 5000)", [lock.pid])
            )
    assert valid(target) is None


@every_major
def test_an_outdated_epoch_runs_no_further_statement(target, db):
    target.write("0001_x", f"{ALONE}{UNIQUE};")
    old = target.begin()
    with pytest.raises(Displaced):
        target.apply(between=lambda: journal.raise_epoch(db, old))
    assert valid(target) is None


def test_a_verify_script_that_says_no_keeps_it_out_of_the_ledger(target):
    target.write("0001_x", f"{ALONE}{UNIQUE};", "select false")
    with pytest.raises(VerifyFailed):
        target.apply()
    assert target.applied() == []
    assert target.steps() == [("0001_x", 0, "done")]
