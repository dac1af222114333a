package schedule

import "math/big"

// see follows one directive, in the order the Host gave them, and checks it against what the model would do.
func (m *model) see(d Directive) {
	m.t.Helper()
	switch d.Kind {
	case Grant:
		m.seeGrant(d)
	case Open:
		m.seeOpen(d)
	case Close:
		x := m.find(d.Server)
		if x == nil || x.state == Closing {
			m.t.Fatalf("close of a server that is not open")
		}
		if x.state == Active && d.Reason != PoolKilled && m.loose != d.Server {
			m.t.Fatalf("close of a held server: %v", d.Reason)
		}
		x.claim = nil
		if d.Reason == Yielded {
			m.seeYield(d, x)
		}
		x.state, x.work, x.since = Closing, nil, m.now
	case Fail:
		c := m.waiter(d.Waiter)
		if c == nil {
			m.t.Fatalf("fail of a client that does not wait")
		}
		m.waiters = without(m.waiters, c)
	case Reclaim:
		x := m.find(d.Server)
		if x == nil || x.state != Active || x.work.cfg.Class != Batch || m.inUse(x.work) <= m.quota(x.work) {
			m.t.Fatalf("reclaim of a server that is not batch work on a lent slot")
		}
	}
	if d.Server != nil && d.Server == m.loose {
		m.loose = nil
	}
}

func (m *model) waiter(w *Waiter) *modelWaiter {
	for _, c := range m.waiters {
		if c.w == w {
			return c
		}
	}
	return nil
}

// seeGrant checks that a queued waiter was the one to be served.
func (m *model) seeGrant(d Directive) {
	m.t.Helper()
	x, c := m.find(d.Server), m.waiter(d.Waiter)
	switch {
	case x == nil || x.state != Idle && d.Server != m.loose:
		m.t.Fatalf("grant of a server that is not free")
	case c == nil:
		m.t.Fatalf("grant to a client that does not wait")
	case c.w.Fit != d.Server.Fit || c.p != d.Server.Pool:
		m.t.Fatalf("grant of a server that does not fit")
	}
	list := m.candidates(d.Server)
	if len(list) == 0 {
		m.t.Fatalf("grant to a workload at its limit")
	}
	if m.uniform() && list[0].work != c.work {
		m.t.Fatalf("grant to %s, the model says %s", c.work.cfg.Name, list[0].work.cfg.Name)
	}
	if m.h.cfg.LoopReach > 1 {
		m.seeNear(d, c)
	} else if m.uniform() && list[0] != c {
		m.t.Fatalf("grant to waiter %d of %s, the model says waiter %d of %s", m.place(c), c.work.cfg.Name, m.place(list[0]), list[0].work.cfg.Name)
	}
	for _, o := range list {
		if o.work == c.work && o != c && m.h.cfg.LoopReach <= 1 {
			m.t.Fatalf("a later waiter of the same workload, pool and identity went first")
		}
	}
	if d.Server == m.loose {
		if r := m.rival(d.Server, c); r != nil {
			m.t.Fatalf("grant to %s, but %s of another pool goes before it", c.work.cfg.Name, r.work.cfg.Name)
		}
	}
	if v := m.virtual(c.work); v.Cmp(m.floor) > 0 {
		m.floor = v
	}
	m.waiters = without(m.waiters, c)
	x.state, x.work, x.since = Active, c.work, m.now
}

// seeNear checks that whoever was passed was passed by a client of the server's own loop, and not too often.
func (m *model) seeNear(d Directive, c *modelWaiter) {
	m.t.Helper()
	for i, o := range m.waiters {
		if o == c || o.p != c.p || o.work != c.work || o.w.Fit != c.w.Fit || i > m.place(c) {
			continue
		}
		o.passed++
		if d.From != c.w.Loop && d.Server == m.loose || o.passed > 4 {
			m.t.Fatalf("a waiter was passed for no reason, or for the %dth time", o.passed)
		}
	}
}

// uniform says whether all waiters have the same identity, so that the order of service is exact.
func (m *model) uniform() bool {
	for _, c := range m.waiters {
		if c.w.Fit != 0 {
			return false
		}
	}
	return true
}

// rival returns a waiter of another pool that goes before c for the slot of s.
func (m *model) rival(s *Server, c *modelWaiter) *modelWaiter {
	for _, r := range m.waiters {
		if m.h.ready(r.p) && m.h.paceAllows(r.p, r.work) && m.outranks(r, s, c) {
			return r
		}
	}
	return nil
}

