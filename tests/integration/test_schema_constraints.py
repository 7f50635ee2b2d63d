"""What the tables refuse whoever writes, and what the helpers of schema app promise."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, TABLES, deploy, owned_database
from wedsync_db.postgres.session import session

errors = psycopg.errors


@pytest.fixture(scope="module", params=MAJORS)
def owner(clusters, request):
    with owned_database(clusters(request.param)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        yield connection


# -- helpers -----------------------------------------------------------------------------------------------------------
def test_keys_are_version_7_and_grow_with_time(owner):
    before = datetime.now(UTC)
    keys = [owner.execute("select app.uuid_v7()").fetchone()[0] for _ in range(50)]
    assert {key.version for key in keys} == {7}
    assert len(set(keys)) == len(keys)
    assert all(a.int >> 64 <= b.int >> 64 for a, b in itertools.pairwise(keys))
    seconds = (keys[0].int >> 80) / 1000
    assert abs(seconds - before.timestamp()) < 60


@pytest.mark.parametrize(
    "name", ["Europe/London", "America/Port-au-Prince", "America/Indiana/Knox", "Etc/GMT+12", "UTC"]
)
def test_iana_names_are_time_zones(owner, name):
    assert owner.execute("select app.tz_ok(%s)", [name]).fetchone() == (True,)


@pytest.mark.parametrize(
    "name",
    ["", "Europe/Atlantis", "Nowhere/Land3", "europe/london", "BST", "+02", "GMT", "Etc/GMT+99", "Europe/London\n"],
)
def test_everything_else_is_not(owner, name):
    assert owner.execute("select app.tz_ok(%s)", [name]).fetchone() == (False,)


@pytest.mark.parametrize("code", ["GBP", "USD", "EUR", "JPY", "AED", "ZWG"])
def test_money_in_circulation_is_a_currency(owner, code):
    assert owner.execute("select app.currency_ok(%s)", [code]).fetchone() == (True,)


@pytest.mark.parametrize("code", ["", "gbp", "XXX", "XAU", "XTS", "CHE", "DEM", "GB", "P G", "AED AFN", "GBP\n", "ÄED"])
def test_nothing_else_is(owner, code):
    assert owner.execute("select app.currency_ok(%s)", [code]).fetchone() == (False,)


def test_a_uuid_takes_part_in_an_exclusion_constraint(owner):
    with owner.transaction(force_rollback=True):
        owner.execute(
            "create table stays (room uuid, during tstzrange, "
            "exclude using gist ((app.uuid_range(room, room, '[]')) with =, during with &&))"
        )
        book = "insert into stays values ('00000000-0000-4000-8000-000000000001', '[2027-06-12, 2027-06-13)')"
        owner.execute(book)
        with pytest.raises(errors.ExclusionViolation):
            owner.execute(book)


def test_updated_at_cannot_be_forged(owner):
    with owner.transaction(force_rollback=True):
        owner.execute("insert into profiles (id, email, display_name) values (gen_random_uuid(), 'a@b.c', 'x')")
        owner.execute("update profiles set updated_at = '2000-01-01'")
        assert owner.execute("select updated_at >= created_at from profiles").fetchone() == (True,)


# -- refusals ----------------------------------------------------------------------------------------------------------
ROWS = """
insert into organizations (id, name, slug, category, time_zone)
  select id::uuid, 'o', 'slug-' || right(id, 1), 'venue', 'UTC'
  from unnest('{00000000-0000-4000-8000-000000000001, 00000000-0000-4000-8000-000000000002}'::text[]) as id;
insert into profiles (id, email, display_name) values ('00000000-0000-4000-8000-000000000003', 'a@example.com', 'a');
insert into memberships (id, organization_id, profile_id, role) values
  ('00000000-0000-4000-8000-000000000004', '00000000-0000-4000-8000-000000000002',
   '00000000-0000-4000-8000-000000000003', 'owner');
insert into weddings (id, title, wedding_date, time_zone)
  values ('00000000-0000-4000-8000-000000000005', 'w', '2099-06-12', 'Europe/London');
