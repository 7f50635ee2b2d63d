-- The catalog as rows (identity, definition). Each branch below yields what `render` finishes:
-- classid, objid, subid (for comments and extension membership), identity, definition, owner, acl, acltype.
-- Names and deparsed text only, never an oid, so that a restored copy renders the same.

-- name: pin
-- Deparsed constants and identifiers depend on these settings; jit would cost more than the query.
select pg_catalog.set_config(s.name, s.value, true)
  from (values ('search_path', ''), ('timezone', 'UTC'), ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'),
               ('extra_float_digits', '1'), ('bytea_output', 'hex'), ('quote_all_identifiers', 'off'), ('jit', 'off'))
       as s (name, value)

-- name: scope
-- What every branch shares: schemas that are the user's, objects that belong to an extension, what maintenance keeps up, and
-- the user's relations.
with ns as materialized (
  select oid, pg_catalog.quote_ident(nspname) as name, nspowner, nspacl
    from pg_catalog.pg_namespace
   where nspname !~ '^pg_' and nspname not in ('information_schema', 'wedsync_db')
), ext as materialized (
  select classid, objid from pg_catalog.pg_depend where deptype = 'e'
), kept as materialized (
  -- Partitions that maintenance makes and drops night after night are no change of the schema, as long as they are what it
  -- makes: a partition under row-level security, with nothing granted and no policy or trigger of its own. Any other bears
  -- the mark in vain.
  select c.oid
    from pg_catalog.pg_description d
    join pg_catalog.pg_class c on c.oid = d.objoid and c.relkind = 'r' and c.relispartition and c.relrowsecurity
   where d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid = 0
     and d.description = 'made by wedsync-db maintenance'
     and not exists (select from pg_catalog.aclexplode(c.relacl) a where a.grantee <> c.relowner)
     and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null)
     and not exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)
     and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0)
), rel as materialized (
  select c.*, ns.name || '.' || pg_catalog.quote_ident(c.relname) as name
    from pg_catalog.pg_class c
    join ns on ns.oid = c.relnamespace
   where not exists (select from ext where ext.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and ext.objid = c.oid)
     and not exists (select from kept where kept.oid = c.oid)
     and not exists (select from pg_catalog.pg_index i join kept on kept.oid = i.indrelid where i.indexrelid = c.oid)
), typ as materialized (
  select t.*, ns.name || '.' || pg_catalog.quote_ident(t.typname) as name
    from pg_catalog.pg_type t
    join ns on ns.oid = t.typnamespace
   where not exists (select from ext where ext.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and ext.objid = t.oid)
)

-- name: render
-- Grants are told as the difference to the built-in default of that kind of object: no ACL and the default written out
-- are the same thing, and MAINTAIN, which 17 adds to every owner, does not count as a change.
select o.identity,
       pg_catalog.jsonb_strip_nulls(o.definition || pg_catalog.jsonb_build_object(
         'owner', pg_catalog.pg_get_userbyid(o.owner),
         'grants', case when o.acl is not null then (
           select pg_catalog.jsonb_agg(g.item order by g.item)
             from (
               select '+' || x.item as item
                 from (select a.grantee, a.grantor, a.privilege_type, a.is_grantable from pg_catalog.aclexplode(o.acl) a
                       except
                       select d.* from (select a.grantee, a.grantor, a.privilege_type, a.is_grantable
                                          from pg_catalog.aclexplode(pg_catalog.acldefault(o.acltype, o.owner)) a) d) e
                cross join lateral (select
                  case when e.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) end
                  || '=' || e.privilege_type || case when e.is_grantable then '*' else '' end
                  || '/' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantor)) as item) x
               union all
               select '-' || x.item
                 from (select a.grantee, a.grantor, a.privilege_type, a.is_grantable
                         from pg_catalog.aclexplode(pg_catalog.acldefault(o.acltype, o.owner)) a
                       except
                       select a.grantee, a.grantor, a.privilege_type, a.is_grantable from pg_catalog.aclexplode(o.acl) a) e
                cross join lateral (select
                  case when e.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) end
                  || '=' || e.privilege_type as item) x
             ) g) end,
         'comment', d.description))::pg_catalog.text as definition
  from object o
  left join pg_catalog.pg_description d on d.classoid = o.classid and d.objoid = o.objid and d.objsubid = o.subid
 where not exists (select from ext where ext.classid = o.classid and ext.objid = o.objid and o.subid = 0)

