-- name: roles
-- pg_roles needs no superuser: it shows everything but the password. Roles named pg_… are the server's own
select rolname::text, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
       rolconnlimit, rolvaliduntil::text
from pg_catalog.pg_roles
where rolname !~ '^pg_'
order by rolname collate "C"

-- name: memberships
-- 16 and later grant inheriting and SET ROLE separately, and once for each grantor: together they are what counts
select g.rolname::text, u.rolname::text, pg_catalog.bool_or(m.admin_option),
       pg_catalog.bool_or((pg_catalog.to_jsonb(m) ->> 'inherit_option')::pg_catalog.bool),
       pg_catalog.bool_or((pg_catalog.to_jsonb(m) ->> 'set_option')::pg_catalog.bool)
from pg_catalog.pg_auth_members m
join pg_catalog.pg_roles g on g.oid = m.roleid
join pg_catalog.pg_roles u on u.oid = m.member
where u.rolname !~ '^pg_'
group by g.rolname, u.rolname
order by g.rolname collate "C", u.rolname collate "C"

-- name: settings
-- ALTER ROLE SET, ALTER DATABASE SET of this database and ALTER ROLE ALL SET
select r.rolname::text, s.setdatabase <> 0, pg_catalog.split_part(c, '=', 1),
       pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)
from pg_catalog.pg_db_role_setting s
left join pg_catalog.pg_roles r on r.oid = s.setrole
cross join lateral pg_catalog.unnest(s.setconfig) c
where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
  and (s.setrole = 0 or r.rolname !~ '^pg_')
order by 2, 1 nulls first, 3

-- name: database
-- what CREATE DATABASE and ALTER DATABASE made of it; the locale's column is called differently from 17 on
select pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text,
       case d.datlocprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
       d.datcollate::pg_catalog.text, d.datctype::pg_catalog.text,
       coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
       pg_catalog.pg_get_userbyid(d.datdba)::pg_catalog.text,
       pg_catalog.shobj_description(d.oid, 'pg_database'),
       exists (select from pg_catalog.pg_namespace where nspname = 'public')
from pg_catalog.pg_database d
where d.datname = pg_catalog.current_database()

-- name: database_grants
-- who may connect; a null grantee is everybody
select r.rolname::text, a.privilege_type, pg_catalog.bool_or(a.is_grantable)
from pg_catalog.pg_database d
cross join lateral pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
left join pg_catalog.pg_roles r on r.oid = a.grantee
where d.datname = pg_catalog.current_database() and a.grantee <> d.datdba
group by r.rolname, a.privilege_type
order by 1 nulls first, 2

-- name: extensions
-- a server without one of them cannot hold the copy
select extname::text, extversion from pg_catalog.pg_extension order by extname collate "C"
