-- each table is there and under row-level security
select pg_catalog.count(*) = 5 and pg_catalog.bool_and(c.relrowsecurity and not c.relforcerowsecurity) as tables_are_protected
from pg_catalog.pg_class as c
where c.oid = any (array['public.weddings', 'public.wedding_people', 'public.wedding_vendors',
                 'public.wedding_events', 'public.timeline_items']::regclass[]);

-- nobody but the owner got the right to empty one, which row-level security would not stop
select pg_catalog.count(*) = 0 as nobody_may_truncate
from pg_catalog.unnest(array['public.weddings', 'public.wedding_people', 'public.wedding_vendors',
                 'public.wedding_events', 'public.timeline_items']::regclass[]) as t (oid)
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name)
where pg_catalog.has_table_privilege(r.name, t.oid, 'truncate');

-- every foreign key has an index that starts with its columns, in whatever order
select pg_catalog.count(*) = 0 as foreign_keys_have_an_index
from pg_catalog.pg_constraint as f
where f.contype = 'f'
  and f.conrelid = any (array['public.weddings', 'public.wedding_people', 'public.wedding_vendors',
                 'public.wedding_events', 'public.timeline_items']::regclass[])
  and not exists (
    select from pg_catalog.pg_index as i
    where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
      and (i.indkey::int2[])[0:pg_catalog.cardinality(f.conkey) - 1] operator(pg_catalog.@>) f.conkey
  );

-- a row points only at rows of its own tenant: every foreign key but those to the tenants and people themselves has the
-- tenant on both sides
select pg_catalog.count(*) = 8
       and pg_catalog.bool_and(
         f.confrelid = any (array['public.organizations', 'public.weddings', 'public.profiles']::regclass[]) or t.is_kept)
       as references_stay_within_the_tenant
from pg_catalog.pg_constraint as f
cross join lateral (
  select pg_catalog.bool_or(h.attname = 'wedding_id' and t.attname = h.attname) as is_kept
  from rows from (pg_catalog.unnest(f.conkey), pg_catalog.unnest(f.confkey)) as k (here, there)
  join pg_catalog.pg_attribute as h on h.attrelid = f.conrelid and h.attnum = k.here
  join pg_catalog.pg_attribute as t on t.attrelid = f.confrelid and t.attnum = k.there
) as t
where f.contype = 'f'
  and f.conrelid = any (array['public.weddings', 'public.wedding_people', 'public.wedding_vendors',
                 'public.wedding_events', 'public.timeline_items']::regclass[]);

-- nothing is half done
select pg_catalog.bool_and(c.convalidated) as constraints_are_valid
from pg_catalog.pg_constraint as c
where c.conrelid = any (array['public.weddings', 'public.wedding_people', 'public.wedding_vendors',
                 'public.wedding_events', 'public.timeline_items']::regclass[]);

-- updated_at is kept, and so is the tenant, whoever asks
select pg_catalog.count(*) = 5 as updated_at_is_kept
from pg_catalog.pg_trigger as t
where t.tgrelid = any (array['public.weddings', 'public.wedding_people', 'public.wedding_vendors',
                 'public.wedding_events', 'public.timeline_items']::regclass[])
  and t.tgfoid = 'app.touch_updated_at()'::regprocedure and t.tgenabled = 'O';

select pg_catalog.count(*) = 5 as tenant_is_kept
from pg_catalog.pg_trigger as t
join (values
  ('public.weddings'::regclass, 'id', '(old.id IS DISTINCT FROM new.id)'),
  ('public.wedding_people', 'wedding_id', '(old.wedding_id IS DISTINCT FROM new.wedding_id)'),
  ('public.wedding_events', 'wedding_id', '(old.wedding_id IS DISTINCT FROM new.wedding_id)'),
  ('public.timeline_items', 'wedding_id', '(old.wedding_id IS DISTINCT FROM new.wedding_id)'),
  ('public.wedding_vendors', 'wedding_id, organization_id', '((old.wedding_id IS DISTINCT FROM new.wedding_id)'
    ' OR (old.organization_id IS DISTINCT FROM new.organization_id))')
) as k (relation, columns, moved) on k.relation = t.tgrelid
where t.tgfoid = 'app.keep_tenant()'::regprocedure and t.tgenabled = 'O'
  and pg_catalog.pg_get_triggerdef(t.oid) like pg_catalog.format(
    '%% BEFORE UPDATE OF %s ON %% FOR EACH ROW WHEN (%s) EXECUTE FUNCTION %%', k.columns, k.moved);
