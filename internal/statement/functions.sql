-- Lists the functions of pg_catalog, one a line with a class letter, for
-- functions.txt. Run on a fresh cluster:
--   psql -AtX -F ' ' -f functions.sql postgres
-- and merge with the list at hand: names of other versions stay in it.
--
-- Classes: a session advisory lock, c set_config, k state that DISCARD ALL
-- does not undo, n notify, s reads the state of its session, u runs SQL that it
-- is given, w writes, v volatile, - none of these.
SELECT proname,
       CASE
         WHEN proname ~ '^pg_(try_)?advisory_' AND proname !~ 'xact' THEN 'a'
         WHEN proname = 'set_config' THEN 'c'
         WHEN proname = 'pg_notify' THEN 'n'
         WHEN proname ~ '^(query_to_xml|cursor_to_xml|ts_stat$|ts_rewrite$|binary_upgrade_)' THEN 'u'
         WHEN proname IN ('setseed', 'pg_backup_start', 'pg_backup_stop', 'pg_start_backup', 'pg_stop_backup',
              'pg_create_logical_replication_slot', 'pg_create_physical_replication_slot',
              'pg_copy_logical_replication_slot', 'pg_copy_physical_replication_slot')
           OR proname ~ '^pg_replication_origin_(session|xact)_' THEN 'k'
         WHEN proname IN ('currval', 'lastval', 'pg_backend_pid', 'current_setting', 'current_schema', 'current_schemas',
              'current_user', 'session_user', 'getpgusername', 'current_query', 'pg_listening_channels', 'pg_cursor',
              'pg_prepared_statement', 'pg_show_all_settings', 'pg_my_temp_schema', 'pg_get_backend_memory_contexts',
              'inet_client_addr', 'inet_client_port', 'inet_server_addr', 'inet_server_port', 'pg_client_encoding',
              'pg_current_xact_id_if_assigned', 'txid_current_if_assigned', 'pg_is_other_temp_schema',
              'pg_stat_clear_snapshot', 'pg_stat_force_next_flush', 'pg_stat_get_snapshot_timestamp', 'pg_trigger_depth')
           OR proname ~ '^pg_stat_get_xact_' THEN 's'
         WHEN proname IN ('nextval', 'setval', 'pg_current_xact_id', 'txid_current', 'pg_logical_emit_message',
              'pg_create_restore_point', 'pg_switch_wal', 'pg_drop_replication_slot', 'pg_replication_slot_advance',
              'pg_replication_origin_create', 'pg_replication_origin_drop', 'pg_replication_origin_advance',
              'pg_import_system_collations', 'pg_nextoid', 'pg_promote', 'pg_reload_conf', 'gin_clean_pending_list',
              'brin_summarize_range', 'brin_summarize_new_values', 'brin_desummarize_range', 'pg_extension_config_dump',
              'pg_stop_making_pinned_objects', 'pg_wal_replay_pause', 'pg_wal_replay_resume',
              'lo_creat', 'lo_create', 'lo_import', 'lo_from_bytea', 'lo_put', 'lo_unlink', 'lo_truncate',
              'lo_truncate64', 'lowrite', 'lo_export', 'pg_logical_slot_get_changes', 'pg_logical_slot_get_binary_changes')
           OR proname ~ '^pg_(stat_reset|rotate_logfile)' THEN 'w'
         WHEN bool_or(provolatile = 'v') THEN 'v'
         ELSE '-'
       END
  FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace
   AND proname !~ '[A-Z]' AND proname !~ '^plpgsql_'
 GROUP BY proname ORDER BY proname COLLATE "C";
