package job

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// TestBrokenConnection: a holder whose connection to the lease breaks makes a
// new one; its child does not notice.
func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	dir := t.TempDir()
	up, gate := filepath.Join(dir, "up"), filepath.Join(dir, "gate")
	o := place(t, s)("broken", fmt.Sprintf(": >%s; while [ ! -e %s ]; do sleep 0.05; done", up, gate))
	done := begin(t, t.Context(), o)
	eventually(t, "it runs", there(up))
	const lease = "FROM pg_stat_activity WHERE application_name = 'spillway job broken'"
	for range 3 {
		pid := s.Value(t, "SELECT min(pid) "+lease)
		s.Exec(t, "SELECT pg_terminate_backend(pid) "+lease)
		eventually(t, "it is back", func() bool {
			return s.Value(t, "SELECT count(*) "+lease+" AND pid <> "+pid) == "1"
		})
	}
	write(t, gate)
	if out := <-done; out.How != Done || out.Token != 1 || out.Note != "" {
		t.Errorf("got %+v", out)
	}
}

// TestServerAwayBriefly: a holder outlives a restart of PostgreSQL, and so does
// one that waits. A restart that takes a slow machine longer than a lease is
// trusted says nothing.
func TestServerAwayBriefly(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	order := place(t, s)
	for n := range 5 {
		one, two, away := restartUnder(t, s, order, fmt.Sprint("brief", n))
		if one.How == Done && one.Note == "" && two.How == Done && two.Note == "" {
			return
		}
		if away < trust-2*renewal {
			t.Fatalf("PostgreSQL was away for %v; the first: %+v, the second: %+v", away, one, two)
		}
		t.Logf("void: PostgreSQL was away for %v", away)
	}
	t.Error("no restart of PostgreSQL was brief")
}

// restartUnder restarts PostgreSQL under a job that runs and one that waits for
// it, and says how both ended and how long the restart took.
func restartUnder(t *testing.T, s *pgtest.Server, order func(name, script string) Order, name string) (first, second Outcome, away time.Duration) {
	t.Helper()
	dir := t.TempDir()
	up, gate := filepath.Join(dir, "up"), filepath.Join(dir, "gate")
	runs := order(name, fmt.Sprintf(": >%s; while [ ! -e %s ]; do sleep 0.05; done", up, gate))
	one := begin(t, t.Context(), runs)
	eventually(t, "the first runs", there(up))
	waits := order(name, "true")
	waits.Overlap = Queue
	two := begin(t, t.Context(), waits)
	room := &Room{Server: runs.Server}
	eventually(t, "the second waits", func() bool { return waiting(t, room, name) == 1 })
	began := time.Now()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second waits again, or the first is over", func() bool {
		return waiting(t, room, name) == 1 || len(one) == 1
	})
	away = time.Since(began)
	write(t, gate)
	return <-one, <-two, away
}

// TestClockOfTheServer: leases are by the server's clock. When it jumps ahead
// the old holder is fenced; when it goes back a dead one's lease does not bind
// for longer than a lease lasts.
func TestClockOfTheServer(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	order := place(t, s)
	dir := t.TempDir()
	t.Run("ahead", func(t *testing.T) {
		t.Parallel()
		up := filepath.Join(dir, "ahead")
		done := begin(t, t.Context(), order("ahead", ": >"+up+"; exec sleep 1000"))
		eventually(t, "it runs", there(up))
		// What a clock set ahead by an hour looks like to who comes next. The
		// holder renews every second, so it may take more than one try.
		o := order("ahead", "true")
		o.Overlap = Skip
		eventually(t, "another takes over", func() bool {
			s.Exec(t, "UPDATE spillway.job_lease SET until = until - interval '1 hour' WHERE name = 'ahead'")
			out, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			return out.How == Done
		})
		if out := <-done; out.How != Lost {
			t.Errorf("the one before: %+v", out)
		}
	})
	t.Run("back, its holder dead", func(t *testing.T) {
		t.Parallel()
		if _, err := Run(t.Context(), order("back", "true")); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, "UPDATE spillway.job_lease SET until = clock_timestamp() + interval '1 hour' WHERE name = 'back'")
		began := time.Now()
		out, err := Run(t.Context(), order("back", "true"))
		if err != nil || out.How != Done || time.Since(began) < ttl {
			t.Errorf("got %+v, %v, after %v", out, err, time.Since(began))
		}
	})
	t.Run("back, its holder alive", func(t *testing.T) {
		t.Parallel()
		up, gate := filepath.Join(dir, "alive"), filepath.Join(dir, "alive.gate")
		o := order("alive", fmt.Sprintf(": >%s; while [ ! -e %s ]; do sleep 0.05; done", up, gate))
		done := begin(t, t.Context(), o)
		eventually(t, "it runs", there(up))
		s.Exec(t, "UPDATE spillway.job_lease SET until = until + interval '1 hour' WHERE name = 'alive'")
		if out, err := Run(t.Context(), o); err != nil || out.How != Skipped {
			t.Errorf("the second: %+v, %v", out, err)
		}
		if n := s.Value(t, "SELECT overlapped FROM spillway.job_run WHERE name = 'alive'"); n != "1" {
			t.Errorf("%s starts came into it, it was 1", n)
		}
		write(t, gate)
		if out := <-done; out.How != Done {
			t.Errorf("the first: %+v", out)
		}
	})
}

