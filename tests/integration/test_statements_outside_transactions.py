"""The table of statements that may not run in a transaction, against what each server says."""

from __future__ import annotations

import psycopg

from tests.support.majors import every_major
from wedsync_db.postgres.parse import statements, transaction_control

REFUSED = {"25001", "2D000"}  # active_sql_transaction, invalid_transaction_termination

PREPARE = """
create table t (a int primary key, b int);
create index i on t (b);
create table p (a int) partition by list (a);
create table p1 partition of p for values in (1);
create table p2 partition of p for values in (2);
create materialized view v as select a from t;
create unique index v_a on v (a);
create type e as enum ('x');
"""

STATEMENTS = """
create index concurrently j on t (b);
create index k on t (b);
drop index concurrently i;
drop index i;
reindex table concurrently t;
reindex (concurrently off) table t;
reindex index i;
reindex schema public;
alter table p detach partition p1 concurrently;
alter table p detach partition p2;
vacuum t;
vacuum (full) t;
analyze t;
cluster;
cluster t using t_pkey;
create database test_never;
drop database test_never;
create tablespace s location '/nowhere';
drop tablespace s;
alter system set work_mem = '1MB';
create subscription s connection 'dbname=nowhere' publication q;
create subscription s connection 'dbname=nowhere' publication q with (connect = false, slot_name = none);
discard all;
discard plans;
refresh materialized view concurrently v;
alter type e add value 'y';
checkpoint;
do $$ begin commit; end $$;
do $$ begin if true then rollback; end if; end $$;
do $$ begin raise notice 'commit;'; end $$;
"""


@every_major
def test_the_server_refuses_what_we_say_it_does(db):
    db.execute(PREPARE)
    listed = statements(STATEMENTS)
    ours = {s.sql: s.concurrent or bool(transaction_control(s)) for s in listed}
    assert {s.sql: _sqlstate(db, s.sql) in REFUSED for s in listed} == ours


def _sqlstate(db, sql):
    try:
        with db.transaction(force_rollback=True):
            db.execute(sql)
    except psycopg.Error as error:
        return error.sqlstate
    return None
