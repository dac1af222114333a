package schedule

// rest checks what must hold once the Host has nothing more to say.
func (m *model) rest(acted bool) {
	m.t.Helper()
	h := m.h
	for _, x := range m.servers {
		if x.state == Idle && m.uniform() && len(m.candidates(x.s)) > 0 {
			m.t.Fatalf("a waiter of %s waits beside an idle server", m.candidates(x.s)[0].work.cfg.Name)
		}
	}
	for _, c := range m.waiters {
		for _, x := range m.servers {
			if m.head(c) == c && x.state == Idle && x.s.Pool == c.p && x.s.Fit == c.w.Fit && !m.paused[c.p] && m.admits(c.work) {
				m.t.Fatalf("the head of a lane waits beside an idle server that fits")
			}
		}
	}
	for _, p := range h.pools {
		idle := m.count(func(x *modelServer) bool { return x.s.Pool == p && x.state == Idle })
		up := m.count(func(x *modelServer) bool { return x.s.Pool == p && x.state != Closing })
		if p.cfg.Max > 0 && up > p.cfg.Max+p.cfg.Reserve && idle > 0 {
			m.t.Fatalf("%d servers in a pool of %d, %d of them idle", up, p.cfg.Max+p.cfg.Reserve, idle)
		}
	}
	for _, op := range []bool{false, true} {
		size := h.shared.size
		if op {
			size = h.reserved.size
		}
		mine := func(x *modelServer) bool { return x.s.Pool.cfg.Operator == op }
		total := m.count(mine)
		idle := m.count(func(x *modelServer) bool { return mine(x) && x.state == Idle })
		closing := m.count(func(x *modelServer) bool { return mine(x) && x.state == Closing })
		if total-closing > size && idle > 0 {
			m.t.Fatalf("%d servers for %d slots, %d of them idle", total-closing, size, idle)
		}
	}
	if acted {
		m.restOpens()
	}
	m.restCounts()
}

// restOpens checks that no login or eviction was missed.
func (m *model) restOpens() {
	m.t.Helper()
	h := m.h
	h.refill()
	for _, c := range m.waiters {
		if !m.uniform() || !h.ready(c.p) || !h.paceAllows(c.p, c.work) || !m.needs(c) {
			continue
		}
		switch m.shut(c.p, m.head(c)) {
		case free:
			m.t.Fatalf("no login for a waiter of %s in %s although a slot is free", c.work.cfg.Name, c.p.cfg.Name)
		case slotsFull:
			m.restEvict(c)
		}
	}
}

// restEvict checks that no idle server stands in the way of c.
func (m *model) restEvict(c *modelWaiter) {
	m.t.Helper()
	same := func(x *modelServer) bool { return x.s.Pool.cfg.Operator == c.p.cfg.Operator }
	if m.unclaimed(c.p) > 0 {
		return
	}
	for _, x := range m.servers {
		if x.state != Idle || !same(x) || m.now-x.opened < m.grace {
			continue
		}
		q := x.s.Pool
		up := m.count(func(y *modelServer) bool { return y.s.Pool == q && (y.state == Idle || y.state == Active) })
		if up > q.cfg.Min {
			m.t.Fatalf("an idle server of %s is in the way of a waiter of %s\n%v", q.cfg.Name, c.p.cfg.Name, m)
		}
	}
}

// restCounts compares every count the Host keeps with the lists.
func (m *model) restCounts() {
	m.t.Helper()
	h := m.h
	same := func(what string, got, want int) {
		m.t.Helper()
		if got != want {
			m.t.Fatalf("%s: host counts %d, model %d", what, got, want)
		}
	}
	same("waiting", h.waiting, len(m.waiters))
	same("held", h.held, m.held())
	same("busy", h.Busy(), m.count(func(x *modelServer) bool { return x.state == Active }))
	for _, w := range append([]*Workload{h.operators}, h.workloads...) {
		same("in use of "+w.cfg.Name, w.inUse, m.inUse(w))
		same("coming to "+w.cfg.Name, w.coming, m.comingTo(w))
	}
	for _, p := range h.pools {
		in := func(st State) int {
			return m.count(func(x *modelServer) bool { return x.s.Pool == p && x.state == st })
		}
		same("idle of "+p.cfg.Name, p.idle.n, in(Idle))
		same("active of "+p.cfg.Name, p.active, in(Active))
		same("opening of "+p.cfg.Name, p.opening, in(Opening))
		same("closing of "+p.cfg.Name, p.closing, in(Closing))
		same("servers of "+p.cfg.Name, len(p.servers), in(Idle)+in(Active)+in(Opening)+in(Closing))
	}
}