-- name: schemas
-- Who owns a schema and who may create in it decides what a name resolves to.
select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid as classid, ns.oid as objid, 0 as subid,
       'schema:' || ns.name as identity, '{}'::pg_catalog.jsonb as definition,
       ns.nspowner as owner, ns.nspacl as acl, 'n'::"char" as acltype
  from ns

-- name: relations
-- Tables, views, materialized views, foreign tables: all but their columns, which are told one by one; only their order.
select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, r.oid, 0,
       case r.relkind when 'v' then 'view:' when 'm' then 'materialized view:' when 'f' then 'foreign table:' else 'table:' end || r.name,
       pg_catalog.jsonb_build_object(
         'persistence', nullif(r.relpersistence, 'p'),
         'columns', (select pg_catalog.jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
                      where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped),
         'options', (select pg_catalog.jsonb_agg(o order by o) from pg_catalog.unnest(r.reloptions) o),
         'toast options', (select pg_catalog.jsonb_agg(o order by o)
                             from pg_catalog.pg_class t, pg_catalog.unnest(t.reloptions) o where t.oid = r.reltoastrelid),
         'access method', (select am.amname from pg_catalog.pg_am am where am.oid = r.relam),
         'row security', nullif(r.relrowsecurity, false),
         'force row security', nullif(r.relforcerowsecurity, false),
         'replica identity', case when r.relkind in ('r', 'p', 'm') then nullif(r.relreplident, 'd') end,
         'populated', nullif(r.relispopulated, true),
         'of type', nullif(r.reloftype, 0)::pg_catalog.regtype::pg_catalog.text,
         'partition key', case when r.relkind = 'p' then pg_catalog.pg_get_partkeydef(r.oid) end,
         'bounds', pg_catalog.pg_get_expr(r.relpartbound, r.oid),
         'inherits', (select pg_catalog.jsonb_agg(i.inhparent::pg_catalog.regclass::pg_catalog.text
                                                  || case when i.inhdetachpending then ' DETACH PENDING' else '' end order by i.inhseqno)
                        from pg_catalog.pg_inherits i where i.inhrelid = r.oid),
         'definition', case when r.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(r.oid) end,
         'server', (select pg_catalog.jsonb_build_array(s.srvname, f.ftoptions) from pg_catalog.pg_foreign_table f
                      join pg_catalog.pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = r.oid)),
       r.relowner, r.relacl, 'r'::"char"
  from rel r
 where r.relkind in ('r', 'p', 'v', 'm', 'f')

-- name: columns
-- By name; their order is the table's. Statistics targets became NULL for "default" in 17.
select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, a.attrelid, a.attnum::pg_catalog.int4,
       'column:' || r.name || '.' || pg_catalog.quote_ident(a.attname),
       pg_catalog.jsonb_build_object(
         'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
         'collation', case when a.attcollation <> t.typcollation then nullif(a.attcollation, 0)::pg_catalog.regcollation::pg_catalog.text end,
         'not null', nullif(a.attnotnull, false),
         'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
         'generated', nullif(a.attgenerated::pg_catalog.text, ''),
         'identity', nullif(a.attidentity::pg_catalog.text, ''),
         'storage', case when a.attstorage <> t.typstorage then a.attstorage end,
         'compression', nullif(a.attcompression::pg_catalog.text, ''),
         'statistics', nullif(a.attstattarget, -1),
         'options', (select pg_catalog.jsonb_agg(o order by o) from pg_catalog.unnest(a.attoptions) o),
         'foreign options', (select pg_catalog.jsonb_agg(o order by o) from pg_catalog.unnest(a.attfdwoptions) o),
         'inherited only', nullif(not a.attislocal, false)),
       null::pg_catalog.oid,
       case when a.attacl is not null then a.attacl end, 'c'::"char"
  from rel r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where r.relkind in ('r', 'p', 'v', 'm', 'f', 'c')

