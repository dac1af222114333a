package schedule

import "time"

// pump serves every waiter that can be served now: from idle servers first, then by asking for new ones.
func (h *Host) pump(out []Directive) []Directive {
	for len(h.queues) > 0 {
		n := len(out)
		out = h.serveIdle(out)
		out = h.raise(out)
		if len(out) == n {
			h.wake(h.now + int64(tickBusy))
			break
		}
	}
	return out
}

// tickBusy is how often Tick looks while somebody waits, tickCalm how often otherwise.
const (
	tickBusy = 10 * time.Millisecond
	tickCalm = 250 * time.Millisecond
)

// serveIdle grants idle servers to waiters, best lane first, until nothing fits.
func (h *Host) serveIdle(out []Directive) []Directive {
	for {
		var best *lane
		var server *Server
		var waiter *Waiter
		for _, p := range h.queues {
			if p.idle.n == 0 || p.paused {
				continue
			}
			for _, l := range p.busy {
				if !h.admits(l.work) || best != nil && !h.ahead(l, best, 0) {
					continue
				}
				if w, s := h.match(l); w != nil {
					best, server, waiter = l, s, w
				}
			}
		}
		if best == nil {
			return out
		}
		out = append(out, h.serve(server, waiter))
	}
}

// match finds the first waiter of l that an idle server fits.
func (h *Host) match(l *lane) (*Waiter, *Server) {
	missed, miss := uint64(0), false
	walk := h.walk(l)
	for w := l.head; w != nil && walk > 0; w, walk = w.next, walk-1 {
		if miss && w.Fit == missed {
			continue
		}
		if s := l.pool.find(w.Fit, w.Loop, h.cfg.LoopReach); s != nil {
			return w, s
		}
		missed, miss = w.Fit, true
	}
	return nil, nil
}

// walk is how many waiters of l, from the head, may be given a server that does not fit those before them. Where the pool
// can open no more, the servers that do not fit must make room: only as many may be passed as have a server coming.
func (h *Host) walk(l *lane) int {
	if h.blocker(l) == free {
		return walkMax
	}
	return l.coming + 1
}

// bestFor returns the lane of the pool of s that s should go to, or nil.
func (h *Host) bestFor(s *Server) *lane {
	p := s.Pool
	if p.paused {
		return nil
	}
	var best *lane
	for _, l := range p.busy {
		if h.admits(l.work) && (best == nil || h.ahead(l, best, 0)) && l.pick(s, h.walk(l), 0) != nil {
			best = l
		}
	}
	return best
}

// ahead says whether the next waiter of a goes before that of b, by more than grace where they are equals.
func (h *Host) ahead(a, b *lane, grace int64) bool {
	if a.work != b.work {
		if ta, tb := a.work.tier(), b.work.tier(); ta != tb {
			return ta < tb
		}
		a.work.touch(h.now)
		b.work.touch(h.now)
		if compare(a.work.used, b.work.used) != 0 {
			return a.work.used.less(b.work.used, grace)
		}
	}
	return a.head.since+grace < b.head.since || grace == 0 && a.head.seq < b.head.seq
}

// rival returns the lane of another pool that should have the slot of s rather than l, or nil.
func (h *Host) rival(s *Server, l *lane) *lane {
	if len(h.queues) == 1 || h.now-s.opened < h.grace() {
		return nil
	}
	h.refill()
	var best *lane
	for _, p := range h.queues {
		if p == s.Pool || !h.ready(p) {
			continue
		}
		for _, r := range p.busy {
			if h.need(r) > 0 && h.paceAllows(p, r.work) && h.ahead(r, l, h.grace()) && (best == nil || h.ahead(r, best, 0)) && h.helps(s, r) {
				best = r
			}
		}
	}
	return best
}

func (h *Host) grace() int64 { return max(0, int64(h.cfg.EvictGrace)) }

// helps says whether closing s lets r open a server that it could not open otherwise.
func (h *Host) helps(s *Server, r *lane) bool {
	switch h.blocker(r) {
	case slotsFull:
		return s.slots == h.slotsOf(r.pool) && s.slots.closing == s.slots.making
	case databaseFull:
		return s.Pool.cfg.Database == r.pool.cfg.Database
	case userFull:
		return s.Pool.cfg.User == r.pool.cfg.User
	case free, poolFull:
	}
	return false
}
