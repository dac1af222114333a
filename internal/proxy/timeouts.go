package proxy

import (
	"time"

	"spillway/internal/session"
	"spillway/internal/wire"
)

// arm makes sure the client's earliest deadline is on the wheel. Deadlines that
// move further away are found when the timer comes up.
func (l *loop) arm(c *client) {
	at := c.deadline(l)
	if at == 0 {
		return
	}
	if c.timer == nil {
		c.timer = l.newTimer(c)
	}
	l.wheel.arm(c.timer, at)
}

// disarm takes the timer of a client that nothing bounds.
func (l *loop) disarm(c *client) {
	if c.timer == nil || c.deadline(l) != 0 {
		return
	}
	l.wheel.disarm(c.timer)
	l.spareTimer(c)
}

// spareTimers is how many timers a loop keeps for clients to come.
const spareTimers = 256

func (l *loop) newTimer(c *client) *timer {
	n := len(l.timers)
	if n == 0 {
		return &timer{owner: c}
	}
	t := l.timers[n-1]
	l.timers = l.timers[:n-1]
	t.owner = c
	return t
}

// spareTimer keeps a timer that is off the wheel for another client.
func (l *loop) spareTimer(c *client) {
	t := c.timer
	c.timer = nil
	if len(l.timers) < spareTimers {
		t.owner = nil
		l.timers = append(l.timers, t)
	}
}

// deadline is the earliest of what bounds the client now; 0 when nothing does.
func (c *client) deadline(l *loop) int64 {
	at := int64(0)
	by := func(since, span int64) {
		if since != 0 && span > 0 && (at == 0 || since+span < at) {
			at = since + span
		}
	}
	switch {
	case c.phase == phaseEnd || c.phase == phaseCancel:
		return 0
	case c.phase < phaseServe:
		by(c.connectedAt, int64(l.proxy.policy.Load().Timeouts.ClientLogin))
	}
	if c.lim == nil {
		return at
	}
	if c.waitSince != 0 {
		by(c.waitSince, c.lim.queue)
		if !c.noticed && c.phase == phaseServe {
			by(c.waitSince, c.lim.notice)
		}
	}
	if c.phase != phaseServe {
		return at
	}
	by(c.queryAt, c.lim.query)
	if c.srv != nil {
		if c.srv.cancelAt != 0 {
			by(c.srv.cancelAt, int64(l.proxy.policy.Load().Timeouts.CancelWait))
		}
		by(c.txnAt, c.lim.transaction)
		if c.idleInTransaction() {
			by(c.idleAt, c.lim.idleTransaction)
		}
		if c.leakable() && (!c.leaking || c.work.OnLeak == LeakReclaim && c.work.enforced()) {
			by(c.idleAt, c.lim.leak)
		}
	}
	if c.srv == nil && c.waitSince == 0 || c.srv != nil && c.srv.sess.Clean() {
		by(max(c.idleAt, c.connectedAt), c.lim.clientIdle)
	}
	return at
}

func (c *client) idleInTransaction() bool {
	return c.srv != nil && c.queryAt == 0 && c.srv.sess.Quiet() && c.srv.sess.State() != wire.Idle
}

// expire is called when the client's timer comes up.
func (c *client) expire(now int64) int64 {
	t := c.timer
	at := c.over(now)
	switch {
	case c.timer != t: // it went meanwhile and may be another client's
		if c.timer != nil || at != 0 {
			c.loop.arm(c)
		}
		return 0
	case at == 0 && t.tick == 0:
		c.loop.spareTimer(c)
	}
	return at
}

