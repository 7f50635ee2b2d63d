-- requires: 0004_weddings, 0007_guests, 0011_communication
-- What a page shows live: the day's running order, answers of guests, messages, notifications. Supabase's Realtime reads
-- the publication supabase_realtime; elsewhere there is none, and nothing is done. Submissions of forms are not in it:
-- whoever has to hear of one gets a notification.
--
-- Of an INSERT or UPDATE, Realtime sends a row to those whose policies let them read it. It applies no policy to a
-- DELETE: everybody who listens to the table is told the deleted row's primary key. That is why these tables keep the
-- replica identity they were made with (the key alone), and why a key says nothing about its row.
do $realtime$
declare
  wanted constant text[] := array['wedding_events', 'timeline_items', 'rsvps', 'messages', 'notifications'];
  publication record;
  relation text;
  added text[] := '{}';
begin
  select p.pubowner as owner, pg_catalog.pg_has_role(current_user, p.pubowner, 'usage') as is_ours
  into publication
  from pg_catalog.pg_publication as p
  where p.pubname = 'supabase_realtime';
  if not found then
    return;
  end if;

  foreach relation in array wanted loop
    -- by itself, through its schema or with all tables: what was published before is none of ours to take out
    continue when exists (select from pg_catalog.pg_publication_tables as t
                          where t.pubname = 'supabase_realtime' and t.schemaname = 'public' and t.tablename = relation);
    if not publication.is_ours then
      raise warning 'public.% is not sent to those who listen', relation
        using hint = pg_catalog.format('Its owner %s has to run: alter publication supabase_realtime add table public.%I',
                                       pg_catalog.pg_get_userbyid(publication.owner), relation);
      continue;
    end if;
    execute pg_catalog.format('alter publication supabase_realtime add table public.%I', relation);
    added := added operator(pg_catalog.||) relation;
  end loop;

  -- the revert's memory: a publication says what is in it, not who put it there
  if added operator(pg_catalog.<>) '{}' then
    execute pg_catalog.format(
      'create function app.published_tables() returns text[]'
      ' language sql immutable set search_path = pg_catalog, pg_temp as %L',
      pg_catalog.format('select %L::text[]', added));
    comment on function app.published_tables() is
      'tables that 0015_realtime put into the publication supabase_realtime, for its revert to take out';
    revoke all on function app.published_tables() from public;
  end if;
end
$realtime$;
