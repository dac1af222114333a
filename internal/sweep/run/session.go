package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/sweep/target"
)

// Bounds of a batch's statements.
const (
	// lockWait is how long a batch waits for a lock: whoever waits behind it
	// waits no longer because of it.
	lockWait = 500 * time.Millisecond
	// batchTimeout is how long a batch may take; it doubles when even the
	// smallest batch takes longer, up to mostTimeout.
	batchTimeout, mostTimeout = 5 * time.Second, 5 * time.Minute
	// takeWithin is how long a lock is waited for whose holder may have died.
	takeWithin = 5 * time.Second
)

// session is a connection that deletes. The runner's first one holds the
// advisory locks.
type session struct {
	conn    *pgx.Conn
	timeout time.Duration
	known   map[string]bool // statements of legs that are prepared
}

// open connects and takes the locks of all tables of the sweep.
func open(ctx context.Context, dial Dial, s *Sweep) (*session, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	one := &session{conn: conn, timeout: batchTimeout, known: map[string]bool{}}
	err = one.setUp(ctx, s, conn.PgConn().PID())
	if err == nil {
		err = one.lock(ctx, s)
	}
	if err != nil {
		target.Close(conn)
		return nil, err
	}
	return one, nil
}

// beside connects again beside a runner's first session, for batches that may be
// committed only while the first has its lock.
func beside(ctx context.Context, dial Dial, s *Sweep, first *session) (*session, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	one := &session{conn: conn, timeout: first.timeout, known: map[string]bool{}}
	if err := one.setUp(ctx, s, first.conn.PgConn().PID()); err != nil {
		target.Close(conn)
		return nil, err
	}
	return one, nil
}

// setUp prepares what batches need; first is the backend with the lock.
func (s *session) setUp(ctx context.Context, sweep *Sweep, first uint32) error {
	if err := target.Direct(ctx, s.conn); err != nil {
		return err
	}
	// A lost commit is one that the cursor has not seen either; so no batch
	// waits for the disk or a replica. A client that is gone is noticed.
	_, err := s.conn.Exec(ctx, fmt.Sprintf(`SET lock_timeout = %d; SET statement_timeout = %d; SET synchronous_commit = off;
		SELECT set_config('TimeZone', %s, false); SELECT set_config('client_connection_check_interval', '1000', false) WHERE current_setting('server_version_num')::int >= 140000`,
		lockWait.Milliseconds(), s.timeout.Milliseconds(), literal(sweep.Job.Zone)))
	if err == nil {
		_, err = s.conn.Exec(ctx, prepared+fmt.Sprintf(closing, sweep.Relation, first))
	}
	if err != nil {
		return fmt.Errorf("set up session: %w", err)
	}
	return nil
}

// prepared is what every batch runs besides its delete. A batch beside traffic
// has 1 ms: parsing and planning anew was a sixth of it. Plans are generic, or
// PostgreSQL plans a range of pages anew each time for being so much smaller
// than it takes a range to be.
const prepared = target.GenericPlans + `;
	PREPARE spillway_want (bigint, bigint) AS SELECT want FROM spillway.sweep WHERE id = $1 AND fence = $2 FOR UPDATE;
	PREPARE spillway_node (oid) AS SELECT pg_relation_filenode($1);
	PREPARE spillway_save (bigint, bigint, jsonb, bigint, bigint, float8, text) AS UPDATE spillway.sweep SET cursor = $3, deleted = deleted + $4, batches = batches + 1,
		kept = $5, active = $6, brake = $7, beat = clock_timestamp() WHERE id = $1 AND fence = $2`

// closing is the end of a batch whose delete ran before anybody asked for the
// fence: it saves the cursor, tells what is wanted, and fails where the fence
// does not stand or backend first has no lock on the table any more. A cast that
// fails is an error that any role can raise.
const closing = `;
	PREPARE spillway_close (bigint, bigint, jsonb, bigint, float8, text) AS
	WITH saved AS (UPDATE spillway.sweep SET cursor = $3, deleted = deleted + $4, batches = batches + 1, active = $5, brake = $6, beat = clock_timestamp()
		WHERE id = $1 AND fence = $2 AND EXISTS (SELECT FROM pg_locks WHERE ` + tableLocks + ` AND objid = %d AND pid = %d) RETURNING want)
	SELECT CASE count(*) WHEN 1 THEN min(want) ELSE ('the fence has fallen, ' || count(*))::int::text END FROM saved`

// prepare prepares a statement of a leg, once.
func (s *session) prepare(ctx context.Context, name, parameters, sql string) error {
	if s.known[name] {
		return nil
	}
	if _, err := s.conn.Exec(ctx, "PREPARE "+name+" ("+parameters+") AS "+sql); err != nil {
		return fmt.Errorf("prepare the delete: %w", err)
	}
	s.known[name] = true
	return nil
}

// lock takes the advisory locks of the table and its partitions. A lock whose
// holder has just died goes when PostgreSQL notices.
func (s *session) lock(ctx context.Context, sweep *Sweep) error {
	oids := []int64{int64(sweep.Relation)}
	for i := range sweep.Job.Legs {
		if oid := int64(sweep.Job.Legs[i].OID); oid != oids[0] {
			oids = append(oids, oid)
		}
	}
	deadline := time.Now().Add(takeWithin)
	for {
		var taken bool
		err := s.conn.QueryRow(ctx, `SELECT bool_and(pg_try_advisory_lock($1, (CASE WHEN o > 2147483647 THEN o - 4294967296 ELSE o END)::int)) FROM unnest($2::bigint[]) o`, int32(lockClass), oids).Scan(&taken)
		if err != nil {
			return fmt.Errorf("lock table %s: %w", sweep.Table, err)
		}
		if taken {
			return nil
		}
		if _, err := s.conn.Exec(ctx, "SELECT pg_advisory_unlock_all()"); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
		if time.Now().After(deadline) {
			return s.taken(ctx, sweep)
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// taken names who has the lock.
func (s *session) taken(ctx context.Context, sweep *Sweep) error {
	var pid int
	var application string
	err := s.conn.QueryRow(ctx, `SELECT l.pid, coalesce(a.application_name || coalesce(' from ' || a.client_addr, ''), '') FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.classid = $1 AND l.objsubid = 2 AND l.granted AND l.pid <> pg_backend_pid() AND l.objid = $2 LIMIT 1`, uint32(lockClass), sweep.Relation).Scan(&pid, &application)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", sweep.Table, ErrTaken)
	}
	return fmt.Errorf("sweep %s: %w (backend %d, %s)", sweep.Table, ErrTaken, pid, application)
}

// many runs statements in one round trip and returns each one's result. After
// an error the transaction is rolled back.
func (s *session) many(ctx context.Context, sql string) ([]*pgconn.Result, error) {
	results, err := s.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, s.back(ctx, err)
	}
	for _, r := range results {
		if r.Err != nil {
			return nil, s.back(ctx, r.Err)
		}
	}
	return results, nil
}

// back rolls back after err and returns it.
func (s *session) back(ctx context.Context, err error) error {
	if s.conn.IsClosed() {
		return err
	}
	if _, failed := s.conn.Exec(ctx, "ROLLBACK"); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// allow changes the time a statement may take.
func (s *session) allow(ctx context.Context, d time.Duration) error {
	_, err := s.conn.Exec(ctx, fmt.Sprintf("SET statement_timeout = %d", d.Milliseconds()))
	if err != nil {
		return fmt.Errorf("set statement_timeout: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
