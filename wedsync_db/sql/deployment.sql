-- name: tell_api
-- PostgREST keeps the schema in memory and reloads it on this notification
notify pgrst, 'reload schema'
