package run

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
)

// at follows one run.
type at struct {
	t    *testing.T
	mu   sync.Mutex
	last Progress // guarded by mu
	done chan struct{}
	got  *Sweep
	err  error
}

// launch runs a sweep in the background; the test's end ends it.
func launch(t *testing.T, c Config, id int64) *at {
	t.Helper()
	a := &at{t: t, done: make(chan struct{})}
	c.Tell = func(p Progress) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.last = p
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(a.done)
		a.got, a.err = Run(ctx, c, id)
	}()
	t.Cleanup(func() { cancel(); <-a.done })
	return a
}

func (a *at) now() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// until waits for something to be true of the run and says how long it took.
func (a *at) until(what string, is func(Progress) bool) time.Duration {
	a.t.Helper()
	begun := time.Now()
	for deadline := begun.Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if is(a.now()) {
			took := time.Since(begun)
			a.t.Logf("%s after %s", what, took.Round(time.Millisecond))
			return took
		}
		select {
		case <-a.done:
			a.t.Fatalf("%s: the run ended: %v", what, a.err)
		default:
		}
	}
	p := a.now()
	a.t.Fatalf("%s: not within 3 min; deleted %d, %.0f rows/s, brake %q", what, p.Deleted, p.Now, p.Brake)
	return 0
}

// braked waits for a brake and says how long it took.
func (a *at) braked(name string) {
	a.t.Helper()
	a.until("brake "+name, func(p Progress) bool { return strings.Contains(p.Brake, name+":") })
}

// goes waits until rows go again with no brake of that name.
func (a *at) goes(name string) {
	a.t.Helper()
	a.until("no brake "+name, func(p Progress) bool { return !strings.Contains(p.Brake, name+":") })
	from := a.now().Deleted
	a.until("rows go", func(p Progress) bool { return p.Deleted > from })
}

// stands checks that nothing is deleted while a hard brake holds.
func (a *at) stands(s *pgtest.Server, id int64) {
	a.t.Helper()
	count := func() string {
		return s.Value(a.t, "SELECT deleted FROM spillway.sweep ORDER BY id DESC LIMIT 1")
	}
	before := count()
	beat := func() string {
		return s.Value(a.t, "SELECT beat FROM spillway.sweep ORDER BY id DESC LIMIT 1")
	}
	// Two beats of a runner that waits.
	for range 2 {
		seen := beat()
		a.until("a beat", func(Progress) bool { return beat() != seen })
	}
	if after := count(); after != before {
		a.t.Errorf("%s rows deleted under a hard brake, %s before", after, before)
	}
}

// slow are options under which a sweep of brakeRows lasts as long as a test.
const brakeRows = 400_000

func slow() Options { return Options{Rate: 5000, NoVacuum: true} }

func TestBrakeReplica(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"wal_level": "replica", "max_wal_senders": "5"}})
	replica := s.Replica(t)
	seed(t, s, brakeRows, 96)
	if err := replica.CatchUp(s); err != nil {
		t.Fatal(err)
	}
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, slow())
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })
	replica.Exec(t, "SELECT pg_wal_replay_pause()")
	a.braked("replica lag")
	// At 5 s it stops; 4.96 s are printed as 5 s too.
	a.until("6 s of lag", func(p Progress) bool { return strings.Contains(p.Brake, "is 6") })
	a.stands(s, id)
	replica.Exec(t, "SELECT pg_wal_replay_resume()")
	a.goes("replica lag")
	if err := replica.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	a.until("the replica is missed", func(p Progress) bool { return strings.Contains(p.Brake, "went away") })
	a.stands(s, id)
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	a.goes("replica lag")
}

func TestBrakeLock(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, brakeRows, 96)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, slow())
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })
	other := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := other.Exec(t.Context(), "BEGIN; LOCK TABLE sessions IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	a.braked("lock")
	a.stands(s, id)
	if _, err := other.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	a.goes("lock")
}

func TestBrakeLoad(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, brakeRows, 96)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, slow())
	usual := newCrowd(t, s, 4)
	a := launch(t, c, id)
	// Long enough for the brakes to know what is usual.
	a.until("rows go in company", func(p Progress) bool { return p.Deleted > 40_000 })
	before := a.now()
	more := newCrowd(t, s, 12)
	a.braked("load")
	a.until("the duty falls", func(p Progress) bool { return p.Duty < before.Duty/2 || p.Duty < 0.02 })
	more.leave()
	a.goes("load")
	usual.leave()
}

// crowd is a foreground load of some clients, each with 50 transactions a second.
type crowd struct {
	cancel context.CancelFunc
	gone   sync.WaitGroup
}

func newCrowd(t *testing.T, s *pgtest.Server, clients int) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &crowd{cancel: cancel}
	for range clients {
		conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
		w.gone.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				if _, err := conn.Exec(ctx, "SELECT count(*) FROM sessions WHERE id < 100"); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(w.leave)
	return w
}

func (w *crowd) leave() { w.cancel(); w.gone.Wait() }
