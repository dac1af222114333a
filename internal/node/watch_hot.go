package node

import (
	"context"
	"time"

	"spillway/internal/proxy"
	"spillway/internal/sample"
	"spillway/internal/statement"
)

// hotSight reads the proxy's own figures. Used by one goroutine.
type hotSight struct {
	hot    *hotpath
	owners func() map[string]string // of workloads, by name
	bounds []float64                // of the proxy's histograms

	crowds   []sample.Crowd
	crowdsAt time.Time
}

// crowdsEvery is how often every client is looked at.
const crowdsEvery = 10 * time.Second

// read makes a sample of everything the proxy knows. An error means that some
// loop does not answer: nothing of it is used then.
func (s *hotSight) read(ctx context.Context) (*sample.Proxy, error) {
	crowds := time.Since(s.crowdsAt) >= crowdsEvery
	watch, err := s.hot.Watch(ctx, crowds)
	if err != nil {
		return nil, err
	}
	ups, err := s.hot.Upstreams(ctx)
	if err != nil {
		return nil, err
	}
	gauges, err := s.hot.Gauges(ctx)
	if err != nil {
		return nil, err
	}
	if crowds {
		s.crowds, s.crowdsAt = nil, watch.At
		for _, c := range watch.Crowds {
			s.crowds = append(s.crowds, sample.Crowd{Host: c.Upstream, Workload: c.Workload, Application: c.Application, Addr: c.Addr,
				Clients: c.Clients, Holding: c.Holding, Waiting: c.Waiting, OldestWait: c.OldestWait})
		}
	}
	p := &sample.Proxy{At: watch.At, State: gauges.State, StartedAt: gauges.StartedAt, Crowds: s.crowds, CrowdsAt: s.crowdsAt}
	for i := range ups {
		p.Hosts = append(p.Hosts, hostSample(&ups[i]))
	}
	p.Workloads = s.workloads(watch)
	for i := range watch.Pools {
		p.Pools = append(p.Pools, poolSample(&watch.Pools[i]))
	}
	for i := range watch.Holders {
		p.Holders = append(p.Holders, holderSample(&watch.Holders[i]))
	}
	for i := range watch.Leaks {
		l := &watch.Leaks[i]
		p.Leaks = append(p.Leaks, sample.Leak{Host: l.Upstream, Workload: l.Workload, Application: l.Application, Addr: l.Addr, User: l.User, Database: l.Database,
			Marked: l.Marked, FirstAt: l.FirstAt, LastAt: l.LastAt, OnLeak: l.OnLeak, SQL: shownSQL(l.Text)})
	}
	for _, d := range watch.Denials {
		p.Denials = append(p.Denials, sample.Denial(d))
	}
	return p, nil
}

func hostSample(u *proxy.UpstreamStat) sample.Host {
	return sample.Host{Name: u.Name, Address: u.Address, Version: u.ServerVersion, Usable: u.Usable, Open: u.Used, Busy: u.Active,
		Waiting: u.Waiting, OldestWait: u.OldestWait, Down: u.Breaker == "open", DownReason: u.BreakerReason, AskedAt: u.AskedAt,
		MaxConnections: u.MaxConnections, Reserved: u.Reserved, Foreign: u.Foreign, Missing: u.Missing, Lingering: u.Lingering, Stray: u.Stray,
		Mended: u.Mended, Fused: u.Fused}
}

// workloads joins bounds and counts. Clients of no workload are in one without
// a name, which has counts only.
func (s *hotSight) workloads(watch proxy.Watch) []sample.Workload {
	type key struct{ upstream, workload string }
	stats, counts := watch.Workloads, watch.Counts
	owners, leaking := s.owners(), map[key]int{}
	for i := range watch.Holders {
		if h := &watch.Holders[i]; h.Leaking {
			leaking[key{h.Upstream, h.Workload}]++
		}
	}
	at := map[key]int{}
	list := make([]sample.Workload, 0, len(stats)+len(counts))
	for i := range stats {
		w := &stats[i]
		at[key{w.Upstream, w.Name}] = len(list)
		list = append(list, sample.Workload{Host: w.Upstream, Name: w.Name, Owner: owners[w.Name], Class: w.Class, Share: w.Share, Limit: w.Limit,
			InUse: w.InUse, Lent: w.Lent, Borrowed: w.Borrowed, Waiting: w.Waiting, OldestWait: w.OldestWait,
			Leaking: leaking[key{w.Upstream, w.Name}], Shed: w.Shed, Pause: w.Pause, Note: w.Note, QueueTimeout: w.QueueTimeout, LeakAfter: w.LeakAfter, OnLeak: w.OnLeak})
	}
	for i := range counts {
		c := &counts[i]
		j, known := at[key{c.Upstream, c.Workload}]
		if !known {
			j = len(list)
			list = append(list, sample.Workload{Host: c.Upstream, Name: c.Workload})
		}
		list[j].Count = sample.Count{Transactions: c.Transactions, Failed: c.Failed, Wait: s.histogram(&c.Wait), Transaction: s.histogram(&c.Transaction)}
	}
	return list
}

func (s *hotSight) histogram(h *proxy.Histogram) sample.Histogram {
	return sample.Histogram{Bounds: s.bounds, Counts: append([]uint64(nil), h.Counts[:]...)}
}

func poolSample(p *proxy.PoolWatch) sample.Pool {
	return sample.Pool{Host: p.Upstream, Database: p.Database, User: p.User, Waiting: p.Waiting, OldestWait: p.OldestWait,
		LoginError: p.LoginError, LoginErrorAt: p.LoginErrorAt, Transactions: p.Transactions, Errors: p.Errors}
}

// holdStates by the proxy's.
var holdStates = map[proxy.HoldState]sample.State{
	proxy.HoldRuns: sample.Runs, proxy.HoldIdles: sample.Idles, proxy.HoldAborted: sample.Aborted, proxy.HoldPins: sample.Pinned,
}

func holderSample(h *proxy.Holding) sample.Holder {
	s := sample.Holder{Client: h.Client, PID: h.PID, Host: h.Upstream, Workload: h.Workload, Application: h.Application, User: h.User, Database: h.Database,
		Addr: h.Addr, State: holdStates[h.State], CheckedOutAt: h.CheckedOutAt, TransactionAt: h.TransactionAt, QueryAt: h.QueryAt, IdleAt: h.IdleAt,
		Leaking: h.Leaking, Operator: h.Operator, Replicates: h.Replicates, SQL: shownSQL(h.Text)}
	if len(h.Text) > 0 {
		s.Fingerprint = statement.Print(h.Text)
	}
	return s
}

// shownBytes bounds a statement in findings and on screens.
const shownBytes = 300

func shownSQL(text []byte) string { return string(statement.Redact(nil, text, true, shownBytes)) }
