package run

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/brake"
	"spillway/internal/sweep/plan"
)

// TestBrakesPull: what the brakes read of a real server pulls them, and lets go
// again. The limits are low, so that the test need not fill a disk.
func TestBrakesPull(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{
		"wal_level": "replica", "archive_mode": "on", "archive_command": "true", "autovacuum": "off", "max_connections": "40",
	}})
	seed(t, s, brakeRows, 96)
	s.Exec(t, "CREATE TABLE busy AS SELECT i, md5(i::text) AS text FROM generate_series(1, 1000) i")
	limits := brake.Defaults()
	limits.SlotSoft, limits.SlotHard = 0, 32<<20
	limits.Unarchive, limits.WALRate = 4, 8<<20
	limits.XminSoft, limits.XminHard = 0, 2*time.Second
	limits.SlotsUsed = 0.5
	limits.LoadRise = 0 // what pulls the others would pull it too
	options := slow()
	options.Rate = 2000 // so that rows are left for the last brake on a slow machine
	options.Limits = &limits
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, options)
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })

	other := pgtest.Connect(t, s.URL(pgtest.Login{}))
	do := func(sql string) {
		t.Helper()
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	segments := func(n int) {
		for range n {
			do("SELECT pg_switch_wal(), txid_current()")
		}
	}
	archive := func(command string) {
		do(fmt.Sprintf("ALTER SYSTEM SET archive_command = '%s'", command))
		do("SELECT pg_reload_conf()")
	}
	for _, pull := range []struct {
		name    string
		hold    func()
		release func()
		stands  bool
	}{
		{"oldest xmin", func() { do("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM busy") }, func() { do("COMMIT") }, true},
		{"archive", func() { archive("false"); segments(6) }, func() { archive("true") }, true},
		{"slot retention", func() { do("SELECT pg_create_physical_replication_slot('audit', true)"); segments(3) }, func() { do("SELECT pg_drop_replication_slot('audit')") }, true},
		{"WAL rate", writing(t, s), func() {
			do("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'writer'")
		}, false},
		{"autovacuum", vacuuming(t, s), func() {
			do("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum")
		}, false},
		{"slots", crowdOf(t, s, 30), func() {
			do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'crowd'")
		}, true},
	} {
		pull.hold()
		a.braked(pull.name)
		if pull.stands {
			a.comesToStand(s)
		}
		pull.release()
		a.goes(pull.name)
	}
}

// comesToStand waits until two beats pass without a row deleted.
func (a *at) comesToStand(s *pgtest.Server) {
	a.t.Helper()
	deleted, beats := "", 0
	a.until("it stands", func(Progress) bool {
		now := s.Exec(a.t, "SELECT deleted, beat FROM spillway.sweep ORDER BY id DESC LIMIT 1")[0]
		key := now[0] + "/" + now[1]
		switch {
		case key == deleted:
		case strings.HasPrefix(deleted, now[0]+"/"):
			beats++
		default:
			beats = 0
		}
		deleted = key
		return beats >= 2
	})
}

// writing makes WAL until its session is ended: what a brake reads once a second
// must not be over before it looks.
func writing(t *testing.T, s *pgtest.Server) func() {
	conn := pgtest.Connect(t, s.URL(pgtest.Login{Params: map[string]string{"application_name": "writer"}}))
	return func() {
		go func() {
			for err := error(nil); err == nil; {
				_, err = conn.Exec(t.Context(), "INSERT INTO busy SELECT i, repeat('x', 1000) FROM generate_series(1, 10000) i; TRUNCATE busy")
			}
		}()
	}
}

// vacuuming makes a vacuum of the table that takes long.
func vacuuming(t *testing.T, s *pgtest.Server) func() {
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	return func() {
		go func() {
			// It is cancelled in the end, or the test has failed before.
			_, _ = conn.Exec(t.Context(), "SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
			_, _ = conn.Exec(t.Context(), "VACUUM sessions")
		}()
	}
}

// crowdOf opens so many sessions that do nothing.
func crowdOf(t *testing.T, s *pgtest.Server, sessions int) func() {
	return func() {
		for range sessions {
			c, err := pgx.ParseConfig(s.URL(pgtest.Login{}))
			if err != nil {
				t.Fatal(err)
			}
			c.RuntimeParams["application_name"] = "crowd"
			conn, err := pgx.ConnectConfig(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(t.Context()) }) // the server has ended it
		}
	}
}
