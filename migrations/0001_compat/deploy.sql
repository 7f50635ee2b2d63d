-- What Supabase brings along, for servers that are not Supabase: the API's roles and schema auth.
-- On Supabase all of it exists and nothing is altered, its auth least of all: it is not ours.

-- Roles belong to the whole cluster: made where missing, never altered. The comment tells a revert which it made.
-- They do not log in: whoever could log in as one could also set its claims, and so be any user.
do $roles$
declare
  -- SET ROLE asks about the session's user; on 15 a membership is always enough
  ability constant text := case when pg_catalog.current_setting('server_version_num')::int >= 160000
                                then 'SET' else 'MEMBER' end;
  wanted text;
begin
  foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
    continue when exists (select from pg_catalog.pg_roles where rolname = wanted);
    begin
      execute pg_catalog.format('create role %I nologin noinherit', wanted);
    exception when duplicate_object or unique_violation then
      continue;  -- another database of this cluster was faster
    end;
    execute pg_catalog.format('comment on role %I is %L', wanted, 'made by wedsync-db for database ' || current_database());

    -- the verify scripts look at the data as these two do
    if wanted <> 'service_role' and not pg_catalog.pg_has_role(session_user, wanted, ability) then
      execute pg_catalog.format('grant %I to current_user', wanted);
    end if;

    -- the platform's own server side, for which row-level security is no limit
    if wanted = 'service_role' then
      begin
        alter role service_role bypassrls;
      exception when insufficient_privilege then  -- up to 15 only a superuser may, from 16 on only who has it
        raise warning 'service_role sees no rows yet'
          using hint = 'A superuser has to run: alter role service_role bypassrls';
      end;
    end if;
  end loop;

  -- Where somebody else made the roles, whoever deploys has to be given these two: it could often do that itself, but
  -- no revert could tell that membership from one that was there before.
  if not (pg_catalog.pg_has_role(session_user, 'anon', ability)
          and pg_catalog.pg_has_role(session_user, 'authenticated', ability)) then
    raise exception 'the role that deploys cannot become anon and authenticated'
      using errcode = 'insufficient_privilege',
            hint = pg_catalog.format('Whoever owns these roles has to run: grant anon, authenticated to %I', current_user);
  end if;
end
$roles$;

-- auth.uid() and its two companions read the verified token that the API puts into the session's settings, under the
-- name of today and the older one. The comment marks the schema as ours to drop.
do $auth$
begin
  if pg_catalog.to_regnamespace('auth') is not null then
    if pg_catalog.to_regprocedure('auth.uid()') is null then
      raise exception 'schema auth exists, but auth.uid() does not'
        using errcode = 'object_not_in_prerequisite_state',
              hint = 'It belongs to something else: deploy into a database of its own.';
    end if;
    return;
  end if;

  create schema auth;
  comment on schema auth is 'wedsync compatibility shim: stands in for the auth schema of Supabase';

  create function auth.jwt() returns jsonb
    language sql stable set search_path = pg_catalog, pg_temp
    as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;

  create function auth.uid() returns uuid
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub')::uuid
    $$;

  create function auth.role() returns text
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), auth.jwt() ->> 'role')
    $$;

  revoke all on function auth.jwt(), auth.uid(), auth.role() from public;
  grant usage on schema auth to anon, authenticated, service_role;
  grant execute on function auth.jwt(), auth.uid(), auth.role() to anon, authenticated, service_role;
end
$auth$;
