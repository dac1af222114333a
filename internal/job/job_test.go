package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"spillway/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a PostgreSQL with an order for a command in the shell.
func place(t *testing.T, s *pgtest.Server) func(name, script string) Order {
	t.Helper()
	config, err := pgx.ParseConfig(s.URL(pgtest.Login{}))
	if err != nil {
		t.Fatal(err)
	}
	return func(name, script string) Order {
		return Order{Name: name, Command: []string{"/bin/sh", "-c", script}, Server: config, Grace: 20 * time.Second}
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: not within 2 min", what)
}

// begin runs an order beside the test.
func begin(t *testing.T, ctx context.Context, o Order) <-chan Outcome {
	t.Helper()
	out := make(chan Outcome, 1)
	go func() {
		one, err := Run(ctx, o)
		if err != nil {
			one.Note += " error: " + err.Error()
		}
		out <- one
	}()
	return out
}

func there(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

func TestEnds(t *testing.T) {
	order := place(t, pgtest.Start(t, pgtest.Options{}))
	tests := map[string]struct {
		script string
		how    How
		code   int
		rows   int64
	}{
		"done":          {"true", Done, 0, -1},
		"exit code":     {"exit 7", Failed, 7, -1},
		"ended by KILL": {"kill -9 $$", Failed, 137, -1},
		"rows":          {`echo 40 >>$SPILLWAY_JOB_REPORT; echo rows 2 >>$SPILLWAY_JOB_REPORT`, Done, 0, 42},
		"a bad report":  {`echo many >>$SPILLWAY_JOB_REPORT`, Done, 0, -1},
		"names and leaves": {`[ "$SPILLWAY_JOB" = names-and-leaves ] && [ "$PGAPPNAME" = "job:names-and-leaves#$SPILLWAY_JOB_TOKEN" ] && sleep 1000 &
			wait $! & exit 0`, Done, 0, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			name := strings.ReplaceAll(name, " ", "-")
			out, err := Run(t.Context(), order(name, test.script))
			if err != nil || out.How != test.how || out.Code() != test.code || out.Rows != test.rows {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	if out, err := Run(t.Context(), Order{Name: "missing", Command: []string{"/no/such/program"}, Server: order("x", "").Server}); err == nil || out.How != Failed || out.Code() != 127 {
		t.Errorf("a program that is not there: %+v, %v", out, err)
	}
}

// TestHistory: each run is written down with its end, and listed.
func TestHistory(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	order := place(t, s)
	for _, script := range []string{"true", "exit 3", "exit 3", "exit 3"} {
		o := order("sync", script)
		o.Every, o.Deadline = time.Hour, time.Minute
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	states, err := (&Room{Server: order("x", "").Server}).Jobs(t.Context())
	if err != nil || len(states) != 1 {
		t.Fatalf("got %+v, %v", states, err)
	}
	got := states[0]
	if got.Held || got.Every != time.Hour || got.Deadline != time.Minute || len(got.Runs) != 4 || got.Runs[0].Token != 4 || *got.Runs[0].Exit != 3 || got.Runs[3].How != Done {
		t.Errorf("got %+v", got)
	}
	if len(got.Facts) != 2 || got.Facts[0].Kind != Failing || got.Facts[1].Kind != TooOften {
		t.Errorf("facts %+v", got.Facts)
	}
	room := &Room{Server: order("x", "").Server}
	if err := room.Forget(t.Context(), "synk"); err == nil || !strings.Contains(err.Error(), `no job "synk"`) {
		t.Errorf("forget one that is not there: %v", err)
	}
	if err := room.Forget(t.Context(), "sync"); err != nil {
		t.Error(err)
	}
	if states, err := room.Jobs(t.Context()); err != nil || len(states) != 0 {
		t.Errorf("after forget: %+v, %v", states, err)
	}
	if empty, err := (&Room{Server: withDatabase(order("x", "").Server, "template1")}).Jobs(t.Context()); err != nil || len(empty) != 0 {
		t.Errorf("where no job ran: %v, %v", empty, err)
	}
}

func withDatabase(c *pgx.ConnConfig, name string) *pgx.ConnConfig {
	c = c.Copy()
	c.Database = name
	return c
}

// TestThousandContenders: of 1,000 that start at once on a server of 60
// connections one runs.
func TestThousandContenders(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}})
	order := place(t, s)
	dir := t.TempDir()
	o := order("crowd", fmt.Sprintf("echo $$ >>%s/ran; while [ ! -e %s/gate ]; do sleep 0.05; done", dir, dir))
	o.Patience = 5 * time.Minute
	const crowd = 1000
	results := make(chan Outcome, crowd)
	start := make(chan struct{})
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			<-start
			out, err := Run(t.Context(), o)
			if err != nil {
				t.Error(err)
			}
			results <- out
		})
	}
	close(start)
	for range crowd - 1 {
		if out := <-results; out.How != Skipped {
			t.Errorf("a loser: %+v", out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "gate"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if winner := <-results; winner.How != Done || winner.Token != 1 {
		t.Errorf("the winner: %+v", winner)
	}
	ran, err := os.ReadFile(filepath.Join(dir, "ran"))
	if err != nil || strings.Count(string(ran), "\n") != 1 {
		t.Errorf("ran %q, %v", ran, err)
	}
}

// running counts the job's statements in the server.
func running(t *testing.T, s *pgtest.Server, name string) string {
	return s.Value(t, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'job:%s#%%' AND state <> 'idle'", name))
}

func psql(s *pgtest.Server, sql string) string {
	return fmt.Sprintf(`psql -X -q -h %s -p %d -U postgres -c "%s"`, s.Host(), s.Port, sql)
}

// TestDeadline: a job past its deadline leaves no process and no statement,
// not even of those that heed nothing.
func TestDeadline(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	order := place(t, s)
	for name, script := range map[string]string{
		"heeds":    "exec " + psql(s, "SELECT pg_sleep(1000)"),
		"stubborn": "trap '' TERM; " + psql(s, "SELECT pg_sleep(1000)") + " & " + psql(s, "BEGIN; SELECT pg_sleep(1000)") + " & while :; do sleep 0.1; done",
		"heedless": "trap '' TERM; " + psql(s, "DO \\$\\$ BEGIN LOOP BEGIN PERFORM pg_sleep(1000); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END \\$\\$") + " & wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := order(name, script)
			o.Deadline = 10 * time.Second // its statement runs by then
			if name != "heeds" {
				o.Grace = 300 * time.Millisecond
			}
			done := begin(t, t.Context(), o)
			eventually(t, "a statement runs", func() bool { return running(t, s, name) != "0" })
			out := <-done
			if out.How != Deadline || out.Code() != ExitDeadline || strings.Contains(out.Note, "error") {
				t.Errorf("got %+v", out)
			}
			if left := running(t, s, name); left != "0" {
				t.Errorf("%s statements left", left)
			}
		})
	}
}

// TestSignals: what comes for the command reaches the child, and its own code
// comes back.
func TestSignals(t *testing.T) {
	order := place(t, pgtest.Start(t, pgtest.Options{}))
	dir := t.TempDir()
	for name, test := range map[string]struct {
		script string
		signal syscall.Signal
		how    How
		code   int
	}{
		"usr1": {"trap 'exit 9' USR1", syscall.SIGUSR1, Failed, 9},
		"term": {"", syscall.SIGTERM, Stopped, 143},
		"int":  {"trap 'exit 5' INT", syscall.SIGINT, Stopped, 5},
	} {
		t.Run(name, func(t *testing.T) {
			up := filepath.Join(dir, name)
			o := order(name, fmt.Sprintf("%s\n: >%s; while :; do sleep 0.05; done", test.script, up))
			signals := make(chan os.Signal, 1)
			o.Signals = signals
			done := begin(t, t.Context(), o)
			eventually(t, "the child runs", there(up))
			signals <- test.signal
			if out := <-done; out.How != test.how || out.Code() != test.code {
				t.Errorf("got %+v", out)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	order := place(t, pgtest.Start(t, pgtest.Options{}))
	dir := t.TempDir()
	hold := func(name string) (Order, string, string) {
		up, gate := filepath.Join(dir, name), filepath.Join(dir, name+".gate")
		return order(name, fmt.Sprintf(": >%s; while [ ! -e %s ]; do sleep 0.05; done", up, gate)), up, gate
	}
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		o, up, gate := hold("skip")
		first := begin(t, t.Context(), o)
		eventually(t, "the first runs", there(up))
		if out, err := Run(t.Context(), o); err != nil || out.How != Skipped || out.Code() != ExitSkipped {
			t.Errorf("the second: %+v, %v", out, err)
		}
		write(t, gate)
		if out := <-first; out.How != Done {
			t.Errorf("the first: %+v", out)
		}
	})
	t.Run("queue", func(t *testing.T) {
		t.Parallel()
		o, up, gate := hold("queue")
		first := begin(t, t.Context(), o)
		eventually(t, "the first runs", there(up))
		o.Overlap = Queue
		room := &Room{Server: o.Server}
		second := begin(t, t.Context(), o)
		eventually(t, "the second waits", func() bool { return waiting(t, room, "queue") == 1 })
		if out, err := Run(t.Context(), o); err != nil || out.How != Skipped || !strings.Contains(out.Note, "wait already") {
			t.Errorf("the third: %+v, %v", out, err)
		}
		write(t, gate)
		if a, b := <-first, <-second; a.How != Done || b.How != Done || b.Token != a.Token+1 {
			t.Errorf("the first: %+v, the second: %+v", a, b)
		}
		if n := waiting(t, room, "queue"); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
	t.Run("replace", func(t *testing.T) {
		t.Parallel()
		o, up, gate := hold("replace")
		first := begin(t, t.Context(), o)
		eventually(t, "the first runs", there(up))
		o.Overlap, o.Command = Replace, []string{"/bin/sh", "-c", ": >" + gate}
		if out, err := Run(t.Context(), o); err != nil || out.How != Done || out.Token != 2 {
			t.Errorf("the second: %+v, %v", out, err)
		}
		if out := <-first; out.How != Replaced || out.Code() != ExitLost {
			t.Errorf("the first: %+v", out)
		}
	})
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func waiting(t *testing.T, room *Room, name string) int {
	t.Helper()
	states, err := room.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		if state.Name == name {
			return state.Waiting
		}
	}
	return -1
}

// TestLostLease: without PostgreSQL, or against a higher token, a holder ends
// its child.
func TestLostLease(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	order := place(t, s)
	dir := t.TempDir()
	for name, lose := range map[string]func(){
		"fenced": func() {
			s.Exec(t, "UPDATE spillway.job_lease SET token = token + 1, until = clock_timestamp() + interval '1 hour' WHERE name = 'fenced'")
		},
		"away": func() {
			if err := s.Stop(pgtest.Fast); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			up, died := filepath.Join(dir, name), filepath.Join(dir, name+".died")
			o := order(name, fmt.Sprintf("trap 'echo $$ >%s; exit 1' TERM; : >%s; while :; do sleep 0.05; done", died, up))
			done := begin(t, t.Context(), o)
			eventually(t, "it runs", there(up))
			lose()
			eventually(t, "the child is told", there(died))
			if name == "away" {
				if err := s.Resume(); err != nil {
					t.Fatal(err)
				}
			}
			if out := <-done; out.How != Lost || out.Code() != ExitLost {
				t.Errorf("got %+v", out)
			}
		})
	}
}
