package proxy

import (
	"context"
	"net/netip"
	"time"

	"spillway/internal/schedule"
	"spillway/internal/wire"
)

// Watcher is what probes and sweeps read of the hot path while they work.
type Watcher interface {
	// Watch reads the holders and the workloads' counts: one turn of each loop, and
	// nothing that a text must be taken apart for. Crowds, which look at every
	// client, are only counted where crowds is true.
	Watch(ctx context.Context, crowds bool) (Watch, error)
	// Held is how many servers of an upstream clients hold at this moment; 0 for
	// one that is not known. It asks no loop and may be called thousands of times
	// a second.
	Held(upstream string) int
}

// Watch is one reading; the caller owns it.
type Watch struct {
	At      time.Time
	Holders []Holding
	Counts  []WorkCount
	Leaks   []Leak
	Denials []Denial
	// Workloads without Clients and Leaking: to count those is to look at every
	// client. Holders say who leaks.
	Workloads []WorkloadStat
	Pools     []PoolWatch
	Crowds    []Crowd // nil when not asked for
}

// Leak is servers of one service that were found kept idle for longer than its
// workload's leak_after, since FirstAt.
type Leak struct {
	Upstream, Workload, Application, Addr string
	User, Database                        string
	Marked                                uint64
	FirstAt, LastAt                       time.Time
	OnLeak                                string // warn, cap, reclaim
	Text                                  []byte // start of the last one's statement, with its literals
}

// Holding is a client that has a server. Times that have not begun are zero.
type Holding struct {
	Client                        uint64
	PID                           int // of the server's backend
	Upstream, Workload            string
	Application, User, Database   string
	Addr                          string // "unix" for a unix socket
	State                         HoldState
	CheckedOutAt, TransactionAt   time.Time
	QueryAt, IdleAt               time.Time
	Pinned                        bool
	Leaking, Operator, Replicates bool
	Text                          []byte // start of the last statement, with its literals
}

// HoldState is what a holder does with its server.
type HoldState uint8

// States of holders.
const (
	HoldRuns    HoldState = iota // a statement runs
	HoldIdles                    // idle in a transaction
	HoldAborted                  // idle in a transaction that has failed
	HoldPins                     // idle, but the session keeps its server
)

// PoolWatch is how one (database, user) stands.
type PoolWatch struct {
	Upstream, Database, User string
	Waiting                  int
	OldestWait               time.Duration
	LoginError               string // "" when the last server login worked
	LoginErrorAt             time.Time
	Transactions, Errors     uint64 // since start
}

// WorkCount is what the transactions of one workload on one upstream came to
// since start. Workload is "" for clients that are in none.
type WorkCount struct {
	Upstream, Workload string
	Transactions       uint64
	Failed             uint64 // errors of the proxy that the client is not to blame for
	Wait, Transaction  Histogram
}

// Crowd is the clients of one service on one host.
type Crowd struct {
	Upstream, Workload, Application string
	Addr                            string // without the port
	Clients, Holding, Waiting       int
	OldestWait                      time.Duration
}

// maxCrowds bounds what made-up application names can cost.
const maxCrowds = 1000

type crowdKey struct {
	upstream, workload, application string
	addr                            netip.Addr
}

// work counts what WorkCount tells, on one loop.
type work struct {
	transactions, failed uint64
	wait, transaction    Histogram
}

type workKey struct{ upstream, workload string }

// maxWorks bounds what is kept of workloads that configs have named.
const maxWorks = 10000

// count returns where the transactions of clients at a place are counted.
func (l *loop) count(at *place) *work {
	if at.pool == nil {
		return nil
	}
	key := workKey{at.pool.up.name, at.workName()}
	w := l.works[key]
	if w == nil {
		if l.works == nil || len(l.works) >= maxWorks {
			l.works = map[workKey]*work{}
		}
		w = new(work)
		l.works[key] = w
	}
	return w
}

// waited counts a wait for a server, in ns.
func (c *client) waited(ns int64) {
	if c.tally != nil {
		c.tally.wait.Observe(ns)
	}
}

// blameless are errors that the workload's users have not caused themselves:
// those an objective counts as bad.
var blameless = [reasonCount]bool{
	queueTimeout: true, queueFull: true, waitTooLong: true, queryTimeout: true, transactionTimeout: true,
	poolDisabled: true, poolKilled: true, poolerShutdown: true, loginFailing: true, serverGone: true,
	setupFailed: true, slotReclaimed: true, workloadPaused: true, leakCapped: true,
}

// Held implements Watcher.
func (p *Proxy) Held(upstream string) int {
	if up := p.pools.upstream(upstream); up != nil {
		return up.host.Busy()
	}
	return 0
}

