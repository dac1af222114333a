package act

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// field is a Ground of holders that a cancel ends, but for the deaf.
type field struct {
	mu      sync.Mutex
	holders []Holder     // guarded by mu
	deaf    map[int]bool // guarded by mu; by pid
	strikes []int        // guarded by mu; how many each strike was aimed at
	broken  error        // guarded by mu
}

func (f *field) Holders(context.Context) ([]Holder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Holder(nil), f.holders...), f.broken
}

func (f *field) Strike(_ context.Context, targets []Holder, terminate bool, _ string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.strikes = append(f.strikes, len(targets))
	out := make([]string, len(targets))
	for i := range targets {
		out[i] = f.hit(&targets[i], terminate)
	}
	return out, nil
}

func (f *field) hit(t *Holder, terminate bool) string {
	for i := range f.holders {
		h := &f.holders[i]
		if h.PID != t.PID || !h.same(t) {
			continue
		}
		if terminate || !f.deaf[t.PID] {
			f.holders = append(f.holders[:i], f.holders[i+1:]...)
		}
		if terminate {
			return "terminated"
		}
		return "cancelled"
	}
	return "gone"
}

// holders makes n that run a statement for an hour.
func holders(n int, workload string) []Holder {
	list := make([]Holder, n)
	began := time.Now().Add(-time.Hour)
	for i := range list {
		list[i] = Holder{Client: uint64(i + 1), PID: 100 + i, Workload: workload, User: "worker", Database: "app", Application: "job", State: "active",
			Fingerprint: "00000000000000ab", BackendAt: began, TransactionAt: began, QueryAt: began}
	}
	return list
}

// bench is a room over a field.
type bench struct {
	*Room
	field *field
	rules *Rules

	mu     sync.Mutex
	events []string // guarded by mu
	forced int      // guarded by mu; how often standing was enforced
	last   string   // guarded by mu; summary of the last event
}

func newBench(t *testing.T, path string) *bench {
	t.Helper()
	b := &bench{field: &field{}, rules: &Rules{For: time.Hour, Longest: 24 * time.Hour, MaxTargets: 500, Workloads: []string{"api", "batch"},
		Commands: map[string]*Command{"hello": {Argv: []string{"echo", "hello"}, Timeout: time.Minute, Role: Operator}}}}
	b.Room = New(Config{
		Path: path, Rules: func() *Rules { return b.rules }, Ground: b.field,
		Foreign: func(server string) (Ground, error) {
			if server != "main" {
				return nil, fmt.Errorf("there is no server %q", server)
			}
			return b.field, nil
		},
		Enforce: func() error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.forced++
			return nil
		},
		Protected: func(fingerprint uint64) string {
			if fingerprint == 0xbe9 {
				return "it begins transactions"
			}
			return ""
		},
		Note: func(_ context.Context, kind string, body any) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if e, ok := body.(event); ok {
				b.last = e.Summary
			}
			b.events = append(b.events, kind)
			return nil
		},
	})
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	return b
}

// open is a bench that ends with the test.
func open(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, filepath.Join(t.TempDir(), "actions.json"))
	t.Cleanup(func() { b.end(t) })
	return b
}

func (b *bench) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func (b *bench) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.events
	b.events = nil
	return list
}

func (b *bench) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

var boss = Caller{Who: "boss", Role: Admin}

func (b *bench) must(t *testing.T, o Order) Action {
	t.Helper()
	a, err := b.Do(t.Context(), boss, o)
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return a
}

// refused wants the order refused for the reason.
func (b *bench) refused(t *testing.T, who Caller, o Order, why Why) {
	t.Helper()
	_, err := b.Do(t.Context(), who, o)
	var r *Refusal
	if !errors.As(err, &r) || r.Why != why {
		t.Errorf("%+v by %s: %v, want a refusal %d", o, who.Who, err, why)
	}
}