"""
ORGANIZATION, ALIEN, WEDDING = (f"'00000000-0000-4000-8000-00000000000{n}'" for n in (1, 4, 5))
OPEN = f"({ORGANIZATION}, 'x@y.z', 'admin', sha256('{{}}'), now() + '1 day', null)"
INVITE = "insert into invitations (organization_id, email, role, token_hash, expires_at, invited_by) values "
KEY = "insert into api_keys (organization_id, name, prefix, secret_hash, scopes) values "
HIRE = "insert into wedding_vendors (wedding_id, organization_id, category, status, scopes) values "
PERSON = "insert into wedding_people (wedding_id, role, given_name) values "
PARTY = "insert into wedding_events (wedding_id, kind, name, starts_at, ends_at) values "


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("update weddings set time_zone = 'Europe/Atlantis'", errors.CheckViolation),
        ("update organizations set slug = 'Not A Slug'", errors.CheckViolation),
        ("update organizations set slug = 'slug-1'", errors.UniqueViolation),
        ("update profiles set email = 'Upper@example.com'", errors.CheckViolation),
        ("update profiles set email = 'nobody'", errors.CheckViolation),
        ("update memberships set role = 'god'", errors.CheckViolation),
        (f"{INVITE} ({ORGANIZATION}, 'x@y.z', 'owner', sha256('x'), now() + '1 day', null)", errors.CheckViolation),
        (f"{INVITE} ({ORGANIZATION}, 'x@y.z', 'admin', 'short', now() + '1 day', null)", errors.CheckViolation),
        (
            f"{INVITE} ({ORGANIZATION}, 'x@y.z', 'admin', sha256('x'), now() - interval '1 s', null)",
            errors.CheckViolation,
        ),
        # invited by somebody of another organization
        (
            f"{INVITE} ({ORGANIZATION}, 'x@y.z', 'admin', sha256('x'), now() + '1 day', {ALIEN})",
            errors.ForeignKeyViolation,
        ),
        (f"{INVITE} {OPEN.format('x')}, {OPEN.format('y')}", errors.UniqueViolation),
        (f"{KEY} ({ORGANIZATION}, 'k', 'abcd1234', sha256('k'), '{{root}}')", errors.CheckViolation),
        (f"{HIRE} ({WEDDING}, {ORGANIZATION}, 'venue', 'invited', '{{couple}}')", errors.CheckViolation),
        (f"{HIRE} ({WEDDING}, {ORGANIZATION}, 'venue', 'invited', '{{overview,null}}')", errors.CheckViolation),
        (f"{HIRE} ({WEDDING}, {ORGANIZATION}, 'venue', 'accepted', '{{overview}}')", errors.CheckViolation),
        (f"{PARTY} ({WEDDING}, 'party', 'p', now(), now())", errors.CheckViolation),
        (f"{PERSON} ({WEDDING}, 'boss', 'x')", errors.CheckViolation),
        ("update wedding_people set full_name = 'x'", errors.GeneratedAlways),
        ("delete from organizations", errors.ForeignKeyViolation),
    ],
)
def test_refused(owner, statement, error):
    with owner.transaction(force_rollback=True):
        owner.execute(ROWS)
        with pytest.raises(error), owner.transaction():
            owner.execute(statement)


def test_a_gone_colleague_leaves_the_invitations_behind(owner):
    with owner.transaction(force_rollback=True):
        owner.execute(ROWS)
        owner.execute(
            f"{INVITE} ('00000000-0000-4000-8000-000000000002', 'x@y.z', 'admin', sha256('x'), now() + '1 day',"
            f" {ALIEN})"
        )
        owner.execute("delete from memberships")
        found = owner.execute("select invited_by, organization_id is not null from invitations").fetchall()
        assert found == [(None, True)]


def test_every_table_says_what_it_is_for(owner):
    said = owner.execute(
        "select relname, obj_description(oid) from pg_class where relname = any (%s) and relkind = 'r'", [list(TABLES)]
    ).fetchall()
    assert len(said) == len(TABLES)
    assert all(comment for _, comment in said)
