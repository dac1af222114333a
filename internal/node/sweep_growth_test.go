package node

import (
	"log/slog"
	"strings"
	"testing"

	"spillway/internal/sweep"
)

// TestOutgrown: a table that outgrows its sweep is found, told again while it
// lasts, and cleared once.
func TestOutgrown(t *testing.T) {
	w := &word{log: slog.New(slog.DiscardHandler)}
	var heard []finding
	w.onFinding(func(f finding) { heard = append(heard, f) })
	o := &outgrown{word: w}
	g := sweep.Growth{Server: "main", Database: "app", Table: `"public"."sessions"`, Condition: "expires_at < now()", Lambda: 400, Mu: 333, Text: "so it is"}
	for _, is := range []bool{false, true, true, false, false} {
		g.Outgrown = is
		o.hear(g)
	}
	if len(heard) != 3 {
		t.Fatalf("%d findings: %+v", len(heard), heard)
	}
	f := heard[1]
	if f.Key != heard[0].Key || f.Since != heard[0].Since || f.Cleared || f.Detector != "sweep-outgrown" || f.Upstream != "main" || f.Summary != "so it is" ||
		!strings.Contains(f.Evidence[0], "λ 400 rows/s") || !strings.Contains(f.Runbook, "spillway sweep plan") {
		t.Errorf("%+v", f)
	}
	if last := heard[2]; !last.Cleared || last.Key != f.Key || last.Since != f.Since {
		t.Errorf("%+v", last)
	}
}
