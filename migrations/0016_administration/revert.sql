-- Functions first, then what they read.
drop function
  ops.get_replication_status(), ops.get_schema_issues(), ops.update_table_statistics(integer, integer),
  ops.get_maintenance_candidates(integer), ops.get_blocking_tree(), ops.get_last_backup_time(), ops.get_database_size(),
  ops.execute_migration(text, text, text, integer), ops.vacuum_analyze_table(text), ops.analyze_table(text, integer),
  ops.get_unused_indexes(interval, bigint, bigint), ops.get_index_usage(integer), ops.get_table_sizes(integer, boolean),
  ops.get_slow_queries(integer, double precision, bigint), ops.get_performance_stats(), ops.get_connection_stats(),
  ops.named_table(text), ops.relations_being_changed(), ops.redacted(text), ops.counted_since();
drop table ops.backup_records, ops.executed_migrations, ops.maintenance_requests;
revoke usage on schema ops from pg_read_all_stats;
