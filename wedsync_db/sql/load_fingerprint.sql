-- name: settings
-- What the server is set to, as one hash: what differs between two sets of runs is then not its settings. Without what
-- only says where it is, what it is called and what it logs.
select pg_catalog.md5(coalesce(pg_catalog.string_agg(s.name || '=' || s.reset_val, E'\n' order by s.name collate "C"), ''))
from pg_catalog.pg_settings as s
where s.reset_val is not null
  and s.category not like 'Reporting and Logging%%'
  and s.category not like 'File Locations%%'
  and s.category not like 'Connections and Authentication / %%'
  and s.category not like 'Client Connection Defaults / %%'
  and s.name not in ('cluster_name', 'application_name', 'port', 'listen_addresses', 'config_file', 'in_hot_standby',
                     'primary_conninfo', 'primary_slot_name', 'archive_command', 'restore_command')