-- name: constraints
-- 18 keeps a constraint for every NOT NULL column: it counts only where it says more than the column does, by being not
-- valid, not inherited, or named otherwise than by default (the rule by which pg_dump writes a name; such a name can be
-- referred to, so a revert has to bring it back). Foreign keys that follow from one on a partitioned table do not count:
-- their names are chosen anew when a partition is attached.
select 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, c.oid, 0,
       'constraint:' || coalesce(r.name, t.name) || '.' || pg_catalog.quote_ident(c.conname),
       pg_catalog.jsonb_build_object(
         'definition', pg_catalog.pg_get_constraintdef(c.oid),
         'not validated', nullif(not c.convalidated, false),
         'deferrable', nullif(c.condeferrable, false),
         'inherited only', nullif(not c.conislocal, false)),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_constraint c
  left join rel r on r.oid = c.conrelid and c.conrelid <> 0
  left join typ t on t.oid = c.contypid and c.contypid <> 0
 where coalesce(r.oid, t.oid) is not null
   and c.contype <> 't'
   and not (c.contype = 'f' and c.conparentid <> 0)
   and not (c.contype = 'n' and c.convalidated and not c.connoinherit
            and (c.coninhcount > 0
                 or c.conname = coalesce(r.relname || '_' || (select a.attname from pg_catalog.pg_attribute a
                                                               where a.attrelid = c.conrelid and a.attnum = c.conkey[1]),
                                         t.typname::pg_catalog.text) || '_not_null'))

-- name: indexes
-- The definition does not tell whether an index is valid, nor what it serves.
select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, i.indexrelid, 0,
       'index:' || x.name,
       pg_catalog.jsonb_build_object(
         'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
         'invalid', nullif(not i.indisvalid, false),
         'not ready', nullif(not i.indisready, false),
         'replica identity', nullif(i.indisreplident, false),
         'clustered', nullif(i.indisclustered, false),
         'attached to', (select h.inhparent::pg_catalog.regclass::pg_catalog.text from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid),
         'statistics', (select pg_catalog.jsonb_object_agg(a.attnum, a.attstattarget) from pg_catalog.pg_attribute a
                         where a.attrelid = i.indexrelid and nullif(a.attstattarget, -1) is not null)),
       x.relowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_index i
  join rel x on x.oid = i.indexrelid
  join rel r on r.oid = i.indrelid

