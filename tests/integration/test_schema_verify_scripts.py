"""The verify scripts can say no: each damage to the deployed schema is found by the migration that made the thing."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.schema import MIGRATIONS, deploy, owned_database, run
from wedsync_db.postgres.session import session

FOLDERS = {folder.name[:4]: folder for folder in MIGRATIONS}
SELECT_ALL = "create policy everything on public.{} for select to authenticated using (true)"


@pytest.fixture(scope="module")
def deployed(clusters):
    with owned_database(clusters(18)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        connection.execute(
            "insert into organizations (id, name, slug, category, time_zone)"
            " values ('00000000-0000-4000-8000-000000000001', 'o', 'o', 'venue', 'UTC')"
        )
        yield connection


@pytest.mark.parametrize(
    ("migration", "damage"),
    [
        ("0001", "revoke execute on function auth.uid() from authenticated"),
        ("0002", "alter function app.tz_ok(text) reset search_path"),
        ("0002", "alter function app.uuid_v7() set search_path = public"),
        ("0002", "grant usage on schema app to anon"),
        ("0002", "revoke execute on function app.uuid_v7() from authenticated"),
        ("0003", "alter table memberships disable row level security"),
        ("0003", "alter table memberships force row level security"),
        ("0003", "grant truncate on profiles to service_role"),
        ("0003", "drop index invitations_invited_by_idx"),
        ("0003", "alter table profiles disable trigger touch"),
        ("0003", "alter table profiles add check (length(locale) > 1) not valid"),
        ("0004", "alter table weddings disable row level security"),
        ("0004", "drop index timeline_items_vendor_id_idx"),
        ("0004", "drop index wedding_vendors_organization_id_idx"),
        ("0004", "alter table timeline_items drop constraint timeline_items_wedding_id_event_id_fkey"),
        ("0005", "drop policy own_update on profiles"),
        ("0005", SELECT_ALL.format("api_keys")),
        ("0005", "alter policy members_read on organizations using (true)"),
        ("0005", "alter policy members_read on organizations to public"),
        ("0005", "alter policy members_read on organizations using (id in (select unnest(app.org_ids('viewer'))))"),
        ("0005", "alter function app.org_ids(text) security invoker"),
        ("0005", "alter function app.org_ids(text) reset search_path"),
        ("0005", "grant execute on function app.wedding_ids(text) to anon"),
        ("0005", "grant select (title) on weddings to anon"),
        ("0005", "grant truncate on weddings to authenticated"),
        ("0005", "revoke select on weddings from service_role"),
        ("0005", "revoke select on weddings from authenticated"),
        ("0005", "revoke usage on schema public from public"),
        ("0005", "grant update on timeline_items to authenticated"),
        ("0005", "grant update (status) on wedding_vendors to authenticated"),
        ("0005", "grant select on invitations to authenticated"),
        ("0005", "alter table organizations disable row level security"),
    ],
)
def test_damage_is_found(deployed, migration, damage):
    with deployed.transaction(force_rollback=True):
        deployed.execute(damage)
        with pytest.raises((AssertionError, psycopg.Error)):
            run(deployed, FOLDERS[migration], "verify")


@pytest.mark.parametrize("migration", FOLDERS)
def test_undamaged_it_says_yes_and_leaves_no_trace(deployed, migration):
    settings = "select current_user, current_setting('role'), coalesce(current_setting('request.jwt.claims', true), '')"
    with deployed.transaction(force_rollback=True):
        deployed.execute("select set_config('request.jwt.claims', '{\"sub\": \"somebody\"}', true)")
        before = deployed.execute(settings).fetchone()
        run(deployed, FOLDERS[migration], "verify")
        assert deployed.execute(settings).fetchone() == before
