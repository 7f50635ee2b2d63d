-- The frame of the history store; its tables come from the numbered files in sql/history.

-- name: install_alone
-- Two processes that start together make the schema once. An advisory lock, as there is no table yet to lock.
select pg_catalog.pg_advisory_xact_lock(1464157267, 3)

-- name: create_schema
create schema if not exists history;
create table if not exists history.version (
  number integer primary key,
  installed_at timestamptz not null default pg_catalog.now()
)

-- name: has_version
select pg_catalog.to_regclass('history.version') is not null

-- name: versions
select number from history.version

-- name: record_version
insert into history.version (number) values (%s)