-- name: sequences
-- Parameters and owner column; never the current value, which moves without anybody changing the schema.
select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, r.oid, 0,
       'sequence:' || r.name,
       pg_catalog.jsonb_build_object(
         'persistence', nullif(r.relpersistence, 'p'),
         'type', pg_catalog.format_type(s.seqtypid, null),
         'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache,
         'cycle', nullif(s.seqcycle, false),
         'owned by', (select d.refobjid::pg_catalog.regclass::pg_catalog.text || '.' || pg_catalog.quote_ident(a.attname)
                        from pg_catalog.pg_depend d
                        join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                       where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = r.oid
                         and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i'))),
       r.relowner, r.relacl, 's'::"char"
  from rel r
  join pg_catalog.pg_sequence s on s.seqrelid = r.oid

-- name: triggers
-- Triggers of foreign keys are the server's own, but somebody may have disabled them.
select 'pg_catalog.pg_trigger'::pg_catalog.regclass::pg_catalog.oid, t.oid, 0,
       'trigger:' || r.name || '.' || case when t.tgisinternal then c.conname || ' ' || p.proname || ' ' || t.tgtype else pg_catalog.quote_ident(t.tgname) end,
       pg_catalog.jsonb_build_object(
         'definition', case when not t.tgisinternal then pg_catalog.pg_get_triggerdef(t.oid) end,
         'enabled', t.tgenabled),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_trigger t
  join rel r on r.oid = t.tgrelid
  join pg_catalog.pg_proc p on p.oid = t.tgfoid
  left join pg_catalog.pg_constraint c on c.oid = t.tgconstraint
 where not t.tgisinternal
    or (t.tgenabled <> 'O' and c.conparentid = 0)

-- name: rules
-- A view's own rule is its definition; these are the others.
select 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid, w.oid, 0,
       'rule:' || r.name || '.' || pg_catalog.quote_ident(w.rulename),
       pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_ruledef(w.oid), 'enabled', w.ev_enabled),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_rewrite w
  join rel r on r.oid = w.ev_class
 where w.rulename <> '_RETURN'

-- name: policies
-- What row-level security lets through, to whom.
select 'pg_catalog.pg_policy'::pg_catalog.regclass::pg_catalog.oid, p.oid, 0,
       'policy:' || r.name || '.' || pg_catalog.quote_ident(p.polname),
       pg_catalog.jsonb_build_object(
         'command', p.polcmd, 'permissive', p.polpermissive,
         'roles', (select pg_catalog.jsonb_agg(n order by n)
                     from (select case when o = 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(o)::pg_catalog.text end as n
                             from pg_catalog.unnest(p.polroles) o) names),
         'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
         'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_policy p
  join rel r on r.oid = p.polrelid

-- name: statistics
-- Extended statistics decide plans.
select 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::pg_catalog.oid, s.oid, 0,
       'statistics:' || ns.name || '.' || pg_catalog.quote_ident(s.stxname),
       pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_statisticsobjdef(s.oid), 'target', nullif(s.stxstattarget, -1)),
       s.stxowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_statistic_ext s
  join ns on ns.oid = s.stxnamespace
  join rel r on r.oid = s.stxrelid

-- name: types
-- Types people make; those that come with a table, an array or a range are told by these.
select 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, t.oid, 0,
       case t.typtype when 'e' then 'enum:' when 'd' then 'domain:' when 'r' then 'range:' when 'c' then 'composite:' else 'type:' end || t.name,
       pg_catalog.jsonb_build_object(
         'labels', (select pg_catalog.jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid),
         'columns', case when t.typtype = 'c' then (
             select pg_catalog.jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
              where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end,
         'base', case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end,
         'not null', nullif(t.typnotnull, false),
         'default', coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault),
         'collation', case when t.typtype = 'd' then nullif(t.typcollation, 0)::pg_catalog.regcollation::pg_catalog.text end,
         'range', (select pg_catalog.jsonb_build_array(
                            pg_catalog.format_type(g.rngsubtype, null), g.rngmultitypid::pg_catalog.regtype::pg_catalog.text,
                            nullif(g.rngcollation, 0)::pg_catalog.regcollation::pg_catalog.text, g.rngcanonical, g.rngsubdiff,
                            (select o.opcname from pg_catalog.pg_opclass o where o.oid = g.rngsubopc))
                     from pg_catalog.pg_range g where g.rngtypid = t.oid),
         'functions', case when t.typtype = 'b' then pg_catalog.jsonb_build_array(
             t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typlen, t.typbyval,
             t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim) end,
         'undefined', nullif(not t.typisdefined, false)),
       t.typowner, t.typacl, 'T'::"char"
  from typ t
  left join pg_catalog.pg_class c on c.oid = t.typrelid
 where t.typtype <> 'm'
   and (t.typrelid = 0 or c.relkind = 'c')
   and not exists (select from pg_catalog.pg_type e where e.oid = t.typelem and e.typarray = t.oid)

-- name: routines
-- Functions, procedures and window functions as the server writes them; an aggregate's definition is a row.
select 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, p.oid, 0,
       case p.prokind when 'p' then 'procedure:' when 'a' then 'aggregate:' else 'function:' end || ns.name || '.'
       || pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
       pg_catalog.jsonb_build_object(
         'definition', case when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid) end,
         'aggregate', (select pg_catalog.to_jsonb(g) - 'aggfnoid' - 'aggtranstype' - 'aggmtranstype' - 'aggsortop' || pg_catalog.jsonb_build_object(
                                'state', pg_catalog.format_type(g.aggtranstype, null),
                                'moving', nullif(g.aggmtranstype, 0)::pg_catalog.regtype::pg_catalog.text,
                                'sort', nullif(g.aggsortop, 0)::pg_catalog.regoperator::pg_catalog.text,
                                'result', pg_catalog.pg_get_function_result(p.oid), 'parallel', p.proparallel)
                         from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid)),
       p.proowner, p.proacl, 'f'::"char"
  from pg_catalog.pg_proc p
  join ns on ns.oid = p.pronamespace

-- name: operators
-- Operators and casts change what an expression means.
select 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid, o.oid, 0,
       'operator:' || o.oid::pg_catalog.regoperator::pg_catalog.text,
       pg_catalog.jsonb_build_object(
         'result', pg_catalog.format_type(o.oprresult, null), 'function', o.oprcode, 'restrict', o.oprrest, 'join', o.oprjoin,
         'commutator', nullif(o.oprcom, 0)::pg_catalog.regoperator::pg_catalog.text,
         'negator', nullif(o.oprnegate, 0)::pg_catalog.regoperator::pg_catalog.text,
         'hashes', nullif(o.oprcanhash, false), 'merges', nullif(o.oprcanmerge, false)),
       o.oprowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_operator o
  join ns on ns.oid = o.oprnamespace
