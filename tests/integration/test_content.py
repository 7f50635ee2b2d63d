"""Content hashes: equal where the content is equal, different after any change, on every major."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from wedsync_db.postgres.cluster import binaries_of
from wedsync_db.postgres.content import PINNED, columns_of, measure, pinned, sequences, tables
from wedsync_db.postgres.session import session

every_major = pytest.mark.parametrize("major", [m for m in (15, 16, 18) if binaries_of(m)], indirect=True)

SAMPLE = """
create table t (
  id bigint primary key, "Odd ""Name" text, j json, jb jsonb, at timestamptz, span interval, f float8, m money,
  raw bytea, list text[], kind regclass, doubled bigint generated always as (id * 2) stored, n numeric(30, 10));
insert into t (id, "Odd ""Name", j, jb, at, span, f, m, raw, list, kind, n)
select g, 'é' || g, '{"b": 1,  "a": 2}', '{"b": 1,  "a": 2}', timestamptz '2026-06-06 12:00+02' + g * interval '1 h',
       g * interval '1 day 2 h', g / 3.0, g, decode(lpad(g::text, 8, '0'), 'hex'), array['a', null, '"'], 'pg_class',
       g / 7.0
from generate_series(1, 500) g
"""
# what SAMPLE must hash to on every major: a restored copy on another one has to compare equal
SAMPLE_HASH = "51909222197461090350"
STRANGE = {
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "-10",
    "bytea_output": "escape",
    "search_path": "pg_catalog, public",
    "quote_all_identifiers": "on",
}


@every_major
def test_the_hash_is_the_same_on_every_major_and_in_every_session(db, address):
    db.execute(SAMPLE)
    assert (measure(db, "public.t").rows, measure(db, "public.t").hash) == (500, SAMPLE_HASH)
    with session(address, "strange", settings=STRANGE) as other:
        assert measure(other, "public.t").hash == SAMPLE_HASH
        assert other.execute("show timezone").fetchone() == ("Asia/Kolkata",)


def test_neither_row_order_nor_column_order_counts(db):
    db.execute("create table a (x int, y text); insert into a values (1, 'one'), (2, 'two'), (2, 'two')")
    db.execute("create table b (gone int, y text, x int); alter table b drop column gone")
    db.execute("insert into b values ('two', 2), ('one', 1), ('two', 2)")
    a, b = measure(db, "public.a"), measure(db, "public.b")
    assert (a.rows, a.hash) == (b.rows, b.hash)
    assert columns_of(db, "public.b") == ("x", "y")


@pytest.mark.parametrize(
    "change",
    [
        "update a set y = 'twO' where x = 2",
        "delete from a where x = 1",
        "insert into a values (1, 'one')",
        "update a set y = null where x = 1",
        "update a set x = 3 - x",
    ],
)
def test_a_change_of_one_value_is_seen(db, change):
    db.execute("create table a (x int, y text); insert into a values (1, 'one'), (2, 'two')")
    before = measure(db, "public.a")
    db.execute(change)
    assert measure(db, "public.a") != before


def test_pairs_that_cancel_each_other_out_under_xor_are_told_apart(db):
    db.execute("create table a (x text); insert into a values ('a'), ('a'), ('b')")
    db.execute("create table c (x text); insert into c values ('c'), ('c'), ('b')")
    assert measure(db, "public.a").hash != measure(db, "public.c").hash


def test_only_the_columns_asked_for_count(db):
    db.execute("create table a (x int, y text); insert into a values (1, 'one')")
    before = measure(db, "public.a", ("x",))
    db.execute("update a set y = 'other'; alter table a add column z int default 7")
    assert measure(db, "public.a", ("x",)) == before
    assert measure(db, "public.a", ("x", "y")) != measure(db, "public.a", ("y", "x"))


def test_a_table_without_columns_and_an_empty_table(db):
    db.execute("create table nothing (); insert into nothing default values; create table empty (x int)")
    assert measure(db, "public.nothing").rows == 1
    assert (measure(db, "public.empty").rows, measure(db, "public.empty").hash) == (0, "0")


def test_rows_a_policy_would_hide_are_an_error_not_a_smaller_number(db, address):
    db.execute("create table a (x int); insert into a values (1), (2); alter table a enable row level security")
    db.execute("drop role if exists content_reader; create role content_reader; grant select on a to content_reader")
    try:
        db.execute("set role content_reader")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            measure(db, "public.a")
    finally:
        db.execute("reset role; drop owned by content_reader; drop role content_reader")


@every_major
def test_tables_are_those_that_hold_rows_of_their_own(db):
    db.execute(
        """
        create schema "My Schema"; create table "My Schema"."T" (x int);
        create table parted (x int) partition by list (x); create table leaf partition of parted for values in (1);
        create table parent (x int); create table child () inherits (parent);
        create temporary table passing (x int); create materialized view mat as select 1; create view v as select 1;
        create unlogged table fast (x int); create schema wedsync_db; create table wedsync_db.ledger (x int);
        insert into parent values (1); insert into child values (2), (3)
        """
    )
    assert tables(db) == ('"My Schema"."T"', "public.child", "public.fast", "public.leaf", "public.parent")
    assert [measure(db, name).rows for name in ("public.parent", "public.child")] == [1, 2]


def test_sequences_report_what_they_handed_out(db):
    db.execute("create sequence s; create sequence never; create table t (id int generated always as identity)")
    db.execute("select nextval('s'), nextval('s'); insert into t default values")
    assert sequences(db) == {"public.s": 2, "public.t_id_seq": 1}


def test_a_failed_transaction_inside_leaves_the_settings_as_they_were(db):
    db.execute("set timezone = 'Europe/Paris'")
    with suppress(psycopg.errors.DivisionByZero), db.transaction(), pinned(db):
        assert db.execute("show timezone").fetchone() == (PINNED["TimeZone"],)
        db.execute("select 1 / 0")
    assert db.execute("show timezone").fetchone() == ("Europe/Paris",)