// over acts on a deadline that has passed and returns the next.
func (c *client) over(now int64) int64 {
	l := c.loop
	past := func(since, span int64) bool { return since != 0 && span > 0 && now >= since+span }
	switch {
	case c.phase == phaseEnd || c.closed:
		return 0
	case c.phase < phaseServe && past(c.connectedAt, int64(l.proxy.policy.Load().Timeouts.ClientLogin)):
		l.endClient(c, clientLoginTimeout, "")
		return 0
	case c.lim == nil:
	case c.waitSince != 0 && past(c.waitSince, c.lim.queue):
		waited := time.Duration(now - c.waitSince).Round(time.Millisecond)
		l.leaveQueue(c)
		if l.refuseDown(c, waited) {
			break
		}
		l.refuseBy(c, queueTimeout, c.lim.queueBy, "pool "+c.pool.key.database+"/"+c.pool.key.user+", waited "+waited.String()+l.blame(c.pool.up))
	case c.waitSince != 0 && !c.noticed && c.phase == phaseServe && past(c.waitSince, c.lim.notice):
		c.noticed = true
		l.send(&c.endpoint, wire.AppendReport(nil, wire.NoticeResponse, wire.Report{Severity: "NOTICE", Code: "00000",
			Message: "No server connection available in postgres backend, client being queued"}))
	case c.phase != phaseServe:
	case c.srv != nil && past(c.srv.cancelAt, int64(l.proxy.policy.Load().Timeouts.CancelWait)):
		l.unmoved(c)
		return 0
	case past(c.queryAt, c.lim.query) && c.srv != nil:
		l.cancelRunning(c, queryTimeout, c.lim.queryBy)
	case c.srv != nil && past(c.txnAt, c.lim.transaction) && c.srv.sess.State() != wire.Failed:
		l.transactionOver(c, transactionTimeout, c.lim.transactionBy)
	case c.idleInTransaction() && past(c.idleAt, c.lim.idleTransaction):
		l.takeBack(c, idleTransactionTimeout, c.lim.idleBy)
	case c.leakable() && past(c.idleAt, c.lim.leak):
		l.leak(c, now)
	case c.lim.clientIdle > 0 && (c.srv == nil || c.srv.sess.Clean()) && c.waitSince == 0 && past(max(c.idleAt, c.connectedAt), c.lim.clientIdle):
		l.endClient(c, clientIdleTimeout, "")
		return 0
	}
	if c.closed {
		return 0
	}
	at := c.deadline(l)
	if at != 0 && at <= now {
		at = now + wheelTick // what is under way (a cancel) gets another look
	}
	return at
}

// cancelRunning cancels what the client's server runs; the server's own error
// is replaced by ours, the session goes on.
func (l *loop) cancelRunning(c *client, why reason, setting string) {
	s := c.srv
	if s.canceling {
		return
	}
	style := l.proxy.policy.Load().ErrorStyle
	if style == ErrorsPgBouncer || c.stream > 0 {
		l.endClient(c, why, "")
		return
	}
	l.note(c, why)
	rep := why.by(setting, style)
	s.sess.ReplaceError("57014", &rep)
	s.cancelAt = l.now
	l.sendCancel(s, nil)
}

// unmoved ends a client whose statement goes on though it was cancelled: a
// server that cannot send, for its client does not read, hears no cancel.
func (l *loop) unmoved(c *client) {
	why := queryTimeout
	if c.congested {
		why = slowReader
	}
	l.endClient(c, why, "")
}

// transactionOver ends a transaction that lasts too long.
func (l *loop) transactionOver(c *client, why reason, setting string) {
	if c.srv.sess.Quiet() {
		l.takeBack(c, why, setting)
		return
	}
	l.cancelRunning(c, why, setting)
}

// takeBack rolls the transaction of an idle client back and takes its server;
// the client is told at its next message.
func (l *loop) takeBack(c *client, why reason, setting string) {
	style := l.proxy.policy.Load().ErrorStyle
	rep := why.by(setting, style)
	if c.srv.sess.Quiet() && c.idleAt != 0 {
		rep.Detail = "idle for " + time.Duration(l.now-c.idleAt).Round(time.Millisecond).String() + l.ofWorkload(c)
	}
	if style == ErrorsPgBouncer || c.sess.Mode == session.Session || c.sess.IsPinned() || c.stream > 0 || len(c.in) > 0 {
		rep.Severity = "FATAL"
		l.note(c, why)
		l.farewell(c, rep)
		return
	}
	l.note(c, why)
	c.poison = &rep
	s := c.srv
	c.unlease()
	c.txnAt, c.queryAt = 0, 0
	c.idleAt = l.now
	l.abandon(s, c)
}
