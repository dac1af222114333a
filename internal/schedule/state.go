package schedule

import "time"

// become moves s to another state. Every count that depends on a state changes here and in exit, nowhere else.
func (h *Host) become(s *Server, to State) {
	h.exit(s)
	p := s.Pool
	s.state, s.since = to, h.now
	switch to {
	case Opening:
		p.opening++
		s.slots.opening++
		s.lane.expect(1)
	case Idle:
		p.idle.push(s)
	case Active:
		p.active++
		s.slots.active++
		s.work.take(h.now)
	case Closing:
		p.closing++
		s.slots.closing++
		if s.lane != nil {
			s.slots.making++
			s.lane.expect(1)
		}
	case Closed:
		h.drop(s)
	}
}

// exit takes back what the present state of s counts for.
func (h *Host) exit(s *Server) {
	p := s.Pool
	switch s.state {
	case Opening:
		p.opening--
		s.slots.opening--
		s.lane.expect(-1)
		s.lane = nil
	case Idle:
		p.idle.remove(s)
	case Active:
		p.active--
		s.slots.active--
		s.work.give(h.now, s.since)
		if s.mark != NoMark {
			p.marks[s.mark]--
			s.mark = NoMark
		}
		h.settleReclaim(s)
	case Closing:
		p.closing--
		s.slots.closing--
		if s.lane != nil {
			s.slots.making--
			s.lane.expect(-1)
			s.lane = nil
		}
	case Closed: // counted nowhere
	}
}

// expect counts servers under way for l, which may be nil.
func (l *lane) expect(n int) {
	if l != nil {
		l.coming += n
		l.work.coming += n
	}
}

// admit makes s a server that fills a slot, in state Opening.
func (h *Host) admit(s *Server) {
	p := s.Pool
	s.slots = h.slotsOf(p)
	s.slots.total++
	s.index = len(p.servers)
	p.servers = append(p.servers, s)
	h.become(s, Opening)
}

// drop frees the slot of s.
func (h *Host) drop(s *Server) {
	p := s.Pool
	last := p.servers[len(p.servers)-1]
	p.servers[s.index], last.index = last, s.index
	p.servers[len(p.servers)-1] = nil
	p.servers = p.servers[:len(p.servers)-1]
	s.slots.total--
	p.cfg.Database.give()
	p.cfg.User.give()
	h.forget(p)
}

func (h *Host) slotsOf(p *Pool) *slots {
	if p.cfg.Operator {
		return &h.reserved
	}
	return &h.shared
}

// born sets what counts from the moment of login.
func (h *Host) born(s *Server) {
	c := &s.Pool.cfg
	s.opened, s.expires = h.now, 0
	if c.Lifetime > 0 {
		s.expires = h.now + h.jittered(c.Lifetime, c.Jitter)
	}
	s.patience = 0
	if c.IdleTimeout > 0 {
		s.patience = h.jittered(c.IdleTimeout, c.Jitter)
	}
}

// jittered shortens d by a random part of up to fraction.
func (h *Host) jittered(d time.Duration, fraction float64) int64 {
	return max(1, int64(float64(d)*(1-clamp01(fraction)*h.rng.Float64())))
}

// enqueue puts w at the end of its lane.
func (h *Host) enqueue(p *Pool, w *Waiter, work *Workload) {
	if h.waiting == 0 {
		h.startEpoch()
	}
	work.touch(h.now)
	if work.waiting == 0 {
		work.used.rejoin(h.floor, work.inUse)
	}
	l := p.lane(work)
	if l.waiting == 0 {
		l.busyAt = len(p.busy)
		p.busy = append(p.busy, l)
	}
	if p.waiting == 0 {
		p.queueAt = len(h.queues)
		h.queues = append(h.queues, p)
	}
	h.seq++
	w.queued, w.since, w.seq, w.lane, w.passed = true, h.now, h.seq, l, 0
	l.push(w)
	work.waiting++
	p.waiting++
	h.waiting++
}

// dequeue takes w out of its lane.
func (h *Host) dequeue(w *Waiter) {
	l := w.lane
	p := l.pool
	l.work.touch(h.now)
	l.remove(w)
	w.queued, w.lane = false, nil
	l.work.waiting--
	p.waiting--
	h.waiting--
	if l.waiting == 0 {
		last := p.busy[len(p.busy)-1]
		p.busy[l.busyAt], last.busyAt = last, l.busyAt
		p.busy = p.busy[:len(p.busy)-1]
	}
	if p.waiting == 0 {
		last := h.queues[len(h.queues)-1]
		h.queues[p.queueAt], last.queueAt = last, p.queueAt
		h.queues[len(h.queues)-1] = nil
		h.queues = h.queues[:len(h.queues)-1]
	}
}
