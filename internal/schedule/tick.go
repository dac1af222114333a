package schedule

import "math"

// Tick does what time alone brings about: paced logins, Min, idle and lifetime expiry, reclaiming, probes. It costs nothing
// to call early; NextTick says when it is due. Any loop may call it.
func (h *Host) Tick(now int64, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	h.next.Store(math.MaxInt64)
	h.refill()
	if h.squeeze.grow(h.now, h.cfg.Usable, h.rng) {
		h.resize()
	}
	out = h.expire(out)
	out = h.pump(out)
	out = h.fill(out)
	out = h.reclaim(out)
	h.plan()
	return out
}

// plan sets when the next Tick is due.
func (h *Host) plan() {
	if h.squeeze.on {
		h.wake(h.now + int64(tickBusy))
	}
	if h.shared.total+h.reserved.total > 0 {
		h.wake(h.now + int64(tickCalm))
	}
}

// expire closes idle servers that are too old or idle for too long, the latter down to Min.
func (h *Host) expire(out []Directive) []Directive {
	for _, p := range h.pools {
		for s := p.idle.old; s != nil; {
			next := s.next
			switch idle := h.now - s.since; {
			case s.expires > 0 && s.expires <= h.now:
				out = h.close(s, LifetimeOver, out)
			case s.patience > 0 && idle >= s.patience && p.established() > p.cfg.Min:
				out = h.close(s, IdleTooLong, out)
			}
			s = next
		}
	}
	return out
}

// trim closes idle servers beyond what the pools, the caps and the host allow, the longest idle first.
func (h *Host) trim(out []Directive) []Directive {
	for {
		var worst *Server
		for _, p := range h.pools {
			if s := p.idle.old; s != nil && (worst == nil || s.since < worst.since) && h.surplus(s) == OverLimit {
				worst = s
			}
		}
		if worst == nil {
			return out
		}
		out = h.close(worst, OverLimit, out)
	}
}

// fill opens servers for pools below Min, as far as slots are free, and tries logins that refused waiters asked for.
func (h *Host) fill(out []Directive) []Directive {
	for i := 0; i < len(h.pools); i++ {
		p := h.pools[i]
		for h.short(p) {
			n := len(out)
			if h.ready(p) && h.paceAllows(p, nil) && p.total() < p.max() && h.full(p) == free {
				out = h.open(p, nil, out)
			}
			if len(out) == n {
				h.wake(h.now + int64(tickBusy))
				break
			}
		}
	}
	return out
}

func (h *Host) short(p *Pool) bool {
	if p.removed || p.paused {
		return false
	}
	return p.total()-p.closing < p.cfg.Min || p.wanted && p.opening == 0
}

// reclaim names batch servers on lent slots for owners that have waited longer than ReclaimGrace.
func (h *Host) reclaim(out []Directive) []Directive {
	if h.cfg.ReclaimGrace < 0 {
		return out
	}
	for _, p := range h.queues {
		if p.paused {
			continue
		}
		for _, l := range p.busy {
			for c := l.head; c != nil && h.late(c) && l.work.claims() > 0; c = c.next {
				s := h.hostage(l)
				if s == nil {
					break
				}
				s.owner = l.work
				l.work.reclaiming++
				s.work.yielding++
				out = append(out, Directive{
					Kind: Reclaim, Reason: SlotReclaimed, From: s.Loop, Lease: s.Lease, Pool: s.Pool, Server: s, Workload: l.work,
				})
			}
		}
	}
	return out
}

func (h *Host) late(w *Waiter) bool { return h.now-w.since >= int64(h.cfg.ReclaimGrace) }

// claims is how many slots w may ask back: below its guarantee, with none under way.
func (w *Workload) claims() int {
	return min(w.waiting, w.quota-w.inUse) - w.coming - w.reclaiming
}

// hostage returns the batch server to reclaim for l: on a lent slot, of use to l once released, and of those the one that has
// run for the shortest time beyond the grace; shorter ones come back by themselves.
func (h *Host) hostage(l *lane) *Server {
	b := h.blocker(l)
	var best *Server
	for _, p := range h.pools {
		if b == free || p != l.pool && (b == poolFull || !h.shares(b, p, l.pool)) {
			continue
		}
		for _, s := range p.servers {
			if s.state == Active && s.owner == nil && h.now-s.since >= int64(h.cfg.ReclaimGrace) &&
				s.work.lentToBatch() && (best == nil || s.since > best.since) {
				best = s
			}
		}
	}
	return best
}

// lentToBatch says whether w is batch work that holds more than its guarantee, and not all of that is being reclaimed.
func (w *Workload) lentToBatch() bool {
	return w.cfg.Mode == Enforce && w.cfg.Class == Batch && w.inUse-w.yielding > w.quota
}

// settleReclaim ends a Reclaim as its server is released.
func (h *Host) settleReclaim(s *Server) {
	if s.owner != nil {
		s.owner.reclaiming--
		s.work.yielding--
		s.owner = nil
	}
}
