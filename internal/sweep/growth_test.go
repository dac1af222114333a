package sweep

import (
	"testing"
	"time"

	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/run"
)

var midnight = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

// night is a sweep that began at an hour, took some, and found and deleted so
// many rows.
func night(hour, took float64, found, deleted int64) run.Sweep {
	at := func(h float64) time.Time { return midnight.Add(time.Duration(h * float64(time.Hour))) }
	end := at(hour + took)
	s := run.Sweep{Table: `"public"."sessions"`, Job: run.Job{Order: plan.Order{Where: "expires_at < now()"}}, Phase: run.Done,
		Cutoff: at(hour), Created: at(hour), Beat: end, Ended: &end, Backlog: float64(found), Deleted: deleted}
	if deleted < found {
		s.Phase = run.Cancelled
	}
	return s
}

// TestOutgrown: a table that gets more than its sweep deletes is known after
// three runs at the latest; the report's took three days.
func TestOutgrown(t *testing.T) {
	const hour = 3600
	tests := []struct {
		name string
		runs []run.Sweep // oldest first
		want int         // the run after which it is said; 0 = never
	}{
		{"one run alone", []run.Sweep{night(0, 1, 100*hour, 100*hour)}, 0},
		{"keeps up easily", []run.Sweep{night(0, 1, 100*hour, 100*hour), night(24, 1, 24*100*hour, 24*100*hour), night(48, 1, 24*100*hour, 24*100*hour), night(72, 1, 24*100*hour, 24*100*hour)}, 0},
		// 100 rows/s come, 105 go, without a rest.
		{"hardly keeps up", []run.Sweep{night(0, 24, 105*24*hour, 105*24*hour), night(24, 24, 100*24*hour, 105*24*hour), night(48, 24, 100*24*hour, 105*24*hour), night(72, 24, 100*24*hour, 105*24*hour), night(96, 24, 100*24*hour, 105*24*hour)}, 4},
		// Each run is cut off, and finds more than the one before.
		{"falls behind", []run.Sweep{night(0, 20, 10_000_000, 4_000_000), night(24, 20, 12_000_000, 4_000_000), night(48, 20, 14_000_000, 4_000_000)}, 3},
		{"catches up", []run.Sweep{night(0, 20, 10_000_000, 4_000_000), night(24, 20, 8_000_000, 4_000_000), night(48, 20, 6_000_000, 4_000_000)}, 0},
	}
	for _, test := range tests {
		said := 0
		for n := range test.runs {
			var newest []run.Sweep
			for i := n; i >= 0; i-- {
				newest = append(newest, test.runs[i])
			}
			g := growth(newest)
			if len(g) != 1 {
				t.Fatalf("%s: %d judgements over one table", test.name, len(g))
			}
			if g[0].Outgrown && said == 0 {
				said = n + 1
			}
			if g[0].Outgrown != (g[0].Text[len(g[0].Text)-5:] == "sweep") {
				t.Errorf("%s: %s", test.name, g[0].Text)
			}
		}
		if said != test.want {
			t.Errorf("%s: said after run %d, want %d", test.name, said, test.want)
		}
	}
}

// TestWeigh: a sweep that never ends is judged by what has come since its
// cut-off, three windows in a row.
func TestWeigh(t *testing.T) {
	s := night(0, 3, 48_000_000, 3*3600*333) // the report's script: 333 rows/s
	s.Phase, s.Ended = run.Running, nil
	behind := 0
	for window, arrivals := range []float64{400, 350, 310} {
		g := weigh(&s, arrivals, behind)
		behind = g.Behind
		if g.Behind != window+1 || g.Outgrown != (window == 2) {
			t.Errorf("window %d: %+v", window, g)
		}
	}
	if g := weigh(&s, 300, behind); g.Behind != 0 || g.Outgrown {
		t.Errorf("when fewer come: %+v", g)
	}
	if g := weigh(&s, 0, behind); g.Outgrown {
		t.Errorf("when nothing comes: %+v", g)
	}
}

// TestFind: by number, by name, and by the table as somebody would type it; one
// that failed gives way to one that goes on.
func TestFind(t *testing.T) {
	list := []run.Sweep{
		{ID: 9, Table: `"public"."logs"`, Phase: run.Running}, {ID: 8, Table: `"app"."logs"`, Phase: run.Paused},
		{ID: 7, Table: `"public"."sessions"`, Phase: run.Failed}, {ID: 6, Table: `"public"."sessions"`, Phase: run.Paused, Name: "old"},
		{ID: 5, Table: `"public"."sessions"`, Phase: run.Failed}, {ID: 4, Table: `"public"."gone"`, Phase: run.Failed},
		{ID: 3, Table: `"public"."gone"`, Phase: run.Failed}, {ID: 2, Table: `"public"."sessions"`, Phase: run.Done},
	}
	for ref, want := range map[string]int64{"2": 2, "sessions": 6, "public.sessions": 6, `"public"."sessions"`: 6, "old": 6, "app.logs": 8, "gone": 4, "logs": 0, "none": 0, "": 0} {
		got, err := Find(list, ref)
		if want == 0 != (err != nil) || err == nil && got.ID != want {
			t.Errorf("%q: %+v, %v; want %d", ref, got, err, want)
		}
	}
}
