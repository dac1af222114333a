package schedule

// block is what keeps a pool from opening one server more.
type block uint8

const (
	free block = iota
	poolFull
	databaseFull
	userFull
	slotsFull
)

// blocker says what keeps a server for l from being opened.
func (h *Host) blocker(l *lane) block {
	p := l.pool
	if n := p.total(); n >= p.max() && !(n < p.top() && l.head != nil && h.now-l.head.since >= int64(p.cfg.ReserveAfter)) {
		return poolFull
	}
	return h.full(p)
}

// full is blocker without the pool's own limit.
func (h *Host) full(p *Pool) block {
	slots := h.slotsOf(p)
	switch {
	case p.cfg.Database.full(1):
		return databaseFull
	case p.cfg.User.full(1):
		return userFull
	case slots.total >= slots.size:
		return slotsFull
	}
	return free
}

// need is how many servers more l could use than are coming.
func (h *Host) need(l *lane) int {
	return min(l.waiting-l.coming, h.room(l.work)-l.work.coming)
}

// ready says whether p may log in now, slots and pace aside.
func (h *Host) ready(p *Pool) bool {
	if p.paused || p.removed || h.now < p.retryAt || p.failures > 0 && p.opening > 0 {
		return false
	}
	if p.cfg.Operator && !h.breaker.open {
		return true
	}
	return h.breaker.allows(h.now, h.shared.opening+h.reserved.opening)
}

// paceAllows says whether the pace lets p start a login for work, which is nil where the login is for nobody. Operators are
// not paced. A critical workload below its guarantee is bound by Parallel alone while the host is calm: its slots were
// lent, or never opened, and it is to have them within a second.
func (h *Host) paceAllows(p *Pool, work *Workload) bool {
	if p.cfg.Operator {
		return true
	}
	if under := h.shared.opening + h.shared.making; under >= h.cfg.Connect.Parallel {
		return false
	}
	if work != nil && work.cfg.Class == Critical && work.guaranteed() && h.calm() {
		return true
	}
	return h.pace.tokens >= float64(1+h.shared.making)
}

// raise opens servers for waiters, best lane first, and closes idle ones where their slots are needed.
func (h *Host) raise(out []Directive) []Directive {
	if h.shared.exhausted() && (h.operators.waiting == 0 || h.reserved.exhausted()) {
		return out
	}
	h.round++
	refilled := false
	for {
		l := h.neediest()
		if l == nil {
			return out
		}
		if !refilled {
			h.refill()
			refilled = true
		}
		n := len(out)
		if !h.paceAllows(l.pool, l.work) {
			h.pace.paced++
		} else if b := h.blocker(l); b == free {
			out = h.open(l.pool, l, out)
		} else {
			out = h.evict(b, l, out)
		}
		if len(out) == n {
			l.tried = h.round
		}
	}
}

// neediest returns the best lane that needs a server and was not tried in this round.
func (h *Host) neediest() *lane {
	var best *lane
	for _, p := range h.queues {
		if !h.ready(p) {
			continue
		}
		for _, l := range p.busy {
			if l.tried != h.round && !l.stuck() && h.need(l) > 0 && (best == nil || h.ahead(l, best, 0)) {
				best = l
			}
		}
	}
	return best
}

// exhausted says whether every slot is taken and no server idle: nothing can be opened, nothing closed.
func (k *slots) exhausted() bool {
	return k.total >= k.size && k.total == k.active+k.opening+k.closing
}

// stuck says whether the pool is at its limit, the reserve included, with nothing idle.
func (l *lane) stuck() bool { return l.pool.idle.n == 0 && l.pool.total() >= l.pool.top() }

// open asks for a login to p, for l, or for nobody where l is nil. It does nothing where a Cap shared with another host is
// full after all.
func (h *Host) open(p *Pool, l *lane, out []Directive) []Directive {
	if !p.cfg.Database.take() {
		return out
	}
	if !p.cfg.User.take() {
		p.cfg.Database.give()
		return out
	}
	s := &Server{Pool: p, Loop: h.loop % h.cfg.Loops, Fit: p.fit, lane: l, probe: h.breaker.open}
	if l == nil {
		h.loop = s.Loop + 1
	} else {
		w := l.head
		for n := l.coming; n > 0 && w.next != nil; n-- {
			w = w.next
		}
		s.Loop, s.Fit, p.fit = w.Loop, w.Fit, w.Fit
	}
	if !p.cfg.Operator {
		h.pace.tokens = max(0, h.pace.tokens-1)
	}
	h.pace.opened++
	p.wanted = false
	h.admit(s)
	return append(out, Directive{Kind: Open, From: s.Loop, Pool: p, Server: s})
}

// evict closes one idle server where that makes room for l.
func (h *Host) evict(b block, l *lane, out []Directive) []Directive {
	if b == slotsFull {
		k := h.slotsOf(l.pool)
		if k.closing > k.making || k.total == k.active+k.opening+k.closing {
			return out // a slot comes free anyway, or nothing is idle
		}
	}
	if s := h.victim(b, l); s != nil {
		out = h.closeFor(s, l, out)
	}
	return out
}

