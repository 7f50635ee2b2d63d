-- What is wrong with a schema, asked of its catalog. `scope` is the head of every check; a check yields (object, detail),
-- the object as SQL writes it. Names and severities are in wedsync_db/schema/rules.py.

-- name: pin
-- Deparsed names come out qualified, whatever the session's search_path, and nothing here writes.
select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('transaction_read_only', 'on', true)

-- name: scope
-- Our schemas (not those that Supabase or an extension keeps), the roles whose requests come from outside, the schemas
-- they may look into, and the relations of ours. A tenant column is a mandatory reference to a table of tenants.
with ours as materialized (
  select n.oid, pg_catalog.quote_ident(n.nspname) as name
    from pg_catalog.pg_namespace as n
   where n.nspname !~ '^pg_'
     and n.nspname <> all (array[
       'information_schema', 'wedsync_db', 'auth', 'storage', 'realtime', '_realtime', '_analytics', 'extensions',
       'graphql', 'graphql_public', 'vault', 'pgsodium', 'pgsodium_masks', 'pgbouncer', 'pgmq', 'pgtle', 'cron', 'net',
       'supabase_functions', 'supabase_migrations', 'repack', 'topology', 'tiger', 'tiger_data'])
), client as materialized (
  select r.oid, r.rolname from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated')
), api as materialized (
  select r.oid, r.rolname from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated', 'service_role')
), exposed as materialized (
  select ours.* from ours
   where exists (select from client where pg_catalog.has_schema_privilege(client.oid, ours.oid, 'usage'))
), extended as materialized (
  select d.classid, d.objid from pg_catalog.pg_depend as d where d.deptype = 'e'
), relation as materialized (
  select c.*, ours.name || '.' || pg_catalog.quote_ident(c.relname) as name,
         exists (select from exposed where exposed.oid = c.relnamespace) as exposed
    from pg_catalog.pg_class as c
    join ours on ours.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
     and not exists (select from extended as e
                      where e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = c.oid)
), col as materialized (
  select a.attrelid, a.attnum, a.attname, a.atttypid, a.attnotnull, a.attacl,
         r.name || '.' || pg_catalog.quote_ident(a.attname) as name
    from pg_catalog.pg_attribute as a
    join relation as r on r.oid = a.attrelid
   where a.attnum > 0 and not a.attisdropped
), foreign_key as materialized (
  select k.*, r.name || '.' || pg_catalog.quote_ident(k.conname) as name, r.relkind
    from pg_catalog.pg_constraint as k
    join relation as r on r.oid = k.conrelid
   where k.contype = 'f' and k.conparentid = 0
), root as materialized (
  select r.oid from relation as r where r.name = any (%(roots)s)
), tenant as materialized (
  select k.conrelid, c.attnum, c.attname, c.name, k.confrelid as root
    from foreign_key as k
    join root on root.oid = k.confrelid
    join col as c on c.attrelid = k.conrelid and c.attnum = k.conkey[1]
   where pg_catalog.cardinality(k.conkey) = 1 and c.attnotnull
), routine as materialized (
  select p.*, p.oid::pg_catalog.regprocedure::pg_catalog.text as name
    from pg_catalog.pg_proc as p
    join ours on ours.oid = p.pronamespace
   where not exists (select from pg_catalog.pg_depend as d
                      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid
                        and (d.deptype = 'e'
                             or d.deptype = 'i' and d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass))
), granted as materialized (
  -- column 0 is the whole relation; PUBLIC is everybody, the API's roles too
  select g.oid as relid, g.attnum, g.name, g.relkind, coalesce(x.rolname, 'PUBLIC') as role, a.privilege_type,
         a.is_grantable
    from (select r.oid, 0 as attnum, r.name, r.relkind, r.relacl as acl, r.relowner as owner from relation as r
          union all
          select c.attrelid, c.attnum, c.name, r.relkind, c.attacl, r.relowner
            from col as c join relation as r on r.oid = c.attrelid) as g
   cross join lateral pg_catalog.aclexplode(g.acl) as a
    left join api as x on x.oid = a.grantee
   where a.grantee = 0 or x.oid <> g.owner
)