union all
select 'pg_catalog.pg_cast'::pg_catalog.regclass::pg_catalog.oid, c.oid, 0,
       'cast:' || pg_catalog.format_type(c.castsource, null) || ' as ' || pg_catalog.format_type(c.casttarget, null),
       pg_catalog.jsonb_build_object('function', nullif(c.castfunc, 0)::pg_catalog.regprocedure::pg_catalog.text,
                                     'context', c.castcontext, 'method', c.castmethod),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_cast c
 where c.oid >= 16384

-- name: operator_classes
-- What an index of ours may be built on.
select 'pg_catalog.pg_opclass'::pg_catalog.regclass::pg_catalog.oid, c.oid, 0,
       'operator class:' || ns.name || '.' || pg_catalog.quote_ident(c.opcname) || ' using ' || m.amname,
       pg_catalog.jsonb_build_object('type', pg_catalog.format_type(c.opcintype, null), 'default', c.opcdefault,
                                     'family', f.opfname, 'key', nullif(c.opckeytype, 0)::pg_catalog.regtype::pg_catalog.text),
       c.opcowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_opclass c
  join ns on ns.oid = c.opcnamespace
  join pg_catalog.pg_am m on m.oid = c.opcmethod
  join pg_catalog.pg_opfamily f on f.oid = c.opcfamily
union all
select 'pg_catalog.pg_opfamily'::pg_catalog.regclass::pg_catalog.oid, f.oid, 0,
       'operator family:' || ns.name || '.' || pg_catalog.quote_ident(f.opfname) || ' using ' || m.amname,
       pg_catalog.jsonb_build_object(
         'operators', (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.amopstrategy, a.amoppurpose, a.amopopr::pg_catalog.regoperator::pg_catalog.text)
                              order by a.amopstrategy, a.amopopr::pg_catalog.regoperator::pg_catalog.text)
                         from pg_catalog.pg_amop a where a.amopfamily = f.oid),
         'functions', (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.amprocnum, a.amproc::pg_catalog.regprocedure::pg_catalog.text)
                              order by a.amprocnum, a.amproc::pg_catalog.regprocedure::pg_catalog.text)
                         from pg_catalog.pg_amproc a where a.amprocfamily = f.oid)),
       f.opfowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_opfamily f
  join ns on ns.oid = f.opfnamespace
  join pg_catalog.pg_am m on m.oid = f.opfmethod

-- name: collations
-- The locale's column has had three names; its version belongs to the host, not to the schema.
select 'pg_catalog.pg_collation'::pg_catalog.regclass::pg_catalog.oid, c.oid, 0,
       'collation:' || ns.name || '.' || pg_catalog.quote_ident(c.collname),
       pg_catalog.jsonb_build_object(
         'provider', c.collprovider, 'deterministic', c.collisdeterministic,
         'locale', coalesce(j.value ->> 'colllocale', j.value ->> 'colliculocale', c.collcollate),
         'rules', j.value -> 'collicurules'),
       c.collowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_collation c
  join ns on ns.oid = c.collnamespace
 cross join lateral (select pg_catalog.to_jsonb(c) as value) j

-- name: text_search
-- Configurations decide what a stored tsvector holds.
select 'pg_catalog.pg_ts_config'::pg_catalog.regclass::pg_catalog.oid, c.oid, 0,
       'text search configuration:' || ns.name || '.' || pg_catalog.quote_ident(c.cfgname),
       pg_catalog.jsonb_build_object(
         'parser', (select p.prsname from pg_catalog.pg_ts_parser p where p.oid = c.cfgparser),
         'map', (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.maptokentype, m.mapdict::pg_catalog.regdictionary::pg_catalog.text)
                                             order by m.maptokentype, m.mapseqno)
                   from pg_catalog.pg_ts_config_map m where m.mapcfg = c.oid)),
       c.cfgowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_ts_config c
  join ns on ns.oid = c.cfgnamespace
union all
select 'pg_catalog.pg_ts_dict'::pg_catalog.regclass::pg_catalog.oid, d.oid, 0,
       'text search dictionary:' || ns.name || '.' || pg_catalog.quote_ident(d.dictname),
       pg_catalog.jsonb_build_object('template', (select t.tmplname from pg_catalog.pg_ts_template t where t.oid = d.dicttemplate),
                                     'options', d.dictinitoption),
       d.dictowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_ts_dict d
  join ns on ns.oid = d.dictnamespace

