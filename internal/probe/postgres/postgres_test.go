package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"spillway/internal/pgtest"
	"spillway/internal/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, s *pgtest.Server, user, application string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=postgres application_name=%s default_query_exec_mode=simple_protocol", s.Port, user, application))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func exec(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func prober(t *testing.T, s *pgtest.Server, user string, tables ...string) *Server {
	t.Helper()
	p := New(Config{Name: "main", Databases: []string{"postgres"}, Tables: tables, Every: Usual(), Login: func(database string) (*pgx.ConnConfig, error) {
		if database == "" {
			database = "postgres"
		}
		return pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s", s.Port, user, database))
	}})
	t.Cleanup(p.Close)
	return p
}

// look runs one probe by name.
func look(t *testing.T, p *Server, name string) error {
	t.Helper()
	for _, one := range p.Probes() {
		if strings.HasSuffix(one.Name, " "+name) {
			ctx, cancel := context.WithTimeout(t.Context(), one.Timeout)
			defer cancel()
			err := one.Run(ctx)
			if err != nil {
				one.Withdraw()
			}
			return err
		}
	}
	t.Fatalf("no probe %s", name)
	return nil
}

// until polls a probe until what it saw is as wanted.
func until(t *testing.T, p *Server, name string, is func(*sample.Postgres) bool) *sample.Postgres {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := look(t, p, name)
		seen := p.Seen(time.Now())
		if err == nil && is(seen) {
			return seen
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not seen in time: %v, %+v", name, err, seen)
		}
	}
}

func TestActivity(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec(t, "CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item VALUES (1, 1); CREATE ROLE blind LOGIN")
	root, one, two := open(t, s, "postgres", "migrate"), open(t, s, "postgres", "web"), open(t, s, "postgres", "web")
	exec(t, root, "BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
	done := make(chan error, 2)
	go func() { _, err := one.Exec(context.Background(), "SELECT n FROM item WHERE id = 42"); done <- err }()
	go func() { _, err := two.Exec(context.Background(), "UPDATE item SET n = 7"); done <- err }()
	p := prober(t, s, "postgres")
	seen := until(t, p, "activity", func(p *sample.Postgres) bool { return p.Activity != nil && len(p.Activity.Blocked) == 2 })
	a := seen.Activity
	if len(a.Blockers) < 1 || a.Blind || a.Role != "postgres" || a.Total < 3 {
		t.Errorf("%+v", a)
	}
	rootPID := int(root.PgConn().PID())
	found := false
	for _, b := range a.Blockers {
		found = found || b.PID == rootPID && b.Application == "migrate" && b.State == "idle in transaction" && !b.TransactionAt.IsZero()
	}
	if !found {
		t.Errorf("the root %d is not among %+v", rootPID, a.Blockers)
	}
	for _, b := range a.Blocked {
		if b.Application != "web" || len(b.BlockedBy) == 0 || !strings.HasSuffix(b.Lock, " on item") || strings.Contains(b.SQL, "42") || b.Fingerprint == 0 {
			t.Errorf("blocked: %+v", b)
		}
	}
	q := prober(t, s, "blind")
	seen = until(t, q, "activity", func(p *sample.Postgres) bool { return p.Activity != nil })
	if !seen.Activity.Blind || seen.Activity.Role != "blind" {
		t.Errorf("a role without rights: %+v", seen.Activity)
	}
	exec(t, root, "ROLLBACK")
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	until(t, p, "activity", func(p *sample.Postgres) bool { return p.Activity != nil && len(p.Activity.Blocked) == 0 })
}

func TestVitalsTablesStatements(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off"}})
	s.Exec(t, "CREATE EXTENSION pg_stat_statements")
	s.Exec(t, "CREATE TABLE sessions (id int PRIMARY KEY); INSERT INTO sessions SELECT generate_series(1, 5000); ALTER TABLE sessions SET (autovacuum_vacuum_scale_factor = 0.5, autovacuum_vacuum_threshold = 7)")
	p := prober(t, s, "postgres", "public.sessions")
	v := until(t, p, "vitals", func(p *sample.Postgres) bool { return p.Vitals != nil }).Vitals
	if v.Version < 100000 || v.MaxConnections != 100 || v.Reserved != 3 || v.WALBytes <= 0 || v.WraparoundAge <= 0 || v.Settings["max_connections"] != "100" || time.Since(v.StartedAt) > time.Hour {
		t.Errorf("%+v", v)
	}
	s.Exec(t, "DELETE FROM sessions WHERE id <= 3000")
	seen := until(t, p, "tables", func(p *sample.Postgres) bool {
		return p.Tables != nil && len(p.Tables.Items) == 1 && p.Tables.Items[0].Dead == 3000
	})
	one := seen.Tables.Items[0]
	if one.Name != "public.sessions" || one.Database != "postgres" || one.Live != 2000 || one.Deleted != 3000 || !one.Named || one.DeadBound < 7 {
		t.Errorf("%+v", one)
	}
	s.Exec(t, "VACUUM ANALYZE sessions")
	seen = until(t, p, "tables", func(p *sample.Postgres) bool { return p.Tables != nil && p.Tables.Items[0].Dead == 0 })
	if one = seen.Tables.Items[0]; one.VacuumedAt.IsZero() || one.VacuumRuns != 1 || one.DeadBound != 7+0.5*2000 || one.Bytes <= 0 {
		t.Errorf("after vacuum: %+v", one)
	}
	if err := look(t, p, "statements"); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "SELECT count(*) FROM sessions WHERE id > 42")
	top := until(t, p, "statements", func(p *sample.Postgres) bool { return p.Top != nil && len(p.Top.Items) > 0 }).Top
	if top.Span <= 0 || len(top.Items) > topMost || strings.Contains(top.Items[0].SQL, "42") || top.Items[0].Calls < 1 {
		t.Errorf("%+v", top)
	}
}

