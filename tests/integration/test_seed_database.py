"""Filling a database: the same content everywhere, never into somebody's data, all or nothing."""

from __future__ import annotations

import pytest
from psycopg import sql

from tests.support.majors import every_major
from tests.support.schema import UPTO_WEDDINGS, deploy, owned_database, tables_of
from wedsync_db.errors import Refused, UsageError, WedsyncError
from wedsync_db.postgres.session import session
from wedsync_db.seed import seed

TABLES = tables_of(*UPTO_WEDDINGS)
# what the rows of seed 1 with 8 suppliers hash to, whatever the server, the machine and the run
EXPECTED = "928fc602b2cdd99619d1dd97c305add3"


def _fill(address, **more):
    said, shares = [], []
    rows = seed(address, **({"organizations": 8, "seed": 1} | more), say=said.append, progress=shares.append)
    return rows, said, shares


def _hash(connection):
    """Over the text of all rows in the order of their keys."""
    tables = sql.SQL(" || ").join(
        sql.SQL("(select coalesce(string_agg(md5(t::text), '' order by id), '') from {} as t)").format(
            sql.Identifier(name)
        )
        for name in TABLES
    )
    with connection.transaction(force_rollback=True):
        connection.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'")
        return connection.execute(sql.SQL("select md5({})").format(tables)).fetchone()[0]


@every_major
def test_the_same_everywhere(cluster):
    with owned_database(cluster) as address, session(address, "test") as connection:
        connection.execute(f"alter database {address.dbname} set timezone = 'Australia/Sydney'")
        connection.execute(f"alter database {address.dbname} set datestyle = 'SQL, DMY'")
        deploy(connection, *UPTO_WEDDINGS)
        rows, said, shares = _fill(address)
        assert _hash(connection) == EXPECTED
        counted = {t: connection.execute(f"select count(*) from {t}").fetchone()[0] for t in TABLES}
    assert rows == counted
    assert f"{sum(rows.values()):,} rows" in said[-1]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_hundred_and_twenty_suppliers_are_fifty_thousand_rows(db, address):
    deploy(db, *UPTO_WEDDINGS)
    rows, _, shares = _fill(address, organizations=120)
    assert rows["organizations"] == 120
    assert sum(rows.values()) >= 50_000
    assert len(shares) > 4
    analyzed = db.execute("select bool_and(reltuples >= 0) from pg_class where relname = any (%s)", [list(TABLES)])
    assert analyzed.fetchone() == (True,)


def test_never_on_top_of_other_rows(db, address):
    deploy(db, *UPTO_WEDDINGS)
    db.execute("insert into weddings (title, wedding_date, time_zone) values ('Real', '2027-06-12', 'Europe/London')")
    with pytest.raises(Refused, match=r"public\.weddings already holds rows"):
        _fill(address)
    assert db.execute("select count(*) from organizations").fetchone() == (0,)


def test_not_before_the_tables_are_there(db, address):
    deploy(db, *UPTO_WEDDINGS[:3])
    with pytest.raises(Refused, match=r"no table public\.weddings") as caught:
        _fill(address)
    assert "0004_weddings" in caught.value.hint


def test_at_least_one(address):
    with pytest.raises(UsageError):
        _fill(address, organizations=0)


def test_a_row_that_is_refused_takes_everything_back_and_is_not_shown(db, address):
    deploy(db, *UPTO_WEDDINGS)
    db.execute("alter table timeline_items add constraint early check (title <> 'Speeches')")
    with pytest.raises(WedsyncError, match="violates check constraint") as caught:
        _fill(address)
    assert caught.value.sqlstate == "23514"
    assert "Speeches" not in str(caught.value)
    assert db.execute("select count(*) from organizations").fetchone() == (0,)


def test_whoever_may_not_see_all_rows_is_refused(cluster):
    with owned_database(cluster) as address, session(cluster.address(address.dbname), "test-admin") as admin:
        deploy(admin, *UPTO_WEDDINGS)  # the tables belong to somebody else
        admin.execute("grant insert, select, update on all tables in schema public to case_deployer")
        admin.execute("alter role case_deployer nobypassrls")
        try:
            with pytest.raises(WedsyncError, match="row-level security") as caught:
                _fill(address)
        finally:
            admin.execute("alter role case_deployer bypassrls")
        assert caught.value.sqlstate == "42501"
