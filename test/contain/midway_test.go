package contain

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// endless is a reader that never ends: rows of a COPY, a few at a time.
type endless struct{ until <-chan struct{} }

func (e endless) Read(p []byte) (int, error) {
	select {
	case <-e.until:
		return 0, io.EOF
	case <-time.After(10 * time.Millisecond): // its pace
		return copy(p, "7\t7\n"), nil
	}
}

// midways are what a client may be in the middle of when a kill comes, by name.
func midways() map[string]func(ctx context.Context, c *pgx.Conn) error {
	return map[string]func(ctx context.Context, c *pgx.Conn) error{
		"copy in": func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.PgConn().CopyFrom(ctx, endless{ctx.Done()}, "COPY sink FROM STDIN")
			return err
		},
		"copy out": func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.PgConn().CopyTo(ctx, io.Discard, "COPY (SELECT repeat('x', 1000), pg_sleep(0.01) FROM generate_series(1, 100000)) TO STDOUT")
			return err
		},
		"rows": func(ctx context.Context, c *pgx.Conn) error {
			rows, err := c.Query(ctx, "SELECT repeat('x', 1000), pg_sleep(0.01) FROM generate_series(1, 100000)")
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			return rows.Err()
		},
		"pipeline": func(ctx context.Context, c *pgx.Conn) error {
			batch := &pgx.Batch{}
			for range 50 {
				batch.Queue("SELECT pg_sleep(0.1), $1::int", 7)
			}
			return c.SendBatch(ctx, batch).Close()
		},
		"transaction": func(ctx context.Context, c *pgx.Conn) error {
			if _, err := c.Exec(ctx, "BEGIN"); err != nil {
				return err
			}
			_, err := c.Exec(ctx, "INSERT INTO sink SELECT 1, 1 FROM generate_series(1, 1000), pg_sleep(600)")
			_, end := c.Exec(ctx, "ROLLBACK")
			return errors.Join(err, end)
		},
		"function": func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "DO $$ BEGIN FOR i IN 1..100000 LOOP INSERT INTO sink VALUES (i, i); PERFORM pg_sleep(0.01); END LOOP; END $$")
			return err
		},
	}
}

// TestKillMidway: whatever a client is in the middle of, a kill leaves nothing of
// it behind: not in the table, and not on the server, which is the only one there is.
func TestKillMidway(t *testing.T) {
	for _, kind := range pgtest.Kinds(t, "transaction", "session") {
		t.Run(kind.String(), func(t *testing.T) {
			s := server(t)
			s.Exec(t, "CREATE TABLE sink (a int, b int); GRANT ALL ON sink TO PUBLIC")
			p := pgtest.Serve(t, kind, pgtest.PoolerConfig{Server: s, PoolSize: 1,
				Users: map[string]string{"postgres": "", "worker": ""}, Overlay: []byte("workloads: {batch: {match: {user: worker}}}")})
			for name, work := range midways() {
				ctx, end := context.WithTimeout(t.Context(), limit)
				c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "worker"}))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				told := make(chan error, 1)
				go func() { told <- work(ctx, c) }()
				eventually(t, name+" runs", limit, func() bool {
					return backends(t, s, "usename = 'worker' AND state = 'active' AND clock_timestamp() - query_start > interval '50 ms'") == "1"
				})
				a := order(t, p, "kill", "--user", "worker", "--grace", "2s")
				if err := <-told; err == nil || a.Targets != 1 {
					t.Errorf("%s: it was not killed: %v, %+v", name, err, a)
				} else {
					t.Logf("%s: %v, %s", name, a.outcomes(), text(err))
				}
				_ = c.Close(ctx)
				clean(t, p, s, name)
				end()
			}
		})
	}
}

// clean asks on the one server there is: nothing is left of what was killed.
func clean(t *testing.T, p *pgtest.Pooler, s *pgtest.Server, name string) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	next, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "worker"}))
	if err != nil {
		t.Fatalf("after %s: %v", name, err)
	}
	defer func() { _ = next.Close(ctx) }()
	for i := range 20 {
		var got, rows int
		if err := next.QueryRow(ctx, "SELECT $1::int, (SELECT count(*) FROM sink)", i).Scan(&got, &rows); err != nil || got != i || rows != 0 {
			t.Fatalf("after %s: got %d of %d, %d rows, %v", name, got, i, rows, err)
		}
	}
	var started bool
	if err := next.QueryRow(ctx, "SELECT now() - xact_start > interval '1 s' FROM pg_stat_activity WHERE pid = pg_backend_pid()").Scan(&started); err != nil || started {
		t.Errorf("after %s: a transaction was left open: %v", name, err)
	}
}