func TestWithoutStatements(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	p := prober(t, s, "postgres")
	if err := look(t, p, "statements"); err != nil || p.Seen(time.Now()).Top != nil {
		t.Errorf("%v", err)
	}
	s.Exec(t, "CREATE EXTENSION pg_stat_statements") // created, and not loaded
	if err := look(t, p, "statements"); err != nil || p.Seen(time.Now()).Top != nil {
		t.Errorf("%v", err)
	}
}

// TestStalledReplica: a replica that replays nothing is further behind every
// second, although its last known replay lag stays as it was.
func TestStalledReplica(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"wal_level": "replica"}})
	r := s.Replica(t)
	p, q := prober(t, s, "postgres"), prober(t, r, "postgres")
	until(t, p, "replication", func(p *sample.Postgres) bool {
		return p.Replicas != nil && len(p.Replicas.Replicas) == 1 && p.Replicas.Replicas[0].State == "streaming"
	})
	r.Exec(t, "SELECT pg_wal_replay_pause()")
	s.Exec(t, "CREATE TABLE moved AS SELECT generate_series(1, 20000) AS id")
	seen := until(t, p, "replication", func(p *sample.Postgres) bool {
		return p.Replicas != nil && len(p.Replicas.Replicas) == 1 && p.Replicas.Replicas[0].Lag > 2*time.Second
	})
	if one := seen.Replicas.Replicas[0]; one.LagBytes <= 0 || seen.Replicas.Replica {
		t.Errorf("%+v", one)
	}
	itself := until(t, q, "replication", func(p *sample.Postgres) bool { return p.Replicas != nil && p.Replicas.Behind > 0 })
	if !itself.Replicas.Replica {
		t.Errorf("%+v", itself.Replicas)
	}
	if err := look(t, q, "vitals"); err != nil {
		t.Errorf("vitals of a replica: %v", err)
	}
	r.Exec(t, "SELECT pg_wal_replay_resume()")
	until(t, p, "replication", func(p *sample.Postgres) bool {
		return p.Replicas != nil && len(p.Replicas.Replicas) == 1 && p.Replicas.Replicas[0].Lag == 0
	})
}

// TestServerGone: values are withdrawn, attempts are spaced, and the probe comes
// back by itself.
func TestServerGone(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	p := prober(t, s, "postgres")
	until(t, p, "activity", func(p *sample.Postgres) bool { return p.Activity != nil })
	if err := s.Stop(pgtest.Immediate); err != nil {
		t.Fatal(err)
	}
	if err := look(t, p, "activity"); err == nil || p.Seen(time.Now()).Activity != nil {
		t.Errorf("%v, %+v", err, p.Seen(time.Now()).Activity)
	}
	if err := look(t, p, "activity"); err == nil || strings.Contains(err.Error(), "user=") {
		t.Errorf("the error is %v", err)
	}
	began := time.Now()
	for range 50 {
		if err := look(t, p, "activity"); err == nil {
			t.Error("it answers")
		}
	}
	if p.fast.door.failed > 2 {
		t.Errorf("%d attempts to connect in %v", p.fast.door.failed, time.Since(began))
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	until(t, p, "activity", func(p *sample.Postgres) bool { return p.Activity != nil })
}

// TestEndedMeanwhile: a kept connection that the server has ended is no news of
// the server: the probe asks again on a new one.
func TestEndedMeanwhile(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	p := prober(t, s, "postgres")
	for range 3 {
		if err := look(t, p, "vitals"); err != nil {
			t.Fatal(err)
		}
		if n := s.Value(t, "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = 'spillway probe'"); n != "1" {
			t.Fatalf("%s connections of the probe ended", n)
		}
	}
}
