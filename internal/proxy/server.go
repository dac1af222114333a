package proxy

import (
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// serverState is a server's state as PgBouncer names it.
type serverState uint8

const (
	serverIdle     serverState = iota // in its pool
	serverActive                      // leased
	serverTested                      // a check, a reset or a rollback runs
	serverCanceled                    // waits for the end of what was cancelled
)

var serverStates = [...]string{"idle", "active", "tested", "being_canceled"}

// server is a connection to PostgreSQL. Only its loop touches it.
type server struct {
	endpoint
	sess      session.Server
	sched     *schedule.Server
	pool      *pool
	loop      *loop
	client    *client
	id        uint64
	state     serverState
	listed    bool  // on loop.settled
	reset     bool  // the reset query must run before it is anybody else's
	fence     bool  // a cancel was sent: an empty query must absorb one that comes late
	oneWay    bool  // a replication connection: never reused
	fatal     bool  // the server announced its end
	told      bool  // and its client has heard it
	cancels   int   // cancel requests under way
	canceling bool  // what runs for this lease was cancelled by us
	cancelAt  int64 // when a timeout did
	events    session.Event
	stream    int // bytes of a passing message still to come
	hidden    bool
	leases    uint64
	yields    bool   // its slot's owner waits: the lease ends at the next boundary
	sql       []byte // start of the last statement, for those who look
	leaveMark uint64 // set by Reconnect; WaitClose waits for those that have one
	pid       uint32
	key       []byte
	addr      string
	params    []wire.Param // as reported at login
	openedAt  int64
	requestAt int64
	tlsName   string
}

func (s *server) become(to serverState) {
	if s.state == to {
		return
	}
	marked := func(st serverState) bool { return st == serverTested || st == serverCanceled }
	if marked(to) || marked(s.state) {
		mark := schedule.NoMark
		switch to {
		case serverTested:
			mark = schedule.Tested
		case serverCanceled:
			mark = schedule.Cancelled
		default:
		}
		s.pool.up.host.SetMark(s.sched, mark)
	}
	s.state = to
}

// flushFx sends what the session made for a server.
func (l *loop) flushFx(s *server) {
	if len(l.fx.ToServer) > 0 {
		l.send(&s.endpoint, l.fx.ToServer)
		l.fx.ToServer = l.fx.ToServer[:0]
	}
}

// maxErrorSeen bounds how much of an error must be in hand to be read; its
// SQLSTATE stands near the start.
const maxErrorSeen = 8 << 10

// fromServer splits a server's bytes at its messages and routes them.
func (l *loop) fromServer(s *server, b []byte) {
	b = s.join(b)
	off, run := 0, 0
	gather := l.gather[:0]
	for off < len(b) && !s.closed {
		if s.stream > 0 {
			n := min(s.stream, len(b)-off)
			s.stream -= n
			if s.hidden {
				gather = append(gather, b[run:off]...)
				run = off + n
			}
			off += n
			continue
		}
		if len(b)-off < wire.HeaderSize {
			break
		}
		kind, size, err := wire.Frame(b[off:], wire.MaxMessage)
		if err != nil {
			l.log.Error("server sent nonsense", "server", s.id, "error", protocolFailure(b[off:], wire.MaxMessage))
			s.events |= session.EventBroken
			break
		}
		have := min(size, len(b)-off)
		if kind == wire.DataRow && s.sess.Streams() {
			s.stream, s.hidden = size-have, false
			off += have
			continue
		}
		if have < size && session.Whole(kind) && have < maxErrorSeen {
			break
		}
		body := b[off+wire.HeaderSize : off+have]
		forward, ev := s.sess.Back(kind, body, &l.fx)
		if kind == wire.ErrorResponse {
			forward = forward && !l.betweenLeases(s)
			l.errorSeen(s, body, forward)
		}
		if !forward {
			gather = append(gather, b[run:off]...)
			run = off + have
		}
		s.stream, s.hidden = size-have, !forward
		off += have
		if len(l.fx.ToClient) > 0 {
			gather = append(append(gather, b[run:off]...), l.fx.ToClient...)
			l.fx.ToClient = l.fx.ToClient[:0]
			run = off
		}
		l.flushFx(s)
		if ev != 0 {
			s.events |= ev
			if ev&session.EventReady != 0 {
				l.answered(s, ev)
			}
			if ev&session.EventBroken != 0 {
				break
			}
		}
	}
	l.toClient(s, gather, b[run:off])
	l.gather = gather[:0]
	if s.closed {
		return
	}
	l.keepIn(&s.endpoint, b, off)
	if s.events != 0 && !s.listed {
		s.listed = true
		l.settled = append(l.settled, s)
	}
}

func (l *loop) toClient(s *server, gather, run []byte) {
	c := s.client
	if c == nil || len(gather)+len(run) == 0 {
		return
	}
	l.stats(s.pool).SentBytes += uint64(len(gather) + len(run))
	if len(gather) == 0 {
		l.send(&c.endpoint, run)
		return
	}
	l.gather = append(gather, run...)
	l.send(&c.endpoint, l.gather)
}

// betweenLeases says whether a server has nothing more to do for its client,
// which will give it back: what it says now is no business of the client's.
func (l *loop) betweenLeases(s *server) bool {
	c := s.client
	return c != nil && c.sess.Mode != session.Session && !c.sess.IsPinned() && s.sess.Quiet() && s.sess.Clean()
}

// errorSeen notes what errors say about the server itself; told says that its
// client gets this one.
func (l *loop) errorSeen(s *server, body []byte, told bool) {
	code := string(s.sess.LastCode[:])
	switch code {
	case "57P01", "57P02", "57P03", "08P01", "25P03", "25P04", "57P05":
		if rep := wire.ParseReport(body); rep.Severity == "FATAL" || rep.Severity == "PANIC" {
			s.fatal = true
			s.told = told && s.client != nil
			if s.client == nil {
				l.lost(s, "the server ended the session") // before anybody leases it
			}
		}
	case "25006":
		l.readOnly(s)
	}
}

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
	if s.oneWay || s.fatal || l.proxy.state.Load() == stateClosed {
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
	if s.client != nil && len(s.in) > 0 {
		l.send(&s.client.endpoint, nil)
	}
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
