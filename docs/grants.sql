-- The roles wedsync-db works with, each with the least it needs. For psql, once for each database, connected to it as a
-- superuser (on Supabase as postgres), and again whenever you like: it adds what is missing and takes nothing away.
--
-- None is a member of pg_read_all_data, which would be one line instead of many: it reads pg_authid, too, and so the hash of
-- everybody's password, and the passwords of subscriptions and foreign servers as they are.
--
--   psql -X -v ON_ERROR_STOP=1 -f docs/grants.sql "postgresql://postgres@db.example.org/wedsync"
--   psql … -v deployer=wedding_owner …        other names than those below
--
-- Passwords are set afterwards, where no history and no log keeps them:  \password wedsync_deployer
-- Then, with the deployer's URL:  ./dev doctor ENV

\if :{?deployer}
\else
  \set deployer wedsync_deployer
\endif
\if :{?backup}
\else
  \set backup wedsync_backup
\endif
\if :{?monitor}
\else
  \set monitor wedsync_monitor
\endif
\if :{?load_test}
\else
  \set load_test wedsync_load_test
\endif

select current_database() as database, current_setting('server_version_num')::int >= 160000 as from_16 \gset

-- == the API's roles ==================================================================================================
-- Supabase has them. Elsewhere migration 0001 would make them, but then the deployer needs CREATEROLE, with which it can
-- give itself nearly every right of the server on 15. So they are made here, and the deployer may only become them.
select format('create role %I nologin noinherit', wanted)
from unnest(array['anon', 'authenticated']) as wanted
where not exists (select from pg_roles where rolname = wanted)
union all
select 'create role service_role nologin noinherit bypassrls'  -- the platform's own server side, which sees all tenants
where not exists (select from pg_roles where rolname = 'service_role')
\gexec

-- == deployer: migrations, and the backup and rehearsal before them ==================================================
-- BYPASSRLS, or its backups would lack the rows that policies hide. Only a superuser may give it on 15, from 16 on also
-- who has CREATEROLE and BYPASSRLS itself. Where Supabase refuses it, deploy as `postgres`: it has it, and is no superuser.
select format('create role %I login bypassrls', :'deployer')
where not exists (select from pg_roles where rolname = :'deployer')
\gexec

grant connect, create on database :"database" to :"deployer";  -- its schemas, wedsync_db among them
grant usage, create on schema public to :"deployer";           -- since 15 nobody may create there who was not told so
grant pg_read_all_stats to :"deployer";                        -- the guard sees everybody's old transactions

-- What migrations make, the deployer owns. Tables that are there already and that migrations will alter belong to
-- somebody else: grant that role, and name it as `role` in environments.toml.
--   grant wedding_owner to wedsync_deployer;

-- The verify scripts look at the data as the API does. Becoming is enough: what these may do, it need not have.
\if :from_16
  grant anon, authenticated to :"deployer" with inherit false, set true;
\else
  grant anon, authenticated to :"deployer";
\endif

-- The ledger's schema is made here, so that what is granted below can be granted before the first deployment. Who is no
-- superuser has to be a member of the role that something is made for.
select format('grant %I to current_user', :'deployer') where not pg_has_role(current_user, :'deployer', 'USAGE')
\gexec
select format('create schema wedsync_db authorization %I', :'deployer') where to_regnamespace('wedsync_db') is null
\gexec

-- For what somebody does by hand as this role; the program sets its own. Readers queue behind whoever waits for a lock.
-- Not where it is a role with other work, Supabase's `postgres` for one.
select format('alter role %I in database %I set lock_timeout = %L', :'deployer', :'database', '2s')
where :'deployer' <> current_user
\gexec

-- == backup: `backup`, and nothing else ==============================================================================
-- It reads the application's tables and writes nothing; BYPASSRLS for the same reason as above. Large objects have rights of
-- their own: where there are any, `grant select on large object …`.
select format('create role %I login bypassrls', :'backup')
where not exists (select from pg_roles where rolname = :'backup')
\gexec

grant connect on database :"database" to :"backup";

-- What the deployer will make, it may read at once. Of everything else, and for the deployer's own backups, what is there
-- now: after somebody else has made a table the guard says that it cannot be read, and this script is run again. On Supabase
-- its own schemas (auth, storage) are left out, as backups leave them out.
alter default privileges for role :"deployer" grant usage on schemas to :"backup";
alter default privileges for role :"deployer" grant select on tables to :"backup";
alter default privileges for role :"deployer" grant select on sequences to :"backup";

select format('grant usage on schema %I to %I, %I', n.nspname, :'deployer', :'backup')
from pg_namespace as n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and pg_has_role(n.nspowner, 'USAGE')
union all
select format(
  'grant select on %s %I.%I to %I, %I',
  case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname, c.relname, :'deployer', :'backup'
)
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'S', 'v', 'm', 'f')
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and pg_has_role(c.relowner, 'USAGE')
\gexec

-- == monitor: `status`, statistics, and the question what was deployed here ==========================================
-- It sees who does what, and ledger and journal, but no row of the application's. The address of an environment that another
-- one is promoted from needs no more than this.
select format('create role %I login', :'monitor')
where not exists (select from pg_roles where rolname = :'monitor')
\gexec

grant connect on database :"database" to :"monitor";
grant pg_read_all_stats, pg_read_all_settings to :"monitor";

grant usage on schema wedsync_db to :"monitor";
grant select on all tables in schema wedsync_db to :"monitor";
alter default privileges for role :"deployer" in schema wedsync_db grant select on tables to :"monitor";

-- a question that waits is worse than one without an answer
alter role :"monitor" in database :"database" set lock_timeout = '1s';

-- == load test: becomes the API's roles, as a client of the API does =================================================
-- On staging only. It has no right of its own, and row-level security binds it: not service_role, which that does not bind.
select format('create role %I login noinherit connection limit 200', :'load_test')
where not exists (select from pg_roles where rolname = :'load_test')
\gexec

grant connect on database :"database" to :"load_test";
\if :from_16
  grant anon, authenticated to :"load_test" with inherit false, set true;
\else
  grant anon, authenticated to :"load_test";
\endif

-- what a client of the API would not wait for, the test does not wait for
alter role :"load_test" in database :"database" set statement_timeout = '30s';
alter role :"load_test" in database :"database" set idle_in_transaction_session_timeout = '30s';
