package schedule

import (
	"math"
	"sync/atomic"
	"time"
)

// PoolConfig is what an operator sets about one pool. Durations of 0 are "never".
type PoolConfig struct {
	// Name appears in snapshots.
	Name string
	// Max servers (pool_size); 0 is bounded by the host alone.
	Max int
	// Min servers kept open (min_pool_size).
	Min int
	// Reserve is how many servers beyond Max may be opened for a waiter that has waited ReserveAfter.
	Reserve      int
	ReserveAfter time.Duration
	// Database and User bound the servers of several pools together; nil is without bound. Pools with the same User share
	// what a wrong password does to them.
	Database, User *Cap
	// IdleTimeout closes servers idle for longer, Lifetime those older once nobody holds them. Each server's own figure is
	// shorter by a random part of up to Jitter (0 to 1), so that servers opened together do not close together.
	IdleTimeout, Lifetime time.Duration
	Jitter                float64
	// RoundRobin hands out the longest idle server (server_round_robin); otherwise the one released last.
	RoundRobin bool
	// CheckAfter marks a granted server Stale when it was idle for longer (server_check_delay); 0 never.
	CheckAfter time.Duration
	// Operator pools fill the host's operator slots, wait for nobody else, are not paced and are under no Cap.
	Operator bool
}

// Cap bounds the servers of several pools together: those of one database or one user, on any number of hosts.
// It is safe for use by several Hosts at once.
type Cap struct{ max, used atomic.Int64 }

// NewCap returns a Cap of max servers; 0 is without bound.
func NewCap(max int) *Cap {
	c := new(Cap)
	c.SetMax(max)
	return c
}

// SetMax changes the bound. Servers above a lower bound close as they are released.
func (c *Cap) SetMax(max int) { c.max.Store(int64(max)) }

// Used returns how many servers count against the Cap now.
func (c *Cap) Used() int { return int(c.used.Load()) }

// full says whether n servers more would exceed the bound; a nil Cap never is.
func (c *Cap) full(n int64) bool {
	if c == nil {
		return false
	}
	top := c.max.Load()
	return top > 0 && c.used.Load()+n > top
}

// take counts one server more, unless the bound is reached; it may race with other hosts.
func (c *Cap) take() bool {
	if c == nil {
		return true
	}
	for {
		used, top := c.used.Load(), c.max.Load()
		if top > 0 && used >= top {
			return false
		}
		if c.used.CompareAndSwap(used, used+1) {
			return true
		}
	}
}

func (c *Cap) give() {
	if c != nil {
		c.used.Add(-1)
	}
}

// Pool is the servers and waiters of one (database, user) on one Host. All fields are guarded by Host.mu.
type Pool struct {
	host *Host
	cfg  PoolConfig

	paused, disabled, removed bool

	idle    idleList
	servers []*Server // every server that holds a slot
	active  int
	opening int
	closing int
	marks   [markCount]int

	lanes   []*lane // every workload that ever waited here
	busy    []*lane // those with waiters
	waiting int
	queueAt int // index in host.queues, valid while waiting > 0

	// Logins of this pool alone failing (28xxx, 3D000 ...): none before retryAt.
	failures int
	failing  FailClass
	retryAt  int64
	fit      uint64 // identity of the last server opened for a waiter
	wanted   bool   // a waiter was refused for failing logins: try one when it is time
}

// Config returns the pool's configuration as last set.
func (p *Pool) Config() PoolConfig {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return p.cfg
}

func (p *Pool) total() int { return len(p.servers) }

// max is the most servers of the pool, the reserve left out.
func (p *Pool) max() int {
	if p.cfg.Max <= 0 {
		return math.MaxInt
	}
	return p.cfg.Max
}

// top is the most servers of the pool, the reserve included.
func (p *Pool) top() int {
	if p.cfg.Max <= 0 {
		return math.MaxInt
	}
	return p.cfg.Max + max(0, p.cfg.Reserve)
}

// established is how many servers have logged in and are not on their way out.
func (p *Pool) established() int { return p.total() - p.opening - p.closing }

