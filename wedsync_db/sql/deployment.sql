-- name: tell_api
-- PostgREST keeps the schema in memory and reloads it on this notification
notify pgrst, 'reload schema'

-- name: session_settings
-- settings a role or database may carry that change what a statement does; the rehearsal runs under the same
select name, setting
from pg_catalog.pg_settings
where name in (
    'TimeZone', 'DateStyle', 'IntervalStyle', 'search_path', 'default_table_access_method', 'default_toast_compression',
    'check_function_bodies', 'standard_conforming_strings', 'bytea_output', 'xmlbinary'
)
