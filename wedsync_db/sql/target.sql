-- name: database_exists
-- whether an environment's database has been made yet
select exists (select from pg_catalog.pg_database where datname = %(database)s)

-- name: create_deployer
-- migrations are deployed as an ordinary owner, never as a superuser; it logs in over the socket only (peer), so it has no
-- password; it sees all rows, or its dumps would lose some to row-level security
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'wedsync_deployer') then
    create role wedsync_deployer login nosuperuser createrole bypassrls;
  end if;
  alter role wedsync_deployer createdb;  -- load tests run in a database of their own beside the environment's
  -- the guard must see old transactions of others, and who they are
  -- and health and load tests where the data is, to know how much room there is
  grant pg_read_all_data, pg_read_all_stats, pg_read_all_settings to wedsync_deployer;
end
$$
