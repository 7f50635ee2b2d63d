"""Who sees and changes what under the policies of 0005_access, as the API asks: role, claims, then the statement."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.support.majors import MAJORS
from tests.support.schema import API_ROLES, MIGRATIONS, TABLES, acting_as, deploy, owned_database
from wedsync_db.postgres.session import session

DENIED = psycopg.errors.InsufficientPrivilege


def _id(number: int) -> str:
    return str(UUID(int=number, version=4))


# organizations, people, weddings
A, B, CLOSED = _id(1), _id(2), _id(3)
OWNER_A, ADMIN_A, MEMBER_A, VIEWER_A, SUSPENDED_A, OWNER_B, BOTH, OWNER_CLOSED = (_id(n) for n in range(11, 19))
COUPLE_1, COUPLE_2, PARENT_1, STRANGER = (_id(n) for n in range(21, 25))
W1, W2 = _id(31), _id(32)
V1A, V1B, V2B = (
    _id(n) for n in range(41, 44)
)  # vendor of wedding 1: A accepted, B invited only; of wedding 2: B accepted
E1, E2, T1, T2 = (_id(n) for n in range(51, 55))

DATA = f"""
insert into organizations (id, name, slug, category, time_zone, status) values
  ('{A}', 'A', 'a', 'venue', 'Europe/London', 'active'),
  ('{B}', 'B', 'b', 'cake', 'Asia/Dubai', 'active'),
  ('{CLOSED}', 'C', 'c', 'other', 'UTC', 'closed');
insert into profiles (id, email, display_name)
  select id::uuid, id || '@example.com', 'somebody'
  from unnest('{{{OWNER_A},{ADMIN_A},{MEMBER_A},{VIEWER_A},{SUSPENDED_A},{OWNER_B},{BOTH},{OWNER_CLOSED},
    {COUPLE_1},{COUPLE_2},{PARENT_1},{STRANGER}}}'::text[]) as id;
insert into memberships (organization_id, profile_id, role, status) values
  ('{A}', '{OWNER_A}', 'owner', 'active'), ('{A}', '{ADMIN_A}', 'admin', 'active'),
  ('{A}', '{MEMBER_A}', 'member', 'active'),
  ('{A}', '{VIEWER_A}', 'viewer', 'active'), ('{A}', '{SUSPENDED_A}', 'admin', 'suspended'),
  ('{B}', '{OWNER_B}', 'owner', 'active'), ('{A}', '{BOTH}', 'viewer', 'active'), ('{B}', '{BOTH}', 'admin', 'active'),
  ('{CLOSED}', '{OWNER_CLOSED}', 'owner', 'active');
insert into invitations (organization_id, email, role, token_hash, expires_at)
  select id::uuid, 'x@example.com', 'viewer', sha256(id::bytea), now() + '1 day'
  from unnest('{{{A},{B}}}'::text[]) as id;
insert into api_keys (organization_id, name, prefix, secret_hash)
  select id::uuid, 'k', 'abcd1234', sha256(id::bytea) from unnest('{{{A},{B}}}'::text[]) as id;
insert into weddings (id, title, wedding_date, time_zone) values
  ('{W1}', 'one', '2099-06-12', 'Europe/London'), ('{W2}', 'two', '2099-06-12', 'Europe/London');
insert into wedding_people (wedding_id, profile_id, role, given_name) values
  ('{W1}', '{COUPLE_1}', 'partner', 'Ann'), ('{W1}', '{PARENT_1}', 'parent', 'Eve'),
  ('{W2}', '{COUPLE_2}', 'partner', 'Bob');
insert into wedding_vendors (id, wedding_id, organization_id, category, status, scopes, responded_at) values
  ('{V1A}', '{W1}', '{A}', 'venue', 'accepted', '{{overview,timeline,timeline_edit}}', now()),
  ('{V1B}', '{W1}', '{B}', 'cake', 'invited', '{{overview,timeline}}', null),
  ('{V2B}', '{W2}', '{B}', 'cake', 'accepted', '{{overview}}', now());
insert into wedding_events (id, wedding_id, kind, name, starts_at, ends_at)
  select e::uuid, w::uuid, 'ceremony', 'c', '2099-06-12 12:00Z', '2099-06-12 13:00Z'
  from (values ('{E1}', '{W1}'), ('{E2}', '{W2}')) as x (e, w);
