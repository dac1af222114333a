package detect

import (
	"slices"
	"testing"
	"time"

	"spillway/internal/sample"
)

// began is when every world begins; detectors know no other clock.
var began = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// world makes frames of a pooler with one host, second by second.
type world struct {
	t       *testing.T
	engine  *Engine
	at      time.Time
	host    sample.Host
	holders []sample.Holder
	change  func(f *sample.Frame) // last word on every frame; may be nil
	told    []Finding             // everything so far
	next    int
}

func newWorld(t *testing.T, usable int) *world {
	return &world{t: t, engine: New(Defaults(), []Objective{{Name: "all", Target: 0.999, Wait: time.Second, Window: 30 * 24 * time.Hour}}),
		at: began, host: sample.Host{Name: "main", Usable: usable, AskedAt: began}}
}

func (w *world) frame() *sample.Frame {
	w.host.AskedAt = w.at
	h := w.host
	h.Busy = max(h.Busy, len(w.holders))
	f := &sample.Frame{At: w.at, Region: "us-east-1", Postgres: map[string]*sample.Postgres{}, Proxy: &sample.Proxy{At: w.at, State: "active", Hosts: []sample.Host{h}, Holders: slices.Clone(w.holders),
		Workloads: []sample.Workload{{Host: "main", Name: "api", Class: "critical"}, {Host: "main", Name: "data-sync", Class: "batch", Owner: "@data"}}}}
	if w.change != nil {
		w.change(f)
	}
	return f
}

// run lets seconds pass and returns what was told meanwhile.
func (w *world) run(d time.Duration) []Finding {
	var told []Finding
	for end := w.at.Add(d); w.at.Before(end); {
		w.at = w.at.Add(time.Second)
		told = append(told, w.engine.Look(w.frame())...)
	}
	w.told = append(w.told, told...)
	return told
}

// hold adds a holder.
func (w *world) hold(workload, application string, state sample.State) *sample.Holder {
	w.next++
	h := sample.Holder{Client: uint64(w.next), PID: 1000 + w.next, Host: "main", Workload: workload, Application: application, User: "u-" + application,
		Addr: "10.0.0.1", State: state, CheckedOutAt: w.at, TransactionAt: w.at, Fingerprint: 0xabc, SQL: "select * from item where id = ?"}
	if state == sample.Runs {
		h.QueryAt = w.at
	} else {
		h.IdleAt = w.at
	}
	w.holders = append(w.holders, h)
	return &w.holders[len(w.holders)-1]
}

// open are the keys of the findings that stand.
func (w *world) open() []string {
	keys := []string{}
	for _, f := range w.engine.Open() {
		keys = append(keys, f.Key+" "+f.Level.String())
	}
	slices.Sort(keys)
	return keys
}

func (w *world) want(what string, keys ...string) {
	w.t.Helper()
	slices.Sort(keys)
	if got := w.open(); !slices.Equal(got, keys) {
		w.t.Errorf("%s: at %s stand %q, want %q", what, w.at.Sub(began), got, keys)
		for _, f := range w.engine.Open() {
			w.t.Logf("%s: %s %q", f.Key, f.Summary, f.Evidence)
		}
	}
}

// until lets time pass until a finding with this key stands.
func (w *world) until(key string, limit time.Duration) time.Duration {
	w.t.Helper()
	for start := w.at; w.at.Sub(start) < limit; {
		w.run(time.Second)
		for _, f := range w.engine.Open() {
			if f.Key == key {
				return w.at.Sub(start)
			}
		}
	}
	w.t.Fatalf("no finding %s within %s; there stand %q", key, limit, w.open())
	return 0
}
