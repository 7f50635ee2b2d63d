-- name: discard_all
-- Everything a session can leave behind, whichever version adds to it; a statement of its own, outside a transaction.
discard all

-- name: clean_up
-- The same by its parts, to follow COMMIT or ROLLBACK in one message: behind a transaction pooler only what is in the
-- same message surely reaches the same server session. Prepared statements are the pooler's and stay. RESET ALL takes
-- application_name and client_encoding away too, which the pooler would then believe to be the client's wish.
close all;
set session authorization default;
reset all;
unlisten *;
select pg_catalog.pg_advisory_unlock_all();
discard temp;
discard sequences;
set application_name = {application_name};
set client_encoding = {client_encoding}

-- name: act_as
-- Settings, and the role as one of them, for this transaction only and in one round trip. With several arrays unnest is
-- grammar and no name that search_path could turn.
select pg_catalog.set_config(given.name, given.value, true)
from unnest(%(names)s::text[], %(values)s::text[]) as given (name, value)
