"""Bad input gets a SQLSTATE that an application can act on, and changes nothing."""

from __future__ import annotations

import re

import psycopg
import pytest
from psycopg import sql

from tests.support.majors import MAJORS
from tests.support.pairs import COUPLE, OWNER, key, pairs
from tests.support.schema import acting_as
from wedsync_db.postgres.session import session

DENIED, CHECK, UNIQUE, UNKNOWN, OVERLAP = "42501", "23514", "23505", "23503", "23P01"
STAYS, SIGNED = "WS003", "WS005"
SERVER = "service_role"
BY_ANN = "signed_at = now(), signed_name = 'Ann'"


@pytest.fixture(scope="module", params=MAJORS)
def api(clusters, request):
    """A superuser's session: no owner of the tables becomes service_role by itself."""
    cluster = clusters(request.param)
    with pairs(cluster) as owner, session(cluster.address(owner.info.dbname), "test-admin") as connection:
        owner.execute(_keys(MORE))
        connection.execute("alter role service_role bypassrls")  # up to 15 no ordinary owner may
        yield connection


def _keys(statement):
    """`:guests1` is the key of row 1 of guests."""
    return re.sub(r"(?<!:):([a-z_]+)(\d)", lambda match: f"'{key(match[1], int(match[2]))}'", statement)


# of the first supplier and the first wedding
MORE = """
insert into wedding_events (id, wedding_id, kind, name, starts_at, ends_at)
  values (:wedding_events3, :weddings1, 'party', 'Party', '2099-06-12 18:00Z', '2099-06-12 23:00Z');
insert into seating_tables (id, wedding_id, event_id, name, capacity)
  values (:seating_tables3, :weddings1, :wedding_events3, 'Bar', 8);
insert into forms (id, organization_id, title, slug) values (:forms3, :organizations1, 'Other form', 'other');
insert into form_versions (id, organization_id, form_id, version, definition)
  values (:form_versions3, :organizations1, :forms3, 1, '{}');
insert into contracts (id, organization_id, client_id, title, total_minor, currency, status, signed_at, signed_name)
  values (:contracts3, :organizations1, :clients1, 'Signed', 1, 'GBP', 'signed', '2099-01-01', 'Ann'),
         (:contracts4, :organizations1, :clients1, 'Void', 1, 'GBP', 'void', '2099-01-01', 'Ann');
"""


def _refusal(api, user, statement):
    """The SQLSTATE that a user, the server's side, or (for None) somebody with every right gets."""
    try:
        if user is None:
            with api.transaction(force_rollback=True):
                api.execute(statement)
        else:
            with acting_as(api, *((None, user) if user == SERVER else (user,))):
                api.execute(statement)
    except psycopg.Error as error:
        return error.diag.sqlstate
    return "accepted"


# -- tenants -----------------------------------------------------------------------------------------------------------
TENANTS = """
select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
  and (a.attnotnull and a.attname in ('organization_id', 'wedding_id', 'profile_id')
       or (c.relname, a.attname) in (('conversations', 'organization_id'), ('messages', 'conversation_id'))
       or c.relname in ('organizations', 'weddings', 'profiles') and a.attname = 'id')
"""
PARENT = {"organization_id": "organizations", "wedding_id": "weddings", "profile_id": "profiles"}


def test_no_row_goes_to_another_tenant(api):
    tenants = api.execute(TENANTS).fetchall()
    assert len(tenants) > 40
    asked = {}
    for table, column in tenants:
        move = sql.SQL("update {} set {} = {} where id = {}").format(
            *map(sql.Identifier, (table, column)),
            key("new" if column == "id" else PARENT.get(column, "conversations"), 2),
            key(table, 1),
        )
        asked[table, column] = [_refusal(api, user, move) for user in (OWNER, COUPLE, SERVER, None)]
    only_added_to = {"consents", "form_versions", "messages"}
    expected = {
        (table, column): [DENIED, DENIED, DENIED if table in only_added_to else STAYS, STAYS]
        for table, column in tenants
    }
    assert {where: said for where, said in asked.items() if said != expected[where]} == {}


@pytest.mark.parametrize("table", ["organizations", "profiles", "weddings"])
def test_a_tenant_keeps_its_key_before_anything_hangs_on_it(api, table):
    columns = {
        "organizations": "(name, slug, category, time_zone) values ('x', 'x', 'cake', 'UTC')",
        "profiles": "(id, email, display_name) values (gen_random_uuid(), 'x@example.com', 'x')",
        "weddings": "(title, wedding_date, time_zone) values ('x', '2099-01-01', 'UTC')",
    }
    with api.transaction(force_rollback=True):
        (new,) = api.execute(f"insert into {table} {columns[table]} returning id").fetchone()
        for user in (SERVER, None):
            assert _refusal(api, user, f"update {table} set id = gen_random_uuid() where id = '{new}'") == STAYS