// victim returns the idle server to close for l, or nil: one of the pool itself that does not fit, else the longest idle
// of the pool that is furthest above its Min. A pool keeps its Min unless l's workload is below its guarantee; operators
// take from each other without grace.
func (h *Host) victim(b block, l *lane) *Server {
	p := l.pool
	if s := p.idle.old; s != nil {
		return s
	}
	if b == poolFull {
		return nil
	}
	var best *Server
	spare := 0
	for _, q := range h.pools {
		if q.idle.n == 0 || !h.shares(b, q, p) {
			continue
		}
		s := q.idle.old
		for s != nil && h.now-s.opened < h.grace() && !p.cfg.Operator {
			s = s.next
		}
		if s == nil {
			continue
		}
		over := q.established() - q.cfg.Min
		if over <= 0 && !l.work.guaranteed() && !p.cfg.Operator {
			continue
		}
		if best == nil || over > spare || over == spare && s.since < best.since {
			best, spare = s, over
		}
	}
	return best
}

// shares says whether a server of q counts against what blocks p.
func (h *Host) shares(b block, q, p *Pool) bool {
	switch b {
	case databaseFull:
		return q.cfg.Database == p.cfg.Database
	case userFull:
		return q.cfg.User == p.cfg.User
	case free, poolFull, slotsFull:
	}
	return h.slotsOf(q) == h.slotsOf(p)
}

// Opened reports that the login of an Open directive succeeded. The server goes to the next waiter or becomes idle.
func (h *Host) Opened(now int64, s *Server, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if s.state != Opening {
		return out // closed meanwhile; a Close directive said so
	}
	if h.breaker.open {
		h.unrest.begin(h.now)
	}
	h.breaker.succeeded(h.cfg.Connect.Parallel)
	h.squeeze.attempts = 0
	h.healed(s.Pool)
	h.born(s)
	h.wake(h.now + int64(tickCalm))
	return h.settle(s, out)
}

// OpenFailed reports that the login of an Open directive failed. Waiters are failed where FailFast says so.
func (h *Host) OpenFailed(now int64, s *Server, class FailClass, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if s.state != Opening {
		if s.state == Closing {
			h.become(s, Closed)
			out = h.pump(out)
		}
		return out
	}
	h.become(s, Closed)
	switch class {
	case FailNetwork, FailStarting:
		h.unrest.begin(h.now)
		h.breaker.failed(h.now, s.probe, h.rng)
		h.breaker.class = class
	case FailFull:
		h.squeeze.shrink(h.now, h.shared.total-h.shared.opening-h.shared.closing, h.rng)
		h.resize()
		out = h.trim(out)
		if s.Pool.cfg.Operator { // they are not bound by what is usable, and not to knock without a pause
			s.Pool.retryAt = h.now + operatorRetry
		}
	case FailAuth:
		h.blame(s.Pool, class)
	case FailPool:
		s.Pool.fail(h, class, backoffCap)
	case FailCancelled: // nobody's fault
	}
	out = h.failWaiters(out)
	return h.pump(out)
}

// blame blocks every pool of the user that could not log in.
func (h *Host) blame(p *Pool, class FailClass) {
	p.fail(h, class, authCap)
	for _, q := range h.pools {
		if q != p && p.cfg.User != nil && q.cfg.User == p.cfg.User {
			q.failures, q.failing, q.retryAt = p.failures, class, p.retryAt
		}
	}
}

func (p *Pool) fail(h *Host, class FailClass, top int64) {
	p.failing = class
	p.retryAt = h.now + fullJitter(h.rng, p.failures, top)
	p.failures++
}

// healed ends what failed logins did to p and, for a password, to the pools of its user.
func (h *Host) healed(p *Pool) {
	was := p.failing
	p.failures, p.failing, p.retryAt = 0, 0, 0
	if was != FailAuth || p.cfg.User == nil {
		return
	}
	for _, q := range h.pools {
		if q.cfg.User == p.cfg.User && q.failing == FailAuth {
			q.failures, q.failing, q.retryAt = 0, 0, 0
		}
	}
}

// failing says whether waiters of p are to be failed at once. Operators wait for a host that is away: they are who will
// mend it, and the next login is theirs.
func (h *Host) failing(p *Pool) bool {
	away := h.breaker.open && h.breaker.class != FailStarting && !p.cfg.Operator
	return h.cfg.FailFast && p.established() == 0 && (away || p.failures > 0)
}

// failWaiters fails the waiters of every pool that is failing.
func (h *Host) failWaiters(out []Directive) []Directive {
	if !h.cfg.FailFast {
		return out
	}
	for i := len(h.queues) - 1; i >= 0; i-- {
		if p := h.queues[i]; h.failing(p) {
			p.wanted = true
			out = h.failAll(p, LoginFailing, out)
		}
	}
	return out
}
