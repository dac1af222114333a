package proxy

import (
	"time"

	"spillway/internal/session"
)

// Times of a drain.
const (
	// handover is how long a listener whose port a successor shares still
	// accepts: what was on its way when the port was handed over arrives.
	handover = 500 * time.Millisecond
	// freshGrace is how long a client that has just come in is left alone.
	freshGrace = 2 * time.Second
)

// takes reports whether a new connection is served. One that is accepted while
// the port is handed over was meant for us before the successor was there.
func (p *Proxy) takes() bool {
	return p.Serving() || p.cfg.ReusePort && p.state.Load() == stateDraining
}

// drain stops accepting and ends every client that is at a boundary.
func (l *loop) drain() {
	if !l.proxy.cfg.ReusePort {
		l.unlisten()
		l.drainClients()
		return
	}
	for _, ep := range l.lns {
		if ep.ofListener().listener.path == "" {
			steer(int(ep.fd), len(l.proxy.loops))
		}
	}
	l.drainClients()
	l.later(handover, l.unlisten)
	l.later(handover+freshGrace, l.drainClients)
}

// later runs f on the loop after d, unless the loop has ended.
func (l *loop) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		l.post(func() {
			if !l.stopped {
				f()
			}
		})
	})
}

// unlisten takes what has connected already and closes the listeners.
func (l *loop) unlisten() {
	for _, ep := range l.lns {
		for l.proxy.cfg.ReusePort {
			fd, err := acceptOne(int(ep.fd))
			if err != nil {
				break
			}
			l.accepted(ep, fd)
		}
		l.finish(ep)
	}
	l.lns = nil
	l.proxy.unlistened.Add(1)
}

// spared says whether a client is left alone for now, because it has come but a
// moment ago to a port that a successor takes over: many clients connect, ask
// a few things and leave, and such a one would see an error for nothing.
func (l *loop) spared(c *client) bool {
	return l.proxy.cfg.ReusePort && l.now-c.connectedAt < int64(freshGrace)
}

func (l *loop) drainClients() {
	for c := range l.clients {
		if !l.spared(c) {
			l.drainClient(c)
		}
	}
}

// drainClient ends a client at a boundary while the proxy shuts down.
func (l *loop) drainClient(c *client) {
	switch {
	case c.phase == phaseServe && c.srv != nil && c.sess.Mode != session.Session && !c.sess.IsPinned():
		return // at the end of its transaction
	case c.phase == phaseServe && c.srv != nil && !c.srv.sess.Clean():
		return
	case c.phase == phaseServe && c.waitSince != 0:
		return // has asked already: it is served
	}
	l.endClient(c, poolerShutdown, "")
}
