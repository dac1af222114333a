package node

import (
	"fmt"
	"slices"

	"spillway/internal/act"
	"spillway/internal/proxy"
	"spillway/internal/schedule"
)

// overlay lays pauses, limits and bans that stand over a policy. What names a
// workload that the policy no longer has waits for it to come back.
func overlay(policy *proxy.Policy, standing *act.Standing) *proxy.Policy {
	if len(standing.Pauses)+len(standing.Limits)+len(standing.Bans) == 0 {
		return policy
	}
	p := *policy
	p.Workloads = slices.Clone(policy.Workloads)
	for i := range p.Workloads {
		w := &p.Workloads[i]
		if limit, ok := standing.Limits[w.Name]; ok {
			limitAlone(w)
			w.Limit, w.Note = limit.Slots, "limited "+limit.Text
		}
		if pause, ok := standing.Pauses[w.Name]; ok {
			w.Pause, w.Note = schedule.PauseRefuse, "paused "+pause.Text
			if pause.Queue {
				w.Pause = schedule.PauseQueue
			}
		}
	}
	p.Bans = slices.Clone(policy.Bans)
	for _, b := range standing.Bans {
		text := fmt.Sprintf("Banned %s.", b.Text)
		if b.Max > 0 {
			text = fmt.Sprintf("Capped %s.", b.Text)
		}
		p.Bans = append(p.Bans, proxy.Ban{Fingerprint: b.Fingerprint, Max: b.Max, Text: text})
	}
	return &p
}

// limitAlone lets a limit act on a workload that otherwise only warns, or does
// nothing, without its other bounds: nobody has asked for those.
func limitAlone(w *proxy.Workload) {
	if w.Mode == schedule.Enforce {
		return
	}
	w.Mode, w.Lendable, w.Borrow, w.QueueMax = schedule.Enforce, 1, -1, 0
	w.QueueTimeout, w.StatementTimeout, w.TransactionTimeout, w.IdleInTransaction = -1, -1, -1, -1
	w.OnLeak = proxy.LeakWarn
}
