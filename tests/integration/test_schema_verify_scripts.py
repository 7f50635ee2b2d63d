"""The verify scripts can say no: whatever is broken in the deployed schema, the migration that made it finds."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.schema import MIGRATIONS, deploy, run
from tests.support.worlds import owner

FOLDERS = {folder.name[:4]: folder for folder in MIGRATIONS}
ANSWER = (
    "create or replace function {} returns boolean language sql immutable strict parallel safe"
    " set search_path = pg_catalog, pg_temp as 'select true'"
)
KEEP_TENANT = (
    "create or replace trigger keep_tenant before update of {1} on {0} for each row when ({2})"
    " execute function app.keep_tenant()"
)
ORG_IDS = "organization_id = any ((select app.org_ids('{}'))::uuid[])"
SELECT_ALL = "create policy everything on public.{} for select to authenticated using (true)"

# what there is, and the statements that break it; what is of a partition is its parent's
BREAKABLE = """
select p.oid, format(damage, quote_ident(p.polname), p.polrelid::regclass)
from pg_policy p
cross join unnest(array['drop policy %1$s on %2$s', 'alter policy %1$s on %2$s to public',
  case when p.polcmd = 'a' then 'alter policy %1$s on %2$s with check (true)'
       else 'alter policy %1$s on %2$s using (true)' end]) as damage
union all
select t.oid, format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname)
from pg_trigger t where not t.tgisinternal and t.tgparentid = 0
union all
select c.oid, format(damage, c.oid::regclass)
from pg_class c
cross join unnest(array['alter table %s disable row level security', 'alter table %s force row level security',
  'grant truncate on %s to authenticated', 'grant truncate on %s to service_role']) as damage
where c.relrowsecurity and c.relkind in ('r', 'p') and not c.relispartition
union all  -- from when the first grants are there
select c.oid, format(damage, c.oid::regclass, a.attname)
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname in ('organization_id', 'wedding_id', 'profile_id')
  and not has_column_privilege('authenticated', c.oid, a.attnum, 'update')
cross join unnest(array['grant update (%2$s) on %1$s to authenticated', 'grant insert (%2$s) on %1$s to anon',
  'grant delete on %1$s to public', 'revoke select on %1$s from service_role']) as damage
where c.relkind in ('r', 'p') and has_any_column_privilege('authenticated', c.oid, 'select')
union all
select f.oid, format('alter table %s drop constraint %I', f.conrelid::regclass, f.conname)
from pg_constraint f
where f.contype = 'f' and f.conparentid = 0 and f.connamespace = 'public'::regnamespace
union all  -- the only index that begins with a foreign key's columns
select (array_agg(i.indexrelid))[1], format('drop index %s', (array_agg(i.indexrelid))[1]::regclass)
from pg_constraint f
join pg_index i on i.indrelid = f.conrelid and i.indpred is null
  and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey
