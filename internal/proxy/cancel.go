package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"spillway/internal/wire"
)

// cancelRequested takes a CancelRequest. Its connection is closed, without a
// word, when the request has had its effect or turned out to mean nobody.
func (l *loop) cancelRequested(c *client, pid uint32, key []byte) {
	c.phase = phaseCancel
	target, ok := l.proxy.cancel.Find(int32(pid), key)
	if !ok {
		l.dropClient(c)
		return
	}
	l.stop(&c.endpoint, stopWaiting)
	done := func() { l.post(func() { l.dropClient(c) }) }
	if target.loop == l {
		l.cancelClient(target, done)
		return
	}
	target.loop.post(func() { target.loop.cancelClient(target, done) })
}

// cancelClient cancels what a client waits for: its place in the queue, or the
// query its server runs. done is called when that has happened.
func (l *loop) cancelClient(c *client, done func()) {
	switch {
	case c.phase != phaseServe:
		done()
	case c.wait != nil:
		l.leaveQueue(c)
		rep := userCancel.report(ErrorsNative, "ERROR", "", "it waited for a server connection")
		c.poison = &rep
		l.unstop(&c.endpoint, stopWaiting)
		done()
	case c.srv != nil && !c.srv.sess.Quiet():
		l.sendCancel(c.srv, done)
	default:
		done()
	}
}

// sendCancel asks PostgreSQL to cancel what s runs. Until that request is
// through, s is nobody else's: it could hit the next client's query.
func (l *loop) sendCancel(s *server, done func()) {
	s.cancels++
	s.fence = true
	s.canceling = true
	conf, addr, pid, key, encrypted := s.pool.up.conf.Load(), s.addr, s.pid, s.key, s.tls != nil
	wait := l.proxy.policy.Load().Timeouts.CancelWait
	l.proxy.workers.Add(1)
	go func() {
		defer l.proxy.workers.Done()
		ctx, stop := withTimeout(l.proxy.background, wait, 10*time.Second)
		defer stop()
		sent, err := cancelAt(ctx, conf, addr, encrypted, wire.AppendCancel(nil, pid, key))
		if err != nil {
			l.log.Warn("cancel request failed", "server", s.id, "pid", pid, "sent", sent, "error", err)
		}
		s.loop.post(func() { s.loop.canceled(s, sent && err != nil, done) })
	}()
}

// canceled is the end of a cancel request. A loose one was sent, and nothing
// told that it was through: it may still come, however late, and hit whoever has
// the server then. Such a server serves nobody else.
func (l *loop) canceled(s *server, loose bool, done func()) {
	s.cancels--
	s.loose = s.loose || loose
	if done != nil {
		done()
	}
	if s.closed || s.cancels > 0 {
		return
	}
	if s.client == nil && s.sess.Quiet() {
		l.clean(s)
	}
}

// cancelAt delivers a cancel request and waits for the server to close, which
// it does when the signal is sent. sent with an error: the request is out, and
// whether it has had its effect is not known.
func cancelAt(ctx context.Context, u *Upstream, addr string, encrypted bool, packet []byte) (sent bool, err error) {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return false, err
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	rw := nc
	if encrypted {
		if rw, err = cancelTLS(ctx, nc, u); err != nil {
			return false, err
		}
	}
	if _, err := rw.Write(packet); err != nil {
		return true, err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(nc, mostCancelAnswer))
	if err == nil && n == mostCancelAnswer {
		err = errors.New("the server answers without end")
	}
	return true, err
}

// mostCancelAnswer bounds what is read of an answer to a cancel request: there is
// none, but for what ends a TLS session.
const mostCancelAnswer = 1 << 16

func cancelTLS(ctx context.Context, nc net.Conn, u *Upstream) (net.Conn, error) {
	if !u.DirectTLS {
		if _, err := nc.Write(wire.AppendRequest(nil, wire.CodeSSL)); err != nil {
			return nil, err
		}
		var answer [1]byte
		if _, err := io.ReadFull(nc, answer[:]); err != nil || answer[0] != 'S' {
			return nil, io.ErrUnexpectedEOF
		}
	}
	conf := u.TLS.Clone()
	if conf.ServerName == "" && len(u.Hosts) > 0 {
		conf.ServerName = u.Hosts[0].Host
	}
	t := tls.Client(nc, conf)
	return t, t.HandshakeContext(ctx)
}