// Watch implements Watcher.
func (p *Proxy) Watch(ctx context.Context, crowds bool) (Watch, error) {
	w := Watch{At: time.Now()}
	counts := map[workKey]*WorkCount{}
	groups := map[crowdKey]*Crowd{}
	pools := p.pools.all()
	w.Pools, w.Workloads = p.watchPools(pools), p.scheduled()
	err := p.facts(ctx, func(l *loop) {
		for s := range l.servers {
			if c := s.client; c != nil && c.srv == s && c.pool != nil {
				w.Holders = append(w.Holders, l.holding(c, s))
			}
		}
		for key, own := range l.works {
			sum := counts[key]
			if sum == nil {
				sum = &WorkCount{Upstream: key.upstream, Workload: key.workload}
				counts[key] = sum
			}
			sum.Transactions += own.transactions
			sum.Failed += own.failed
			sum.Wait.Add(&own.wait)
			sum.Transaction.Add(&own.transaction)
		}
		for i, pl := range pools {
			own := &pl.byLoop[l.id]
			w.Pools[i].Transactions += own.Transactions
			w.Pools[i].Errors += own.Errors
		}
		if crowds {
			l.countCrowds(groups)
		}
	})
	w.Leaks, w.Denials = p.groups.leaks(), p.denied()
	for _, sum := range counts {
		w.Counts = append(w.Counts, *sum)
	}
	if crowds {
		w.Crowds = make([]Crowd, 0, len(groups))
		for _, g := range groups {
			w.Crowds = append(w.Crowds, *g)
		}
	}
	return w, err
}

// watchPools is what is known of pools without asking the loops.
func (p *Proxy) watchPools(pools []*pool) []PoolWatch {
	type key struct{ upstream, pool string }
	stats := map[key]*schedule.PoolStat{}
	for _, up := range p.pools.hosts() {
		snapshot := up.host.Snapshot(p.now())
		for i := range snapshot.Pools {
			stats[key{up.name, snapshot.Pools[i].Name}] = &snapshot.Pools[i]
		}
	}
	list := make([]PoolWatch, len(pools))
	for i, pl := range pools {
		one := &list[i]
		one.Upstream, one.Database, one.User = pl.up.name, pl.key.database, pl.key.user
		if f := pl.failure.Load(); f != nil {
			one.LoginError, one.LoginErrorAt = f.report.Message, f.at
		}
		if st := stats[key{pl.up.name, pl.key.database + "/" + pl.key.user}]; st != nil {
			one.Waiting, one.OldestWait = st.Waiting, st.Oldest
		}
	}
	return list
}

func (l *loop) holding(c *client, s *server) Holding {
	p := l.proxy
	h := Holding{Client: c.id, PID: int(s.pid), Upstream: c.pool.up.name, Workload: c.workName(), Application: c.app,
		User: c.user, Database: c.database, CheckedOutAt: p.at(c.leaseAt), TransactionAt: p.at(c.txnAt), QueryAt: p.at(c.queryAt),
		Pinned: c.sess.IsPinned(), Leaking: c.leaking, Operator: c.operator, Replicates: s.oneWay}
	h.Addr, _ = addrText(c)
	switch {
	case c.queryAt != 0 || !s.sess.Quiet():
		h.State = HoldRuns
	case s.sess.State() == wire.InTransaction:
		h.State = HoldIdles
	case s.sess.State() == wire.Failed:
		h.State = HoldAborted
	default:
		h.State = HoldPins
	}
	if h.State != HoldRuns {
		h.IdleAt = p.at(c.idleAt)
	}
	h.Text = append([]byte(nil), s.lastText()...)
	return h
}

func (l *loop) countCrowds(groups map[crowdKey]*Crowd) {
	for c := range l.clients {
		if c.pool == nil || c.phase < phaseServe || c.phase >= phaseEnd {
			continue
		}
		key := crowdKey{upstream: c.pool.up.name, workload: c.workName(), application: c.app}
		if !c.local {
			key.addr = c.addr
		}
		g := groups[key]
		if g == nil {
			if len(groups) >= maxCrowds {
				continue
			}
			g = &Crowd{Upstream: key.upstream, Workload: key.workload, Application: key.application, Addr: "unix"}
			if !c.local {
				g.Addr = key.addr.String()
			}
			groups[key] = g
		}
		g.Clients++
		if c.srv != nil {
			g.Holding++
		}
		if c.waitSince != 0 {
			g.Waiting++
			g.OldestWait = max(g.OldestWait, time.Duration(l.now-c.waitSince))
		}
	}
}
