-- name: clean_up
-- Everything that DISCARD ALL takes away but plans and the statements that drivers prepared, which tell nobody anything
-- and are worth keeping. Unlike DISCARD ALL it may follow COMMIT or ROLLBACK in one message.
close all;
set session authorization default;
reset all;
unlisten *;
select pg_catalog.pg_advisory_unlock_all();
discard temp;
discard sequences;
do $$
declare
  statement name;
begin
  for statement in select s.name from pg_catalog.pg_prepared_statements as s where s.from_sql loop
    execute pg_catalog.format('deallocate %I', statement);
  end loop;
end $$

-- name: keep_names
-- To follow clean_up behind a pooler: it would take what RESET ALL brings back for the client's own wish.
set application_name = {application_name};
set client_encoding = {client_encoding}

-- name: act_as
-- Settings, and the role as one of them, for this transaction only and in one round trip. With several arrays unnest is
-- grammar and no name that search_path could turn.
select pg_catalog.set_config(given.name, given.value, true)
from unnest(%(names)s::text[], %(values)s::text[]) as given (name, value)
