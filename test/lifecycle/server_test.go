package lifecycle

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// lostServer are the SQLSTATEs of a client whose server died, or who waits for
// one that cannot be had.
var lostServer = []string{"57P01", "57P02", "57P03", "08006", "08001", "08003", "53300", "58000"}

// TestRestartUnderLoad: PostgreSQL is restarted while clients work. They keep
// their sessions with Spillway, get due errors, and are served again.
func TestRestartUnderLoad(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		s := pgtest.Start(t, pgtest.Options{})
		p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, Users: everyone(), PoolSize: 4})
		c := gather(8, visit(p.URL(pgtest.Login{})))
		c.await(t, 50)
		for range 3 {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
			c.await(t, 50)
		}
		if err := s.Kill9(); err != nil {
			t.Fatal(err)
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		c.await(t, 50)
		c.leave(t, lostServer...)
		if err := visit(p.URL(pgtest.Login{}))(t.Context()); err != nil {
			t.Errorf("after the restarts: %v", err)
		}
	})
}

// TestFailover: the primary dies, its replica is promoted; writers go on there
// without a change of config, and nothing that was acknowledged is lost.
func TestFailover(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		primary := pgtest.Start(t, pgtest.Options{})
		primary.Exec(t, "CREATE TABLE written (n int)")
		replica := primary.Replica(t)
		p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: primary, Users: everyone(), PoolSize: 4, Set: map[string]any{
			"servers.main.hosts": []string{replica.Addr()}, "servers.main.target_session_attrs": "read-write"}})
		c := gather(4, write(p.URL(pgtest.Login{})))
		c.await(t, 50)
		if err := replica.CatchUp(primary); err != nil {
			t.Fatal(err)
		}
		if err := primary.Kill9(); err != nil {
			t.Fatal(err)
		}
		if err := replica.Promote(); err != nil {
			t.Fatal(err)
		}
		c.await(t, 50)
		c.leave(t, lostServer...)
	})
}

// TestDemotedPrimary: a server that turns read-only (25006) is given up for
// one that takes writes, though its connections are alive.
func TestDemotedPrimary(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		one, two := pgtest.Start(t, pgtest.Options{}), pgtest.Start(t, pgtest.Options{})
		for _, s := range []*pgtest.Server{one, two} {
			s.Exec(t, "CREATE TABLE written (n int)")
		}
		p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: one, Users: everyone(), PoolSize: 4, Set: map[string]any{
			"servers.main.hosts": []string{two.Addr()}, "servers.main.target_session_attrs": "read-write"}})
		held := pgtest.Connect(t, p.URL(pgtest.Login{}))
		if _, err := held.Exec(t.Context(), "INSERT INTO written VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		one.Exec(t, "ALTER SYSTEM SET default_transaction_read_only = on")
		one.Exec(t, "SELECT pg_reload_conf()")
		c := gather(4, write(p.URL(pgtest.Login{})))
		c.await(t, 50)
		c.leave(t, append([]string{"25006"}, lostServer...)...)
		if n := two.Value(t, "SELECT count(*) > 40 FROM written"); n != "t" {
			t.Errorf("the other server got too few writes")
		}
		if _, err := held.Exec(t.Context(), "INSERT INTO written VALUES (1)"); err != nil && codeOf(err) != "25006" {
			t.Errorf("a client that stayed: %v", err)
		}
	})
}

// write connects and inserts a row.
func write(url string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "INSERT INTO written VALUES (1)"); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		return nil
	}
}
