-- the API's roles are there, and nobody logs in as one
select pg_catalog.count(*) = 3 as roles_exist
from pg_catalog.pg_roles
where rolname in ('anon', 'authenticated', 'service_role') and not rolcanlogin;

-- row-level security binds the two that serve people
select pg_catalog.bool_and(not rolsuper and not rolbypassrls) as people_are_bound
from pg_catalog.pg_roles
where rolname in ('anon', 'authenticated');

-- whoever deploys can look at the data as they do
select pg_catalog.bool_and(pg_catalog.pg_has_role(session_user, r.oid,
         case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end))
       as deployer_can_become_them
from pg_catalog.pg_roles as r
where r.rolname in ('anon', 'authenticated');

-- the policies of later migrations call these
select pg_catalog.to_regprocedure('auth.uid()') is not null as auth_uid_exists;

select pg_catalog.bool_and(pg_catalog.has_function_privilege(r.rolname, 'auth.uid()', 'execute')
                           and pg_catalog.has_schema_privilege(r.rolname, 'auth', 'usage')) as auth_uid_callable
from pg_catalog.pg_roles as r
where r.rolname in ('anon', 'authenticated');
