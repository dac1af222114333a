package proxy

import (
	"net/netip"

	"spillway/internal/auth"
	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/statement"
	"spillway/internal/wire"
)

// phase is where a client stands between its first byte and its last.
type phase uint8

const (
	phaseStartup phase = iota // its first packet is awaited
	phaseTLS                  // the handshake runs on a goroutine
	phaseAuth                 // it proves who it is
	phaseWelcome              // logged in; waits for a server to tell its parameters
	phaseServe                // queries
	phaseConsole              // the admin database
	phaseCancel               // it brought a cancel request
	phaseEnd                  // gone
)

// client is a service's connection. Only its loop touches it. There may be
// thousands that are idle, so it has what an idle client needs: what many have
// in common is in place, what only a client at work needs in turn.
type client struct {
	endpoint
	sess session.Client
	*turn
	*place
	loop    *loop
	login   *login
	timer   *timer
	id      uint64
	addr    netip.Addr
	ticket  auth.Ticket // takes its cancel key out
	port    uint16
	phase   phase
	entered bool // counted by gate.enter
	counted bool // counted as logging in
	local   bool // over a unix socket

	connectedAt, requestAt int64
	idleAt                 int64
}

// from is where the client connects from.
func (c *client) from() netip.AddrPort { return netip.AddrPortFrom(c.addr, c.port) }

// fromClient takes bytes of a client in whatever phase it is.
func (l *loop) fromClient(c *client, b []byte) {
	if c.phase != phaseServe {
		l.early(c, b)
		return
	}
	b = c.join(b)
	taken := l.front(c, b)
	if !c.closed {
		l.keepIn(&c.endpoint, b, taken)
	}
}

// front asks the session about every message in b and forwards what it says.
// It returns how much of b is dealt with.
func (l *loop) front(c *client, b []byte) int {
	l.wake(c)
	off, run := 0, 0 // b[run:off] is to be forwarded as it stands
	gather := l.gather[:0]
	rul := l.proxy.policy.Load()
	limit := rul.maxMessage()
	for off < len(b) && c.stops&^stopPeer == 0 && !c.closed {
		if c.stream > 0 {
			n := min(c.stream, len(b)-off)
			c.stream -= n
			if c.dropped {
				gather = append(gather, b[run:off]...)
				run = off + n
			} else if !c.noQuery {
				c.sess.Continue(c.srvSess(), b[off:off+n], c.stream == 0)
			}
			off += n
			continue
		}
		if len(b)-off < wire.HeaderSize {
			break
		}
		kind, size, err := wire.Frame(b[off:], limit)
		if err != nil {
			l.abuse(c, protocolFailure(b[off:], limit))
			return len(b)
		}
		m := session.Msg{Kind: kind, Size: size, Raw: b[off:min(off+size, len(b))]}
		if c.poison != nil || c.skip {
			if l.poisoned(c, &m) {
				gather = append(gather, b[run:off]...)
				l.streamOn(c, &m, true)
				off += len(m.Raw)
				run = off
				continue
			}
		}
		var act session.Action
		var rep *wire.Report
		if rul.bans != nil {
			var need int
			if rep, need = l.barred(c, rul, &m); need > 0 {
				act = session.Action{Do: session.More, N: need}
			}
		}
		switch {
		case rep != nil && c.srv == nil:
			c.poison = rep
			continue
		case rep != nil:
			act = c.sess.Refuse(c.srvSess(), kind, rep, &l.fx)
		case act.Do == 0:
			act = c.sess.Front(c.srvSess(), m, &l.fx)
		}
		if c.srv != nil {
			c.srv.sqlOf(&m)
		}
		if len(l.fx.ToClient) > 0 {
			l.send(&c.endpoint, l.fx.ToClient)
			l.fx.ToClient = l.fx.ToClient[:0]
		}
		if len(l.fx.ToServer) > 0 {
			gather = append(append(gather, b[run:off]...), l.fx.ToServer...)
			l.fx.ToServer = l.fx.ToServer[:0]
			run = off
		}
		switch act.Do {
		case session.Pass:
			l.began(c, kind)
			l.streamOn(c, &m, false)
			off += len(m.Raw)
			continue
		case session.Replace:
			l.began(c, kind)
			run = off + act.N
			l.streamOn(c, &m, false)
			off += len(m.Raw)
			continue
		case session.Drop:
			l.began(c, kind)
			gather = append(gather, b[run:off]...)
			l.streamOn(c, &m, true)
			off += len(m.Raw)
			run = off
			continue
		case session.More:
			if len(b)-off < act.N && act.N <= size {
				goto out
			}
			l.abuse(c, "message ends early")
			return len(b)
		case session.Hold:
			c.held = true
			l.stop(&c.endpoint, stopWaiting)
			goto out
		case session.Lease:
			if c.ruled != nil && c.ruled.byTag {
				l.reclassify(c)
				l.tag(c, statementText(c, &m))
			}
			if l.acquire(c) || c.stops&^stopPeer == 0 {
				continue // or it was refused: poison answers
			}
			goto out
		case session.Quit:
			l.toServer(c, gather, b[run:off])
			l.clientQuits(c)
			return len(b)
		default:
			l.note(c, protocolAbuse)
			l.farewell(c, *act.Report)
			return len(b)
		}
	}
out:
	if !c.closed {
		l.toServer(c, gather, b[run:off])
		l.rest(c)
	}
	l.gather = gather[:0]
	return off
}

