"""What the database refuses whoever writes: on a closed platform, around a wedding's day, and without any owner."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from tests.support.majors import MAJORS
from tests.support.pairs import COUPLE, OWNER, OWNER_2, key, pairs
from tests.support.schema import TABLES, acting_as, make_api_roles
from wedsync_db.postgres.session import session

DENIED = psycopg.errors.InsufficientPrivilege
# wedding 1 is on the 12th in London; wedding 2 is not near on any of these days
DAY, WEEK_BEFORE = "2099-06-12 10:00Z", "2099-06-05 10:00Z"


@pytest.fixture(scope="module", params=MAJORS)
def server(clusters, request):
    cluster = clusters(request.param)
    make_api_roles(cluster)  # by somebody else, so that the owner gets to be a member
    with session(cluster.address(), "test-admin") as admin:
        admin.execute("alter role service_role bypassrls")  # as on Supabase
    return cluster


@pytest.fixture(scope="module")
def db(server):
    """A row of every table for two suppliers and two weddings, in a session of the owner; every test takes all back."""
    with pairs(server) as connection:
        connection.execute("update bookings set status = 'confirmed'")
        connection.execute("update contracts set status = 'sent' where status = 'draft'")
        connection.execute("update invoices set status = 'issued' where status = 'draft'")
        yield connection


@pytest.fixture
def other(db, server):
    """A second session of the owner."""
    with session(replace(server.address(db.info.dbname), session_authorization=db.info.user), "other") as connection:
        yield connection


def named(statement: str) -> str:
    """`:guests1` is the key of row 1 of guests."""
    return re.sub(r":([a-z_]+)(\d)", lambda m: f"'{key(m[1], int(m[2]))}'", statement)


def done(db, statement, *, at=None, user=None, role="service_role") -> int:
    """How many rows a statement touches for somebody at some time; it is taken back."""
    with acting_as(db, user, role):
        db.execute("select set_config('wedsync.clock', %s, true)", [at or ""])
        return db.execute(named(statement)).rowcount


def refused(db, sqlstate, statement, **who) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        done(db, statement, **who)
    assert caught.value.sqlstate == sqlstate, caught.value
    return caught.value


@contextmanager
def gate(db, *arguments):
    """The platform's switch, turned, seen by everybody, and turned back."""
    db.execute(sql.SQL("select ops.set_write_gate({})").format(sql.SQL(", ").join(map(sql.Literal, arguments))))
    try:
        yield
    finally:
        db.execute("select ops.set_write_gate('open')")


# -- the platform's switch ---------------------------------------------------------------------------------------------
@pytest.fixture
def closed(db):
    """The platform is closed, for this session alone."""
    with db.transaction(force_rollback=True):
        db.execute("select ops.set_write_gate('read_only', 'payments are wrong')")
        yield db


WRITES = ("insert into {} default values", "update {} set id = id where false", "delete from {} where false",
          "truncate {} cascade")  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_a_closed_platform_takes_no_statement_on_any_table(closed, table):
    for statement in WRITES:
        with pytest.raises(psycopg.Error) as caught, closed.transaction():
            closed.execute(sql.SQL(statement).format(sql.Identifier(table)))  # as the owner of all
        assert caught.value.sqlstate == "WS002", (statement, caught.value)


def test_everybody_is_told_why_and_may_still_read(closed):
    for who in ({"role": "service_role"}, {"user": COUPLE, "role": "authenticated"}):
        error = refused(closed, "WS002", "update weddings set title = 'x'", **who)
        assert error.diag.message_primary == "the platform takes no writes: payments are wrong"
        assert error.diag.message_hint == "It is read-only until further notice."
        assert done(closed, "select id from weddings", **who) >= 1


def test_it_opens_by_itself_when_its_time_is_over(db):
    with db.transaction(force_rollback=True):
        db.execute("select set_config('wedsync.clock', %s, true)", [WEEK_BEFORE])
        db.execute("select ops.set_write_gate('read_only', 'move', '2099-06-05 10:30Z')")
        error = refused(db, "WS002", "delete from guests where false", at="2099-06-05 10:29:59Z")
        assert error.diag.message_hint == "It is read-only until 2099-06-05 10:30 UTC."
        assert done(db, "update weddings set title = 'x'", at="2099-06-05 10:30Z") == 2


