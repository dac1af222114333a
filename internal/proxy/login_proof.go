package proxy

import (
	"context"
	"errors"

	"spillway/internal/auth"
	"spillway/internal/wire"
)

// proof takes a password or SASL message.
func (l *loop) proof(c *client, body []byte) {
	lg := c.login
	switch lg.offer.Exchange {
	case auth.ExchangePassword:
		l.plainProof(c, body)
	case auth.ExchangeMD5:
		answer, _, _ := wire.CString(body)
		if lg.offer.Mock || !auth.VerifyMD5(lg.secret, c.user, lg.salt, string(answer)) {
			l.denied(c)
			return
		}
		l.authenticated(c)
	case auth.ExchangeSCRAM:
		if lg.offer.Derive {
			l.derive(c, body)
			return
		}
		l.scramProof(c, body)
	default:
		l.denied(c) // nothing was asked for
	}
}

// plainProof verifies a password in the clear, off the loop: with a SCRAM
// secret that is PBKDF2.
func (l *loop) plainProof(c *client, body []byte) {
	pw, _, ok := wire.CString(body)
	password, secret, mock := string(pw), c.login.secret, c.login.offer.Mock
	if !ok || password == "" {
		l.denied(c)
		return
	}
	l.stop(&c.endpoint, stopWaiting)
	l.work(func(context.Context) func() {
		good := auth.VerifyPassword(secret, c.user, password) && !mock
		return func() {
			if c.closed {
				return
			}
			c.login.password = password
			if !good {
				l.denied(c)
				return
			}
			l.authenticated(c)
			l.unstop(&c.endpoint, stopWaiting)
		}
	})
}

// derive makes a SCRAM verifier of a plain secret, once per user and secret.
func (l *loop) derive(c *client, body []byte) {
	lg := c.login
	password, _ := lg.secret.Plain()
	if v, ok := l.proxy.secret.get(c.user, password); ok {
		lg.secret, lg.offer.Derive = v, false
		l.scramProof(c, body)
		return
	}
	own := append([]byte(nil), body...)
	l.stop(&c.endpoint, stopWaiting)
	l.work(func(context.Context) func() {
		v, err := l.proxy.secret.derive(c.user, password)
		return func() {
			if c.closed {
				return
			}
			if err != nil {
				l.denied(c)
				return
			}
			lg.secret, lg.offer.Derive = v, false
			l.scramProof(c, own)
			l.unstop(&c.endpoint, stopWaiting)
		}
	})
}

func (l *loop) scramProof(c *client, body []byte) {
	lg := c.login
	payload := body
	if lg.scram == nil {
		mech, rest, ok := wire.CString(body)
		if !ok || len(rest) < 4 {
			l.abuse(c, "malformed SASLInitialResponse")
			return
		}
		n := int(int32(uint32(rest[0])<<24 | uint32(rest[1])<<16 | uint32(rest[2])<<8 | uint32(rest[3])))
		payload = rest[4:]
		if n == -1 {
			payload = nil
		} else if n != len(payload) {
			l.abuse(c, "malformed SASLInitialResponse")
			return
		}
		v, ok := lg.secret.Verifier()
		if !ok {
			l.denied(c)
			return
		}
		x, err := auth.NewServerExchange(auth.ServerConfig{Mechanism: string(mech), Verifier: v, EndPoint: lg.endPoint})
		if err != nil {
			l.scramFailed(c, err)
			return
		}
		lg.scram = x
	}
	reply, done, err := lg.scram.Step(payload)
	if err != nil {
		l.scramFailed(c, err)
		return
	}
	if !done {
		l.send(&c.endpoint, wire.AppendAuth(nil, wire.AuthSASLContinue, reply))
		return
	}
	lg.owed = wire.AppendAuth(lg.owed, wire.AuthSASLFinal, reply)
	if keys, ok := lg.scram.Keys(); ok {
		lg.keys = &keys
	}
	l.authenticated(c)
}

func (l *loop) scramFailed(c *client, err error) {
	var p *auth.ProtocolError
	if errors.As(err, &p) {
		l.note(c, authFailed)
		l.farewell(c, wire.Report{Severity: "FATAL", Code: p.State, Message: p.Message, Detail: p.Detail})
		return
	}
	l.denied(c)
}
