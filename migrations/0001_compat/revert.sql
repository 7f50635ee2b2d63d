-- Only the marked shim goes.
do $auth$
begin
  if pg_catalog.obj_description(pg_catalog.to_regnamespace('auth')::oid, 'pg_namespace')
     = 'wedsync compatibility shim: stands in for the auth schema of Supabase' then
    drop function auth.role();
    drop function auth.uid();
    drop function auth.jwt();
    drop schema auth;
  end if;
end
$auth$;

-- Of the roles only those go that were made for this database and that nobody uses: no other database of the cluster,
-- no member but whoever deploys, nothing granted to them, no settings. Everything else stays.
do $roles$
declare
  unused text;
begin
  for unused in
    select r.rolname
    from pg_catalog.pg_roles as r
    where r.rolname in ('anon', 'authenticated', 'service_role')
      and pg_catalog.shobj_description(r.oid, 'pg_authid') = 'made by wedsync-db for database ' || current_database()
      and not exists (select from pg_catalog.pg_auth_members as m
                      where m.member = r.oid or m.roleid = r.oid and m.member <> current_user::regrole)
      and not exists (select from pg_catalog.pg_db_role_setting as s where s.setrole = r.oid)
  loop
    begin
      execute pg_catalog.format('drop role %I', unused);
    exception when dependent_objects_still_exist or insufficient_privilege then
      null;  -- something of another database depends on it, or it is not ours any more
    end;
  end loop;
end
$roles$;
