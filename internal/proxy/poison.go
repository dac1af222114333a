package proxy

import (
	"spillway/internal/session"
	"spillway/internal/statement"
	"spillway/internal/wire"
)

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
