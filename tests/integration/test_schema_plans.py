"""Policies keep the tenant's index: on made-up data, the plan of a member's query looks rows up by tenant."""

from __future__ import annotations

import pytest

from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, acting_as, deploy, owned_database
from wedsync_db.postgres.session import session
from wedsync_db.seed import seed


@pytest.fixture(scope="module", params=MAJORS)
def filled(clusters, request):
    """Made-up data under all policies, with an owner of one supplier and a partner of one couple."""
    with owned_database(clusters(request.param)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS[:4])
        seed(address, organizations=30, say=lambda _: None, progress=lambda _: None)
        deploy(connection, *MIGRATIONS[4:])
        owner = "select profile_id from memberships where role = 'owner' and status = 'active'"
        partner = "select profile_id from wedding_people where role = 'partner' and profile_id is not null"
        found = [connection.execute(f"{query} order by id limit 1").fetchone()[0] for query in (owner, partner)]
        yield connection, dict(zip(("owner", "partner"), map(str, found), strict=True))


def _plan(connection, user, query):
    with acting_as(connection, user):
        connection.execute(
            "set local enable_seqscan = off"
        )  # the tables are small: what counts is what the form allows
        return "\n".join(line for (line,) in connection.execute(f"explain (costs off) {query}"))


@pytest.mark.parametrize("who", ["owner", "partner"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("organizations", "id"),
        ("memberships", "organization_id"),
        ("invitations", "organization_id"),
        ("api_keys", "organization_id"),
        ("weddings", "id"),
        ("wedding_people", "wedding_id"),
        ("wedding_events", "wedding_id"),
        ("timeline_items", "wedding_id"),
    ],
)
def test_rows_are_found_by_tenant(filled, who, table, column):
    connection, users = filled
    plan = _plan(connection, users[who], f"select count(id) from {table}")
    assert f"Index Cond: ({column} = ANY (" in plan, plan
    assert "SubPlan" not in plan, plan
    assert "Seq Scan" not in plan, plan


def test_both_ways_to_a_vendor_use_their_index(filled):
    connection, users = filled
    plan = _plan(connection, users["owner"], "select count(id) from wedding_vendors")
    assert "BitmapOr" in plan, plan
    assert "Index Cond: (wedding_id = ANY (" in plan, plan
    assert "Index Cond: (organization_id = ANY (" in plan, plan


def test_the_usual_form_would_lose_the_index(filled):
    connection, users = filled
    with connection.transaction(force_rollback=True):
        connection.execute("drop policy invited_read on public.timeline_items")
        connection.execute(
            "create policy invited_read on public.timeline_items for select to authenticated"
            " using (wedding_id in (select unnest(app.wedding_ids('timeline'))))"
        )
        plan = _plan(connection, users["owner"], "select count(id) from timeline_items")
    assert "SubPlan" in plan, plan