insert into timeline_items (id, wedding_id, event_id, title, starts_at, ends_at)
  select t::uuid, w::uuid, e::uuid, 't', '2099-06-12 12:00Z', '2099-06-12 12:10Z'
  from (values ('{T1}', '{W1}', '{E1}'), ('{T2}', '{W2}', '{E2}')) as x (t, w, e);
"""


@pytest.fixture(scope="module", params=MAJORS)
def api(clusters, request):
    """A deployed database with a few rows, owned by an ordinary role; every test takes back what it does."""
    with owned_database(clusters(request.param)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        connection.execute(DATA)
        yield connection


def _seen(api, user, table, column="id"):
    with acting_as(api, user):
        return {str(value) for (value,) in api.execute(f"select {column} from {table}")}


# -- organizations -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("user", "organizations"),
    [
        (OWNER_A, {A}),
        (VIEWER_A, {A}),
        (OWNER_B, {B}),
        (BOTH, {A, B}),
        (SUSPENDED_A, set()),
        (OWNER_CLOSED, set()),
        (COUPLE_1, set()),
        (STRANGER, set()),
        (None, set()),
    ],
)
def test_members_see_their_own_organizations(api, user, organizations):
    assert _seen(api, user, "organizations") == organizations
    assert _seen(api, user, "memberships", "organization_id") == organizations


@pytest.mark.parametrize(
    ("user", "organizations"), [(ADMIN_A, {A}), (MEMBER_A, set()), (BOTH, {B}), (SUSPENDED_A, set())]
)
@pytest.mark.parametrize("table", ["invitations", "api_keys"])
def test_admins_alone_see_invitations_and_keys(api, user, organizations, table):
    assert _seen(api, user, table, "organization_id") == organizations


def test_everybody_sees_their_own_profile(api):
    assert _seen(api, VIEWER_A, "profiles") == {VIEWER_A}


def _changed(api, user, statement):
    with acting_as(api, user):
        return api.execute(statement).rowcount


# no WHERE: with one, the policy for reading would hide a hole in the policy for writing
@pytest.mark.parametrize(
    ("user", "statement", "rows"),
    [
        (ADMIN_A, "update organizations set name = 'x'", 1),
        (MEMBER_A, "update organizations set name = 'x'", 0),
        (STRANGER, "update organizations set name = 'x'", 0),
        (VIEWER_A, "update profiles set display_name = 'x'", 1),
        (STRANGER, "update memberships set status = 'suspended'", 0),
        (OWNER_A, "update memberships set status = 'suspended'", 6),
        (ADMIN_A, "update memberships set status = 'suspended'", 5),  # all but the owner's
        (ADMIN_A, "delete from memberships", 5),
        (MEMBER_A, "delete from memberships", 0),
        (ADMIN_A, "update invitations set revoked_at = now()", 1),
        (MEMBER_A, "update invitations set revoked_at = now()", 0),
        (ADMIN_A, "update api_keys set revoked_at = now()", 1),
        (BOTH, "update api_keys set revoked_at = now()", 1),
        (COUPLE_1, "update weddings set title = 'x'", 1),
        (OWNER_A, "update weddings set title = 'x'", 0),
        (PARENT_1, "update weddings set title = 'x'", 0),
        (COUPLE_1, "update wedding_people set given_name = 'x'", 2),
        (COUPLE_1, "delete from wedding_people", 2),
        (MEMBER_A, "delete from wedding_people", 0),
        (COUPLE_2, "update wedding_vendors set scopes = '{overview}'", 1),
        (OWNER_B, "update wedding_vendors set scopes = '{overview}'", 0),
        (OWNER_B, "delete from wedding_vendors", 0),
        (COUPLE_1, "delete from wedding_vendors", 2),
        (COUPLE_1, "update wedding_events set name = 'x'", 1),
        (MEMBER_A, "delete from wedding_events", 0),
        (COUPLE_1, "update timeline_items set title = 'x'", 1),
        (MEMBER_A, "update timeline_items set title = 'x'", 1),
        (VIEWER_A, "update timeline_items set title = 'x'", 0),
        (OWNER_B, "update timeline_items set title = 'x'", 0),
        (MEMBER_A, "delete from timeline_items", 1),
        (STRANGER, "delete from timeline_items", 0),
    ],
)
def test_blind_writes_reach_only_what_they_may(api, user, statement, rows):
    assert _changed(api, user, statement) == rows


def test_an_admin_cannot_make_an_owner(api):
    with pytest.raises(DENIED, match="row-level security"):
        _changed(api, ADMIN_A, f"update memberships set role = 'owner' where profile_id = '{ADMIN_A}'")
    assert _changed(api, OWNER_A, f"update memberships set role = 'owner' where profile_id = '{ADMIN_A}'") == 1


# -- weddings ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("user", "weddings", "people", "timelines"),
    [
        (COUPLE_1, {W1}, {W1}, {W1}),
        (COUPLE_2, {W2}, {W2}, {W2}),
        (PARENT_1, set(), set(), set()),
        (VIEWER_A, {W1}, set(), {W1}),  # accepted, with overview and timeline
        (OWNER_B, {W2}, set(), set()),  # accepted at one with overview alone, only invited at the other
        (BOTH, {W1, W2}, set(), {W1}),
        (SUSPENDED_A, set(), set(), set()),
        (STRANGER, set(), set(), set()),
    ],
)
def test_couples_and_accepted_suppliers_see_a_wedding(api, user, weddings, people, timelines):
    assert _seen(api, user, "weddings") == weddings
    assert _seen(api, user, "wedding_events", "wedding_id") == weddings
    assert _seen(api, user, "wedding_people", "wedding_id") == people
    assert _seen(api, user, "timeline_items", "wedding_id") == timelines


def test_a_supplier_sees_its_own_invitations_the_couple_all_of_its_wedding(api):
    assert _seen(api, OWNER_B, "wedding_vendors") == {V1B, V2B}
    assert _seen(api, COUPLE_1, "wedding_vendors") == {V1A, V1B}


def test_couples_add_to_their_own_wedding_only(api):
    statement = "insert into wedding_people (wedding_id, role, given_name) values ('{}', 'attendant', 'Zoe')"
    assert _changed(api, COUPLE_1, statement.format(W1)) == 1
    with pytest.raises(DENIED, match="row-level security"):
        _changed(api, COUPLE_1, statement.format(W2))


def test_a_timeline_item_cannot_point_into_another_wedding(api):
    columns = "wedding_id, event_id, title, starts_at, ends_at"
    statement = f"insert into timeline_items ({columns}) values ('{{}}', '{{}}', 't', now(), now())"
    assert _changed(api, COUPLE_1, statement.format(W1, E1)) == 1
    for event in (E2, _id(999)):  # a foreign one and one that does not exist: the same answer
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            _changed(api, COUPLE_1, statement.format(W1, event))


def test_an_unknown_scope_or_role_gives_nothing(api):
    for question in (
        "app.wedding_ids('no such')",
        "app.wedding_ids(null)",
        "app.org_ids('no such')",
        "app.org_ids(null)",
    ):
        with api.transaction(force_rollback=True):
            api.execute("select set_config('request.jwt.claim.sub', %s, true)", [BOTH])
            assert api.execute(f"select {question}").fetchone() == ([],)


# -- grants ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", [t for t in TABLES if t not in ("forms", "form_versions")])
def test_anon_has_nothing(api, table):
    for statement in (f"select id from {table}", f"delete from {table}", f"insert into {table} default values"):
        with pytest.raises(DENIED, match="permission denied"), acting_as(api, None, role="anon"):
            api.execute(statement)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("organizations", "id"),
        ("organizations", "status"),
        ("profiles", "id"),
        ("memberships", "organization_id"),
        ("memberships", "profile_id"),
        ("invitations", "organization_id"),
        ("api_keys", "organization_id"),
        ("weddings", "id"),
        ("wedding_people", "wedding_id"),
        ("wedding_people", "profile_id"),
        ("wedding_vendors", "wedding_id"),
        ("wedding_vendors", "organization_id"),
        ("wedding_vendors", "status"),
        ("wedding_events", "wedding_id"),
        ("timeline_items", "wedding_id"),
    ],
)
def test_tenants_cannot_be_updated(api, table, column):
    with pytest.raises(DENIED, match="permission denied"):
        _changed(api, COUPLE_1, f"update {table} set {column} = {column}")


@pytest.mark.parametrize("statement", ["select token_hash from invitations", "select secret_hash from api_keys"])
def test_secrets_cannot_be_read(api, statement):
    with pytest.raises(DENIED, match="permission denied"):
        _changed(api, OWNER_A, statement)


def test_nobody_truncates(api):
    found = api.execute(
        "select r, t from unnest(%s::text[]) r, unnest(%s::text[]) t where has_table_privilege(r, t, 'truncate')",
        [list(API_ROLES), list(TABLES)],
    )
    assert found.fetchall() == []
