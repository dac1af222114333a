package record

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/slo"
	"spillway/internal/record/store"
)

func rules() Rules {
	return Rules{Incidents: incident.Defaults(), Slow: time.Second, Objective: slo.Objective{Target: 0.999, Window: 30 * 24 * time.Hour}}
}

func configOf(dir string) Config {
	quiet := slog.New(slog.DiscardHandler)
	return Config{
		Store:  store.Config{Dir: dir, Region: "us-east-1", Log: quiet},
		Region: "us-east-1", Node: "test", Rules: rules(), Log: quiet,
	}
}

// run starts a record and stops it with the test, if the test has not.
func run(t *testing.T, c Config) (r *Record, stop func()) {
	t.Helper()
	r = New(c)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.Stop(ctx); err != nil && !t.Failed() {
			t.Logf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return r, stop
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 2 min", what)
		}
	}
}

// urgent is a context with a deadline: who has it waits for the log.
func urgent(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func leak(level string) incident.Finding {
	now := time.Now()
	return incident.Finding{Key: "leak/main/celery", Detector: "leak", Level: level, Upstream: "main", Workload: "celery",
		Summary: "celery keeps 80 of 85 slots idle", Since: now.Add(-time.Minute), At: now}
}

func TestFindingOpensAndClosesOneIncident(t *testing.T) {
	r, _ := run(t, configOf(t.TempDir()))
	r.Told(leak(incident.Warn))
	if len(r.List()) != 0 {
		t.Fatal("a warning opened an incident")
	}
	for range 3 {
		r.Told(leak(incident.Page))
	}
	other := leak(incident.Page)
	other.Key, other.Detector, other.Workload = "slots/main", "slots", ""
	r.Told(other)
	list := r.List()
	if len(list) != 1 || list[0].Status != incident.Open || list[0].Holding != 2 {
		t.Fatalf("incidents are %+v", list)
	}
	for _, f := range []incident.Finding{leak(incident.Page), other} {
		f.Cleared = true
		r.Told(f)
	}
	if list = r.List(); list[0].Status != incident.IsRestored || list[0].Restored.IsZero() {
		t.Fatalf("incidents are %+v", list)
	}
	r.Told(leak(incident.Page))
	if list = r.List(); len(list) != 1 || list[0].Status != incident.Open {
		t.Fatalf("after it came back incidents are %+v", list)
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r, stop := run(t, configOf(dir))
	r.Told(leak(incident.Page))
	if err := r.Note(urgent(t), time.Now(), "action.applied", map[string]any{"who": "alice", "text": "kill 20"}); err != nil {
		t.Fatal(err)
	}
	if ok, err := r.Do(urgent(t), "alice", func(b *incident.Book, a incident.Asker) ([]event.Event, error) { return b.Ack("last", a) }); !ok || err != nil {
		t.Fatalf("ack: %v %v", ok, err)
	}
	before, err := r.Show(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	stop()
	r, _ = run(t, configOf(dir))
	eventually(t, "the log opens", func() bool { return len(r.List()) == 1 })
	after, err := r.Show(t.Context(), before.ID)
	if err != nil || after.AckedBy != "alice" || len(after.Timeline) != len(before.Timeline) || len(after.Timeline) != 3 {
		t.Fatalf("after the restart there is %+v with %d events: %v", after, len(after.Timeline), err)
	}
	for n := range before.Timeline {
		if before.Timeline[n].ID != after.Timeline[n].ID {
			t.Errorf("event %d differs", n)
		}
	}
	if after.At(incident.FirstAction).IsZero() {
		t.Error("the action is not the first")
	}
	// The same finding of a new process joins the incident that is open.
	r.Told(leak(incident.Page))
	if list := r.List(); len(list) != 1 {
		t.Errorf("incidents are %+v", list)
	}
}

// TestToldBeforeTheLogOpens: while another process has the log, findings wait;
// then they join what that process had opened.
func TestToldBeforeTheLogOpens(t *testing.T) {
	dir := t.TempDir()
	old, stopOld := run(t, configOf(dir))
	old.Told(leak(incident.Page))
	id := old.List()[0].ID
	eventually(t, "the old one writes", func() bool { return old.State().Waiting == 0 && old.State().Open })
	var mu sync.Mutex
	var told []incident.Finding
	c := configOf(dir)
	c.Found = func(f incident.Finding) { mu.Lock(); told = append(told, f); mu.Unlock() }
	fresh, _ := run(t, c)
	fresh.Told(leak(incident.Page))
	eventually(t, "the new one finds it locked", func() bool { return fresh.State().Problem != "" })
	if err := fresh.Note(urgent(t), time.Now(), "action.applied", nil); !errors.Is(err, ErrUnwritten) {
		t.Errorf("an event that cannot stand answers %v", err)
	}
	if fresh.State().Waiting != 2 {
		t.Errorf("waiting: %+v", fresh.State())
	}
	stopOld()
	eventually(t, "the new one opens the log", func() bool { return fresh.State().Open && fresh.State().Waiting == 0 })
	if list := fresh.List(); len(list) != 1 || list[0].ID != id {
		t.Errorf("incidents are %+v, the old one had %s", list, id)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 0 {
		t.Errorf("a take-over of seconds is told as %+v", told)
	}
	if v, err := fresh.Verify(t.Context(), ""); err != nil || !v.Valid() {
		t.Errorf("chain: %+v %v", v, err)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	r := New(configOf(t.TempDir())) // not started: nothing is written
	for range mostEntries {
		if err := r.Note(t.Context(), time.Now(), "test.event", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Note(t.Context(), time.Now(), "test.event", nil); !errors.Is(err, ErrFull) {
		t.Errorf("a full backlog answers %v", err)
	}
	if s := r.State(); s.Lost != 1 || s.Waiting != mostEntries {
		t.Errorf("state is %+v", s)
	}
}

func TestKindsOfOthers(t *testing.T) {
	r := New(configOf(t.TempDir()))
	for _, kind := range []string{"", "incident.opened", "Not dotted", strings.Repeat("x", 100)} {
		if err := r.Note(t.Context(), time.Now(), kind, nil); err == nil {
			t.Errorf("kind %q is taken", kind)
		}
	}
	if err := r.Note(t.Context(), time.Now(), "test.large", strings.Repeat("x", 1<<20)); err != nil {
		t.Errorf("a body that is too large is not cut: %v", err)
	}
	if err := r.Note(t.Context(), time.Now(), "test.bad", func() {}); err != nil {
		t.Errorf("a body that cannot be written is not replaced: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Name() string              { return "health" }
func (f failing) Run(context.Context) error { return f.err }

func TestResolveWantsSmokeChecksOrAReason(t *testing.T) {
	c := configOf(t.TempDir())
	c.Smoke = []Check{failing{errors.New("status is 500")}}
	r, _ := run(t, c)
	f := leak(incident.Page)
	r.Told(f)
	run, _, err := r.Resolve(urgent(t), "last", "", "alice")
	if err == nil || run.Passed() || !strings.Contains(err.Error(), "status is 500") {
		t.Fatalf("resolved although smoke checks fail: %v", err)
	}
	if i, _ := r.Show(t.Context(), "last"); i.Smoke == nil || i.Status != incident.Open {
		t.Errorf("the run is not on the timeline: %+v", i)
	}
	if _, ok, err := r.Resolve(urgent(t), "last", "we look at it tomorrow", "alice"); !ok || err != nil {
		t.Errorf("a reason does not do: %v %v", ok, err)
	}
	if list := r.List(); list[0].Status != incident.IsResolved {
		t.Errorf("incidents are %+v", list)
	}
	f.At = time.Now()
	r.Told(f)
	if list := r.List(); len(list) != 1 || list[0].Status != incident.Open {
		t.Errorf("coming back within the window incidents are %+v", list)
	}
}
