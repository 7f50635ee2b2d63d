"""What an API role can run, become and pretend: only what was meant, and never somebody else."""

from __future__ import annotations

import json
import os

import psycopg
import pytest

from tests.support.pairs import COUPLE, OWNER, STRANGER, as_user, key
from tests.support.schema import API_ROLES, acting_as
from wedsync_db.errors import Unreachable
from wedsync_db.postgres.session import Address, session

errors = psycopg.errors
DENIED = errors.InsufficientPrivilege
OURS = "('app', 'api', 'audit', 'ops')"


@pytest.fixture
def admin(api, clusters, request):
    """A superuser in the same database."""
    cluster = clusters(request.node.callspec.params["api"])
    with session(cluster.address(api.info.dbname), "test-admin") as connection:
        yield connection


# -- functions ---------------------------------------------------------------------------------------------------------
PEOPLE, SERVER, BOTH = {"authenticated"}, {"service_role"}, {"authenticated", "service_role"}
OBSERVERS = {"service_role", "pg_read_all_stats"}
EXECUTABLE = {
    "app.org_ids": PEOPLE,
    "app.wedding_ids": PEOPLE,
    "app.conversation_ids": PEOPLE,
    "app.uuid_v7": BOTH,
    "app.tz_ok": BOTH,
    "app.currency_ok": BOTH,
    # PostgreSQL gives constructors of range types to everybody; they only build a value
    "app.uuid_range": {"public"},
    "app.uuid_multirange": {"public"},
    "api.start_payment": SERVER,
    "api.receive_payment_event": SERVER,
    "api.retry_payment_events": SERVER,
    "api.export_person": SERVER,
    "api.erase_person": SERVER,
    "api.residual_scan": SERVER,
    "ops.clock": SERVER,
    "ops.set_write_gate": SERVER,
    "ops.wedding_lock": SERVER,
    "ops.override_wedding_lock": SERVER,
    "ops.deploy_window": SERVER,
    "ops.analyze_table": SERVER,
    "ops.vacuum_analyze_table": SERVER,
    "ops.update_table_statistics": SERVER,
    "ops.get_blocking_tree": OBSERVERS,
    "ops.get_connection_stats": OBSERVERS,
    "ops.get_database_size": OBSERVERS,
    "ops.get_index_usage": OBSERVERS,
    "ops.get_last_backup_time": OBSERVERS,
    "ops.get_maintenance_candidates": OBSERVERS,
    "ops.get_performance_stats": OBSERVERS,
    "ops.get_replication_status": OBSERVERS,
    "ops.get_schema_issues": OBSERVERS,
    "ops.get_slow_queries": OBSERVERS,
    "ops.get_table_sizes": OBSERVERS,
    "ops.get_unused_indexes": OBSERVERS,
}
GRANTED = f"""
select p.pronamespace::regnamespace || '.' || p.proname,
       case a.grantee when 0 then 'public' else a.grantee::regrole::text end
from pg_proc p
cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
where p.pronamespace::regnamespace::text in {OURS} and a.grantee <> p.proowner
"""


def _granted(api):
    granted = {}
    for function, role in api.execute(GRANTED):
        granted.setdefault(function, set()).add(role)
    return granted


def test_functions_are_executable_by_whom_they_are_meant_for(api):
    assert _granted(api) == EXECUTABLE


def test_a_new_function_would_be_everybodys(planted):
    planted.execute("create function app.careless() returns int language sql return 1")
    assert _granted(planted)["app.careless"] == {"public"}


def test_every_function_names_its_schemas_itself(api):
    loose = (
        f"select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in {OURS}"
        " and prosrc not in ('range_constructor0', 'range_constructor1', 'range_constructor2', 'range_constructor3',"
        " 'multirange_constructor0', 'multirange_constructor1', 'multirange_constructor2')"
        " and (proconfig @> array['search_path=pg_catalog, pg_temp']) is not true"
    )
    assert api.execute(loose).fetchall() == []


@pytest.mark.parametrize(
    "call", ["app.org_ids('viewer')", "app.wedding_ids('couple')", "app.uuid_v7()", "app.tz_ok('UTC')"]
)
def test_nobody_calls_what_policies_call(api, call):
    """EXECUTE lets a stored expression run; to call by name takes USAGE on the schema, which no API role has."""
    for role in ("anon", "authenticated"):
        with pytest.raises(DENIED, match="permission denied for schema app"):
            as_user(api, OWNER, f"select {call}", role)


