package run

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
)

// heard counts what a run logs.
type heard struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu
}

func (h *heard) Enabled(context.Context, slog.Level) bool { return true }
func (h *heard) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *heard) WithGroup(string) slog.Handler            { return h }

// Handle implements slog.Handler.
func (h *heard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[r.Message]++
	return nil
}

// pairRowsTest is enough for a run of a second or more with two at once.
const manyRows = 400_000

func TestPairAlone(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, manyRows, 96)
	want := survivors(t, s, "NOT "+doomed)
	gone := s.Value(t, "SELECT count(*) FROM sessions WHERE "+doomed)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed, Strategy: plan.TID}, Options{NoVacuum: true})
	h := &heard{counts: map[string]int{}}
	c.Log = slog.New(h)
	got, err := Run(t.Context(), c, id)
	if err != nil || got.Phase != Done || strconv.FormatInt(got.Deleted, 10) != gone {
		t.Fatalf("%+v, %v; want %s deleted", got, err, gone)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
	t.Logf("%d rows in %d batches, %.0f rows/s while active, %v", got.Deleted, got.Batches, float64(got.Deleted)/got.Active, h.counts)
}