def test_the_next_statement_of_an_open_transaction_sees_the_switch(db, other):
    with other.transaction(force_rollback=True):
        assert other.execute("update weddings set title = 'x'").rowcount == 2
        with gate(db, "read_only", "stop"), pytest.raises(psycopg.Error) as caught, other.transaction():
            other.execute("update weddings set title = 'y'")
        assert caught.value.sqlstate == "WS002"
        assert other.execute("update weddings set title = 'z'").rowcount == 2


def test_the_switch_is_there_once_and_only_the_server_side_turns_it(db):
    turn = "select ops.set_write_gate('read_only', 'x')"
    assert done(db, turn) == 1
    for role in ("authenticated", "anon"):
        assert "schema ops" in str(refused(db, "42501", turn, user=OWNER, role=role))
    for statement in ("update ops.write_gate set mode = 'read_only', reason = 'x'", "delete from ops.write_gate"):
        assert "permission denied for table" in str(refused(db, "42501", statement))
    with pytest.raises(psycopg.errors.CheckViolation), db.transaction(force_rollback=True):
        db.execute("insert into ops.write_gate (id) values (gen_random_uuid())")
    with pytest.raises(psycopg.errors.UniqueViolation), db.transaction(force_rollback=True):
        db.execute("insert into ops.write_gate default values")


@pytest.mark.parametrize(
    "arguments", ["'read_only'", "'read_only', ''", "'shut', 'x'", "'read_only', 'x', '2000-01-01 00:00Z'"]
)
def test_a_switch_needs_a_reason_and_an_end_that_is_to_come(db, arguments):
    refused(db, "23514", f"select ops.set_write_gate({arguments})")


def test_who_turned_it_is_on_record(db):
    with db.transaction(force_rollback=True):
        db.execute("select ops.set_write_gate('read_only', 'incident 7')")
        (changes,) = db.execute("select changes from audit.log where relation = 'ops.write_gate'").fetchall()[-1]
    assert changes["mode"] == ["open", "read_only"]
    assert changes["reason"] == [None, "incident 7"]


# -- what was agreed for a wedding -------------------------------------------------------------------------------------
AGREED = [
    "update weddings set wedding_date = '2099-08-01' where id = :weddings1",
    "update weddings set time_zone = 'Pacific/Kiritimati' where id = :weddings1",
    "update weddings set status = 'cancelled' where id = :weddings1",
    "update wedding_vendors set status = 'removed' where id = :wedding_vendors1",
    "update contracts set total_minor = 1 where id = :contracts1",
    "update contracts set currency = 'EUR' where id = :contracts1",
    "update contracts set title = 'x', body = 'x' where id = :contracts1",
    "update contracts set status = 'void' where id = :contracts1",
    "update contracts set wedding_id = null where id = :contracts1",
    "update bookings set during = '[2099-06-13, 2099-06-14)' where id = :bookings1",
    "update bookings set status = 'cancelled' where id = :bookings1",
    "update bookings set wedding_id = null where id = :bookings1",
    "update invoices set status = 'void' where id = :invoices1",
    "delete from bookings where id = :bookings1",
    "delete from households where id = :households1",
    "delete from guests where plus_one_of = :guests1",
    ("insert into contracts (id, organization_id, client_id, title, total_minor, currency)"
     " values (:contracts1, :organizations1, :clients1, 'x', 1, 'GBP') on conflict (id) do update set total_minor = 1"),
]  # fmt: skip


@pytest.mark.parametrize("statement", AGREED)
def test_what_was_agreed_stays_around_the_day(db, statement):
    error = refused(db, "WS001", statement, at=DAY)
    assert error.diag.message_primary == "the wedding is locked until 2099-06-13 05:00 UTC"
    assert error.diag.message_hint
    assert done(db, statement, at=WEEK_BEFORE) == 1


@pytest.mark.parametrize("table", ["weddings", "wedding_vendors", "contracts", "bookings", "guests", "households"])
def test_nothing_agreed_is_deleted_around_the_day(db, table):
    column = "id" if table == "weddings" else "wedding_id"
    refused(db, "WS001", f"delete from {table} where {column} = :weddings1", at=DAY)


