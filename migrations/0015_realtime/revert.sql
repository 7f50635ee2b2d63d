-- Takes out what the deployment put in and what is still there; what somebody else published stays.
do $realtime$
declare
  relation text;
begin
  if pg_catalog.to_regprocedure('app.published_tables()') is null then
    return;
  end if;
  foreach relation in array app.published_tables() loop
    if exists (select
               from pg_catalog.pg_publication_rel as r
               join pg_catalog.pg_publication as p on p.oid = r.prpubid
               where p.pubname = 'supabase_realtime'
                 and r.prrelid = pg_catalog.to_regclass(pg_catalog.format('public.%I', relation))) then
      execute pg_catalog.format('alter publication supabase_realtime drop table public.%I', relation);
    end if;
  end loop;
  drop function app.published_tables();
end
$realtime$;