-- name: rls_disabled
-- Without it a grant shows every tenant's rows, and a grant is one statement away.
select r.name, '' from relation as r
 where r.relkind in ('r', 'p') and not r.relispartition and not r.relrowsecurity and r.exposed

-- name: partition_open
-- Who asks a partition by its name is not asked what its parent's policies say.
select r.name, case when not r.relrowsecurity then 'no row-level security' else 'granted to ' || g.role end
  from relation as r
  join pg_catalog.pg_inherits as i on i.inhrelid = r.oid
  join pg_catalog.pg_class as parent on parent.oid = i.inhparent
  left join lateral (select pg_catalog.string_agg(distinct granted.role, ', ') as role
                       from granted where granted.relid = r.oid) as g on true
 where parent.relrowsecurity and (not r.relrowsecurity or g.role is not null)

-- name: rls_forced
-- Then the owner's backup sees no row, and a definer function that a policy asks meets that policy again.
select r.name, pg_catalog.quote_ident(o.rolname)
  from relation as r join pg_catalog.pg_roles as o on o.oid = r.relowner
 where r.relforcerowsecurity and not (o.rolsuper or o.rolbypassrls)

-- name: rls_without_policy
-- Nobody but the owner sees a row. Often meant, so it is only said.
select r.name, '' from relation as r
 where r.relkind in ('r', 'p') and r.relrowsecurity and not r.relispartition
   and not exists (select from pg_catalog.pg_policy as p where p.polrelid = r.oid)

-- name: policy_without_rls
-- Policies that nobody asks.
select r.name, pg_catalog.string_agg(pg_catalog.quote_ident(p.polname), ', ' order by p.polname)
  from relation as r join pg_catalog.pg_policy as p on p.polrelid = r.oid
 where not r.relrowsecurity
 group by r.name

-- name: api_role_unsafe
-- A role that logs in sets its claims itself; one with these attributes is asked no policy; what it is a member of, it
-- may become.
select pg_catalog.quote_ident(r.rolname), x.problem
  from pg_catalog.pg_roles as r join client on client.oid = r.oid
 cross join lateral (
   select 'may log in' as problem where r.rolcanlogin
   union all select 'is a superuser' where r.rolsuper
   union all select 'bypasses row-level security' where r.rolbypassrls
   union all select 'is a member of ' || pg_catalog.pg_get_userbyid(m.roleid)
               from pg_catalog.pg_auth_members as m where m.member = r.oid) as x

-- name: api_role_owner
-- The owner of a table is asked no policy, and may drop it.
select r.name, pg_catalog.quote_ident(api.rolname) from relation as r join api on api.oid = r.relowner

-- name: schema_create
-- Who can make objects in a schema can stand in for those that others look up there.
select pg_catalog.quote_ident(n.nspname), coalesce(pg_catalog.quote_ident(api.rolname), 'PUBLIC')
  from ours
  join pg_catalog.pg_namespace as n on n.oid = ours.oid
 cross join lateral pg_catalog.aclexplode(n.nspacl) as a
  left join api on api.oid = a.grantee
 where a.privilege_type = 'CREATE' and (a.grantee = 0 or api.oid is not null)

-- name: grant_beyond_rows
-- Row-level security is about rows: TRUNCATE is not asked, a trigger or a foreign key looks past it.
select g.name, pg_catalog.string_agg(distinct g.privilege_type || ' to ' || g.role, ', ')
  from granted as g
 where g.relkind <> 'S' and g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
 group by g.name

-- name: grant_to_public
-- Grants are given by name: PUBLIC is also every role that is still to come.
select g.name, pg_catalog.string_agg(distinct g.privilege_type, ', ') from granted as g where g.role = 'PUBLIC' group by g.name