# -- values ------------------------------------------------------------------------------------------------------------
INSERT_BOOKING = (
    "insert into bookings (organization_id, resource_id, during) values (:organizations1, :resources1, '{}')"
)
INSERT_RSVP = "insert into rsvps (wedding_id, guest_id, event_id) values (:weddings1, {}, {})"
INSERT_SEAT = (
    "insert into seat_assignments (wedding_id, event_id, table_id, guest_id, seat) values (:weddings1, {}, {}, {}, {})"
)
INSERT_VERSION = (
    "insert into form_versions (organization_id, form_id, version, definition)"
    " values (:organizations1, :forms1, 2, '{}')"
)
INSERT_SUBMISSION = (
    "insert into form_submissions (organization_id, form_id, version_id, answers, submitted_email)"
    " values (:organizations1, :forms1, {}, '{}', {})"
)


@pytest.mark.parametrize(
    ("user", "statement", "sqlstate"),
    [
        # time zones
        (OWNER, "update organizations set time_zone = 'Europe/Atlantis'", CHECK),
        (COUPLE, "update weddings set time_zone = 'Mars/Base'", CHECK),
        (COUPLE, "update weddings set time_zone = 'europe/london'", CHECK),
        (SERVER, "update weddings set time_zone = '+02' where id = :weddings1", CHECK),
        (COUPLE, "update weddings set wedding_date = '2099-02-30'", "22008"),
        # currencies and amounts
        (OWNER, "update packages set currency = 'XXX'", CHECK),
        (OWNER, "update packages set currency = 'gbp'", CHECK),
        (OWNER, "update contracts set currency = 'BTC'", CHECK),
        (OWNER, "update clients set currency = 'EURO'", CHECK),
        (OWNER, "update clients set budget_minor = 1, currency = null", CHECK),
        (OWNER, "update clients set budget_minor = -1, currency = 'GBP'", CHECK),
        (OWNER, "update packages set price_minor = -1", CHECK),
        (OWNER, "update packages set price_minor = 9223372036854775808", "22003"),
        (OWNER, "update contracts set total_minor = -1", CHECK),
        (OWNER, "update form_drafts set seq = -1", CHECK),
        (COUPLE, "update seating_tables set capacity = 0", CHECK),
        (SERVER, "update payments set amount_minor = 0", CHECK),
        (SERVER, "update files set size_bytes = -1", CHECK),
        # times
        (OWNER, INSERT_BOOKING.format("empty"), CHECK),
        (OWNER, INSERT_BOOKING.format("[2099-01-01, 2099-01-01)"), CHECK),
        (OWNER, INSERT_BOOKING.format("(,)"), CHECK),
        (OWNER, INSERT_BOOKING.format("[2099-01-01,)"), CHECK),
        (OWNER, INSERT_BOOKING.format("(,2099-01-01]"), CHECK),
        (OWNER, INSERT_BOOKING.format("[2099-01-01, infinity]"), CHECK),
        (OWNER, INSERT_BOOKING.format("[-infinity, 2099-01-01]"), CHECK),
        (OWNER, INSERT_BOOKING.format("[2099-01-02, 2099-01-01)"), "22000"),
        (OWNER, INSERT_BOOKING.format("[2099-06-12 11:00Z, 2099-06-12 12:00Z)"), OVERLAP),
        (COUPLE, "update weddings set wedding_date = 'infinity'", CHECK),
        (COUPLE, "update weddings set wedding_date = '10000-01-01'", CHECK),
        (COUPLE, "update guests set checked_in_at = '-infinity'", CHECK),
        (OWNER, "update tasks set due_at = '0044-03-15 BC'", CHECK),
        (COUPLE, "update wedding_events set ends_at = starts_at", CHECK),
        (COUPLE, "update timeline_items set ends_at = starts_at - interval '1 minute'", CHECK),
        # addresses
        (OWNER, "update clients set email = 'Ann@example.com'", CHECK),
        (OWNER, "update clients set email = 'ann'", CHECK),
        (OWNER, "update clients set email = 'ann @example.com'", CHECK),
        (COUPLE, "update guests set email = 'ANN@example.com'", CHECK),
        (COUPLE, "update households set email = 'Ann@example.com'", CHECK),
        (COUPLE, "update wedding_people set email = 'ann@Example.com'", CHECK),
        (COUPLE, "update wedding_vendors set contact_email = 'Cake@example.com'", CHECK),
        (SERVER, "update profiles set email = 'Ann@example.com'", CHECK),
        (SERVER, INSERT_SUBMISSION.format(":form_versions1", "{}", "'Ann@example.com'"), CHECK),
        # documents
        (OWNER, "update form_drafts set answers = '[]'", CHECK),
        (OWNER, "update form_drafts set answers = 'null'", CHECK),
        (OWNER, "update form_drafts set answers = null", "23502"),
        (OWNER, "update form_drafts set answers = '{'", "22P02"),
        (OWNER, r"""update form_drafts set answers = '{"a": "\u0000"}'""", "22P05"),
        (OWNER, """update form_drafts set answers = '{"a": [1e131071, 1e131071]}'""", CHECK),
        (OWNER, "update contracts set body = repeat('a', 200001)", CHECK),
        (SERVER, INSERT_SUBMISSION.format(":form_versions1", '"yes"', "null"), CHECK),
        (SERVER, INSERT_VERSION.format("[]"), CHECK),
        # rows of others
        (COUPLE, INSERT_RSVP.format(":guests2", ":wedding_events3"), UNKNOWN),
        (COUPLE, INSERT_RSVP.format(":guests1", ":wedding_events2"), UNKNOWN),
        (COUPLE, INSERT_RSVP.format(":guests1", ":wedding_events1"), UNIQUE),
        (COUPLE, INSERT_SEAT.format(":wedding_events3", ":seating_tables1", ":guests1", 2), UNKNOWN),
        (COUPLE, INSERT_SEAT.format(":wedding_events3", ":seating_tables3", ":guests2", 2), UNKNOWN),
        (COUPLE, INSERT_SEAT.format(":wedding_events1", ":seating_tables1", ":plus1", 1), UNIQUE),
        (COUPLE, INSERT_SEAT.format(":wedding_events1", ":seating_tables1", ":guests1", 2), UNIQUE),
        (COUPLE, "update guests set household_id = :households2", UNKNOWN),
        (COUPLE, "update guests set plus_one_of = :guests2", UNKNOWN),
        (COUPLE, "update guests set plus_one_of = id", CHECK),
        (COUPLE, "update guests set full_name = 'x'", "428C9"),
        (COUPLE, "update rsvps set answer = 'yes'", CHECK),
        (COUPLE, "update rsvps set answer = 'perhaps', answered_at = now()", CHECK),
        (OWNER, "update forms set published_version_id = :form_versions3 where id = :forms1", UNKNOWN),
        (OWNER, "update forms set status = 'published', published_version_id = null", CHECK),
        (SERVER, INSERT_SUBMISSION.format(":form_versions3", "{}", "null"), UNKNOWN),
        (OWNER, "update clients set wedding_id = :weddings2", UNKNOWN),
        (OWNER, "update bookings set resource_id = :resources2", UNKNOWN),
        (OWNER, "update tasks set assigned_to = :memberships2", UNKNOWN),
    ],
)  # fmt: skip
def test_refused(api, user, statement, sqlstate):
    assert _refusal(api, user, _keys(statement)) == sqlstate


