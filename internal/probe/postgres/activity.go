package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sample"
	"spillway/internal/statement"
)

// activityCount sums connections up. What a role may not see of others is NULL.
const activityCount = `SELECT coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(state, ''), count(*)::int
FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 100`

// activityRows lists those that wait for a lock, those they wait for, and those
// in a transaction for longer than ten seconds. Lock tables are only looked at
// while somebody waits; a relation of another database has its number only.
const activityRows = `WITH waits AS MATERIALIZED (
  SELECT pid, pg_catalog.pg_blocking_pids(pid) AS by FROM pg_catalog.pg_stat_activity
  WHERE wait_event_type = 'Lock' ORDER BY query_start LIMIT 100
), wanted AS MATERIALIZED (
  SELECT l.pid, min(l.mode || CASE
      WHEN l.relation IS NULL THEN ' on ' || l.locktype
      WHEN l.database IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) THEN ' on ' || l.relation::regclass::text
      ELSE ' on relation ' || l.relation::text END) AS lock
  FROM pg_catalog.pg_locks l WHERE NOT l.granted AND EXISTS (SELECT FROM waits) GROUP BY 1
)
SELECT a.pid, coalesce(a.usename::text, ''), coalesce(a.datname::text, ''), coalesce(a.application_name, ''), coalesce(host(a.client_addr), ''),
  coalesce(a.backend_type, ''), coalesce(a.state, ''), coalesce(a.wait_event_type, ''), coalesce(a.wait_event, ''),
  extract(epoch FROM clock_timestamp() - a.backend_start)::float8, extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
  extract(epoch FROM clock_timestamp() - a.query_start)::float8, extract(epoch FROM clock_timestamp() - a.state_change)::float8,
  w.by, coalesce(x.lock, ''), left(coalesce(a.query, ''), 4096), EXISTS (SELECT FROM waits v WHERE a.pid = ANY (v.by))
FROM pg_catalog.pg_stat_activity a LEFT JOIN waits w ON w.pid = a.pid LEFT JOIN wanted x ON x.pid = a.pid
WHERE a.pid <> pg_catalog.pg_backend_pid() AND (w.pid IS NOT NULL OR a.xact_start < clock_timestamp() - interval '10 seconds'
  OR EXISTS (SELECT FROM waits v WHERE a.pid = ANY (v.by)))
ORDER BY w.pid IS NULL, a.xact_start LIMIT 400`

// activityRight asks whether the role sees others' sessions at all.
const activityRight = `SELECT current_user::text, pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage')`

func (s *Server) lookActivity(ctx context.Context) error {
	var a *sample.Activity
	err := s.fast.with(ctx, func(c *pgx.Conn) error {
		a = &sample.Activity{}
		batch := &pgx.Batch{}
		batch.Queue(activityRight).QueryRow(func(r pgx.Row) error {
			var sees bool
			err := r.Scan(&a.Role, &sees)
			a.Blind = !sees
			return err
		})
		batch.Queue(activityCount).Query(func(r pgx.Rows) error { return readGroups(a, r) })
		batch.Queue(activityRows).Query(func(r pgx.Rows) error { return readBackends(a, r, time.Now()) })
		return c.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("read activity: %w", err)
	}
	a.At = time.Now()
	s.activity.Set(a)
	return nil
}

func readGroups(a *sample.Activity, rows pgx.Rows) error {
	for rows.Next() {
		var g sample.ActivityGroup
		if err := rows.Scan(&g.User, &g.Application, &g.State, &g.Count); err != nil {
			return err
		}
		a.Groups = append(a.Groups, g)
		a.Total += g.Count
	}
	return rows.Err()
}

// readBackends sorts rows into the blocked, the blockers and the long. Ages come
// from the server's clock and become times of ours.
func readBackends(a *sample.Activity, rows pgx.Rows, now time.Time) error {
	ago := func(age *float64) time.Time {
		if age == nil {
			return time.Time{}
		}
		return now.Add(-span(*age))
	}
	for rows.Next() {
		var (
			b                         sample.Backend
			start, xact, query, state *float64
			by                        []int32
			text                      string
			blocks                    bool
		)
		if err := rows.Scan(&b.PID, &b.User, &b.Database, &b.Application, &b.Addr, &b.Kind, &b.State, &b.WaitType, &b.Wait,
			&start, &xact, &query, &state, &by, &b.Lock, &text, &blocks); err != nil {
			return err
		}
		b.StartedAt, b.TransactionAt, b.QueryAt, b.StateAt = ago(start), ago(xact), ago(query), ago(state)
		if text != "" {
			b.SQL, b.Fingerprint = shownSQL(text), statement.Print([]byte(text))
		}
		for _, pid := range by {
			b.BlockedBy = append(b.BlockedBy, int(pid))
		}
		if len(by) > 0 {
			a.Blocked = append(a.Blocked, b)
		}
		if blocks {
			a.Blockers = append(a.Blockers, b)
		}
		if xact != nil && *xact > 10 {
			a.Long = append(a.Long, b)
		}
	}
	return rows.Err()
}
