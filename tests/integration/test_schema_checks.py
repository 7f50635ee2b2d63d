"""Checks over the catalog: each goes red on a defect planted into WedSync's schema, and on nothing there as it is."""

from __future__ import annotations

import re

import pytest

from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, deploy
from wedsync_db.installation import CHECKOUT
from wedsync_db.model import Severity
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.session import session
from wedsync_db.schema import definers, policies
from wedsync_db.schema.checks import check_schema
from wedsync_db.schema.rules import QUERIED

RULES = {**QUERIED, **policies.RULES, **definers.RULES}
TENANT = "organization_id = any ((select app.org_ids('viewer'))::uuid[])"
WITHOUT_POLICIES = """
drop policy colleagues_read on public.clients;
drop policy members_insert on public.clients;
drop policy members_update on public.clients;
drop policy admins_delete on public.clients;
create function app.is_member(org uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as 'select exists (select from public.memberships m where m.organization_id = org and m.profile_id = auth.uid())';
"""


def _cases(file):
    """`-- breaks rule, rule: what` and the statements below it."""
    text = (CHECKOUT / "tests" / "golden" / "schema" / file).read_text()
    parts = re.split(r"^-- breaks ([\w, -]+): (.+)$", text, flags=re.MULTILINE)[1:]
    found = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return [pytest.param(set(rules.split(", ")), what, sql, id=f"{rules}: {what}") for rules, what, sql in found]


DEFECTS, POLICY_FORMS = _cases("defects.sql"), _cases("policy_forms.sql")


@pytest.fixture(scope="module", params=MAJORS)
def schema(request):
    """WedSync's schema on a server of its own (other tests' roles are not to be seen), and what is found in it."""
    with scratch(request.param) as cluster, session(cluster.address(), "test") as connection:
        deploy(connection, *MIGRATIONS)
        yield connection, frozenset(check_schema(connection))


def _found(schema, *statements):
    """What is found in the schema because of these statements."""
    connection, before = schema
    with connection.transaction(force_rollback=True):
        for statement in statements:
            connection.execute(statement)
        return [f for f in check_schema(connection) if f not in before]


def test_our_schema_has_no_error_and_no_warning(schema):
    _, found = schema
    assert [f for f in found if f.severity is not Severity.NOTE] == []


def test_every_note_on_our_schema_is_meant(schema):
    _, found = schema
    assert {(f.rule, f.message.partition(":")[0]) for f in found} == {
        ("policy-public", "public.form_versions, policy public_read"),
        ("policy-public", "public.forms, policy public_read"),
        ("rls-without-policy", "app.personal_data"),
        ("rls-without-policy", "app.personal_rows"),
        ("rls-without-policy", "ops.wedding_lock_overrides"),
        ("rls-without-policy", "ops.write_gate"),
        ("rls-without-policy", "public.stripe_events"),
    }


@pytest.mark.parametrize(("rules", "object_", "statements"), DEFECTS)
def test_a_planted_defect_is_found(schema, rules, object_, statements):
    found = _found(schema, statements)
    assert {f.rule for f in found} == rules, found
    assert any(f.message.startswith(f"{object_}: ") for f in found), found


@pytest.mark.parametrize(("rules", "what", "statements"), POLICY_FORMS)
def test_a_wrong_form_of_policy_is_found(schema, rules, what, statements):
    found = _found(schema, WITHOUT_POLICIES, statements)
    assert {f.rule for f in found if f.rule.startswith("policy-")} == rules, found


@pytest.mark.parametrize(
    "expression",
    [
        TENANT,
        f"{TENANT} and (stage <> 'lead' or source is not null)",
        f"{TENANT} or wedding_id = any ((select app.wedding_ids('couple'))::uuid[])",
        f"{TENANT} and budget_minor is not null and not (stage in ('lead', 'lost'))",
        "organization_id = (select (auth.jwt() ->> 'organization')::uuid)",
        "(select auth.uid()) = id",
        "organization_id = (select nullif(current_setting('request.org', true), '')::uuid)",
        f"{TENANT} and (select auth.role()) = 'authenticated'",
    ],
)
def test_a_right_form_of_policy_passes(schema, expression):
    policy = f"create policy p on public.clients for select to authenticated using ({expression})"
    found = _found(schema, WITHOUT_POLICIES, policy)
    assert [f for f in found if f.rule.startswith("policy-")] == []


def test_every_rule_has_a_defect_and_a_remedy():
    planted = {rule for case in (*DEFECTS, *POLICY_FORMS) for rule in case.values[0]}
    assert planted == set(RULES)
    assert all(rule.hint for rule in RULES.values())


def test_nothing_of_the_session_is_changed(schema):
    connection, _ = schema
    asked = "select current_setting('search_path'), current_setting('transaction_read_only')"
    with connection.transaction(force_rollback=True):
        before = connection.execute(asked).fetchall()
        check_schema(connection)
        assert connection.execute(asked).fetchall() == before


def test_a_database_without_tenants_and_without_an_api(schema):
    connection, _ = schema
    with connection.transaction(force_rollback=True):
        connection.execute("drop schema public, app, api, audit, ops, auth cascade")
        connection.execute("create schema public; create table public.plain (id int)")
        assert [f.rule for f in check_schema(connection)] == ["no-primary-key"]
