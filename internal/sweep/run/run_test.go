package run

import (
	"encoding/json"
	"strconv"
	"testing"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
)

// TestStrategies: each deletes exactly what is doomed.
func TestStrategies(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	for _, strategy := range []plan.Strategy{plan.TID, plan.PK, plan.Keyset, plan.Copy} {
		t.Run(string(strategy), func(t *testing.T) {
			seed(t, s, 50_000, 96)
			want := survivors(t, s, "NOT "+doomed)
			gone := s.Value(t, "SELECT count(*) FROM sessions WHERE "+doomed)
			c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed, Strategy: strategy}, Options{})
			var events []string
			c.Note = func(kind string, body any) {
				if _, err := json.Marshal(body); err != nil {
					t.Errorf("event %s: %v", kind, err)
				}
				events = append(events, kind)
			}
			got, err := Run(t.Context(), c, id)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(events); n < 2 || events[0] != "sweep.started" || events[n-1] != "sweep.done" {
				t.Errorf("events %v", events)
			}
			if got.Phase != Done || strconv.FormatInt(got.Deleted, 10) != gone {
				t.Errorf("ended %s, %d deleted, want %s", got.Phase, got.Deleted, gone)
			}
			if left := survivors(t, s, "true"); left != want {
				t.Errorf("survivors %s, want %s", left, want)
			}
			t.Logf("%d rows in %d batches, %.0f rows/s within batches", got.Deleted, got.Batches, float64(got.Deleted)/got.Active)
		})
	}
}
