package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/session"
	"spillway/internal/wire"
)

// groupKey tells who leaks: one service on one host under one workload.
type groupKey struct {
	workload, application string
	addr                  netip.Addr
}

// group counts what its clients hold, over all loops.
type group struct {
	held    atomic.Int64 // servers
	leaking atomic.Int64 // of these, kept idle for too long
	top     atomic.Int64 // with on_leak cap: held may not grow beyond; 0 = free

	mu   sync.Mutex // guards seen
	seen Leak       // what Watch tells of it
}

// mark remembers a leak for those who watch.
func (g *group) mark(c *client) {
	if g == nil {
		return
	}
	now := time.Now()
	addr, _ := addrText(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.seen.LastAt) > leakRun {
		g.seen = Leak{FirstAt: now}
	}
	n := g.seen.Marked + 1
	g.seen = Leak{Upstream: c.pool.up.name, Workload: c.work.Name, Application: c.app, Addr: addr, User: c.user, Database: c.database,
		Marked: n, FirstAt: g.seen.FirstAt, LastAt: now, OnLeak: leakRules[c.work.OnLeak], Text: append([]byte(nil), c.srv.lastText()...)}
}

// leakRun is how long after the last leak of a group the next one is counted
// anew.
const leakRun = 10 * time.Minute

// leaks are the groups that have leaked lately.
func (g *groups) leaks() []Leak {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []Leak
	for _, one := range g.all {
		one.mu.Lock()
		if one.seen.Marked > 0 && time.Since(one.seen.LastAt) <= leakRun {
			list = append(list, one.seen)
		}
		one.mu.Unlock()
	}
	return list
}

// groups are those of workloads that look for leaks.
type groups struct {
	mu  sync.Mutex // guards all
	all map[groupKey]*group
}

// maxGroups bounds the memory that made-up application names can take.
const maxGroups = 10000

// of returns the group of a service's clients; nil when its workload looks for
// no leaks.
func (g *groups) of(w *Workload, app string, addr netip.Addr) *group {
	if w == nil || w.LeakAfter <= 0 {
		return nil
	}
	key := groupKey{w.Name, app, addr}
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[key]
	if one == nil {
		if g.all == nil || len(g.all) >= maxGroups {
			g.all = map[groupKey]*group{} // clients keep the group they have
		}
		one = new(group)
		g.all[key] = one
	}
	return one
}

// full tells whether a leak keeps the group from getting one server more.
func (g *group) full() bool {
	if g == nil {
		return false
	}
	top := g.top.Load()
	return top > 0 && g.held.Load() >= top
}

// leased and returned keep the group's books.
func (c *client) leased() {
	c.holding = c.group
	if c.holding != nil {
		c.holding.held.Add(1)
	}
}

func (c *client) returned() {
	c.works()
	if g := c.holding; g != nil {
		c.holding = nil
		g.held.Add(-1)
	}
}

// works ends a client's leak: its server is used again, or given back. With
// the last leak of a group its cap goes.
func (c *client) works() {
	if !c.leaking {
		return
	}
	c.leaking = false
	if g := c.holding; g != nil && g.leaking.Add(-1) <= 0 {
		g.top.Store(0)
	}
}

// leakable tells whether a client keeps a server for nothing: idle in a
// transaction, or pinned to it and idle. Never one that replicates or copies,
// an operator, or one whose session owns its server by its pool's mode.
func (c *client) leakable() bool {
	if c.srv == nil || c.lim == nil || c.lim.leak <= 0 || c.exempt || c.queryAt != 0 || c.srv.oneWay || !c.srv.sess.Quiet() || c.srv.sess.Copying() {
		return false
	}
	return c.srv.sess.State() != wire.Idle || c.sess.IsPinned() && c.sess.Mode != session.Session
}

// leak acts on a client that has kept a server idle for too long. It returns
// true when the server was taken back.
func (l *loop) leak(c *client, now int64) bool {
	w := c.work
	if !c.leaking {
		c.leaking = true
		if c.holding != nil {
			c.holding.leaking.Add(1)
		}
		l.stats(c.pool).leaks++
		c.holding.mark(c)
		l.log.Warn("leak: a client keeps a server idle", "workload", w.Name, "application", c.app, "user", c.user, "database", c.database,
			"addr", c.from().String(), "client", c.id, "server_pid", c.srv.pid, "idle", time.Duration(now-c.idleAt).Round(time.Millisecond).String(),
			"pinned", c.sess.Pinned(), "on_leak", leakRules[w.OnLeak], "sql", c.srv.lastSQL())
		if w.OnLeak == LeakCap && w.enforced() && c.holding != nil && c.holding.top.Load() == 0 {
			c.holding.top.Store(max(c.holding.held.Load(), 1))
		}
	}
	if w.OnLeak != LeakReclaim || !w.enforced() {
		return false
	}
	l.takeBack(c, leakReclaimed, "workloads."+w.Name+".leak_after")
	return true
}

var leakRules = [...]string{"warn", "cap", "reclaim"}
