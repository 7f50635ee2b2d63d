-- name: facts
-- Version, cluster and database at once. Both pg_control functions may be executed by everybody unless somebody revoked
-- it. current_user is the role in force after SET ROLE. 10 is the
-- superuser that initdb made, under whatever name.
select
  pg_catalog.current_setting('server_version_num')::int,
  s.system_identifier::text,
  d.datname::text,
  d.oid::bigint,
  c.timeline_id,
  current_user::text,
  coalesce((select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user), false),
  pg_catalog.pg_is_in_recovery(),
  pg_catalog.pg_get_userbyid(10)::text
from pg_catalog.pg_control_system() as s, pg_catalog.pg_control_checkpoint() as c, pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database()

-- name: backend_pid
-- The backend that really runs this statement.
select pg_catalog.pg_backend_pid()

-- name: lost_settings
-- Start-up settings that the server does not know as coming from this client: a pooler dropped them.
select s.name
from pg_catalog.pg_settings as s
where s.name in ('client_connection_check_interval', 'lock_timeout', 'statement_timeout')
  and s.source not in ('client', 'session')
order by s.name