# -- what was signed ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("contract", [":contracts3", ":contracts4"])
@pytest.mark.parametrize(
    "change",
    [
        "total_minor = 2",
        "body = 'x'",
        "currency = 'EUR'",
        "signed_name = 'Bob'",
        "signed_at = now()",
        "sent_at = now()",
        "package_id = :packages1",
        "wedding_id = :weddings1",
        "status = 'draft'",
        "status = 'void', total_minor = 2",
    ],
)
def test_a_signed_contract_does_not_change(api, contract, change):
    for user in (SERVER, None):
        assert _refusal(api, user, _keys(f"update contracts set {change} where id = {contract}")) == SIGNED
    owner = _refusal(api, OWNER, _keys(f"update contracts set {change} where id = {contract}"))
    assert owner == (DENIED if change.startswith("signed_") else SIGNED)


@pytest.mark.parametrize(
    ("user", "statement", "outcome"),
    [
        (OWNER, "update contracts set status = 'void' where id = :contracts3", "accepted"),
        (OWNER, "update contracts set status = 'signed' where id = :contracts4", SIGNED),
        (OWNER, "update contracts set status = 'signed' where id = :contracts1", CHECK),
        (SERVER, "update contracts set status = 'signed', signed_at = now() where id = :contracts1", CHECK),
        (SERVER, "update contracts set signed_at = now(), signed_name = 'Ann' where id = :contracts1", CHECK),
        (SERVER, f"update contracts set status = 'signed', {BY_ANN} where id = :contracts1", "accepted"),
        (OWNER, f"update contracts set status = 'signed', {BY_ANN} where id = :contracts1", DENIED),
        (SERVER, "delete from contracts where id = :contracts3", SIGNED),
        (SERVER, "delete from contracts where id = :contracts4", SIGNED),
        (None, "delete from contracts where id = :contracts3", SIGNED),
        (OWNER, "delete from contracts where id = :contracts1", UNKNOWN),  # an invoice is made for it
        # what it was about may go
        (SERVER, "update contracts set wedding_id = null, package_id = null where id = :contracts3", "accepted"),
    ],
)
def test_a_contract_is_signed_once_and_then_only_declared_void(api, user, statement, outcome):
    assert _refusal(api, user, _keys(statement)) == outcome


def test_to_delete_somebody_elses_contract_deletes_nothing(api):
    with acting_as(api, OWNER):
        assert api.execute(_keys("delete from contracts where id <> :contracts1")).rowcount == 0
