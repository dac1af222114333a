package drill

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// small is the scale of a test run; SPILLWAY_DRILL_SCALE plays another one.
func small(t *testing.T) float64 {
	t.Helper()
	text := os.Getenv("SPILLWAY_DRILL_SCALE")
	if text == "" {
		return LeastScale
	}
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("SPILLWAY_DRILL_SCALE: %v", err)
	}
	return scale
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tries is how often a drill may be void because the machine was too busy for
// it. A promise that is broken on a machine with time to spare fails at once.
const tries = 6

// TestDrills runs every drill on real servers; every promise has to hold.
// A drill that was void beside others is tried again alone.
func TestDrills(t *testing.T) {
	var alone sync.RWMutex
	beside := func(d Drill) (Result, error) {
		alone.RLock()
		defer alone.RUnlock()
		return Run(t.Context(), d, Options{Scale: small(t), Binary: binary(t)})
	}
	byItself := func(d Drill) (Result, error) {
		alone.Lock()
		defer alone.Unlock()
		return Run(t.Context(), d, Options{Scale: small(t), Binary: binary(t)})
	}
	for _, d := range All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			run := beside
			for n := range tries {
				r, err := run(d)
				if err != nil {
					t.Fatal(err)
				}
				tell(t, &r)
				if r.Held {
					return
				}
				if r.Void == "" || n == tries-1 {
					t.Fatalf("a promise is broken; void: %q", r.Void)
				}
				t.Logf("void: %s", r.Void)
				run = byItself
			}
		})
	}
}

func tell(t *testing.T, r *Result) {
	t.Helper()
	for _, row := range r.Rows {
		t.Logf("%-30s %-30s %-30s", row.Figure, row.Bare, row.Guarded)
	}
	for _, p := range r.Promises {
		if !p.Held {
			t.Logf("broken: %s: %s", p.Text, p.Saw)
		}
	}
	for _, e := range append(r.Guarded.Errors, r.Guarded.Operator...) {
		t.Logf("guarded, %d times %s: %s", e.Count, e.Code, e.Sample)
	}
	for _, s := range append(r.Bare.Services, r.Guarded.Services...) {
		t.Logf("%s: %s", s.Name, s.Said)
	}
}

func TestScaleIsBounded(t *testing.T) {
	d, _ := Find("leak")
	for _, scale := range []float64{0, -1, 0.01, 21} {
		if _, err := Run(t.Context(), d, Options{Scale: scale}); err == nil || !strings.Contains(err.Error(), "scale") {
			t.Errorf("scale %v: %v", scale, err)
		}
	}
}

// TestLengths: at the default scale a drill's two sides take less than three
// minutes, with room for starts.
func TestLengths(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		if both := 2 * d.Length(1); both > 2*time.Minute+20*time.Second {
			t.Errorf("%s takes %v", d.Name, both)
		}
		if seen[d.Name] || d.Story == "" || d.Hypothesis == "" || d.Steady == "" || len(d.Reports) == 0 {
			t.Errorf("%s is told twice, or not in full", d.Name)
		}
		seen[d.Name] = true
		if bytes.ContainsAny([]byte(d.Name), " _") {
			t.Errorf("%q is no name for a command line", d.Name)
		}
	}
}