-- name: grant_option
-- Whoever may pass a grant on decides who else sees the rows.
select g.name, pg_catalog.string_agg(distinct g.privilege_type || ' to ' || g.role, ', ')
  from granted as g where g.is_grantable group by g.name

-- name: grant_without_policy
-- Nothing is let in today; the first policy that somebody adds for another purpose opens more than was meant.
select g.name, pg_catalog.string_agg(distinct g.privilege_type || ' to ' || client.rolname, ', ')
  from granted as g
  join client on g.role in (client.rolname, 'PUBLIC')
  join relation as r on r.oid = g.relid
 where r.relrowsecurity and g.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
   and not exists (
     select from pg_catalog.pg_policy as p
      where p.polrelid = r.oid and p.polpermissive and p.polroles && array[0, client.oid]::pg_catalog.oid[]
        and p.polcmd in ('*', case g.privilege_type when 'SELECT' then 'r' when 'INSERT' then 'a'
                                                    when 'UPDATE' then 'w' else 'd' end))
 group by g.name

-- name: grant_missing
-- Who reads the policy believes that it lets in.
select r.name || ', policy ' || pg_catalog.quote_ident(p.polname), client.rolname
  from pg_catalog.pg_policy as p
  join relation as r on r.oid = p.polrelid
  join client on client.oid = any (p.polroles)
 where p.polpermissive and p.polcmd <> '*'
   and not exists (
     select from granted as g
      where g.relid = r.oid and g.role in (client.rolname, 'PUBLIC')
        and g.privilege_type = case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT'
                                             when 'w' then 'UPDATE' else 'DELETE' end)

-- name: anon_writes
-- Somebody who is not signed in has no tenant a policy could compare with.
select g.name, pg_catalog.string_agg(distinct g.privilege_type, ', ')
  from granted as g
 where g.role = 'anon' and g.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
 group by g.name

-- name: sequence_grant
-- A sequence has no row-level security: its value counts every tenant's rows.
select g.name, pg_catalog.string_agg(distinct g.role, ', ')
  from granted as g where g.relkind = 'S' and g.role <> 'service_role' group by g.name

-- name: tenant_updatable
-- A row that can move carries its contents into another tenant.
select t.name, pg_catalog.string_agg(distinct client.rolname, ', ')
  from (select tenant.conrelid, tenant.attnum, tenant.name from tenant
        union
        select c.attrelid, c.attnum, c.name from root join col as c on c.attrelid = root.oid
          join pg_catalog.pg_index as i on i.indrelid = root.oid and i.indisprimary and c.attnum = any (i.indkey)) as t
  join client on pg_catalog.has_column_privilege(client.oid, t.conrelid, t.attnum, 'update')
 group by t.name

-- name: tenant_movable
-- Somebody else than the owner may update the column, and no trigger stands in the way.
select t.name, pg_catalog.string_agg(distinct api.rolname, ', ')
  from tenant as t
  join api on pg_catalog.has_column_privilege(api.oid, t.conrelid, t.attnum, 'update')
 where not exists (
   select from pg_catalog.pg_trigger as g
    where g.tgrelid = t.conrelid and not g.tgisinternal and g.tgenabled in ('O', 'A')
      and g.tgtype & 1 = 1 and g.tgtype & 2 = 2 and g.tgtype & 16 = 16  -- for each row, before, update
      and t.attnum = any (g.tgattr))
 group by t.name

-- name: foreign_key_without_tenant
-- Parent and child belong to a tenant, and nothing keeps it the same one: a foreign key is found or not found, which
-- tells what another tenant has.
select k.name, pg_catalog.string_agg(distinct p.attname, ', ')
  from foreign_key as k
  join (select conrelid, attnum, attname, root from tenant
        union all
        select root.oid, i.indkey[0], c.attname, root.oid
          from root join pg_catalog.pg_index as i on i.indrelid = root.oid and i.indisprimary
          join col as c on c.attrelid = root.oid and c.attnum = i.indkey[0]) as p on p.conrelid = k.confrelid
  join (select conrelid, attnum, root from tenant
        union all
        select root.oid, i.indkey[0], root.oid
          from root join pg_catalog.pg_index as i on i.indrelid = root.oid and i.indisprimary) as c
    on c.conrelid = k.conrelid and c.root = p.root
 where k.confrelid <> all (select root.oid from root)
 group by k.name