# the day itself is made of these
OF_THE_DAY = [
    "update guests set checked_in_at = now() where id = :guests1",
    "update guests set dietary = 'no nuts', given_name = 'Bob' where id = :guests1",
    "insert into guests (wedding_id, given_name) values (:weddings1, 'Late')",
    "update households set address = 'x' where id = :households1",
    "update rsvps set answer = 'yes', answered_at = now() where id = :rsvps1",
    "delete from rsvps where id = :rsvps1",
    "update seat_assignments set seat = 2 where id = :seat_assignments1",
    "delete from seat_assignments where id = :seat_assignments1",
    "update seating_tables set capacity = 9 where id = :seating_tables1",
    "update timeline_items set done_at = now() where id = :timeline_items1",
    "update timeline_items set starts_at = starts_at - interval '5 minutes' where id = :timeline_items1",
    "delete from timeline_items where id = :timeline_items1",
    "update wedding_events set place = 'tent', starts_at = '2099-06-12 11:55Z' where id = :wedding_events1",
    "update weddings set title = 'x', venue_name = 'x', guest_estimate = 90 where id = :weddings1",
    # clients that write every column back
    "update weddings set title = 'x', status = status, wedding_date = wedding_date where id = :weddings1",
    "update contracts set package_id = null, total_minor = total_minor, status = status where id = :contracts1",
    "update wedding_vendors set scopes = '{overview}' where id = :wedding_vendors1",
    ("insert into messages (wedding_id, conversation_id, sender_id, body)"
     " values (:weddings1, :conversations1, :profiles1, 'The cake is here')"),
    "delete from messages where id = :messages1",
    "update conversations set closed_at = now() where id = :conversations1",
    "update notifications set read_at = now() where id = :notifications1",
    ("insert into notifications (profile_id, wedding_id, kind, title)"
     " values (:profiles1, :weddings1, 'message', 'x')"),
    "update form_drafts set answers = '{\"a\": 1}', seq = seq + 1 where id = :form_drafts1",
    "update form_submissions set status = 'seen' where id = :form_submissions1",
    "update clients set stage = 'completed' where id = :clients1",
    "update tasks set done_at = now() where id = :tasks1",
    "insert into client_notes (organization_id, client_id, body) values (:organizations1, :clients1, 'x')",
    "update files set name = 'b.pdf' where id = :files1",
    "update payments set status = 'processing' where id = :payments1",
    "update packages set price_minor = 1 where id = :packages1",
    # a replacement at the last minute
    ("insert into bookings (organization_id, resource_id, wedding_id, during, status)"
     " values (:organizations1, :resources1, :weddings1, '[2099-06-12 21:00Z, 2099-06-12 22:00Z)', 'confirmed')"),
    ("insert into contracts (organization_id, client_id, wedding_id, title, total_minor, currency)"
     " values (:organizations1, :clients1, :weddings1, 'One more hour', 1, 'GBP')"),
    ("insert into wedding_vendors (wedding_id, organization_id, category, status, responded_at)"
     " values (:weddings1, :organizations2, 'cake', 'accepted', now())"),
]  # fmt: skip


@pytest.mark.parametrize("statement", OF_THE_DAY)
def test_the_day_itself_goes_on(db, statement):
    assert done(db, statement, at=DAY) == 1


def test_what_is_only_held_may_be_confirmed_or_expire(db):
    with db.transaction(force_rollback=True):
        db.execute(named(
            "insert into bookings (organization_id, resource_id, wedding_id, during, status) values"
            " (:organizations1, :resources1, :weddings1, '[2099-06-11, 2099-06-12)', 'held')"
        ))  # fmt: skip
        for status in ("confirmed", "cancelled"):
            changed = f"update bookings set status = '{status}' where status = 'held'"
            assert done(db, changed, at=DAY) == 1


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        (COUPLE, "update weddings set status = 'cancelled'"),
        (COUPLE, "update weddings set wedding_date = '2099-08-01'"),
        (COUPLE, "delete from guests"),
        (COUPLE, "delete from wedding_vendors"),
        (OWNER, "update contracts set total_minor = 1"),
        (OWNER, "update bookings set status = 'cancelled'"),
        (OWNER, "update invoices set status = 'void'"),
    ],
)
def test_the_people_themselves_are_bound(db, user, statement):
    refused(db, "WS001", statement, user=user, role="authenticated", at=DAY)


