package run

import (
	"context"

	"spillway/internal/sweep/target"
)

// Dead rows from which a vacuum is worth its while: this many, or this part of
// the table.
const vacuumRows, vacuumPart = 10_000, 0.01

// vacuum cleans up behind the sweep where autovacuum would not: where it is
// off, or its threshold was not reached. A failure is told, not an error: the
// rows are gone either way.
func (r *runner) vacuum(ctx context.Context) {
	if r.sweep.Job.Options.NoVacuum || r.sweep.Deleted == 0 {
		return
	}
	conn := r.session.conn
	t, err := target.Inspect(ctx, conn, r.sweep.Table)
	if err != nil {
		return // the table may be gone by now
	}
	swept := map[uint32]bool{}
	for i := range r.sweep.Job.Legs {
		swept[r.sweep.Job.Legs[i].OID] = true
	}
	for i := range t.Leaves {
		l := &t.Leaves[i]
		dead := float64(l.Dead)
		if len(t.Leaves) == 1 {
			dead = max(dead, float64(r.sweep.Deleted)) // statistics come late
		}
		worth := dead >= vacuumRows || dead >= vacuumPart*(l.Live+dead) && dead > 0
		if !swept[l.OID] || !worth || l.VacuumAt >= 0 && dead >= l.VacuumAt {
			continue
		}
		r.sweep.Brake = "vacuum of " + l.Ident()
		r.tell(true)
		cost := "0"
		if v, _ := r.watch.Verdict(); v.Shared {
			cost = "2"
		}
		_, err := conn.Exec(ctx, "SET statement_timeout = 0; SET vacuum_cost_delay = "+cost)
		if err == nil {
			_, err = conn.Exec(ctx, "VACUUM (ANALYZE, SKIP_LOCKED) "+l.Ident())
		}
		if err != nil {
			r.config.Log.Warn("vacuum after the sweep failed", "table", l.Ident(), "error", err)
		} else {
			r.note("sweep.vacuumed", map[string]any{"vacuumed": l.Ident()})
		}
	}
	r.sweep.Brake = ""
}