having not pg_catalog.bool_or(exists (
  select from pg_catalog.generate_subscripts(k.conkey, 1) as n
   where k.conkey[n] = c.attnum and k.confkey[n] = p.attnum))

-- name: unique_without_tenant
-- A key that is unique over all tenants tells whoever may write it what the others have. A primary key of one uuid
-- cannot be guessed; keys made elsewhere are listed.
select i.indexrelid::pg_catalog.regclass::pg_catalog.text, pg_catalog.string_agg(distinct c.attname, ', ')
  from pg_catalog.pg_index as i
  join relation as r on r.oid = i.indrelid
  join col as c on c.attrelid = i.indrelid
   and (c.attnum = any (i.indkey) or exists (
     select from pg_catalog.pg_depend as d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = i.indexrelid
        and d.refobjid = i.indrelid and d.refobjsubid = c.attnum))
 where (i.indisunique or i.indisexclusion)
   and exists (select from tenant as t where t.conrelid = i.indrelid)
   and not exists (select from root where root.oid = i.indrelid)
 group by i.indexrelid, i.indisprimary
having pg_catalog.bool_and(not exists (
         select from tenant as t where t.conrelid = c.attrelid and t.attnum = c.attnum))
   and not (i.indisprimary and pg_catalog.array_agg(c.atttypid) = array['uuid'::pg_catalog.regtype::pg_catalog.oid])
   and not pg_catalog.bool_and(c.attname ~ '(^event_id|^token|_hash|^provider_.*_id)$')

-- name: foreign_key_unindexed
-- Deleting or changing a parent reads the whole child table.
select k.name, (select pg_catalog.string_agg(c.attname, ', ' order by u.place)
                  from pg_catalog.unnest(k.conkey) with ordinality as u (attnum, place)
                  join col as c on c.attrelid = k.conrelid and c.attnum = u.attnum)
  from foreign_key as k
 where not exists (
   select from pg_catalog.pg_index as i
    where i.indrelid = k.conrelid and i.indisvalid
      and (i.indpred is null or pg_catalog.pg_get_expr(i.indpred, i.indrelid) ~ '^\(\w+ IS NOT NULL\)$')
      and k.conkey operator(pg_catalog.<@)
          (pg_catalog.string_to_array(i.indkey::pg_catalog.text, ' ')::smallint[])[1:pg_catalog.cardinality(k.conkey)])

-- name: no_primary_key
-- Rows that cannot be told apart; replication and tools need a key.
select r.name, '' from relation as r
 where r.relkind in ('r', 'p') and not r.relispartition
   and not exists (select from pg_catalog.pg_index as i where i.indrelid = r.oid and i.indisprimary)

-- name: index_duplicate
-- Each is paid for by every write.
select min(x.name) || ' and ' || max(x.name), ''
  from (select i.indexrelid::pg_catalog.regclass::pg_catalog.text as name, i.indrelid, i.indkey::pg_catalog.text,
               i.indclass::pg_catalog.text, i.indcollation::pg_catalog.text, i.indoption::pg_catalog.text,
               pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid), a.relam,
               i.indnkeyatts
          from pg_catalog.pg_index as i
          join relation as r on r.oid = i.indrelid
          join pg_catalog.pg_class as a on a.oid = i.indexrelid
         where not i.indisexclusion)
       as x (name, indrelid, indkey, indclass, indcollation, indoption, expressions, predicate, method, keys)
 group by x.indrelid, x.indkey, x.indclass, x.indcollation, x.indoption, x.expressions, x.predicate, x.method, x.keys
having pg_catalog.count(*) > 1