// TestHolderPaused: a runner that is stopped like a process in a debugger, or a
// virtual machine, loses its lease in time; what its child starts afterwards is
// ended by who took over, and its child when it wakes.
func TestHolderPaused(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	dir := t.TempDir()
	var told bytes.Buffer
	first := command(t, s, "--name", "paused", "--", "sh", "-c", "while :; do "+psql(s, "SELECT pg_sleep(1000)")+"; sleep 0.1; done")
	first.Stderr = &told
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its statement runs", func() bool { return running(t, s, "paused") == "1" })
	heir, gate := filepath.Join(dir, "heir"), filepath.Join(dir, "gate")
	second := command(t, s, "--name", "paused", "--overlap", "queue", "--", "sh", "-c", fmt.Sprintf(": >%s; while [ ! -e %s ]; do sleep 0.05; done", heir, gate))
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second waits", func() bool { return s.Value(t, "SELECT count(*) FROM spillway.job_wait") == "1" })
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	eventually(t, "the second runs", there(heir))
	took := time.Since(stopped)
	t.Logf("taken over %v after the stop", took.Round(10*time.Millisecond))
	for range 2 {
		// The old child goes on, as nobody is there to end it; its statements do not.
		var pid string
		eventually(t, "the old child tries again", func() bool {
			pid = s.Value(t, "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE application_name = 'job:paused#1' AND state <> 'idle'")
			return pid != "0"
		})
		eventually(t, "its statement is ended", func() bool {
			return s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE pid = "+pid) == "0"
		})
	}
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code := exitOf(first.Wait()); code != ExitLost {
		t.Errorf("the first's exit code is %d; it said %s", code, told.String())
	}
	write(t, gate)
	if code := exitOf(second.Wait()); code != 0 {
		t.Errorf("the second's exit code is %d", code)
	}
	if n := running(t, s, "paused"); n != "0" {
		t.Errorf("%s statements left", n)
	}
}

// TestLockedTables: a start gives up where somebody locks the tables, so that
// starts do not pile up.
func TestLockedTables(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	o := place(t, s)("locked", "true")
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	lock := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := lock.Exec(t.Context(), "BEGIN; LOCK TABLE spillway.job_lease"); err != nil {
		t.Fatal(err)
	}
	hasty := o
	hasty.Patience = time.Second
	if out, err := Run(t.Context(), hasty); err == nil || out.How != "" || !strings.Contains(err.Error(), "did not answer within") {
		t.Errorf("got %+v, %v", out, err)
	}
	if _, err := lock.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if out, err := Run(t.Context(), o); err != nil || out.How != Done {
		t.Errorf("afterwards: %+v, %v", out, err)
	}
	eventually(t, "no connection is left", func() bool {
		return s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'spillway job %'") == "0"
	})
}

// TestRights: what a role lacks is said together with what to grant.
func TestRights(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	order := place(t, s)
	s.Exec(t, "CREATE ROLE weak LOGIN; CREATE ROLE runner LOGIN")
	as := func(user, name, script string) Order {
		o := order(name, script)
		o.Server = o.Server.Copy()
		o.Server.User = user
		return o
	}
	if _, err := Run(t.Context(), as("weak", "rights", "true")); err == nil || !strings.Contains(err.Error(), "needs CREATE on the database") {
		t.Errorf("no right to make the tables: %v", err)
	}
	if _, err := Run(t.Context(), order("rights", "true")); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), as("weak", "rights", "true")); err == nil || !strings.Contains(err.Error(), "USAGE ON SCHEMA") {
		t.Errorf("no right to use the tables: %v", err)
	}
	s.Exec(t, "GRANT USAGE ON SCHEMA spillway TO runner; GRANT ALL ON ALL TABLES IN SCHEMA spillway TO runner")
	if out, err := Run(t.Context(), as("runner", "rights", "true")); err != nil || out.How != Done {
		t.Errorf("a role with the rights: %+v, %v", out, err)
	}
	// The child logs in as another role, which runner may not see.
	o := as("runner", "hidden", psql(s, "SELECT pg_sleep(1000)"))
	o.Deadline = 10 * time.Second
	var said []string
	o.Tell = func(text string) { said = append(said, text) }
	if out, err := Run(t.Context(), o); err != nil || out.How != Deadline || !strings.Contains(strings.Join(said, "; "), "GRANT pg_read_all_stats") {
		t.Errorf("got %+v, %v, said %q", out, err, said)
	}
}
