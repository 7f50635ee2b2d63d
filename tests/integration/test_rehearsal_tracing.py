"""What the tracer says of a statement: locks also of dropped objects, rewrites, scans, WAL, rows, and CONCURRENTLY."""

import itertools

import pytest

from tests.support.majors import every_major
from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate.execute import run_script
from wedsync_db.migrate.watch import Tracer
from wedsync_db.model import LockSeen, Script
from wedsync_db.postgres.parse import statements
from wedsync_db.postgres.session import session

BASE = """
create table public.t (id int primary key, a text not null, b int);
insert into public.t select g, 'row ' || g, g from generate_series(1, 2000) g;
create table public.other (id int primary key);
create index t_b on public.t (b);
create view public.v as select id from public.t;
"""


@pytest.fixture
def trace(address, db, tmp_path):
    """Run statements, in a transaction or one by one, and say what the tracer saw of each."""
    db.execute(BASE)
    with session(address, "traced") as traced:

        def run(text, *, alone=False):
            script = Script(tmp_path / "deploy.sql", text, "", "", statements(text))
            ticks = itertools.count()
            tracer = Tracer(traced, db, lambda: float(next(ticks)))
            try:
                if alone:
                    run_script(traced, "0001_x", script, tracer)
                else:
                    with traced.transaction():
                        run_script(traced, "0001_x", script, tracer)
            finally:
                tracer.abandon()
            return tracer.statements()

        yield run


def locks(statement, relation):
    return {lock.mode for lock in statement.locks if lock.relation == relation and lock.preexisting}


@every_major
def test_a_rewrite_is_told_with_what_it_read_and_wrote(trace):
    (one,) = trace("alter table t alter b type bigint")
    assert one.rewrites == ("public.t",)
    assert dict(one.scans)["public.t"] >= 2000
    assert one.wal_bytes > 50_000
    assert "AccessExclusiveLock" in locks(one, "public.t")
    assert (one.kind, one.line, one.index, one.seconds) == ("AlterTableStmt", 1, 0, 1.0)


@pytest.mark.parametrize(
    ("statement", "tuples"),
    [
        ("alter table t alter b set not null", 2000),
        ("alter table t add check (b > 0)", 2000),
        ("alter table t add check (b > 0) not valid", 0),
        ("alter table t add c int default 7", 0),
        ("alter table t add foreign key (b) references other not valid", 0),
    ],
)
def test_long_locks_are_told_from_short_ones_by_what_was_scanned(trace, statement, tuples):
    (one,) = trace(statement)
    assert dict(one.scans).get("public.t", 0) == tuples
    assert one.rewrites == ()


@every_major
def test_locks_of_what_is_dropped_are_seen(trace):
    view, index, table = trace("drop view v;\ndrop index t_b;\ndrop table other")
    assert locks(view, "public.v") == {"AccessExclusiveLock"}
    assert locks(index, "public.t_b") == {"AccessExclusiveLock"}
    assert locks(index, "public.t") == {"AccessExclusiveLock"}
    assert locks(table, "public.other") == {"AccessExclusiveLock"}
    assert [s.line for s in (view, index, table)] == [1, 2, 3]


def test_new_tables_are_not_taken_for_old_ones(trace):
    create, insert = trace("create table fresh (id int primary key); insert into fresh select id from t")
    assert {lock.relation for lock in create.locks if not lock.preexisting} == {"public.fresh"}
    assert not [lock for lock in create.locks if lock.preexisting]
    assert LockSeen("public.t", "AccessShareLock", preexisting=True) in insert.locks
    assert create.rewrites == insert.rewrites == ()


def test_a_lock_is_told_where_it_is_taken_and_not_again(trace):
    first, second = trace("lock table t in share mode; select count(*) from t")
    assert locks(first, "public.t") == {"ShareLock"}
    assert locks(second, "public.t") == {"AccessShareLock"}


def test_rows_and_wal_of_an_update(trace):
    (one,) = trace("update t set a = a || '!'")
    assert one.rows == 2000
    assert one.wal_bytes > 100_000


def test_truncate_is_no_rewrite(trace):
    (one,) = trace("truncate t")
    assert one.rewrites == ()


@every_major
def test_statements_outside_of_transactions_are_watched_while_they_run(trace, db):
    db.execute("insert into t select g, 'row', g from generate_series(2001, 100000) g")  # or it is over too soon
    text = "create index concurrently t_a on t (a);\ndrop index concurrently t_b;\nvacuum full t"
    create, drop, vacuum = trace(text, alone=True)
    assert "ShareUpdateExclusiveLock" in locks(create, "public.t")
    assert dict(create.scans)["public.t"] >= 100_000
    assert vacuum.rewrites == ("public.t",)
    assert [s.kind for s in (create, drop, vacuum)] == ["IndexStmt", "DropStmt", "VacuumStmt"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_statement_that_fails_leaves_no_thread_behind(trace, alone):
    with pytest.raises(MigrationFailed):
        trace("select 1/0", alone=alone)
    assert trace("select 1", alone=alone)[0].rows == 1
