package proxy

import (
	"spillway/internal/session"
)

// answered keeps the statistics at a ReadyForQuery for the client.
func (l *loop) answered(s *server, ev session.Event) {
	st := l.stats(s.pool)
	c := s.client
	if c == nil {
		return
	}
	n := &c.sess.Counts
	st.Queries += uint64(n.Queries)
	st.ClientParses += uint64(n.Parses)
	st.ServerParses += uint64(n.ServerParses)
	st.Binds += uint64(n.Binds)
	*n = session.Counts{}
	if c.queryAt != 0 {
		took := l.now - c.queryAt
		st.QueryMicros += uint64(took / 1000)
		st.query.Observe(took)
	}
	if ev&session.EventTransaction != 0 {
		st.Transactions++
		if c.txnAt != 0 {
			took := l.now - c.txnAt
			st.TransactionMicros += uint64(took / 1000)
			st.transaction.Observe(took)
			if c.tally != nil {
				c.tally.transactions++
				c.tally.transaction.Observe(took)
			}
		}
		c.txnAt = 0
	}
	c.queryAt = 0
	if s.sess.Quiet() {
		c.uncount()
	} else {
		c.queryAt = l.now
		if c.txnAt == 0 {
			c.txnAt = l.now
		}
	}
	c.idleAt = l.now
}

// boundary decides what becomes of a server whose answers of this turn are in.
func (l *loop) boundary(s *server) {
	ev := s.events
	s.events = 0
	if s.closed {
		return
	}
	if ev&session.EventBroken != 0 {
		l.log.Error("server broke the protocol", "server", s.id, "pid", s.pid, "pool", s.pool.key.database+"/"+s.pool.key.user)
		l.lost(s, "protocol broken")
		return
	}
	if s.cancels > 0 && s.sess.Quiet() && s.client == nil {
		return // a cancel under way would hit whoever comes next
	}
	switch {
	case ev&session.EventSetupFailed != 0:
		l.setupFailed(s)
	case s.client == nil:
		if s.sess.Quiet() {
			l.clean(s)
		}
	case ev&session.EventSetup != 0:
		l.setUp(s)
	default:
		l.unitEnded(s)
	}
}

func (l *loop) setUp(s *server) {
	c := s.client
	if s.state == serverTested { // alive: now make it the client's
		if l.attach(c, s) {
			l.run = append(l.run, c)
		}
		return
	}
	l.run = append(l.run, c)
}

// setupFailed: a check, a rollback, a reset or a client's settings did not work.
func (l *loop) setupFailed(s *server) {
	c, why := s.client, s.sess.Failure
	switch {
	case c == nil && s.fence && why.Code == "57014":
		l.clean(s) // the fence absorbed a late cancel
	case c == nil || s.state == serverTested:
		l.lost(s, "reset or check failed: "+why.Message)
	default:
		c.unlease()
		l.note(c, setupFailed)
		why.Severity = "FATAL"
		l.farewell(c, why)
		l.abandon(s, c)
	}
}

// unitEnded is the boundary of a leased server.
func (l *loop) unitEnded(s *server) {
	c := s.client
	if c.held && !s.sess.Behind() {
		c.held = false
		l.run = append(l.run, c)
		if s.sess.Quiet() {
			s.canceling, s.cancelAt = false, 0
		}
		return // the lease goes on with what it waits to say
	}
	if !s.sess.Quiet() {
		return
	}
	s.canceling, s.cancelAt = false, 0
	if s.yields && !s.sess.Clean() {
		l.takeBack(c, slotReclaimed, "")
		return
	}
	if !s.sess.Clean() {
		l.arm(c) // idle in transaction from now on
		return
	}
	if l.proxy.state.Load() == stateDraining && !l.spared(c) {
		l.endClient(c, poolerShutdown, "")
		return
	}
	if c.sess.Mode == session.Session || c.sess.IsPinned() || c.stream > 0 {
		l.arm(c)
		return
	}
	if s.cancels > 0 || s.fence || l.proxy.policy.Load().Defaults.ResetAlways {
		s.reset = s.reset || l.proxy.policy.Load().Defaults.ResetAlways
		// The lease ends, the server stays out of the pool until it is quiet.
		if !s.sess.Settle(&l.fx) {
			l.flushFx(s)
			return
		}
		c.unlease()
		l.restart(c)
		l.abandon(s, c)
		return
	}
	if !s.sess.Settle(&l.fx) {
		l.flushFx(s)
		return
	}
	c.unlease()
	l.restart(c)
	l.release(s)
}

// restart is a client's state between leases.
func (l *loop) restart(c *client) {
	c.txnAt, c.queryAt, c.leaseAt = 0, 0, 0
	c.idleAt = l.now
	if c.stops&stopPeer != 0 {
		l.unstop(&c.endpoint, stopPeer)
	}
	if c.lim != nil && c.lim.clientIdle > 0 {
		l.arm(c)
	}
	l.rest(c)
}
