package proxy

import (
	"slices"
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// release gives a clean server back to the schedule.
func (l *loop) release(s *server) {
	s.sess.Detach()
	s.client = nil
	s.canceling, s.cancelAt = false, 0
	if s.stops&stopPeer != 0 {
		l.unstop(&s.endpoint, stopPeer)
	}
	if s.closed {
		return
	}
	if s.oneWay || s.fatal || s.loose || l.proxy.state.Load() == stateClosed {
		l.closeServer(s, "not reusable")
		return
	}
	s.become(serverIdle)
	dirs := l.takeDirs()
	dirs = s.pool.up.host.Release(l.now, s.sched, dirs)
	if len(dirs) > 0 {
		l.carry(dirs)
	}
	l.giveDirs(dirs)
}

// giveBack releases a server whose grant came too late.
func (l *loop) giveBack(s *server) { l.release(s) }

// abandon takes a server from a client that is gone or lost it. Whatever the
// server is in the middle of is cancelled, rolled back and reset; then it goes
// back to the pool. A message cut in its middle costs the connection, and so
// does an open transaction in session mode, where the server's process is
// known to the client and ends with it.
func (l *loop) abandon(s *server, c *client) {
	s.client = nil
	c.uncount()
	if s.closed {
		return
	}
	if s.stops&stopPeer != 0 {
		l.unstop(&s.endpoint, stopPeer)
	}
	if s.closed {
		return
	}
	if c.sess.Mode == session.Session && !s.sess.Clean() || c.stream > 0 && !c.dropped || s.oneWay || s.fatal || s.sess.Sticky() {
		if !s.sess.Quiet() {
			l.sendCancel(s, nil)
		}
		l.closeServer(s, "client left in the middle of a message")
		return
	}
	s.reset = s.reset || c.sess.Mode == session.Session || c.sess.IsPinned()
	s.sess.Abandon(&l.fx)
	l.flushFx(s)
	if !s.sess.Quiet() {
		s.become(serverCanceled)
		if s.cancels == 0 {
			l.sendCancel(s, nil)
		}
		return
	}
	if s.cancels == 0 {
		l.clean(s)
	}
}

// clean brings a quiet server without a client to where it can be released.
func (l *loop) clean(s *server) {
	if s.loose {
		l.closeServer(s, "a cancel request may still reach it")
		return
	}
	rul := l.proxy.policy.Load()
	sql, todo := "", true
	switch {
	case s.sess.State() != wire.Idle:
		sql = "ROLLBACK"
	case s.fence:
		s.fence = false
	case s.reset:
		s.reset = false
		sql = orString(rul.Defaults.ResetQuery, "DISCARD ALL")
	default:
		todo = false
	}
	if !todo {
		l.release(s)
		return
	}
	s.become(serverTested)
	s.sess.Reset(sql, &l.fx)
	l.flushFx(s)
}

// lost closes a server; its client, if it has sent nothing yet, gets another,
// otherwise it is told.
func (l *loop) lost(s *server, why string) {
	c := s.client
	untouched := c != nil && s.state == serverTested
	told := s.told
	l.closeServer(s, why)
	if c == nil || c.closed {
		return
	}
	c.unlease()
	s.client = nil
	switch {
	case untouched:
		if l.acquire(c) {
			l.run = append(l.run, c)
		}
	case told:
		l.note(c, serverGone)
		l.dropClient(c) // the server's own last words are on their way
	default:
		l.endClient(c, serverGone, "")
	}
}

// serverGone handles the end of a connection as the driver saw it.
func (l *loop) serverGone(s *server, err error) {
	l.lost(s, "connection lost: "+err.Error())
}

// closeServer closes a connection and frees its slot.
func (l *loop) closeServer(s *server, why string) {
	if s.closed {
		return
	}
	if c := s.client; c != nil && c.srv == s && why == "pool killed" {
		c.unlease()
		l.endClient(c, poolKilled, s.pool.key.database)
	}
	delete(l.servers, s)
	if s.sess.Quiet() && !s.hung {
		l.send(&s.endpoint, wire.AppendEmpty(nil, wire.Terminate))
	}
	l.log.Debug("server closed", "server", s.id, "pid", s.pid, "pool", s.pool.key.database+"/"+s.pool.key.user, "reason", why,
		"age", time.Duration(l.now-s.openedAt).Round(time.Millisecond).String())
	s.sess.Forget()
	s.pool.up.sockets.Add(-1)
	s.pool.up.closed.add(s.pid, s.openedAt)
	l.finish(&s.endpoint)
	dirs := l.takeDirs()
	dirs = s.pool.up.host.Gone(l.now, s.sched, dirs)
	l.carry(dirs)
	l.giveDirs(dirs)
}

// reclaim cancels what runs on a lent slot for the slot's owner, and ends the
// lease with it: a transaction that has failed would keep the slot. The
// directive may be late: the lease it means may have ended.
func (l *loop) reclaim(s *server, lease uint64) {
	c := s.client
	if c == nil || s.closed || s.loop != l || s.sched.Lease != lease || s.oneWay || c.exempt || c.phase != phaseServe {
		return
	}
	l.stats(c.pool).lentBack++
	s.yields = true
	l.transactionOver(c, slotReclaimed, "")
}

// readOnly notices a primary that has become a standby: its servers are
// replaced as they become free.
func (l *loop) readOnly(s *server) {
	u := s.pool.up.conf.Load()
	if len(u.Hosts) < 2 || u.TargetSession != "read-write" && u.TargetSession != "primary" {
		return
	}
	for _, p := range l.proxy.pools.all() {
		if p.up == s.pool.up {
			l.proxy.carry(p.up.host.Reconnect(l.now, p.sched, nil))
		}
	}
}

// move sends a granted server to the loop of its waiter.
func (l *loop) move(s *server, d schedule.Directive) {
	to := l.proxy.loops[d.Server.Loop]
	delete(l.servers, s)
	l.sealed = slices.DeleteFunc(l.sealed, func(ep *endpoint) bool { return ep == &s.endpoint })
	held := s.sess.Prepared() > 0
	s.sess.Forget()
	l.drv.release(&s.endpoint, func() { to.post(func() { to.adopt(s, d, held) }) })
}

// adopt takes a server from another loop. Statements it holds have names of
// that loop's making: they go.
func (l *loop) adopt(s *server, d schedule.Directive, held bool) {
	s.loop = l
	settings := s.sess.Settings
	s.sess = *session.NewServer(l.cache, settings)
	l.servers[s] = struct{}{}
	if err := l.drv.add(&s.endpoint); err != nil {
		l.lost(s, err.Error())
		return
	}
	if !held {
		l.granted(d)
		return
	}
	c, ok := d.Waiter.Data.(*client)
	if !ok || c.phase == phaseEnd || c.wait != d.Waiter {
		s.reset = true
		l.clean(s)
		return
	}
	c.wait = nil
	c.srv, s.client, c.leaseAt = s, c, l.now
	c.leased()
	s.yields = false
	s.become(serverTested)
	s.sess.Reset("DEALLOCATE ALL", &l.fx)
	l.flushFx(s)
}
