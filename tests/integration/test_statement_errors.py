"""What an operator reads when a statement fails: place, SQLSTATE, constraint, caret. Never a row value."""

from __future__ import annotations

import pickle

import pytest

from tests.support.applying import script
from tests.support.majors import every_major
from wedsync_db.errors import LockTimeout, MigrationFailed, VerifyFailed
from wedsync_db.migrate.execute import run_script, run_verify
from wedsync_db.postgres.session import session

TABLE = "create table t (id int primary key, n int check (n > 0), name varchar(3))"


@pytest.fixture
def run(db):
    db.execute(TABLE)
    db.execute("insert into t values (1, 1, 'abc')")

    def run(sql: str) -> MigrationFailed:
        with pytest.raises(MigrationFailed) as caught:
            run_script(db, "0002_x", script("/somewhere/0002_x/deploy.sql", sql))
        return caught.value

    return run


@every_major
def test_a_constraint_is_named_and_the_row_is_not(run):
    error = run("select 1;\n\n  insert into t values (1, 77);")
    assert str(error) == (
        "0002_x/deploy.sql:3:3: duplicate key value violates unique constraint "
        '"t_pkey" (SQLSTATE 23505, constraint t_pkey)'
    )
    assert error.sqlstate == "23505"
    assert error.excerpt == ""


def test_the_caret_stands_where_postgresql_points(run):
    error = run("select 1;\nselect id,\n  nope\nfrom t;")
    assert str(error) == '0002_x/deploy.sql:3:3: column "nope" does not exist (SQLSTATE 42703)'
    assert error.excerpt == "  nope\n  ^"


def test_an_error_survives_being_pickled(run):
    error = run("select nope;")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.excerpt, again.sqlstate) == (str(error), error.excerpt, "42703")


@every_major
@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select v::int from (values ('sec\"ret')) _ (v)", "invalid input syntax for type integer: … (SQLSTATE 22P02"),
        ("select v::date from (values ('secret')) _ (v)", "invalid input syntax for type date: … (SQLSTATE 22007"),
        ("select v::int2 from (values ('7777777')) _ (v)", "value … is out of range for type smallint (SQLSTATE 22003"),
        ("select convert_from('\\xe9736563', 'utf8')", "invalid byte sequence for encoding …: … (SQLSTATE 22021"),
        ("insert into t values (2, -4242)", None),
        ("insert into t values (2, 1, 'secret')", None),
        ("insert into t values (null, 4242)", None),
    ],
)  # fmt: skip
def test_no_value_of_a_row_is_said(run, sql, said):
    error = run(sql)
    text = f"{error} {error.hint}"
    assert not any(secret in text for secret in ("secret", "ret", "7777777", "4242", "0xe9", "736563"))
    if said:
        assert str(error).endswith(f": {said})")


def test_what_an_author_raises_is_passed_on(run):
    error = run("do $$ begin raise exception 'no wedding \"x\" today'; end $$;")
    assert str(error).endswith('no wedding "x" today (SQLSTATE P0001)')


def test_a_hint_about_names_is_passed_on(run):
    assert "t.name" in run("select nam from t").hint


def test_a_statement_timeout_says_so(run, db):
    db.execute("set statement_timeout = '50ms'")
    error = run("select pg_sleep(5)")
    assert error.sqlstate == "57014"
    assert "statement_timeout_ms" in error.hint


def test_a_lock_that_is_not_to_be_had_is_a_lock_timeout(run, db, address):
    with session(address, "holder", autocommit=False) as holder:
        holder.execute("lock table t")
        db.execute("set lock_timeout = '20ms'")
        assert isinstance(run("alter table t add column x int"), LockTimeout)


def test_a_watch_is_told_of_every_statement_with_its_rows(db):
    told = []

    class Told:
        def before(self, migration_id, index, statement):
            told.append(("before", migration_id, index, statement.kind))

        def after(self, migration_id, index, statement, rows):
            told.append(("after", migration_id, index, rows))

    run_script(
        db, "0001_w", script("0001_w/deploy.sql", "create table w (id int);insert into w values (1), (2)"), Told()
    )
    assert told == [
        ("before", "0001_w", 0, "CreateStmt"),
        ("after", "0001_w", 0, 0),
        ("before", "0001_w", 1, "InsertStmt"),
        ("after", "0001_w", 1, 2),
    ]


@pytest.mark.parametrize(
    "sql",
    ["select true", "select true, false", "select 0", "select 'f'", "do $$ begin end $$"],
)
def test_a_verify_script_that_is_content_passes(db, sql):
    run_verify(db, script("0001_v/verify.sql", sql))


@every_major
@pytest.mark.parametrize(
    "sql",
    [
        "select false",
        "select null::int",
        "select true where false",
        "values (true), (false)",
        "select true;\nselect null",
        "select 1/0",
    ],
)
def test_false_null_or_an_error_is_a_no(db, sql):
    with pytest.raises(VerifyFailed, match=r"^0001_v/verify\.sql:\d:\d+: "):
        run_verify(db, script("0001_v/verify.sql", sql))