// toServer sends what was gathered, and run behind it, in one call.
func (l *loop) toServer(c *client, gather, run []byte) {
	if len(gather)+len(run) == 0 || c.srv == nil {
		return
	}
	if st := l.stats(c.pool); st != nil {
		st.ReceivedBytes += uint64(len(gather) + len(run))
	}
	if len(gather) == 0 {
		l.send(&c.srv.endpoint, run)
		return
	}
	l.gather = append(gather, run...)
	l.send(&c.srv.endpoint, l.gather)
}

// unlease ends the client's lease on its own side.
func (c *client) unlease() {
	c.srv = nil
	c.returned()
}

func (c *client) srvSess() *session.Server {
	if c.srv == nil {
		return nil
	}
	return &c.srv.sess
}

// streamOn notes that the rest of m is still to come.
func (l *loop) streamOn(c *client, m *session.Msg, dropped bool) {
	c.stream = m.Size - len(m.Raw)
	c.dropped = dropped
	c.noQuery = m.Kind != wire.Query
}

// began notes the start of a query's clock.
func (l *loop) began(c *client, kind byte) {
	c.requestAt = l.now
	if c.queryAt == 0 && c.srv != nil && !c.srv.sess.Quiet() {
		c.queryAt = l.now
		c.works()
		if c.txnAt == 0 {
			c.txnAt = l.now
		}
		l.arm(c)
	}
}

func (l *loop) stats(p *pool) *poolStats {
	if p == nil {
		return nil
	}
	return &p.byLoop[l.id]
}

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

// refuse answers the message a client waits with: an error and, where the
// protocol allows, a session that goes on.
func (l *loop) refuse(c *client, r reason, extra, detail string) {
	if c.phase != phaseServe || r == poolKilled || l.proxy.policy.Load().ErrorStyle == ErrorsPgBouncer || c.sess.Mode == session.Session {
		l.endClientDetail(c, r, extra, detail)
		return
	}
	l.note(c, r)
	rep := r.report(ErrorsNative, "ERROR", extra, detail)
	c.poison = &rep
	l.unstop(&c.endpoint, stopWaiting)
}