-- name: index_unused
-- Of a table large enough to need one; what enforces something or serves a foreign key has its use, and so has one on an
-- expression, for its statistics, one that the table is sorted by, and one that replication tells rows by. A partition's own
-- cannot be dropped alone.
select s.indexrelid::pg_catalog.regclass::pg_catalog.text, ''
  from pg_catalog.pg_stat_user_indexes as s
  join pg_catalog.pg_index as i on i.indexrelid = s.indexrelid
  join relation as r on r.oid = s.relid
 where s.idx_scan = 0 and r.reltuples >= 1000 and not i.indisunique and not i.indisexclusion
   and i.indexprs is null and not i.indisclustered and not i.indisreplident
   and not exists (select from pg_catalog.pg_inherits as h where h.inhrelid = i.indexrelid)
   and not exists (select from foreign_key as k
                    where k.conrelid = s.relid and k.conkey operator(pg_catalog.<@)
                      (pg_catalog.string_to_array(i.indkey::pg_catalog.text, ' ')::smallint[])[1:pg_catalog.cardinality(k.conkey)])

-- name: index_invalid
-- What a failed CREATE INDEX CONCURRENTLY leaves: it is paid for and never read, and enforces nothing.
select i.indexrelid::pg_catalog.regclass::pg_catalog.text, ''
  from pg_catalog.pg_index as i join relation as r on r.oid = i.indrelid
 where not (i.indisvalid and i.indisready and i.indislive)

-- name: constraint_not_valid
-- Rows that were there before were never looked at.
select r.name || '.' || pg_catalog.quote_ident(k.conname), ''
  from pg_catalog.pg_constraint as k join relation as r on r.oid = k.conrelid
 where not k.convalidated

-- name: trigger_disabled
-- What it enforces is not enforced; a foreign key's own triggers count, too.
select r.name || '.' || pg_catalog.quote_ident(t.tgname), ''
  from pg_catalog.pg_trigger as t join relation as r on r.oid = t.tgrelid
 where t.tgenabled in ('D', 'R')

-- name: autovacuum_off
-- Dead rows stay, and one day a vacuum against wraparound comes at its own hour.
select r.name, '' from relation as r where r.reloptions::pg_catalog.text ~* 'autovacuum_enabled=(false|off|no|0)'

-- name: column_of_reg_type
-- It holds an oid of this server: pg_upgrade refuses it.
select c.name, pg_catalog.format_type(c.atttypid, null)
  from col as c join relation as r on r.oid = c.attrelid
 where r.relkind in ('r', 'p', 'm')
   and c.atttypid::pg_catalog.regtype::pg_catalog.text in (
     'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc', 'regprocedure')

-- name: extension_in_public
-- Its functions become part of the API, and its names stand beside ours.
select pg_catalog.quote_ident(e.extname), ''
  from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
 where n.nspname = 'public'

-- name: extension_outdated
-- The server has a newer version than the one that is installed.
select pg_catalog.quote_ident(e.name), e.installed_version || ', available is ' || e.default_version
  from pg_catalog.pg_available_extensions as e
 where e.installed_version is not null and e.installed_version <> e.default_version

-- name: foreign_key_to_auth
-- Only the primary key of a table of Supabase's is promised to stay.
select k.name, k.confrelid::pg_catalog.regclass::pg_catalog.text
  from foreign_key as k
  join pg_catalog.pg_class as c on c.oid = k.confrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_index as i on i.indexrelid = k.conindid
 where n.nspname in ('auth', 'storage', 'realtime') and not i.indisprimary

-- name: view_of_definer
-- It reads its tables as its owner, whom no policy is asked about.
select r.name, pg_catalog.string_agg(distinct client.rolname, ', ')
  from relation as r
  join client on pg_catalog.has_any_column_privilege(client.oid, r.oid, 'select')
 where r.relkind = 'v' and r.exposed
   and not coalesce(r.reloptions::pg_catalog.text ~* 'security_invoker=(true|on|yes|1)', false)
 group by r.name

