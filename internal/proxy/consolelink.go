package proxy

import (
	"context"

	"spillway/internal/wire"
)

// consoleLink joins a client of the admin database to its session, which
// answers off the loop, one message at a time.
type consoleLink struct {
	session ConsoleSession
	ctx     context.Context
	stop    context.CancelFunc
}

func (k *consoleLink) close() {
	k.stop()
	k.session.Close()
}

// openConsole admits a client to the admin database.
func (l *loop) openConsole(c *client, pol *ruling) {
	admin := pol.admins[c.user] || pol.operators[c.user]
	if !admin && !pol.stats[c.user] {
		l.endClient(c, adminOnly, "")
		return
	}
	ctx, stop := context.WithCancel(l.proxy.background)
	l.wake(c)
	c.console = &consoleLink{session: l.proxy.cfg.Console.Open(c.user, admin), ctx: ctx, stop: stop}
	out := wire.AppendAuth(nil, wire.AuthOK, nil)
	for _, p := range l.proxy.cfg.Console.Parameters() {
		out = wire.AppendParameterStatus(out, p[0], p[1])
	}
	size := 4
	if c.login.startup.Minor >= 2 {
		size = 32
	}
	if ticket, key, err := l.proxy.cancel.Allocate(size, c); err == nil {
		c.ticket = ticket
		out = wire.AppendBackendKey(out, uint32(ticket.PID), key)
	}
	l.send(&c.endpoint, wire.AppendReady(out, wire.Idle))
	c.phase = phaseConsole
	l.spareLogin(c)
}

// message hands one message to the session and its answer to the client.
func (k *consoleLink) message(l *loop, c *client, kind byte, body []byte) {
	if kind == wire.Terminate {
		l.dropClient(c)
		return
	}
	own := append([]byte(nil), body...)
	l.stop(&c.endpoint, stopWaiting)
	l.proxy.workers.Add(1)
	go func() {
		defer l.proxy.workers.Done()
		out, err := k.session.Message(k.ctx, kind, own, nil)
		l.post(func() {
			if c.closed || c.phase == phaseEnd {
				return
			}
			l.send(&c.endpoint, out)
			if err != nil {
				l.dropClient(c)
				return
			}
			l.unstop(&c.endpoint, stopWaiting)
		})
	}()
}
