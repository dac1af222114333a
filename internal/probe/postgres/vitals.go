package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sample"
)

const vitalsOne = `SELECT current_setting('server_version_num')::int, extract(epoch FROM clock_timestamp() - pg_catalog.pg_postmaster_start_time())::float8,
  pg_catalog.pg_is_in_recovery(), current_setting('max_connections')::int,
  current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0 ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0') END::float8,
  (SELECT count(*)::int FROM pg_catalog.pg_stat_activity WHERE backend_type = 'autovacuum worker'),
  current_setting('autovacuum_max_workers')::int,
  (SELECT max(age(datfrozenxid))::int8 FROM pg_catalog.pg_database),
  (SELECT coalesce(sum(deadlocks), 0)::float8 FROM pg_catalog.pg_stat_database),
  (SELECT coalesce(sum(temp_bytes), 0)::float8 FROM pg_catalog.pg_stat_database)`

// vitalsXmin is the oldest snapshot: what vacuum cannot clean past, and whose it
// is.
const vitalsXmin = `SELECT age, of FROM (
  SELECT age(backend_xmin)::int8 AS age, 'pid ' || pid || ' of ' || coalesce(usename::text, '?') || coalesce(', ' || nullif(application_name, ''), '') AS of
    FROM pg_catalog.pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
  UNION ALL SELECT greatest(age(xmin), age(catalog_xmin))::int8, 'replication slot ' || slot_name FROM pg_catalog.pg_replication_slots
  UNION ALL SELECT age(transaction)::int8, 'prepared transaction ' || gid FROM pg_catalog.pg_prepared_xacts
) x WHERE age IS NOT NULL ORDER BY age DESC LIMIT 1`

const vitalsSettings = `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections',
  'statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'lock_timeout', 'shared_buffers', 'work_mem', 'autovacuum', 'max_wal_size',
  'synchronous_commit', 'wal_level', 'hot_standby_feedback', 'max_standby_streaming_delay')`

// checkpoints of servers before 17, and since.
const (
	checkpointsOld = `SELECT checkpoints_timed::float8, checkpoints_req::float8 FROM pg_catalog.pg_stat_bgwriter`
	checkpointsNew = `SELECT num_timed::float8, num_requested::float8 FROM pg_catalog.pg_stat_checkpointer`
)

func (s *Server) lookVitals(ctx context.Context) error {
	var v *sample.Vitals
	err := s.slow.with(ctx, func(c *pgx.Conn) error {
		v = &sample.Vitals{Settings: map[string]string{}}
		var age float64
		if err := c.QueryRow(ctx, vitalsOne).Scan(&v.Version, &age, &v.Recovery, &v.MaxConnections, &v.Reserved, &v.WALBytes, &v.Autovacuums,
			&v.AutovacuumMax, &v.WraparoundAge, &v.Deadlocks, &v.TempBytes); err != nil {
			return err
		}
		v.StartedAt = time.Now().Add(-span(age)).Truncate(time.Second)
		checkpoints := checkpointsOld
		if v.Version >= 170000 {
			checkpoints = checkpointsNew
		}
		batch := &pgx.Batch{}
		batch.Queue(checkpoints).QueryRow(func(r pgx.Row) error { return r.Scan(&v.CheckpointsTimed, &v.CheckpointsAsked) })
		batch.Queue(vitalsXmin).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&v.OldestXmin, &v.OldestXminOf); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		batch.Queue(vitalsSettings).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var name, value string
				if err := rows.Scan(&name, &value); err != nil {
					return err
				}
				v.Settings[name] = value
			}
			return rows.Err()
		})
		return c.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("read vitals: %w", err)
	}
	v.At = time.Now()
	s.vitals.Set(v)
	return nil
}