-- name: relation_without_rls
-- Materialized views and foreign tables cannot have row-level security.
select r.name, pg_catalog.string_agg(distinct client.rolname, ', ')
  from relation as r
  join client on pg_catalog.has_any_column_privilege(client.oid, r.oid, 'select')
 where r.relkind in ('m', 'f') and r.exposed
 group by r.name

-- name: auth_users_exposed
-- Addresses, phone numbers and sign-ins of everybody.
select r.name, pg_catalog.string_agg(distinct client.rolname, ', ')
  from relation as r
  join client on pg_catalog.has_any_column_privilege(client.oid, r.oid, 'select')
  join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
  join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = w.oid
 where r.relkind in ('v', 'm') and d.refobjid = pg_catalog.to_regclass('auth.users')
 group by r.name

-- name: sensitive_column
-- What opens a door is not for reading, not even by its owner's colleagues.
select c.name, pg_catalog.string_agg(distinct client.rolname, ', ')
  from col as c
  join client on pg_catalog.has_column_privilege(client.oid, c.attrelid, c.attnum, 'select')
  join relation as r on r.oid = c.attrelid
 where r.exposed and r.relkind <> 'S'
   and c.attname ~* '(^|_)(password|passwd|secret|token|api_?key|private_?key|credential|otp|cvv|ssn|iban|salt)s?(_|$)'
 group by c.name

-- name: definer_functions
-- Every function that acts as its owner, who may call it, and with which search_path: compared with the list.
select f.name,
       coalesce((select pg_catalog.array_agg(coalesce(r.rolname, 'PUBLIC')::text order by coalesce(r.rolname, 'PUBLIC')::text collate "C")
                   from pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) as a
                   left join pg_catalog.pg_roles as r on r.oid = a.grantee
                  where a.grantee <> f.proowner), '{}'),
       coalesce((select s from pg_catalog.unnest(f.proconfig) as s where s like 'search\_path=%%'), '')
  from routine as f
 where f.prosecdef

-- name: function_search_path
-- It finds what its caller's search_path says.
select f.name, ''
  from routine as f
 where f.prokind <> 'a' and f.prolang <> (select oid from pg_catalog.pg_language where lanname = 'c')
   and f.prosqlbody is null
   and not exists (select from pg_catalog.unnest(f.proconfig) as s where s like 'search\_path=%%')

-- name: function_public
-- Functions are everybody's to call until that is taken away.
select f.name, ''
  from routine as f
 where exists (select from pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) as a
                where a.grantee = 0)

-- name: default_privileges
-- What is made next is granted to the API's roles by itself, which each migration has to take back.
select coalesce(pg_catalog.quote_ident(n.nspname), 'all schemas'),
       pg_catalog.string_agg(distinct api.rolname || ' by ' || pg_catalog.pg_get_userbyid(d.defaclrole), ', ')
  from pg_catalog.pg_default_acl as d
  left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
 cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
  join api on api.oid = a.grantee
 where n.oid is null or n.oid in (select ours.oid from ours)
 group by n.nspname

-- name: policies
-- Every policy with what its form is judged by: the columns that lead an index, and whether rows belong to a tenant.
select r.name, p.polname,
       case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                     else 'all' end,
       p.polpermissive,
       (select pg_catalog.array_agg(coalesce(o.rolname, 'PUBLIC')::text order by coalesce(o.rolname, 'PUBLIC')::text collate "C")
          from pg_catalog.unnest(p.polroles) as u (oid) left join pg_catalog.pg_roles as o on o.oid = u.oid),
       pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
       coalesce((select pg_catalog.array_agg(distinct c.attname::text)
                   from pg_catalog.pg_index as i
                   join col as c on c.attrelid = i.indrelid and c.attnum = i.indkey[0]
                  where i.indrelid = r.oid and i.indisvalid and i.indpred is null), '{}'),
       exists (select from tenant as t where t.conrelid = r.oid) or exists (select from root where root.oid = r.oid)
  from pg_catalog.pg_policy as p
  join relation as r on r.oid = p.polrelid
 order by r.name, p.polname
