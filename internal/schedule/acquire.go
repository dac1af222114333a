package schedule

import "time"

// walkMax bounds how many waiters are looked at for one that fits a server.
const walkMax = 64

// Acquire asks for a server of p for w. It returns the server (Granted), queues w (Waiting) or does neither (Refused, see
// w.Refusal). A waiter that is queued already stays where it is.
func (h *Host) Acquire(now int64, p *Pool, w *Waiter, out []Directive) (*Server, Verdict, []Directive) {
	h.mu.Lock()
	h.advance(now)
	s, v, out := h.acquire(p, w, out)
	h.mu.Unlock()
	return s, v, out
}

func (h *Host) acquire(p *Pool, w *Waiter, out []Directive) (*Server, Verdict, []Directive) {
	if w.queued {
		return nil, Waiting, out
	}
	work := h.workOf(p, w)
	if p.waiting == 0 && !p.paused && !p.disabled && h.admits(work) {
		if s := p.find(w.Fit, w.Loop, h.cfg.LoopReach); s != nil {
			if s.Loop == w.Loop {
				h.hand(s, w, work)
				return s, Granted, out
			}
			return nil, Waiting, append(out, h.grant(s, w, work))
		}
	}
	if w.Refusal = h.refusal(p, work); w.Refusal != NoReason {
		return nil, Refused, out
	}
	h.enqueue(p, w, work)
	return nil, Waiting, h.pump(out)
}

// workOf returns the workload w counts for in p.
func (h *Host) workOf(p *Pool, w *Waiter) *Workload {
	if p.cfg.Operator {
		return h.operators
	}
	if w.Workload == nil || w.Workload.gone || w.Workload.host != h {
		return h.fallback
	}
	return w.Workload
}

// refusal says why a waiter of work may not queue in p.
func (h *Host) refusal(p *Pool, work *Workload) Reason {
	c := &work.cfg
	switch {
	case p.removed || p.host != h:
		return PoolRemoved
	case p.disabled:
		return PoolDisabled
	case c.Pause == PauseRefuse:
		return WorkloadPaused
	case h.failing(p):
		p.wanted = true
		h.wake(h.now)
		return LoginFailing
	case c.Mode == Off:
		return NoReason
	}
	why := NoReason
	if c.QueueMax > 0 && work.waiting >= c.QueueMax {
		why = QueueFull
	} else if c.QueueTimeout > 0 && work.expected() > c.QueueTimeout {
		why = WaitTooLong
	}
	if why == NoReason {
		return why
	}
	if c.Mode == Warn {
		work.wouldShed++
		return NoReason
	}
	work.shed++
	return why
}

// expected is how long one more waiter would wait at the present pace of releases.
func (w *Workload) expected() time.Duration {
	return time.Duration(float64(w.turn) * float64(w.waiting) / float64(max(w.inUse, 1)))
}

// find returns the idle server to hand out next to a client of that identity and loop, or nil.
func (p *Pool) find(fit uint64, loop, reach int) *Server {
	s := p.idle.young
	if p.cfg.RoundRobin {
		s = p.idle.old
	}
	var first *Server
	for ; s != nil; s = p.after(s) {
		if s.Fit != fit {
			continue
		}
		if s.Loop == loop || reach <= 1 {
			return s
		}
		if first == nil {
			first = s
		}
		if reach--; reach <= 1 {
			break
		}
	}
	return first
}

// after is the idle server handed out next after s.
func (p *Pool) after(s *Server) *Server {
	if p.cfg.RoundRobin {
		return s.next
	}
	return s.prev
}

// hand gives s to w.
func (h *Host) hand(s *Server, w *Waiter, work *Workload) {
	after := int64(s.Pool.cfg.CheckAfter)
	s.Stale = after > 0 && s.state == Idle && h.now-s.since > after
	s.work, s.Loop = work, w.Loop
	s.Lease++
	h.become(s, Active)
}