// outranks says whether r, of another pool, goes before c for the slot of s.
func (m *model) outranks(r *modelWaiter, s *Server, c *modelWaiter) bool {
	p := r.p
	if p == s.Pool || p.cfg.Operator != s.Pool.cfg.Operator || m.now-m.find(s).opened < m.grace {
		return false
	}
	if !m.needs(r) || m.shut(p, m.head(r)) != slotsFull {
		return false
	}
	return m.unclaimed(p) == 0 && m.ahead(r, c, m.grace)
}

// unclaimed is how many slots of the kind p fills come free without anybody waiting for them in particular.
func (m *model) unclaimed(p *Pool) int {
	return m.count(func(x *modelServer) bool {
		return x.state == Closing && x.claim == nil && x.s.Pool.cfg.Operator == p.cfg.Operator
	})
}

// seeYield checks that a server which closes to make room has to.
func (m *model) seeYield(d Directive, x *modelServer) {
	m.t.Helper()
	l := d.Server.lane
	r := m.first(l.pool, l.work)
	if r == nil {
		m.t.Fatalf("a server yields to nobody")
	}
	defer func() { x.claim = l }()
	b := m.shut(r.p, r)
	own := x.s.Pool == r.p
	switch {
	case !m.needs(r):
		m.t.Fatalf("a server yields to a waiter of %s in %s who cannot use it\n%v", r.work.cfg.Name, r.p.cfg.Name, m)
	case b == free || b == poolFull && !own:
		m.t.Fatalf("a server yields although that helps nobody")
	case b == slotsFull && m.unclaimed(r.p) > 0:
		m.t.Fatalf("a server yields although a slot comes free anyway")
	case b == databaseFull && x.s.Pool.cfg.Database != r.p.cfg.Database, b == userFull && x.s.Pool.cfg.User != r.p.cfg.User:
		m.t.Fatalf("a server of another cap yields")
	case !own && !r.p.cfg.Operator && m.now-x.opened < m.grace:
		m.t.Fatalf("a server yields within the grace")
	}
	if d.Server != m.loose {
		return
	}
	if list := m.candidates(d.Server); m.uniform() && b == slotsFull && len(list) > 0 && !m.outranks(r, d.Server, list[0]) {
		m.t.Fatalf("a server yields to %s of another pool who does not go before %s\n%v", r.work.cfg.Name, list[0].work.cfg.Name, m)
	}
}

// first is the first waiter of a lane.
func (m *model) first(p *Pool, work *Workload) *modelWaiter {
	for _, c := range m.waiters {
		if c.p == p && c.work == work {
			return c
		}
	}
	return nil
}

// seeOpen checks every bound on a login.
func (m *model) seeOpen(d Directive) {
	m.t.Helper()
	p := d.Pool
	var head *modelWaiter
	if l := d.Server.lane; l != nil {
		head = m.first(p, l.work)
		if head == nil || !m.needs(head) {
			m.t.Fatalf("login for nobody")
		}
	}
	if b := m.shut(p, head); b != free {
		m.t.Fatalf("login although %d is full", b)
	}
	if m.paused[p] {
		m.t.Fatalf("login to a paused pool")
	}
	opening := m.count(func(x *modelServer) bool { return x.state == Opening })
	if m.h.breaker.open && opening > 0 {
		m.t.Fatalf("two logins at once while the breaker is open")
	}
	shared := m.count(func(x *modelServer) bool { return x.state == Opening && !x.s.Pool.cfg.Operator })
	if !p.cfg.Operator && shared >= m.h.cfg.Connect.Parallel {
		m.t.Fatalf("more than %d logins at once", m.h.cfg.Connect.Parallel)
	}
	m.seePace(d)
	m.servers = append(m.servers, &modelServer{s: d.Server, state: Opening, claim: d.Server.lane, since: m.now})
}

// queue notes a waiter that Acquire queued.
func (m *model) queue(p *Pool, w *Waiter, work *Workload) {
	if len(m.waiters) == 0 {
		m.floor = new(big.Rat)
		m.works = nil
	}
	k := m.work(work)
	waits := false
	for _, c := range m.waiters {
		waits = waits || c.work == work
	}
	if !waits {
		least := new(big.Int).Mul(m.floor.Num(), big.NewInt(int64(max(1, work.cfg.Share))))
		least.Quo(least, m.floor.Denom())
		most := new(big.Int).Add(least, big.NewInt(int64(m.inUse(work))*int64(memory)))
		if k.used.Cmp(least) < 0 {
			k.used = least
		}
		if k.used.Cmp(most) > 0 {
			k.used = most
		}
	}
	for _, w := range append(m.h.workloads, m.h.operators) {
		m.work(w)
	}
	m.waiters = append(m.waiters, &modelWaiter{w: w, p: p, work: work, since: m.now})
}
