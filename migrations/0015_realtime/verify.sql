-- where the publication is ours to alter, all of them are in it
select pg_catalog.count(*) = 0 as tables_are_published
from pg_catalog.pg_publication as p
cross join (values ('wedding_events'), ('timeline_items'), ('rsvps'), ('messages'), ('notifications')) as w (relation)
where p.pubname = 'supabase_realtime' and pg_catalog.pg_has_role(current_user, p.pubowner, 'usage')
  and not exists (select from pg_catalog.pg_publication_tables as t
                  where t.pubname = p.pubname and t.schemaname = 'public' and t.tablename = w.relation);

-- a DELETE, which no policy is applied to, tells no more than the key
select pg_catalog.bool_and(c.relreplident = 'd') as deletions_tell_the_key_alone
from pg_catalog.pg_class as c
where c.oid = any (array['public.wedding_events', 'public.timeline_items', 'public.rsvps', 'public.messages',
                         'public.notifications']::regclass[]);

-- row-level security decides about everything else
select pg_catalog.bool_and(c.relrowsecurity) as tables_are_protected
from pg_catalog.pg_class as c
where c.oid = any (array['public.wedding_events', 'public.timeline_items', 'public.rsvps', 'public.messages',
                         'public.notifications']::regclass[]);

-- what the revert takes out is for nobody else to call
select pg_catalog.count(*) = 0 as memory_is_closed
from pg_catalog.pg_proc as p
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name)
where p.oid = pg_catalog.to_regprocedure('app.published_tables()')
  and (p.proconfig is distinct from array['search_path=pg_catalog, pg_temp']
       or pg_catalog.has_function_privilege(r.name, p.oid, 'execute'));