where f.contype = 'f' and f.conparentid = 0
group by f.oid
having count(*) = 1 and not bool_or(i.indisunique)
union all
select p.oid, format(damage, p.oid::regprocedure)
from pg_proc p
cross join unnest(array['alter function %s reset search_path', 'grant execute on function %s to anon']) as damage
where p.proconfig is not null and p.pronamespace <> 'auth'::regnamespace
"""


@pytest.fixture(scope="module")
def deployed(clusters):
    """Everything is deployed; `made` says which migration made the thing that a statement breaks."""
    with owner(clusters(18)) as connection:
        connection.execute("set client_min_messages = error")
        connection.execute("create publication supabase_realtime")
        made: dict[tuple[int, str], str] = {}
        for number, folder in FOLDERS.items():
            deploy(connection, folder)
            for breakable in connection.execute(BREAKABLE):
                made.setdefault(breakable, number)
        connection.execute(
            "insert into organizations (id, name, slug, category, time_zone)"
            " values ('00000000-0000-4000-8000-000000000001', 'o', 'o', 'venue', 'UTC')"
        )
        yield connection, made


def _is_found(connection, migration, damage):
    with connection.transaction(force_rollback=True):
        connection.execute(damage)
        try:
            run(connection, FOLDERS[migration], "verify")
        except (AssertionError, psycopg.Error):
            return True
    return False


@pytest.mark.parametrize("migration", FOLDERS)
def test_whatever_it_made_it_finds_broken(deployed, migration):
    connection, made = deployed
    damages = [damage for (_, damage), number in made.items() if number == migration]
    assert [damage for damage in damages if not _is_found(connection, migration, damage)] == []
    assert damages or migration == "0001"


@pytest.mark.parametrize(
    ("migration", "damage"),
    [
        ("0001", "revoke execute on function auth.uid() from authenticated"),
        ("0002", "alter function app.uuid_v7() set search_path = public"),
        ("0002", "grant usage on schema app to anon"),
        ("0002", "grant usage on schema api to authenticated"),
        ("0002", "grant create on schema api to service_role"),
        ("0002", "revoke execute on function app.uuid_v7() from authenticated"),
        ("0002", ANSWER.format("app.tz_ok(name text)")),
        ("0002", ANSWER.format("app.currency_ok(code text)")),
        ("0003", "alter table profiles add check (length(locale) > 1) not valid"),
        ("0003", KEEP_TENANT.format("memberships", "organization_id", "false")),
        ("0004", KEEP_TENANT.format("wedding_vendors", "wedding_id", "true")),
        ("0004", "drop index wedding_vendors_organization_id_idx"),
        ("0005", SELECT_ALL.format("api_keys")),
        ("0005", "alter policy members_read on organizations using (id in (select unnest(app.org_ids('viewer'))))"),
        ("0005", "alter function app.org_ids(text) security invoker"),
        ("0005", "grant select (title) on weddings to anon"),
        ("0005", "revoke select on weddings from authenticated"),
        ("0005", "revoke usage on schema public from public"),
        ("0005", "grant update on timeline_items to authenticated"),
        ("0005", "grant update (status) on wedding_vendors to authenticated"),
        ("0005", "grant select on invitations to authenticated"),
        ("0006", SELECT_ALL.format("clients")),
        (
            "0006",
            "alter policy colleagues_read on tasks using (organization_id in (select unnest(app.org_ids('viewer'))))",
        ),
        ("0006", "alter policy members_update on tasks with check (true)"),
        (
            "0006",
            f"alter policy members_update on tasks using ({ORG_IDS.format('viewer')})",
        ),
        ("0006", "alter table tasks add check (length(title) > 2) not valid"),
        ("0006", "grant select on clients to authenticated with grant option"),
        ("0006", KEEP_TENANT.format("clients", "organization_id", "false")),
        ("0007", "grant insert (full_name) on guests to authenticated"),
        ("0007", "revoke update (meal) on rsvps from authenticated"),
        ("0007", "revoke delete on guests from authenticated"),
        ("0007", KEEP_TENANT.format("guests", "household_id", "old.wedding_id is distinct from new.wedding_id")),
        ("0008", "grant select (created_at) on forms to anon"),
        ("0008", "revoke select (slug) on forms from anon"),
        ("0008", "alter policy public_read on forms using (status <> 'draft')"),
        ("0008", "grant update on form_versions to service_role"),
        ("0008", "grant update (form_id) on form_drafts to authenticated"),
        ("0008", "alter table form_drafts set (fillfactor = 100)"),
        ("0008", "create index on form_drafts (updated_at)"),
        ("0009", "alter table bookings drop constraint bookings_do_not_overlap"),
        (
            "0009",
            f"alter policy admins_delete on contracts using ({ORG_IDS.format('admin')})",
        ),
        ("0009", "alter function app.keep_signed() set search_path = public"),
        ("0011", "alter function app.conversation_ids(text) security invoker"),
        ("0011", "alter function app.conversation_ids(text) volatile"),
        ("0011", "revoke execute on function app.conversation_ids(text) from authenticated"),
        ("0011", "grant update (body) on messages to authenticated"),
        ("0011", "grant update on messages to service_role"),
        ("0011", "alter policy participants_insert on messages with check (sender_id = (select auth.uid()))"),
        ("0011", KEEP_TENANT.format("notifications", "profile_id", "old.id is distinct from new.id")),
        ("0015", "alter publication supabase_realtime drop table rsvps"),
        ("0015", "alter table messages replica identity full"),
        ("0015", "alter table messages disable row level security"),
    ],
)
def test_damage_is_found(deployed, migration, damage):
    assert _is_found(deployed[0], migration, damage)


@pytest.mark.parametrize("migration", FOLDERS)
def test_undamaged_it_says_yes_and_leaves_no_trace(deployed, migration):
    connection, _ = deployed
    settings = "select current_user, current_setting('role'), coalesce(current_setting('request.jwt.claims', true), '')"
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('request.jwt.claims', '{\"sub\": \"somebody\"}', true)")
        before = connection.execute(settings).fetchone()
        run(connection, FOLDERS[migration], "verify")
        assert connection.execute(settings).fetchone() == before
