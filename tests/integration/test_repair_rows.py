"""One row at a time: found by any key, put back exactly, and never over what was written a moment ago."""

from __future__ import annotations

import pytest

from tests.support.majors import every_major
from wedsync_db.postgres.content import PINNED, measure
from wedsync_db.postgres.session import session
from wedsync_db.repair.compare import losses, shape
from wedsync_db.repair.decide import Comparison, Decision, comparison
from wedsync_db.repair.target import bring_back, look

INSERT = Decision(insert=True)


@pytest.fixture
def left(address):
    """A session as the sides are read with."""
    with session(address, "test", settings=PINNED) as connection:
        yield connection


def compared(connection, relation: str = "public.t") -> Comparison:
    there = shape(connection, relation)
    how = comparison(relation, there, there, there)
    assert isinstance(how, Comparison)
    return how


def read(connection, table: Comparison) -> list:
    with losses(connection, connection, table, there=None) as found:
        return list(found)


@every_major
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", "(10), (9), (-1)"),
        ("text", "('a'), ('B'), ('é'), ('z'), (''), ('\\'), ('{\"')"),
        ("numeric", "(1.50), (1.5000001)"),
        ("timestamptz", "('2026-06-07 12:00+02'), ('infinity')"),
        ('kind."Day\'s"', "('Mon'), ('a,b')"),
        ("char(3)", "('a'), ('b')"),
        ("bytea", "('\\x00ff'), ('\\x')"),
    ],
)
def test_rows_come_in_the_order_of_their_keys_and_are_found_by_them(db, left, kind, values):
    db.execute("create schema kind; create type kind.\"Day's\" as enum ('a,b', 'Mon')")
    db.execute(f'create table public.t (id {kind} primary key, "The ""note%" text)'.encode())
    db.execute(f"insert into public.t values {values}".encode())
    db.execute('update public.t set "The ""note%" = id::text')
    table = compared(left)
    rows = read(left, table)
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert look(left, table, [row.key for row in rows]) == {row.key: row.before for row in rows}
    assert look(left, table, [rows[0].key]) == {rows[0].key: rows[0].before}


@every_major
def test_every_kind_of_value_comes_back_exactly(db, left):
    db.execute("create table public.t (id int generated always as identity primary key, a numeric, b float8, c json,"
               " d jsonb, e text[], f int[][], g bytea, h interval, i tstzrange, j char(5), k bit(3), l money, m xml,"
               " n point, o name, p double precision generated always as (b * 2) stored)")  # fmt: skip
    db.execute("insert into public.t (a, b, c, d, e, f, g, h, i, j, k, l, n, o) values"
               " ('NaN', 0.1::float8 + 0.2, '{\"b\" : 1, \"b\":2 }', '[1.0, null]', '{NULL,\"NULL\",\"\"}',"
               " '[2:3][1:1]={{1},{2}}', '\\x00', '1 mon -2 days', '[2026-01-01,)', 'x', '101', 12.5, '(1,2)', 'n'),"
               " (1.10, 'infinity', null, 'null', '{}', '{}', '', '0', 'empty', '', '000',"
               " null, null, '%s')")  # fmt: skip
    table, before = compared(left), measure(db, "public.t")
    rows = read(left, table)
    db.execute("delete from public.t")
    assert all(bring_back(left, table, row, INSERT) for row in rows)
    assert measure(db, "public.t") == before
    assert not any(bring_back(left, table, row, INSERT) for row in rows)


def test_what_was_written_a_moment_ago_stays(db, left):
    db.execute("create table public.t (id int primary key, note text)")
    db.execute("insert into public.t values (1, 'old')")
    table = compared(left)
    (row,) = read(left, table)
    taken = type(row)(row.key, row.before, ("1", None))
    decision = Decision(restore=(table.columns.index("note"),))
    db.execute("update public.t set note = 'newer'")
    assert not bring_back(left, table, taken, decision)
    assert db.execute("select note from public.t").fetchall() == [("newer",)]
    db.execute("update public.t set note = null")
    assert bring_back(left, table, taken, decision)
    assert db.execute("select note from public.t").fetchall() == [("old",)]