-- name: foreign_data
-- User mappings only by name: their options are secrets.
select 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass::pg_catalog.oid, w.oid, 0,
       'foreign data wrapper:' || pg_catalog.quote_ident(w.fdwname),
       pg_catalog.jsonb_build_object('handler', nullif(w.fdwhandler, 0)::pg_catalog.regprocedure::pg_catalog.text,
                                     'validator', nullif(w.fdwvalidator, 0)::pg_catalog.regprocedure::pg_catalog.text,
                                     'options', w.fdwoptions),
       w.fdwowner, w.fdwacl, 'F'::"char"
  from pg_catalog.pg_foreign_data_wrapper w
union all
select 'pg_catalog.pg_foreign_server'::pg_catalog.regclass::pg_catalog.oid, s.oid, 0,
       'foreign server:' || pg_catalog.quote_ident(s.srvname),
       pg_catalog.jsonb_build_object('wrapper', w.fdwname, 'type', s.srvtype, 'version', s.srvversion, 'options', s.srvoptions),
       s.srvowner, s.srvacl, 'S'::"char"
  from pg_catalog.pg_foreign_server s
  join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
union all
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0,
       'user mapping:' || pg_catalog.quote_ident(m.srvname) || ' for ' || pg_catalog.quote_ident(m.usename),
       '{}'::pg_catalog.jsonb, null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_user_mappings m

-- name: rare
-- Kinds hardly anybody makes: that they are there, and whose they are.
select x.classid, x.objid, 0, i.type || ':' || i.identity, '{}'::pg_catalog.jsonb, x.owner, null::pg_catalog.aclitem[], null::"char"
  from (select 'pg_catalog.pg_language'::pg_catalog.regclass::pg_catalog.oid as classid, oid as objid, lanowner as owner from pg_catalog.pg_language
        union all select 'pg_catalog.pg_am'::pg_catalog.regclass::pg_catalog.oid, oid, null from pg_catalog.pg_am
        union all select 'pg_catalog.pg_conversion'::pg_catalog.regclass::pg_catalog.oid, oid, conowner from pg_catalog.pg_conversion
        union all select 'pg_catalog.pg_transform'::pg_catalog.regclass::pg_catalog.oid, oid, null from pg_catalog.pg_transform
        union all select 'pg_catalog.pg_ts_parser'::pg_catalog.regclass::pg_catalog.oid, oid, null from pg_catalog.pg_ts_parser
        union all select 'pg_catalog.pg_ts_template'::pg_catalog.regclass::pg_catalog.oid, oid, null from pg_catalog.pg_ts_template) x
 cross join lateral pg_catalog.pg_identify_object(x.classid, x.objid, 0) i
 where x.objid >= 16384

-- name: extensions
-- Not whose they are: that is whoever restored them.
select 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid, e.oid, 0,
       'extension:' || pg_catalog.quote_ident(e.extname),
       pg_catalog.jsonb_build_object('version', e.extversion, 'schema', n.nspname),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_extension e
  join pg_catalog.pg_namespace n on n.oid = e.extnamespace

-- name: publications
-- What subscribers receive.
select 'pg_catalog.pg_publication'::pg_catalog.regclass::pg_catalog.oid, p.oid, 0,
       'publication:' || pg_catalog.quote_ident(p.pubname),
       pg_catalog.jsonb_build_object(
         'all tables', p.puballtables, 'via root', p.pubviaroot,
         'publish', pg_catalog.jsonb_build_array(p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate),
         'generated', nullif(pg_catalog.to_jsonb(p) ->> 'pubgencols', 'n'),
         'tables', (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
                             r.prrelid::pg_catalog.regclass::pg_catalog.text, pg_catalog.pg_get_expr(r.prqual, r.prrelid),
                             (select pg_catalog.jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
                               where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)))
                           order by r.prrelid::pg_catalog.regclass::pg_catalog.text)
                      from pg_catalog.pg_publication_rel r where r.prpubid = p.oid),
         'schemas', (select pg_catalog.jsonb_agg(n.nspname order by n.nspname) from pg_catalog.pg_publication_namespace m
                       join pg_catalog.pg_namespace n on n.oid = m.pnnspid where m.pnpubid = p.oid)),
       p.pubowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_publication p

