-- name: missing_tables
-- The generator fills what migrations made; it never makes a table itself.
select t.name
  from pg_catalog.unnest(%s::pg_catalog.text[]) as t (name)
 where pg_catalog.to_regclass('public.' || pg_catalog.quote_ident(t.name)) is null

-- name: lock_out_others
-- Two generators at once would both find the tables empty; readers are not held up.
lock table {table} in share row exclusive mode

-- name: holds_rows
-- Made-up rows never mix with somebody's own.
select exists (select from {table})