@pytest.mark.parametrize(
    "statement",
    [
        "update weddings set wedding_date = '2099-08-01', status = 'cancelled' where id = :weddings2",
        "update wedding_vendors set status = 'removed' where id = :wedding_vendors2",
        "update bookings set status = 'cancelled' where id = :bookings2",
        "delete from bookings where id = :bookings2",
        "delete from guests where plus_one_of = :guests2",
        "delete from households where id = :households2",
    ],
)
def test_another_wedding_is_not_bound(db, statement):
    assert done(db, statement, at=DAY) == 1


@pytest.mark.parametrize(
    ("moment", "locked"),
    [
        ("2099-06-10 22:59:59Z", False),  # midnight in London
        ("2099-06-10 23:00:00Z", True),
        ("2099-06-13 04:59:59Z", True),
        ("2099-06-13 05:00:00Z", False),  # six
    ],
)
def test_it_begins_and_ends_by_the_clocks_of_the_place(db, moment, locked):
    statement = "update contracts set total_minor = 1 where id = :contracts1"
    if locked:
        refused(db, "WS001", statement, at=moment)
    else:
        assert done(db, statement, at=moment) == 1


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_wedding_that_is_off_or_over_is_not_locked(db, status):
    with db.transaction(force_rollback=True):
        db.execute(f"set local wedsync.clock = '{WEEK_BEFORE}'")
        db.execute(f"update weddings set status = '{status}'")
        assert done(db, "update contracts set total_minor = 1 where id = :contracts1", at=DAY) == 1


# -- ways round it -----------------------------------------------------------------------------------------------------
def test_nothing_moves_into_a_lock(db):
    for statement in (
        "update weddings set wedding_date = '2099-06-12' where id = :weddings2",
        "update weddings set wedding_date = '2099-06-12', status = 'confirmed' where id = :weddings2",
    ):
        refused(db, "WS001", statement, at=DAY)
    with db.transaction(force_rollback=True):
        db.execute(named(
            "insert into wedding_vendors (wedding_id, organization_id, category, status, responded_at)"
            " values (:weddings1, :organizations2, 'cake', 'accepted', now())"
        ))  # fmt: skip
        refused(db, "WS001", "update bookings set wedding_id = :weddings1 where id = :bookings2", at=DAY)


def test_a_key_of_anothers_wedding_tells_nothing(db):
    """A supplier that does not work there gets the same answer for a locked wedding and for none."""
    for wedding in (":weddings1", "gen_random_uuid()"):
        error = refused(
            db, "23503", f"update bookings set wedding_id = {wedding} where id = :bookings2",
            user=OWNER_2, role="authenticated", at=DAY,
        )  # fmt: skip
        assert error.diag.constraint_name == "bookings_wedding_id_organization_id_fkey"


@pytest.fixture
def login(db, server):
    """A session as the API's server opens it: a login that may become the API's roles, and nothing else."""
    name = f"guards_login_{os.getpid()}"
    with session(server.address(), "test-admin") as admin:
        admin.execute(sql.SQL("create role {} login noinherit").format(sql.Identifier(name)))
        admin.execute(sql.SQL("grant anon, authenticated, service_role to {}").format(sql.Identifier(name)))
        try:
            with session(replace(server.address(db.info.dbname), session_authorization=name), "api") as api:
                yield api
        finally:
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.mark.parametrize("role", ["authenticated", "service_role"])
def test_nobody_who_comes_through_the_api_sets_the_clock(login, role):
    with login.transaction(force_rollback=True):
        login.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        login.execute("set local wedsync.clock = '2000-01-01 00:00Z'")
        if role == "service_role":
            assert login.execute("select ops.clock() > '2001-01-01'").fetchone() == (True,)
        else:
            with pytest.raises(DENIED), login.transaction():
                login.execute("select ops.clock()")


