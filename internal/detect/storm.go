package detect

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"spillway/internal/sample"
)

// stormLeast is the fewest executions that are a storm by their share of the
// slots: one fifth of a small budget is nothing.
const stormLeast = 5

// lookStorm finds statements that run many times at once: StormMany of them, or
// StormShare of the slots. Executions younger than StormAge do not count, nor
// do those whose wait for a lock is explained.
func lookStorm(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	type key struct {
		host  string
		print uint64
	}
	runs := map[key][]*sample.Holder{}
	for i := range in.Proxy.Holders {
		h := &in.Proxy.Holders[i]
		if h.Fingerprint == 0 || h.State != sample.Runs || h.Replicates || h.QueryAt.IsZero() || in.At.Sub(h.QueryAt) < in.Bounds.StormAge {
			continue
		}
		if in.claims.of(h.Host, h.PID) == "" {
			k := key{h.Host, h.Fingerprint}
			runs[k] = append(runs[k], h)
		}
	}
	var found []Suspicion
	for k, holders := range runs {
		host := hostOf(in.Proxy, k.host)
		if host == nil {
			continue
		}
		id := fmt.Sprintf("storm/%s/%016x", k.host, k.print)
		least := min(in.Bounds.StormMany, max(stormLeast, int(in.Bounds.StormShare*float64(host.Usable)+0.999)))
		if in.held(id) != None {
			least = least * 3 / 4
		}
		if len(holders) >= least {
			found = append(found, in.storm(id, host, holders))
		}
	}
	slices.SortFunc(found, func(a, b Suspicion) int { return cmp.Compare(a.Key, b.Key) })
	return found
}

func (in *Input) storm(id string, host *sample.Host, holders []*sample.Holder) Suspicion {
	slices.SortFunc(holders, func(a, b *sample.Holder) int { return a.QueryAt.Compare(b.QueryAt) })
	g := Group{Host: host.Name, Workload: holders[0].Workload, Application: holders[0].Application}
	var apps, workloads []string
	for _, h := range holders {
		in.claims.take(h.Host, h.PID, "storm")
		apps, workloads = withName(apps, h.Application), withName(workloads, h.Workload)
		g.Users, g.Addresses = withName(g.Users, h.User), withName(g.Addresses, h.Addr)
	}
	share := float64(len(holders)) / float64(max(host.Usable, 1))
	g.Owner = ownerOf(in.Proxy, host.Name, g.Workload)
	s := Suspicion{Key: id, Level: Warn, Upstream: host.Name, Workload: g.Workload, Fingerprint: fmt.Sprintf("%016x", holders[0].Fingerprint)}
	if share >= 0.5 {
		s.Level = Page
	}
	s.Summary = fmt.Sprintf("storm: one statement runs %d times at once on %s (%s of the slots), by %s: %s",
		len(holders), host.Name, percent(share), g.Name(), statementText(holders[0].SQL))
	s.Evidence = []string{
		fmt.Sprintf("fingerprint %016x; spillway ban %016x --for 10m refuses it, --max N caps it", holders[0].Fingerprint, holders[0].Fingerprint),
		fmt.Sprintf("the oldest runs for %s, the median for %s", span(in.At.Sub(holders[0].QueryAt)), span(in.At.Sub(holders[len(holders)/2].QueryAt))),
		fmt.Sprintf("applications %s; workloads %s; users %s; addresses %s", list(apps), list(workloads), list(g.Users), list(g.Addresses)),
	}
	return s
}

// classOf is the class of a workload on a host; normal when it has none.
func classOf(p *sample.Proxy, host, workload string) string {
	if w := workloadOf(p, host, workload); w != nil && w.Class != "" {
		return w.Class
	}
	return "normal"
}

func (b *Bounds) statement(class string) time.Duration {
	switch class {
	case "critical":
		return b.StatementCritical
	case "batch":
		return b.StatementBatch
	}
	return b.StatementNormal
}
