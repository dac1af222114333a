package proxy

import (
	"net/netip"

	"spillway/internal/auth"
	"spillway/internal/session"
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
		l.tellOwed(c)
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
