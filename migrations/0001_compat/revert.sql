-- Only the marked shim goes. The roles stay: other databases of the cluster may use them.
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
