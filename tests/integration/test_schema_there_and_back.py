"""WedSync's migrations up, down and up again, as superuser and as ordinary owner: the catalog comes back."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest

from tests.support.case import ROLE
from tests.support.majors import MAJORS, every_major
from tests.support.schema import (
    API_ROLES,
    MIGRATIONS,
    TABLES,
    catalog,
    deploy,
    make_api_roles,
    owned_database,
    run,
)
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.session import session

COMPAT = MIGRATIONS[0]


@contextmanager
def _as_superuser(address):
    with session(address, "test") as connection:
        yield connection


@contextmanager
def _as_owner(cluster):
    with owned_database(cluster) as address, session(address, "test") as connection:
        yield connection


def _there_and_back(connection):
    states = [catalog(connection)]
    for folder in MIGRATIONS:
        deploy(connection, folder)
        states.append(catalog(connection))
    for folder, before in zip(reversed(MIGRATIONS), reversed(states[:-1]), strict=True):
        run(connection, folder, "revert")
        assert not catalog(connection).change_to(before), folder.name
    for folder, after in zip(MIGRATIONS, states[1:], strict=True):
        deploy(connection, folder)
        assert not catalog(connection).change_to(after), folder.name
    return states


@every_major
def test_as_superuser(address):
    with _as_superuser(address) as connection:
        states = _there_and_back(connection)
    assert len({state.digest for state in states}) == len(MIGRATIONS) + 1


@every_major
def test_as_ordinary_owner(cluster):
    with _as_owner(cluster) as connection:
        assert connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() == (False,)
        _there_and_back(connection)


@every_major
def test_the_schema_is_the_same_whoever_deploys(cluster, address):
    with _as_superuser(address) as connection:
        deploy(connection, *MIGRATIONS)
        ours = catalog(connection).objects
    with _as_owner(cluster) as connection:
        deploy(connection, *MIGRATIONS)
        theirs = catalog(connection).objects
    superuser = address.user
    ours = {
        name: text.replace(superuser, "deployer")
        for name, text in ours.items()
        if name.startswith(("table:", "policy:"))
    }
    assert ours == {name: theirs[name].replace(ROLE, "deployer") for name in ours}


@every_major
def test_revert_stops_at_what_somebody_built_on_top(db):
    deploy(db, *MIGRATIONS[:4])
    db.execute("create view public.mine with (security_invoker) as select id from public.timeline_items")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        run(db, MIGRATIONS[3], "revert")
    assert db.execute("select to_regclass('public.weddings') is not null").fetchone() == (True,)


def test_the_shim_goes_with_its_migration(db):
    deploy(db, COMPAT)
    run(db, COMPAT, "revert")
    assert db.execute("select to_regnamespace('auth')").fetchone() == (None,)


# -- roles belong to the cluster: these tests have one of their own ----------------------------------------------------
def _roles(connection):
    found = connection.execute("select rolname from pg_roles where rolname = any (%s)", [list(API_ROLES)])
    return {name for (name,) in found}


@contextmanager
def _own_cluster(major, *names):
    with scratch(major) as cluster, ExitStack() as stack:
        with session(cluster.address(), "test-admin") as admin:
            admin.execute("create role deployer createrole bypassrls")
            for name in names:
                admin.execute(f"create database {name} owner deployer")
        addresses = [replace(cluster.address(name), session_authorization="deployer") for name in names]
        yield [stack.enter_context(session(address, "test")) for address in addresses]


@pytest.mark.parametrize("major", MAJORS)
def test_roles_nobody_uses_go_with_the_migration_that_made_them(major):
    with _own_cluster(major, "one", "two") as (one, two):
        before = fingerprint.take(one)
        deploy(one, COMPAT)
        deploy(two, COMPAT)
        assert _roles(one) == set(API_ROLES)
        run(one, COMPAT, "revert")
        assert _roles(one) == set(API_ROLES), "the other database has granted them its shim"
        run(two, COMPAT, "revert")
        assert _roles(one) == set(API_ROLES), "they were there before this database"
        deploy(one, COMPAT)
        run(one, COMPAT, "revert")
        assert _roles(one) == set()
        assert not before.change_to(fingerprint.take(one))


@pytest.mark.parametrize("use", ["grant {} to authenticator", "alter role {} set statement_timeout = '3s'"])
def test_roles_somebody_uses_stay(use):
    with _own_cluster(18, "one") as (one,):
        one.execute("create role authenticator")
        deploy(one, COMPAT)
        for role in API_ROLES:
            one.execute(use.format(role))
        run(one, COMPAT, "revert")
        assert _roles(one) == set(API_ROLES)


# -- Supabase: its auth schema is not ours, and its default privileges give everything to everybody --------------------
SUPABASE = """
create schema auth;
create function auth.uid() returns uuid language sql stable
  as $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
grant usage on schema auth to public;
alter default privileges for role {owner} in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role {owner} in schema public grant all on functions to anon, authenticated, service_role;
"""


@contextmanager
def _supabase(cluster):
    make_api_roles(cluster)
    with owned_database(cluster) as address:
        with session(cluster.address(address.dbname), "test-admin") as admin:
            admin.execute(SUPABASE.format(owner=ROLE))
        with session(address, "test") as connection:
            yield connection


@every_major
def test_supabase_auth_is_left_alone(cluster):
    with _supabase(cluster) as connection:
        before = catalog(connection)
        deploy(connection, *MIGRATIONS)
        change = before.change_to(catalog(connection))
        assert not [name for name in change.objects if "auth." in name or name == "schema:auth"]
        for folder in reversed(MIGRATIONS):
            run(connection, folder, "revert")
        assert not catalog(connection).change_to(before)


@every_major
def test_supabase_default_privileges_do_not_get_through(cluster):
    with _supabase(cluster) as connection:
        deploy(connection, *MIGRATIONS[:4])
        granted = connection.execute(
            "select c.relname, a.grantee::regrole, a.privilege_type from pg_class c, aclexplode(c.relacl) a "
            "where c.relname = any (%s) and a.grantee <> c.relowner",
            [list(TABLES)],
        ).fetchall()
        assert granted == []


def test_somebody_elses_auth_schema_stops_the_deployment(db):
    db.execute("create schema auth")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=r"auth\.uid\(\) does not"):
        run(db, COMPAT, "deploy")


def test_a_deployer_who_cannot_become_the_api_roles_is_told(cluster):
    make_api_roles(cluster)
    with session(cluster.address(), "test-admin") as admin:
        admin.execute("create role powerless login password 'not-a-secret'")
        admin.execute("create database powerless owner powerless")
    try:
        with session(cluster.address("powerless"), "test") as connection:
            connection.execute("set session authorization powerless")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="cannot become anon") as caught:
                run(connection, COMPAT, "deploy")
            assert "grant anon, authenticated to powerless" in caught.value.diag.message_hint
    finally:
        with session(cluster.address(), "test-admin") as admin:
            admin.execute("drop database powerless with (force)")
            admin.execute("drop role powerless")
