"""0001_compat: what Supabase brings along is made where it is missing, and left alone where it is there."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest

from tests.support.majors import MAJORS, every_major
from tests.support.schema import API_ROLES, MIGRATIONS, UPTO_WEDDINGS, catalog, deploy, make_api_roles, run, tables_of
from tests.support.worlds import supabase
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.session import session

COMPAT = MIGRATIONS[0]


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


# -- Supabase ----------------------------------------------------------------------------------------------------------
@every_major
def test_supabase_auth_is_left_alone(cluster):
    with supabase(cluster) as connection:
        before = catalog(connection)
        deploy(connection, *MIGRATIONS)
        change = before.change_to(catalog(connection))
        assert not [name for name in change.objects if "auth." in name or name == "schema:auth"]
        for folder in reversed(MIGRATIONS):
            run(connection, folder, "revert")
        assert not catalog(connection).change_to(before)


@every_major
def test_supabase_default_privileges_do_not_get_through(cluster):
    with supabase(cluster) as connection:
        deploy(connection, *UPTO_WEDDINGS)
        granted = connection.execute(
            "select c.relname, a.grantee::regrole, a.privilege_type from pg_class c, aclexplode(c.relacl) a "
            "where c.relname = any (%s) and a.grantee <> c.relowner",
            [list(tables_of(*UPTO_WEDDINGS))],
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