-- name: event_triggers
-- They run inside everybody's DDL.
select 'pg_catalog.pg_event_trigger'::pg_catalog.regclass::pg_catalog.oid, t.oid, 0,
       'event trigger:' || pg_catalog.quote_ident(t.evtname),
       pg_catalog.jsonb_build_object('event', t.evtevent, 'function', t.evtfoid::pg_catalog.regprocedure::pg_catalog.text,
                                     'enabled', t.evtenabled, 'tags', t.evttags),
       t.evtowner, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_event_trigger t

-- name: default_privileges
-- What the next object's grants will be.
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0,
       'default privileges:' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole))
       || coalesce(' in ' || ns.name, '') || ' on ' || d.defaclobjtype::pg_catalog.text,
       pg_catalog.jsonb_build_object('items', (
         select pg_catalog.jsonb_agg(g.item order by g.item)
           from (select case when a.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
                        || '=' || a.privilege_type || case when a.is_grantable then '*' else '' end as item
                   from pg_catalog.aclexplode(d.defaclacl) a) g)),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_default_acl d
  left join ns on ns.oid = d.defaclnamespace
 where d.defaclnamespace = 0 or ns.oid is not null

-- name: database
-- The database without its name, item by item, so that a copy that lacks one item still changes like the original.
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0, 'database:owner',
       pg_catalog.jsonb_build_object('name', pg_catalog.pg_get_userbyid(d.datdba)), null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()
union all
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0, 'database:comment',
       pg_catalog.jsonb_build_object('text', s.description), null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_database d
  join pg_catalog.pg_shdescription s on s.objoid = d.oid and s.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
 where d.datname = pg_catalog.current_database()
union all
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0,
       'database grant:' || case when a.grantee = 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
       || ' ' || a.privilege_type,
       pg_catalog.jsonb_build_object('grantable', pg_catalog.bool_or(a.is_grantable)), null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_database d
 cross join lateral pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
 where d.datname = pg_catalog.current_database() and a.grantee <> d.datdba
 group by a.grantee, a.privilege_type

-- name: settings
-- ALTER DATABASE SET and ALTER ROLE SET, of roles that are told below.
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0,
       'setting:' || coalesce(pg_catalog.quote_ident(r.rolname) || ' ', '') || case when s.setdatabase = 0 then '' else 'in this database ' end
       || pg_catalog.split_part(c, '=', 1),
       pg_catalog.jsonb_build_object('value', pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_db_role_setting s
  left join pg_catalog.pg_roles r on r.oid = s.setrole
 cross join lateral pg_catalog.unnest(s.setconfig) c
 where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
   and (s.setrole = 0 or not r.rolsuper)

-- name: roles
-- Roles are the whole server's, but migrations make and grant them. Not told: superusers (whoever runs the server: another
-- name on a scratch server), whether a role may log in and its password (rehearsals make all NOLOGIN), who granted.
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0,
       'role:' || pg_catalog.quote_ident(r.rolname),
       pg_catalog.jsonb_build_object(
         'inherit', r.rolinherit, 'createrole', nullif(r.rolcreaterole, false), 'createdb', nullif(r.rolcreatedb, false),
         'replication', nullif(r.rolreplication, false), 'bypassrls', nullif(r.rolbypassrls, false),
         'connections', nullif(r.rolconnlimit, -1)),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_roles r
 where r.rolname !~ '^pg_' and not r.rolsuper
union all
select 0::pg_catalog.oid, 0::pg_catalog.oid, 0,
       'membership:' || pg_catalog.quote_ident(u.rolname) || ' in ' || pg_catalog.quote_ident(g.rolname),
       pg_catalog.jsonb_build_object(
         'admin', nullif(pg_catalog.bool_or(m.admin_option), false),
         'inherit', pg_catalog.bool_or((pg_catalog.to_jsonb(m) ->> 'inherit_option')::pg_catalog.bool),
         'set', pg_catalog.bool_or((pg_catalog.to_jsonb(m) ->> 'set_option')::pg_catalog.bool)),
       null::pg_catalog.oid, null::pg_catalog.aclitem[], null::"char"
  from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles u on u.oid = m.member
  join pg_catalog.pg_roles g on g.oid = m.roleid
 where u.rolname !~ '^pg_' and not u.rolsuper
 group by u.rolname, g.rolname
