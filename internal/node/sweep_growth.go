package node

import (
	"fmt"
	"sync"
	"time"

	"spillway/internal/sweep"
)

// outgrown turns judgements over sweeps into findings.
type outgrown struct {
	word *word
	mu   sync.Mutex
	open map[string]finding // guarded by mu: told and not cleared
}

// hear takes one judgement.
func (o *outgrown) hear(g sweep.Growth) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := fmt.Sprintf("sweep-outgrown/%s/%s/%s", g.Server, g.Database, g.Table)
	f, known := o.open[key]
	if !g.Outgrown && !known {
		return
	}
	if o.open == nil {
		o.open = map[string]finding{}
	}
	now := time.Now()
	if !known {
		f = finding{Key: key, Detector: "sweep-outgrown", Level: "warn", Upstream: g.Server, Since: now}
	}
	f.At, f.Summary, f.Cleared = now, g.Text, !g.Outgrown
	f.Evidence = []string{
		fmt.Sprintf("λ %.4g rows/s become doomed, μ %.4g rows/s are deleted; a sweep keeps up from μ > 1.1 λ on", g.Lambda, g.Mu),
		fmt.Sprintf("backlog %.0f rows when the last run began, %.0f left; %d times in a row μ ≤ 1.1 λ, %d times in a row a larger backlog", g.Backlog, g.Left, g.Behind, g.Grows),
		"condition " + g.Condition,
	}
	f.Runbook = fmt.Sprintf("spillway sweep plan %s --where %q says what a sweep could do; give it more of the day (window, schedule, deadline), a larger share or rate, or partition the table by time so that old rows are dropped", g.Table, g.Condition)
	o.open[key] = f
	if f.Cleared {
		delete(o.open, key)
	}
	o.word.found(f)
}
