package console

import (
	"context"
	"slices"
	"time"
)

// workloadColumns are Spillway's own: the bounds of every workload on every
// server, and what it uses. Times are in seconds; NULL is "as without a workload".
var workloadColumns = slices.Concat(
	texts("workload", "upstream", "class", "mode"),
	int4s("share", "max", "in_use", "lent", "borrowed", "waiting"), numerics("oldest_wait"),
	int4s("clients", "leaking"), int8s("shed", "would_shed", "would_wait"), texts("paused", "note"),
	numerics("queue_timeout", "statement_timeout", "transaction_timeout", "idle_in_transaction_timeout", "leak_after"), texts("on_leak"))

func showWorkloads(ctx context.Context, c *call, a *answer) error {
	workloads, err := c.console.Facts.Workloads(ctx)
	if err != nil {
		return err
	}
	for _, w := range workloads {
		a.row(text(w.Name), text(w.Upstream), text(w.Class), text(w.Mode),
			number(w.Share), number(w.Limit), number(w.InUse), number(w.Lent), number(w.Borrowed), number(w.Waiting), seconds(w.OldestWait),
			number(w.Clients), number(w.Leaking), number(int64(w.Shed)), number(int64(w.WouldShed)), number(int64(w.WouldWait)),
			orNull(w.Pause), orNull(w.Note),
			bound(w.QueueTimeout), bound(w.Statement), bound(w.Transaction), bound(w.IdleInTx), bound(w.LeakAfter), text(w.OnLeak))
	}
	return nil
}

// bound is NULL for a time that is inherited.
func bound(d time.Duration) cell {
	if d < 0 {
		return cell{null: true}
	}
	return seconds(d)
}