def test_a_wedding_of_today_is_locked_whatever_clock_the_api_sets(db, login):
    """On the real clock: only a wedding of today shows that the one that was set did not count."""

    def move(day):
        with db.transaction():
            db.execute("set local wedsync.clock = '2000-01-01 00:00Z'")  # which for the owner does count
            db.execute(named(f"update weddings set wedding_date = {day} where id = :weddings1"))

    move("current_date")
    try:
        with login.transaction(force_rollback=True):
            login.execute("set local role service_role")
            login.execute("set local wedsync.clock = '2000-01-01 00:00Z'")
            with pytest.raises(psycopg.Error) as caught, login.transaction():
                login.execute(named("update contracts set total_minor = 1 where id = :contracts1"))
            assert caught.value.sqlstate == "WS001"
    finally:
        move("'2099-06-12'")


def test_temporary_tables_stand_in_for_nothing(db):
    with db.transaction(force_rollback=True):
        db.execute("set local search_path = pg_temp, public")
        for table in ("weddings", "memberships", "organizations"):
            db.execute(sql.SQL("create temporary table {0} (like public.{0})").format(sql.Identifier(table)))
        db.execute(f"set local wedsync.clock = '{DAY}'")
        with pytest.raises(psycopg.Error) as caught, db.transaction():
            db.execute(named("update public.contracts set total_minor = 1 where id = :contracts1"))
        assert caught.value.sqlstate == "WS001"


# -- an emergency ------------------------------------------------------------------------------------------------------
LIFT = "select ops.override_wedding_lock({}, {}, {})"
LATER = "'2099-06-12 11:00Z'"


def test_a_lifted_lock_is_lifted_for_one_wedding_and_for_so_long(db):
    change = "update contracts set total_minor = 1 where id = :contracts1"
    with db.transaction(force_rollback=True):
        db.execute("select set_config('wedsync.clock', %s, true)", [WEEK_BEFORE])
        db.execute(named("update weddings set wedding_date = '2099-06-12' where id = :weddings2"))
        db.execute("select set_config('wedsync.clock', %s, true)", [DAY])
        db.execute(named(LIFT.format(":weddings1", "'the price was typed wrongly'", LATER)))
        assert done(db, change, at="2099-06-12 10:59:59Z") == 1
        refused(db, "WS001", change, at="2099-06-12 11:00:00Z")
        refused(db, "WS001", change, at="2099-06-12 09:59:59Z")  # not before it was lifted
        refused(db, "WS001", "delete from bookings where id = :bookings2", at="2099-06-12 10:59:59Z")
        said = db.execute("select wedding_id::text, reason, set_by from ops.wedding_lock_overrides").fetchall()
    assert said == [(key("weddings", 1), "the price was typed wrongly", db.info.user)]


@pytest.mark.parametrize(
    ("wedding", "reason", "until", "sqlstate"),
    [
        (":weddings1", "null", LATER, "23502"),
        (":weddings1", "''", LATER, "23514"),
        (":weddings1", "'x'", "null", "23502"),
        (":weddings1", "'x'", "'2099-06-12 09:00Z'", "23514"),  # over before it begins
        (":weddings1", "'x'", "'2099-06-14 10:00:01Z'", "23514"),  # more than 48 hours
        ("gen_random_uuid()", "'x'", LATER, "P0002"),
    ],
)
def test_a_lock_is_not_lifted_just_so(db, wedding, reason, until, sqlstate):
    refused(db, sqlstate, LIFT.format(wedding, reason, until), at=DAY)


def test_only_the_server_side_lifts_a_lock_and_nobody_hides_it(db):
    assert done(db, LIFT.format(":weddings1", "'x'", LATER), at=DAY) == 1
    refused(db, "42501", LIFT.format(":weddings1", "'x'", LATER), at=DAY, user=COUPLE, role="authenticated")
    for statement in ("delete from ops.wedding_lock_overrides", "update ops.wedding_lock_overrides set reason = 'y'"):
        refused(db, "42501", statement)