def test_expressions_that_can_be_copied_from_a_table_call_nothing_that_tells(api):
    """CREATE TABLE … (LIKE …) copies defaults and checks, function and all, but never a policy."""
    called = (
        "select distinct p.proname from pg_depend d join pg_proc p on p.oid = d.refobjid"
        f" and d.refclassid = 'pg_proc'::regclass and p.pronamespace::regnamespace::text in {OURS}"
        " where d.classid in ('pg_attrdef'::regclass, 'pg_constraint'::regclass)"
    )
    assert {name for (name,) in api.execute(called)} <= {"uuid_v7", "tz_ok", "currency_ok", "uuid_range"}


def test_a_trigger_function_works_for_its_trigger_alone(planted):
    triggers = planted.execute(
        f"select oid::regprocedure::text from pg_proc where prorettype = 'trigger'::regtype"
        f" and pronamespace::regnamespace::text in {OURS}"
    ).fetchall()
    assert ("app.keep_tenant()",) in triggers
    planted.execute("grant usage on schema app, api, audit, ops to authenticated")  # as if one barrier were down
    for (function,) in triggers:
        with pytest.raises(DENIED):
            as_user(planted, OWNER, f"select {function}")
        with acting_as(planted, OWNER):
            planted.execute("create temporary table bait (id int)")
            with pytest.raises(DENIED):
                planted.execute(f"create trigger t before insert on bait for each row execute function {function}")


# -- names that stand in for ours --------------------------------------------------------------------------------------
CARELESS = """
create or replace function app.org_ids(least_role text) returns uuid[] language sql stable security definer
  as $$ select coalesce(array_agg(organization_id), '{}') from memberships where profile_id = (select auth.uid()) $$
"""


def _organizations_with_a_table_of_ones_own(api):
    with acting_as(api, STRANGER):
        api.execute("create temporary table memberships (like public.memberships)")
        api.execute(
            "insert into pg_temp.memberships (id, organization_id, profile_id, role)"
            f" values (gen_random_uuid(), '{key('organizations', 1)}', '{STRANGER}', 'owner')"
        )
        return api.execute("select count(*) from public.organizations").fetchone()[0]


def test_a_temporary_table_stands_in_for_none_of_ours(planted):
    planted.execute(
        "alter table memberships alter status drop not null, alter created_at drop not null,"
        " alter updated_at drop not null"
    )
    assert _organizations_with_a_table_of_ones_own(planted) == 0
    planted.execute(CARELESS)
    assert _organizations_with_a_table_of_ones_own(planted) == 1


def _is_admin_after_planting_functions(api):
    """In databases that were made before 15, PUBLIC may create in schema public."""
    api.execute("grant create on schema public to public")
    api.execute("update public.memberships set role = 'viewer'")
    with acting_as(api, OWNER):
        api.execute("create function public.array_position(text[], text) returns int language sql as 'select 9'")
        api.execute(
            "create function public.yes(text, text) returns boolean language sql as 'select true';"
            " create operator public.= (function = public.yes, leftarg = text, rightarg = text)"
        )
        return api.execute("select count(*) > 0 from public.api_keys").fetchone()[0]


def test_a_function_in_schema_public_stands_in_for_none_of_the_servers(planted):
    assert not _is_admin_after_planting_functions(planted)


def test_it_would_where_the_search_path_is_the_callers(planted):
    planted.execute("alter function app.org_ids(text) reset search_path")
    assert _is_admin_after_planting_functions(planted)


# -- claims ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "claims",
    [
        "",
        "{}",
        '{"sub": null}',
        '{"sub": ""}',
        '{"sub": "nobody"}',
        '{"sub": 1}',
        '["sub"]',
        "null",
        "no json",
        '{"sub": {}}',
    ],
)
def test_without_a_proper_claim_there_is_nothing(api, claims):
    """No row, or an error: never somebody's."""
    with acting_as(api, None):
        api.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        for table in ("organizations", "guests", "messages", "notifications"):
            try:
                with api.transaction():
                    assert api.execute(f"select id from {table}").fetchall() == []
            except errors.InvalidTextRepresentation:
                pass


def test_claims_of_the_connection_before_do_not_stay(api):
    with acting_as(api, OWNER):
        assert api.execute("select id from organizations").fetchall() != []
    with api.transaction(force_rollback=True):
        api.execute("set local role authenticated")
        assert api.execute("select id from organizations").fetchall() == []


