package proxy

import (
	"spillway/internal/schedule"
	"spillway/internal/wire"
)

// acquire asks for a server. It returns true when the client has one that is
// ready; otherwise the client is stopped until it has.
func (l *loop) acquire(c *client) bool {
	if c.pool.disabled.Load() && c.phase == phaseWelcome {
		l.endClient(c, poolDisabled, c.database)
		return false
	}
	l.reclassify(c)
	if c.group.full() {
		l.unserved(c, groupCapped)
		return false
	}
	l.wake(c)
	if c.wait == nil {
		c.wait = &c.own
		if c.spent || len(l.proxy.loops) > 1 { // a grant for an earlier wait may still be on its way
			c.wait = new(schedule.Waiter)
		}
		*c.wait = schedule.Waiter{Data: c, Loop: l.id, Fit: c.fit, Workload: c.slots}
	}
	dirs := l.takeDirs()
	s, verdict, dirs := c.pool.up.host.Acquire(l.now, c.pool.sched, c.wait, dirs)
	ready := false
	switch verdict {
	case schedule.Granted:
		c.wait = nil
		ready = l.lease(c, s.Data.(*server), s.Stale)
	case schedule.Waiting:
		c.waitSince, c.noticed = l.now, false
		l.noticeDown(c)
		l.stop(&c.endpoint, stopWaiting)
		l.arm(c)
	default:
		l.unserved(c, c.wait.Refusal)
	}
	l.carry(dirs)
	l.giveDirs(dirs)
	return ready
}

// granted carries out a Grant: at once, or by sending the server to its new loop.
func (l *loop) granted(d schedule.Directive) {
	s := d.Server.Data.(*server)
	if d.Server.Loop != l.id {
		l.move(s, d)
		return
	}
	c, ok := d.Waiter.Data.(*client)
	if !ok || c.phase == phaseEnd || c.wait != d.Waiter {
		l.giveBack(s)
		return
	}
	c.wait = nil
	if l.lease(c, s, d.Server.Stale) {
		l.run = append(l.run, c)
	}
}

// lease joins client and server. It returns true when the server is ready for
// the client's messages; otherwise the client is stopped until it is.
func (l *loop) lease(c *client, s *server, stale bool) bool {
	st := l.stats(c.pool)
	st.Assignments++
	if c.waitSince != 0 {
		waited := l.now - c.waitSince
		st.WaitMicros += uint64(waited / 1000)
		st.wait.Observe(waited)
		c.waited(waited)
		c.waitSince = 0
	} else {
		st.wait.Observe(0)
		c.waited(0)
	}
	c.srv, s.client = s, c
	c.leased()
	s.yields = false
	c.leaseAt = l.now
	s.leases++
	if stale {
		s.become(serverTested)
		s.sess.Reset(l.proxy.policy.Load().Defaults.CheckQuery, &l.fx)
		l.flushFx(s)
		l.stop(&c.endpoint, stopWaiting)
		return false
	}
	return l.attach(c, s)
}

// attach gives the session's lease; setting the server up for the client may
// take a round trip.
func (l *loop) attach(c *client, s *server) bool {
	s.become(serverActive)
	ready := s.sess.Attach(&c.sess, &l.fx)
	l.flushFx(s)
	if !ready {
		l.stop(&c.endpoint, stopWaiting)
		return false
	}
	return true
}

// proceed goes on with a client whose server is ready.
func (l *loop) proceed(c *client) {
	if c.closed || c.srv == nil {
		return
	}
	if c.phase == phaseWelcome {
		l.welcome(c)
		return
	}
	l.unstop(&c.endpoint, stopWaiting)
}

// unserved tells a client that it gets no server.
func (l *loop) unserved(c *client, why schedule.Reason) {
	c.wait, c.waitSince = nil, 0
	r := queueFull
	extra, detail := "", ""
	switch why {
	case schedule.PoolDisabled:
		r = poolDisabled
	case schedule.PoolKilled, schedule.PoolRemoved:
		r = poolKilled
	case schedule.QueueFull, schedule.WaitTooLong, schedule.WorkloadPaused, groupCapped:
		l.refuseWorkload(c, why)
		return
	case schedule.LoginFailing:
		f := c.pool.failure.Load()
		if f == nil {
			f = c.pool.up.failure.Load()
		}
		if f != nil {
			l.loginFailed(c, f)
			return
		}
		r = loginFailing
	default:
		detail = "reason: " + why.String()
	}
	l.refuse(c, r, extra, detail)
}

// loginFailed passes the server's own words on: its SQLSTATE says more than
// ours could.
func (l *loop) loginFailed(c *client, f *loginFailure) {
	rep := f.report
	if l.proxy.policy.Load().ErrorStyle == ErrorsPgBouncer && c.phase == phaseServe {
		rep = wire.Report{Severity: "FATAL", Code: "08P01", Message: "server login has been failing, cached error: " + rep.Message + " (server_login_retry)"}
	}
	rep.Severity = "FATAL"
	if text := c.pool.up.outage(l.now); text != "" && rep.Detail == "" && rep.Code != "08P01" {
		rep.Detail = text
	}
	l.note(c, loginFailing)
	l.farewell(c, rep)
}

func (l *loop) leaveQueue(c *client) {
	w := c.wait
	c.wait, c.waitSince = nil, 0
	dirs := l.takeDirs()
	waited, dirs := c.pool.up.host.Leave(l.now, w, dirs)
	c.spent = c.spent || !waited
	l.carry(dirs)
	l.giveDirs(dirs)
}
