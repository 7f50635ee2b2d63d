"""What the API's roles may write has an end: no time that no library can read, and nothing of any size."""

from __future__ import annotations

from datetime import date

import pytest
from psycopg import sql

from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, deploy, owned_database
from wedsync_db.postgres.session import session

LONG = 300_000


@pytest.fixture(scope="module", params=MAJORS)
def owner(clusters, request):
    with owned_database(clusters(request.param)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        yield connection


# Every column of these types that one of these roles may write, and the checks that are about it alone: what a check
# over several columns refuses for one row, it may let pass for another.
WRITTEN = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
  array(select pg_get_expr(k.conbin, k.conrelid) from pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'c' and k.convalidated and k.conkey = array[a.attnum])
from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attgenerated = ''
  and a.atttypid = any (%s::regtype[])
  and exists (select from unnest(%s::text[]) as role
              where has_column_privilege(role, c.oid, a.attnum, 'insert, update'))
order by c.oid, a.attnum
"""


def _written(connection, types, *roles):
    return connection.execute(WRITTEN, [list(types), list(roles)]).fetchall()


def _accepted(connection, columns, values):
    """The values that none of the checks of the column refuses, beginning with the column's name."""
    found = []
    for table, column, kind, checks in columns:
        for value in values[kind]:
            row = sql.SQL("(select cast(%s as {}) as {}) as t").format(sql.SQL(kind), sql.Identifier(column))
            query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(map(sql.SQL, checks or ["true"])), row)
            if False not in connection.execute(query, [value]).fetchone():
                found.append(f"{table}.{column}: {value[:40]}")
    return found


MOMENTS = ("infinity", "-infinity", "10000-01-01", "0044-03-15 BC")
TIMES = {
    "date": MOMENTS,
    "timestamp with time zone": MOMENTS,
    "tstzrange": ["[2099-01-01, infinity)", "[-infinity, 2099-01-01)", "[2099-01-01, 10000-01-01)",
                  "[0044-03-15 BC, 2099-01-01)", "[2099-01-01,)", "(,2099-01-01)", "empty"],
}  # fmt: skip
A = "a" * LONG
# text, an address, a kind of contents; numbers that take few bytes where they are stored; one allowed value many times
TEXTS = {
    "text": [A, f"a@{A}", f"a/{A}", f"{A}-1"],
    "jsonb": [f'{{"a": "{A}"}}', '{"a": [1e131071, 1e131071, 1e131071]}'],
    "bytea": [f"\\x{A}"],
    "text[]": ["{" + ",".join([word] * 20) + "}" for word in ("overview", "read")],
}
# Said by the payment provider and cut to size by the functions of schema api, which alone write them.
PROVIDERS = {("payments", "failure_reason"), ("payments", "disputes")}


def test_every_time_that_users_write_can_be_read(owner):
    columns = _written(owner, TIMES, "authenticated")
    assert len(columns) >= 19
    assert _accepted(owner, columns, TIMES) == []


def test_every_text_that_the_api_writes_has_a_limit(owner):
    columns = [c for c in _written(owner, TEXTS, "authenticated", "service_role") if c[:2] not in PROVIDERS]
    assert len(columns) > 100
    assert _accepted(owner, columns, TEXTS) == []


def test_what_has_none_is_found(owner):
    with owner.transaction(force_rollback=True):
        owner.execute(
            "alter table tasks add memo text check (memo <> ''), add told jsonb, add seen_on date,"
            " add contact text check (contact ~ '^[^@]+@[^@]+$')"
        )
        owner.execute("grant update (memo, told, contact, seen_on) on tasks to authenticated")
        texts = _accepted(owner, _written(owner, TEXTS, "authenticated"), TEXTS)
        times = _accepted(owner, _written(owner, TIMES, "authenticated"), TIMES)
    assert {line.partition(":")[0] for line in texts} == {"tasks.memo", "tasks.told", "tasks.contact"}
    assert times == [f"tasks.seen_on: {value}" for value in MOMENTS]


WED = "insert into weddings (title, wedding_date, time_zone) values ('w', %s, 'UTC') returning wedding_date"
LOCKS = """
select z.name, lower(l.during), upper(l.during)
from pg_timezone_names as z, ops.wedding_lock(%s, z.name) as l (during)
where app.tz_ok(z.name)
"""


@pytest.mark.parametrize("day", [date(1900, 1, 1), date(2200, 1, 1)])
def test_every_wedding_has_a_lock(owner, day):
    with owner.transaction(force_rollback=True):
        assert owner.execute(WED, [day]).fetchone() == (day,)
    locks = owner.execute(LOCKS, [day]).fetchall()
    assert len(locks) > 300
    assert all(begin < end for _, begin, end in locks)