# -- roles -------------------------------------------------------------------------------------------------------------
def test_api_roles_cannot_log_in_and_are_nobody_else(api, clusters, request):
    cluster = clusters(request.node.callspec.params["api"])
    for role in API_ROLES:
        with (
            pytest.raises(Unreachable),
            session(Address(str(cluster.socket), cluster.port, api.info.dbname, role), "test"),
        ):
            pass
    powers = (
        "select rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin, rolinherit from pg_roles"
        " where rolname = any (%s) order by rolname"
    )
    assert api.execute(powers, [list(API_ROLES)]).fetchall() == [(role, *[False] * 6) for role in API_ROLES]
    groups = "select count(*) from pg_auth_members where member = any (%s::regrole[])"
    assert api.execute(groups, [list(API_ROLES)]).fetchone() == (0,)


@pytest.fixture
def login(api, admin, clusters, request):
    """What an API logs in as: a role that has nothing, and may become a user or nobody."""
    name = f"authenticator_{os.getpid()}"
    cluster = clusters(request.node.callspec.params["api"])
    admin.execute(f"create role {name} login noinherit password 'not-a-secret' in role anon, authenticated")
    with session(
        Address(str(cluster.socket), cluster.port, api.info.dbname, name, "not-a-secret"), "test"
    ) as connection:
        yield connection
    admin.execute(f"drop role {name}")


def _seen_after(login, statement):
    """How many guests a stranger sees who could run this first."""
    with login.transaction(force_rollback=True):
        login.execute("set local role authenticated")
        login.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": STRANGER})])
        login.execute(statement)
        return login.execute("select count(*) from public.guests").fetchone()[0]


def test_whoever_sets_claims_is_anybody_which_is_why_the_api_runs_no_sql_of_others(login):
    assert _seen_after(login, "select") == 0
    claims = json.dumps({"sub": COUPLE})
    assert _seen_after(login, f"select set_config('request.jwt.claims', '{claims}', true)") == 2


@pytest.mark.parametrize(
    "statement",
    [
        "set local role service_role",
        "select set_config('role', 'service_role', true)",
        "select set_config('role', 'case_deployer', true)",
        "set session authorization service_role",
        "set local session_replication_role = replica",
        "reset role",  # back to the login, which has nothing
        "reset session authorization",
        "set local row_security = off",  # refused as soon as a policy would have hidden a row
        "alter table public.guests disable row level security",
        "alter table public.guests owner to authenticated",
        "create policy mine on public.guests to authenticated using (true)",
        "create trigger mine before insert on public.guests for each row execute function mine()",
        "create rule mine as on select to public.guests do instead nothing",
        "truncate public.guests",
        "create table public.mine (id int)",
        "create schema mine",
        "create function public.mine() returns int language sql as 'select 1'",
        "copy public.guests to program 'cat'",
        "copy public.guests to '/tmp/guests'",
        "select pg_read_file('PG_VERSION')",
        "select * from pg_authid",
        "select * from app.personal_data",
        "comment on table public.guests is 'mine'",
    ],
)
def test_nobody_gets_out_of_their_role(login, statement):
    with pytest.raises(DENIED):
        _seen_after(login, statement)


def test_a_function_that_runs_as_its_owner_does_not_become_somebody_else(planted):
    planted.execute(
        "create function public.become() returns void language plpgsql security definer"
        " as $$ begin perform set_config('role', 'service_role', true); end $$"
    )
    with pytest.raises(DENIED, match="within security-definer function"):
        as_user(planted, STRANGER, "select public.become()")


# -- FORCE -------------------------------------------------------------------------------------------------------------
def test_no_table_binds_its_owner_to_the_policies(api):
    forced = "select relname from pg_class where relforcerowsecurity"
    assert api.execute(forced).fetchall() == []


def test_an_owner_bound_by_them_would_run_in_circles(admin):
    name = f"bound_{os.getpid()}"
    with admin.transaction(force_rollback=True):
        admin.execute(f"create role {name}; grant usage on schema public, app, auth to {name}")
        admin.execute(f"grant create on schema app, public to {name}")
        admin.execute(f"grant execute on all functions in schema app, auth to {name}")
        for table in ("memberships", "organizations"):
            admin.execute(f"alter table {table} owner to {name}")
        admin.execute(f"grant authenticated to {name}")
        admin.execute(f"alter function app.org_ids(text) owner to {name}")
        assert as_user(admin, OWNER, "select count(*) from organizations") == [(1,)]
        admin.execute("alter table memberships force row level security")
        with pytest.raises(errors.StatementTooComplex):
            as_user(admin, OWNER, "select count(*) from organizations")