// lane returns the queue of w's waiters, making it on first use.
func (p *Pool) lane(w *Workload) *lane {
	for _, l := range p.lanes {
		if l.work == w {
			return l
		}
	}
	l := &lane{pool: p, work: w}
	p.lanes = append(p.lanes, l)
	return l
}

// AddPool adds a pool and returns it. It opens nothing before the next Tick.
func (h *Host) AddPool(now int64, cfg PoolConfig) *Pool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if cfg.Operator {
		cfg.Database, cfg.User = nil, nil
	}
	p := &Pool{host: h, cfg: cfg}
	h.pools = append(h.pools, p)
	h.wake(h.now)
	return p
}

// ConfigurePool changes a pool's configuration. Servers above a lower Max close when idle. Database, User and Operator
// keep what AddPool set: they are part of what the pool is.
func (h *Host) ConfigurePool(now int64, p *Pool, cfg PoolConfig, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if p.removed {
		return out
	}
	cfg.Database, cfg.User, cfg.Operator = p.cfg.Database, p.cfg.User, p.cfg.Operator
	p.cfg = cfg
	out = h.trim(out)
	return h.pump(out)
}

// RemovePool fails every waiter, closes every idle server and the others as they are released. The pool is forgotten when
// its last server is gone.
func (h *Host) RemovePool(now int64, p *Pool, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if p.removed {
		return out
	}
	p.removed = true
	out = h.failAll(p, PoolRemoved, out)
	out = h.retire(p, PoolRemoved, out)
	h.forget(p)
	return h.pump(out)
}

// Pause stops grants and disconnects: idle servers close now, the others when released; waiters stay queued.
// Paused says when that is done.
func (h *Host) Pause(now int64, p *Pool, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	p.paused = true
	out = h.retire(p, PoolPaused, out)
	return h.pump(out)
}

// Paused says whether p is paused and has no server left that a client may hold.
func (h *Host) Paused(p *Pool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return p.paused && p.active == 0 && p.opening == 0 && p.idle.n == 0
}

// Resume ends Pause and Kill.
func (h *Host) Resume(now int64, p *Pool, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if p.paused { // the server may have been restarted meanwhile: that is what Pause is for
		h.unrest.begin(h.now)
	}
	p.paused = false
	return h.pump(out)
}

// Disable refuses every Acquire from now on; waiters already queued stay. PgBouncer's DISABLE refuses only new clients,
// which is for the proxy to do at login: use this where transactions of connected clients must be refused too.
func (h *Host) Disable(p *Pool) { h.setDisabled(p, true) }

// Enable ends Disable.
func (h *Host) Enable(p *Pool) { h.setDisabled(p, false) }

func (h *Host) setDisabled(p *Pool, to bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.disabled = to
}

// Reconnect closes every server once nobody holds it: idle ones now.
func (h *Host) Reconnect(now int64, p *Pool, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	h.unrest.begin(h.now)
	out = h.retire(p, Reconnecting, out)
	return h.pump(out)
}

// Kill fails every waiter, closes every server at once, whoever holds it, and pauses the pool until Resume.
func (h *Host) Kill(now int64, p *Pool, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	p.paused = true
	out = h.failAll(p, PoolKilled, out)
	for _, s := range p.servers {
		if s.state != Closing {
			out = h.close(s, PoolKilled, out)
		}
	}
	return h.pump(out)
}

// retire marks every server of p for closing and closes the idle ones.
func (h *Host) retire(p *Pool, why Reason, out []Directive) []Directive {
	for _, s := range p.servers {
		s.retired = true
	}
	for p.idle.old != nil {
		out = h.close(p.idle.old, why, out)
	}
	return out
}

// failAll fails every waiter of p.
func (h *Host) failAll(p *Pool, why Reason, out []Directive) []Directive {
	for len(p.busy) > 0 {
		w := p.busy[len(p.busy)-1].head
		h.dequeue(w)
		out = append(out, Directive{Kind: Fail, Reason: why, From: w.Loop, Pool: p, Waiter: w})
	}
	return out
}

// forget drops a removed pool once it is empty.
func (h *Host) forget(p *Pool) {
	if !p.removed || p.total() > 0 {
		return
	}
	for i, q := range h.pools {
		if q == p {
			h.pools = append(h.pools[:i], h.pools[i+1:]...)
			return
		}
	}
}
