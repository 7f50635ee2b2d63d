-- each function answers, and in the shape it promises
select count(*) = 1 as connections_are_counted from ops.get_connection_stats() where total >= 1;
select bool_and(kind in ('counter', 'gauge') and unit <> '') as performance_has_kinds_and_units from ops.get_performance_stats();
select count(*) >= 0 as slow_queries_answer from ops.get_slow_queries(1);
select count(*) >= 0 as sizes_answer from ops.get_table_sizes(1, false);
select count(*) >= 0 as index_usage_answers from ops.get_index_usage(1);
select bool_and(verdict in ('candidate', 'too_early', 'protected')) is not false as unused_indexes_have_verdicts
from ops.get_unused_indexes();
select count(*) = 1 as size_of_the_database_is_known from ops.get_database_size() where size_bytes > 0;
select count(*) = 1 as backups_are_told_or_unknown from ops.get_last_backup_time() where status is not null;
select count(*) >= 0 as blocking_tree_answers from ops.get_blocking_tree();
select count(*) >= 0 as candidates_answer from ops.get_maintenance_candidates(1);
select count(*) >= 0 as issues_answer from ops.get_schema_issues();
select count(*) = 1 as archiver_is_told from ops.get_replication_status() where kind = 'archiver';
select status = 'not_done' as a_name_that_is_none_is_no_error from ops.analyze_table('no such; table');

-- nobody reaches them from outside, and none can be made to call what its caller made
with made (name) as (
  values ('counted_since()'), ('redacted(text)'), ('relations_being_changed()'), ('named_table(text)'),
         ('get_connection_stats()'), ('get_performance_stats()'), ('get_slow_queries(integer, double precision, bigint)'),
         ('get_table_sizes(integer, boolean)'), ('get_index_usage(integer)'),
         ('get_unused_indexes(interval, bigint, bigint)'), ('analyze_table(text, integer)'), ('vacuum_analyze_table(text)'),
         ('update_table_statistics(integer, integer)'), ('execute_migration(text, text, text, integer)'),
         ('get_database_size()'), ('get_last_backup_time()'), ('get_blocking_tree()'),
         ('get_maintenance_candidates(integer)'), ('get_schema_issues()'), ('get_replication_status()')
)
select pg_catalog.bool_and(
         (p.proconfig @> array['search_path=pg_catalog, pg_temp']) is true
         and not pg_catalog.has_function_privilege('anon', p.oid, 'execute')
         and not pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')
         -- what acts as its owner is for the server side, what does not is for nobody
         and p.prosecdef = pg_catalog.has_function_privilege('service_role', p.oid, 'execute')) as functions_are_closed
from made join pg_catalog.pg_proc as p on p.oid = ('ops.' || made.name)::regprocedure;