// poisoned answers a message of a client whose transaction was ended behind
// its back, or that was refused a server: with the reason, once, and then as a
// server answers after an error. It returns false when m is for the session.
func (l *loop) poisoned(c *client, m *session.Msg) bool {
	out := l.fx.ToClient[:0]
	defer func() {
		l.send(&c.endpoint, out)
		l.fx.ToClient = out[:0]
	}()
	switch m.Kind {
	case wire.Terminate:
		c.poison, c.skip = nil, false
		return false
	case wire.Query:
		c.uncount()
		if c.skip {
			return true
		}
		rep := c.poison
		c.poison = nil
		if len(m.Raw) == m.Size {
			var answered bool
			if out, answered = rolledBack(out, rep, m.Raw[wire.HeaderSize:]); answered {
				return true
			}
		}
		out = wire.AppendReady(wire.AppendReport(out, wire.ErrorResponse, *rep), wire.Idle)
		return true
	case wire.Sync:
		if c.poison != nil {
			out = wire.AppendReport(out, wire.ErrorResponse, *c.poison)
		}
		c.poison, c.skip = nil, false
		out = wire.AppendReady(out, wire.Idle)
		return true
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Flush:
		return true
	}
	if c.poison != nil {
		out = wire.AppendReport(out, wire.ErrorResponse, *c.poison)
		c.poison, c.skip = nil, true
	}
	return true
}

func endsTransaction(text []byte) bool {
	e := statement.Scan(text, true)
	return e&statement.Rollback != 0 && e&statement.Multi == 0
}

// abuse ends a client that broke the protocol.
func (l *loop) abuse(c *client, what string) {
	l.endClient(c, protocolAbuse, what)
}

// note counts and logs something the proxy did to a client.
func (l *loop) note(c *client, r reason) {
	if r == authFailed || r == hbaRefused {
		l.proxy.denials.add(c, l.now)
	}
	if st := l.stats(c.pool); st != nil {
		st.refused[r]++
		st.Errors++
		if c.tally != nil && blameless[r] {
			c.tally.failed++
		}
	} else {
		l.proxy.gate.refused[r].Add(1)
	}
	if l.proxy.policy.Load().LogPoolerErrors {
		l.log.Warn("pooler error", "reason", r.label(), "client", c.id, "user", c.user, "database", c.database,
			"addr", c.from().String(), "application", c.app)
	}
}

// endClient tells a client why and ends it.
func (l *loop) endClient(c *client, r reason, extra string) { l.endClientDetail(c, r, extra, "") }

func (l *loop) endClientDetail(c *client, r reason, extra, detail string) {
	if c.closed {
		return
	}
	l.note(c, r)
	l.farewell(c, r.report(l.proxy.policy.Load().ErrorStyle, "FATAL", extra, detail))
}

// farewell sends rep as a client's last message.
func (l *loop) farewell(c *client, rep wire.Report) {
	if c.closed || c.phase == phaseEnd {
		return
	}
	if c.phase != phaseTLS {
		l.send(&c.endpoint, wire.AppendReport(nil, wire.ErrorResponse, rep))
	}
	l.dropClient(c)
}

// clientQuits ends a client that said goodbye.
func (l *loop) clientQuits(c *client) { l.dropClient(c) }

// clientGone ends a client whose connection broke.
func (l *loop) clientGone(c *client, err error) {
	if c.phase == phaseServe && c.stops&stopWaiting == 0 && len(c.in) > 0 {
		c.in = nil // half a message
	}
	c.hung = true
	l.dropClient(c)
}

// dropClient gives back everything a client holds and closes it.
func (l *loop) dropClient(c *client) {
	if c.closed || c.phase == phaseEnd {
		return
	}
	served := c.phase == phaseServe
	c.phase = phaseEnd
	c.uncount()
	delete(l.clients, c)
	if c.timer != nil {
		l.wheel.disarm(c.timer)
		l.spareTimer(c)
	}
	if c.wait != nil {
		l.leaveQueue(c)
	}
	if s := c.srv; s != nil {
		c.unlease()
		l.abandon(s, c)
	}
	c.sess.Close()
	l.forgetLogin(c)
	if c.console != nil {
		c.console.close()
	}
	if served && l.proxy.policy.Load().LogDisconnections {
		l.log.Info("client left", "client", c.id, "user", c.user, "database", c.database, "addr", c.from().String())
	}
	l.part(&c.endpoint)
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
