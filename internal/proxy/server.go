package proxy

import (
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
	loose     bool  // a cancel request may still reach it: never reused
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
	ended     error // the connection's end, told while its client took nothing
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