# -- an organization keeps an owner ------------------------------------------------------------------------------------
SECOND = f"insert into memberships (organization_id, profile_id, role) values (:organizations1, '{OWNER_2}', 'owner')"
GONE = [
    "delete from memberships where profile_id = '{}' and organization_id = :organizations1",
    "update memberships set role = 'admin' where profile_id = '{}' and organization_id = :organizations1",
    "update memberships set status = 'suspended' where profile_id = '{}' and organization_id = :organizations1",
]
AT_ONCE = "set constraints all immediate"


def committed(db, *statements, user=None, role="service_role"):
    """What COMMIT would say to these; they are taken back."""
    with acting_as(db, user, role):
        for statement in statements:
            assert db.execute(named(statement)).rowcount >= 1
        db.execute(AT_ONCE)


@pytest.mark.parametrize("statement", GONE)
@pytest.mark.parametrize(("user", "role"), [(OWNER, "authenticated"), (None, "service_role")])
def test_the_last_owner_stays(db, statement, user, role):
    with pytest.raises(psycopg.Error) as caught:
        committed(db, statement.format(OWNER), user=user, role=role)
    assert caught.value.sqlstate == "WS004"


@pytest.mark.parametrize("statement", GONE)
def test_another_owner_may_go_and_in_any_order(db, statement):
    committed(db, statement.format(OWNER), SECOND)
    committed(db, SECOND, statement.format(OWNER))


def test_a_suspended_owner_is_none(db):
    suspended = SECOND.replace("role)", "role, status)").replace("'owner')", "'owner', 'suspended')")
    with pytest.raises(psycopg.Error) as caught:
        committed(db, suspended, GONE[0].format(OWNER))
    assert caught.value.sqlstate == "WS004"


def test_an_organization_that_is_closed_or_gone_needs_none(db):
    committed(db, "update organizations set status = 'closed' where id = :organizations1", GONE[2].format(OWNER))
    columns = "organizations (id, name, slug, category, time_zone)"
    committed(
        db,
        f"insert into {columns} values (:organizations9, 'o', 'brief', 'cake', 'UTC')",
        SECOND.replace(":organizations1", ":organizations9"),
        "delete from memberships where organization_id = :organizations9",
        "delete from organizations where id = :organizations9",
    )


@pytest.fixture
def two_owners(db):
    """A second owner, whom everybody sees."""
    db.execute(named(SECOND))
    yield
    with db.transaction():
        db.execute(
            named("update memberships set role = 'owner', status = 'active' where organization_id = :organizations1")
        )
        db.execute(named(GONE[0].format(OWNER_2)))


def _waits(db, pid):
    while not db.execute("select pg_blocking_pids(%s) <> '{}'", [pid]).fetchone()[0]:
        time.sleep(0.01)


@pytest.mark.usefixtures("two_owners")
@pytest.mark.parametrize("statement", GONE[1:])
def test_two_owners_cannot_remove_each_other_at_once(db, server, other, statement):
    """Both have done it before either commits: the second one waits for the first, and looks again."""
    as_owner = replace(server.address(db.info.dbname), session_authorization=db.info.user)
    with session(as_owner, "second") as second, ThreadPoolExecutor(1) as pool, second.transaction(force_rollback=True):
        with other.transaction():
            other.execute(named(statement.format(OWNER_2)))
            second.execute(named(statement.format(OWNER)))
            other.execute(AT_ONCE)
            late = pool.submit(second.execute, AT_ONCE)
            _waits(db, second.info.backend_pid)
        assert getattr(late.exception(), "sqlstate", None) == "WS004"
    owners = "select count(*) from memberships where organization_id = :organizations1 and status = 'active'"
    assert db.execute(named(f"{owners} and role = 'owner'")).fetchone() == (1,)


@pytest.mark.usefixtures("two_owners")
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_nor_with_a_snapshot_from_before(db, other, level):
    with other.transaction(force_rollback=True):
        other.execute(f"set transaction isolation level {level}")
        other.execute("select count(*) from memberships")
        db.execute(named(GONE[1].format(OWNER_2)))
        other.execute(named(GONE[1].format(OWNER)))
        with pytest.raises(psycopg.errors.SerializationFailure), other.transaction():
            other.execute(AT_ONCE)
