package proxy

import (
	"context"
	"slices"
	"strings"

	"spillway/internal/schedule"
)

var (
	classNames   = map[schedule.Class]string{schedule.Critical: "critical", schedule.Normal: "normal", schedule.Batch: "batch"}
	modeNames    = map[schedule.Mode]string{schedule.Off: "off", schedule.Warn: "warn", schedule.Enforce: "enforce"}
	pausingNames = map[schedule.Pausing]string{schedule.PauseQueue: "queue", schedule.PauseRefuse: "refuse"}
)

// crowd is how many clients of a workload an upstream has.
type crowd struct{ clients, leaking int }

// Workloads implements Facts.
func (p *Proxy) Workloads(ctx context.Context) ([]WorkloadStat, error) {
	type key struct{ upstream, workload string }
	crowds := map[key]crowd{}
	err := p.facts(ctx, func(l *loop) {
		for c := range l.clients {
			if c.work == nil || c.pool == nil {
				continue
			}
			k := key{c.pool.up.name, c.work.Name}
			n := crowds[k]
			n.clients++
			if c.leaking {
				n.leaking++
			}
			crowds[k] = n
		}
	})
	if err != nil {
		return nil, err
	}
	list := p.scheduled()
	for i := range list {
		n := crowds[key{list[i].Upstream, list[i].Name}]
		list[i].Clients, list[i].Leaking = n.clients, n.leaking
	}
	return list, nil
}

// scheduled is what the schedule knows of the workloads: all but their clients.
func (p *Proxy) scheduled() []WorkloadStat {
	rul := p.policy.Load()
	var list []WorkloadStat
	for _, up := range p.pools.hosts() {
		snapshot := up.host.Snapshot(p.now())
		for i := range rul.Workloads {
			w := &rul.Workloads[i]
			at := slices.IndexFunc(snapshot.Workloads, func(s schedule.WorkloadStat) bool { return s.Name == w.Name })
			if at < 0 {
				continue
			}
			st := workloadStat(w, &snapshot.Workloads[at])
			st.Upstream = up.name
			list = append(list, st)
		}
	}
	slices.SortStableFunc(list, func(a, b WorkloadStat) int { return strings.Compare(a.Upstream, b.Upstream) })
	return list
}

func workloadStat(w *Workload, s *schedule.WorkloadStat) WorkloadStat {
	return WorkloadStat{
		Name: w.Name, Class: classNames[w.Class], Mode: modeNames[w.Mode], Share: s.Nominal, Limit: w.Limit,
		InUse: s.InUse, Lent: s.Lent, Borrowed: s.Borrowed, Waiting: s.Waiting, OldestWait: s.Oldest,
		Shed: s.Shed, WouldShed: s.WouldShed, WouldWait: s.WouldWait, Pause: pausingNames[w.Pause], Note: w.Note,
		QueueTimeout: w.QueueTimeout, Statement: w.StatementTimeout, Transaction: w.TransactionTimeout, IdleInTx: w.IdleInTransaction,
		LeakAfter: w.LeakAfter, OnLeak: leakRules[w.OnLeak],
	}
}