// grant gives s to w, and returns the directive that says so.
func (h *Host) grant(s *Server, w *Waiter, work *Workload) Directive {
	d := Directive{Kind: Grant, From: s.Loop, Pool: s.Pool, Server: s, Waiter: w}
	h.hand(s, w, work)
	d.Lease = s.Lease
	return d
}

// serve gives s to the queued waiter w.
func (h *Host) serve(s *Server, w *Waiter) Directive {
	work := w.lane.work
	work.touch(h.now)
	if compare(h.floor, work.used) < 0 {
		h.floor = work.used
	}
	h.dequeue(w)
	return h.grant(s, w, work)
}

// Leave takes w out of its queue and says whether it was in one. False means that a Grant or Fail directive for w is on
// its way, or that w never waited: the caller gives a server that still arrives back with Release.
func (h *Host) Leave(now int64, w *Waiter, out []Directive) (bool, []Directive) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if !w.queued {
		return false, out
	}
	h.dequeue(w)
	return true, h.pump(out)
}

// Release gives back a clean server. It goes to the next waiter, becomes idle, or a directive closes it; from now on it is
// no longer the caller's unless a Grant says so. A server that is not held is left alone.
func (h *Host) Release(now int64, s *Server, out []Directive) []Directive {
	h.mu.Lock()
	h.advance(now)
	if s.state == Active {
		out = h.settle(s, out)
	}
	h.mu.Unlock()
	return out
}

// Gone reports that s is closed, whatever the reason: its slot is free. It may be called in any state, and twice.
func (h *Host) Gone(now int64, s *Server, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	if s.state == Closed {
		return out
	}
	lost := s.state == Idle || s.state == Active
	h.become(s, Closed)
	if lost {
		h.unrest.lost(h.now, h.shared.established()+h.reserved.established())
	}
	return h.pump(out)
}

// SetMark says what the proxy does with a held server that its client does not use: shown in snapshots, and cleared when
// the server is released.
func (h *Host) SetMark(s *Server, m Mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.state != Active || m >= markCount {
		return
	}
	if s.mark != NoMark {
		s.Pool.marks[s.mark]--
	}
	if s.mark = m; m != NoMark {
		s.Pool.marks[m]++
	}
}

// settle places a server that nobody holds any more or that just logged in.
func (h *Host) settle(s *Server, out []Directive) []Directive {
	if why := h.surplus(s); why != NoReason {
		return h.pump(h.close(s, why, out))
	}
	h.become(s, Idle)
	if len(h.queues) == 0 {
		return out
	}
	if l := h.bestFor(s); l != nil {
		if r := h.rival(s, l); r != nil {
			out = h.closeFor(s, r, out)
		} else {
			out = append(out, h.serve(s, l.pick(s, h.walk(l), h.cfg.LoopReach)))
		}
	}
	return h.pump(out)
}

// surplus says why s should close rather than be used again.
func (h *Host) surplus(s *Server) Reason {
	p := s.Pool
	switch {
	case p.removed:
		return PoolRemoved
	case p.paused:
		return PoolPaused
	case s.retired:
		return Reconnecting
	case s.expires > 0 && s.expires <= h.now:
		return LifetimeOver
	case s.slots.total-s.slots.closing > s.slots.size,
		p.cfg.Max > 0 && p.total()-p.closing > p.top(),
		p.cfg.Database.full(0), p.cfg.User.full(0):
		return OverLimit
	}
	return NoReason
}

// close asks for s to be closed.
func (h *Host) close(s *Server, why Reason, out []Directive) []Directive {
	h.become(s, Closing)
	return append(out, Directive{Kind: Close, Reason: why, From: s.Loop, Pool: s.Pool, Server: s})
}

// closeFor asks for s, which is idle, to be closed so that its slot can go to l.
func (h *Host) closeFor(s *Server, l *lane, out []Directive) []Directive {
	s.lane = l
	h.become(s, Closing)
	return append(out, Directive{Kind: Close, Reason: Yielded, From: s.Loop, Pool: s.Pool, Server: s})
}
