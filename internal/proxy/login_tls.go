package proxy

import (
	"crypto/tls"
	"errors"

	"spillway/internal/wire"
)

// encryption answers SSLRequest and GSSENCRequest. Nothing may follow them in
// the clear: it could be injected (CVE-2021-23214).
func (l *loop) encryption(c *client, code uint32, b []byte, size int) int {
	c.login.requests++
	if len(b) > size {
		l.farewell(c, wire.Report{Severity: "FATAL", Code: "08P01", Message: "received unencrypted data after an encryption request",
			Detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."})
		return len(b)
	}
	if c.login.requests > 4 {
		l.endClient(c, badStartup, "")
		return len(b)
	}
	if code == wire.CodeGSS || l.proxy.policy.Load().ClientTLS.Config == nil || c.tls != nil || c.local {
		l.send(&c.endpoint, []byte{'N'})
		return size
	}
	l.send(&c.endpoint, []byte{'S'})
	l.handshake(c, nil, false)
	return size
}

// handshake runs TLS on a goroutine that the loop feeds.
func (l *loop) handshake(c *client, b []byte, direct bool) {
	c.phase = phaseTLS
	f := newFeed(nil)
	f.out = func(p []byte) error {
		own := append([]byte(nil), p...)
		l.post(func() {
			if !c.closed {
				l.drv.send(&c.endpoint, own)
			}
		})
		return nil
	}
	conf := l.proxy.policy.Load().ClientTLS.Config
	t := &tlsLayer{conn: tls.Server(f, conf), feed: f}
	c.tls = t
	if len(b) > 0 {
		f.put(b)
	}
	l.proxy.workers.Add(1)
	go func() {
		defer l.proxy.workers.Done()
		err := t.conn.HandshakeContext(l.proxy.background)
		l.post(func() { l.handshaken(c, direct, err) })
	}()
}

func (l *loop) handshaken(c *client, direct bool, err error) {
	if c.closed || c.phase != phaseTLS {
		return
	}
	t := c.tls
	cs := t.conn.ConnectionState()
	if err == nil && direct && cs.NegotiatedProtocol != "postgresql" {
		err = errors.New("direct TLS without ALPN postgresql")
	}
	if err != nil {
		l.log.Info("TLS handshake failed", "client", c.id, "addr", c.from().String(), "error", err)
		l.dropClient(c)
		return
	}
	t.feed.hand(func(p []byte) error { l.drv.send(&c.endpoint, p); return nil })
	t.name = tlsName(cs)
	if len(cs.PeerCertificates) > 0 {
		c.login.cert = cs.PeerCertificates[0].Subject.CommonName
	}
	if conf := l.proxy.policy.Load().ClientTLS.Config; conf != nil {
		c.login.endPoint = endPointOf(conf)
	}
	c.phase = phaseStartup
	l.decipher(&c.endpoint, nil)
}
