package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sample"
)

const replicationSelf = `SELECT pg_catalog.pg_is_in_recovery(),
  CASE WHEN pg_catalog.pg_is_in_recovery() AND pg_catalog.pg_last_wal_receive_lsn() IS DISTINCT FROM pg_catalog.pg_last_wal_replay_lsn()
    THEN coalesce(extract(epoch FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()), 0)::float8 END,
  coalesce(pg_catalog.pg_last_wal_replay_lsn()::text, '')`

const replicationOthers = `SELECT coalesce(application_name, ''), coalesce(host(client_addr), ''), coalesce(state, ''), coalesce(sync_state, ''),
  coalesce(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, replay_lsn), 0)::float8,
  coalesce(extract(epoch FROM replay_lag), 0)::float8, coalesce(replay_lsn::text, '')
FROM pg_catalog.pg_stat_replication LIMIT 100`

const replicationSlots = `SELECT slot_name::text, active,
  coalesce(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn), 0)::float8,
  coalesce(age(xmin), 0)::int8
FROM pg_catalog.pg_replication_slots LIMIT 100`

// replayMark is where a replica's replay stood, and since when. The server's
// own replay_lag does not grow while a replica replays nothing at all.
type replayMark struct {
	lsn   string
	since time.Time
}

func (s *Server) lookReplication(ctx context.Context) error {
	var r *sample.Replication
	err := s.fast.with(ctx, func(c *pgx.Conn) error {
		r = &sample.Replication{}
		batch := &pgx.Batch{}
		batch.Queue(replicationSelf).QueryRow(func(row pgx.Row) error {
			var behind *float64
			var lsn string
			err := row.Scan(&r.Replica, &behind, &lsn)
			now := time.Now()
			if s.own.lsn != lsn || behind == nil {
				s.own = replayMark{lsn, now}
			}
			if behind != nil {
				r.Behind = max(span(*behind), now.Sub(s.own.since))
			}
			return err
		})
		batch.Queue(replicationOthers).Query(func(rows pgx.Rows) error { return s.readReplicas(r, rows, time.Now()) })
		batch.Queue(replicationSlots).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var one sample.Slot
				if err := rows.Scan(&one.Name, &one.Active, &one.KeptBytes, &one.XminAge); err != nil {
					return err
				}
				r.Slots = append(r.Slots, one)
			}
			return rows.Err()
		})
		return c.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("read replication: %w", err)
	}
	r.At = time.Now()
	s.replicas.Set(r)
	return nil
}

func (s *Server) readReplicas(r *sample.Replication, rows pgx.Rows, now time.Time) error {
	marks := map[string]replayMark{}
	for rows.Next() {
		var (
			one sample.Replica
			lag float64
			lsn string
		)
		if err := rows.Scan(&one.Application, &one.Addr, &one.State, &one.Sync, &one.LagBytes, &lag, &lsn); err != nil {
			return err
		}
		one.Lag = span(lag)
		key := one.Application + "\x00" + one.Addr
		mark := s.replay[key]
		if mark.lsn != lsn || one.LagBytes <= 0 {
			mark = replayMark{lsn, now}
		}
		marks[key] = mark
		one.Lag = max(one.Lag, now.Sub(mark.since))
		if one.LagBytes <= 0 {
			one.Lag = 0
		}
		r.Replicas = append(r.Replicas, one)
	}
	s.replay = marks
	return rows.Err()
}
