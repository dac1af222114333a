package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"spillway/internal/auth"
	"spillway/internal/wire"
)

func (l *loop) isConsole(c *client) bool {
	return l.proxy.cfg.Console != nil && (c.database == "pgbouncer" || c.database == "spillway")
}

// methodOf chooses how the client proves itself.
func (l *loop) methodOf(pol *ruling, c *client) (auth.Method, auth.Rule) {
	if pol.Auth.Method == "hba" {
		if pol.Auth.HBA == nil {
			return auth.MethodReject, auth.Rule{}
		}
		rule, ok := pol.Auth.HBA.Match(auth.Conn{TLS: c.tls != nil, Local: c.local, Addr: c.addr, User: c.user,
			Database: c.database, Replication: isPhysical(c.login.startup.Get("replication"))})
		if !ok {
			return auth.MethodReject, rule
		}
		return rule.Method, rule
	}
	if pol.Auth.Method == "any" {
		return auth.MethodTrust, auth.Rule{}
	}
	m, err := auth.ParseMethod(pol.Auth.Method)
	if err != nil {
		return auth.MethodReject, auth.Rule{}
	}
	return m, auth.Rule{Method: m, Map: pol.Auth.CertMap}
}

func isPhysical(v string) bool {
	switch strings.ToLower(v) {
	case "true", "on", "yes", "1":
		return true
	}
	return false
}

// findSecret looks the user up: in the users' file, or by auth_query off the loop.
func (l *loop) findSecret(c *client, pol *ruling) {
	lg := c.login
	if raw, ok := pol.Auth.Secrets[c.user]; ok {
		secret, err := auth.ParseSecret(raw)
		if err != nil {
			l.log.Error("stored secret is damaged", "user", c.user, "error", err)
		}
		lg.secret = secret
		l.offerAuth(c, pol)
		return
	}
	needs := lg.method == auth.MethodPassword || lg.method == auth.MethodMD5 || lg.method == auth.MethodSCRAM
	d := pol.database(c.database)
	if !needs || l.isConsole(c) || d == nil || orString(d.AuthUser, pol.Auth.QueryUser) == "" {
		l.offerAuth(c, pol)
		return
	}
	l.stop(&c.endpoint, stopWaiting)
	l.work(func(ctx context.Context) func() {
		secret, err := l.proxy.lookup(ctx, pol, d, c.database, c.user)
		return func() {
			if c.closed {
				return
			}
			if err != nil && !errors.Is(err, auth.ErrUnknownUser) && !errors.Is(err, auth.ErrNoSecret) {
				l.log.Error("auth_query failed", "user", c.user, "database", c.database, "error", err)
			}
			c.login.secret = secret
			l.offerAuth(c, pol)
			l.unstop(&c.endpoint, stopWaiting)
		}
	})
}

// work runs slow work on a goroutine and what it returns on the loop.
func (l *loop) work(f func(ctx context.Context) func()) {
	l.proxy.workers.Add(1)
	go func() {
		defer l.proxy.workers.Done()
		l.post(f(l.proxy.background))
	}()
}

// offerAuth asks the client for its proof.
func (l *loop) offerAuth(c *client, pol *ruling) {
	lg := c.login
	absent := auth.KindSCRAM
	if lg.method == auth.MethodMD5 {
		absent = auth.KindMD5
	}
	lg.offer = auth.Decide(auth.Situation{Method: lg.method, Secret: lg.secret.Kind(), Absent: absent, TLS: c.tls != nil, Local: c.local})
	if lg.offer.Mock {
		lg.secret = l.proxy.mock.Secret(c.user, lg.offer.Kind)
	}
	switch lg.offer.Exchange {
	case auth.ExchangeNone:
		l.authenticated(c)
	case auth.ExchangePassword:
		l.send(&c.endpoint, wire.AppendAuth(nil, wire.AuthCleartext, nil))
	case auth.ExchangeMD5:
		_, _ = rand.Read(lg.salt[:])
		l.send(&c.endpoint, wire.AppendAuth(nil, wire.AuthMD5, lg.salt[:]))
	case auth.ExchangeSCRAM:
		l.send(&c.endpoint, wire.AppendAuthSASL(nil, auth.Mechanisms(lg.endPoint)...))
	case auth.ExchangeCert:
		l.mapped(c, pol, lg.cert)
	case auth.ExchangePeer:
		l.mapped(c, pol, peerUser(int(c.fd)))
	default:
		l.endClientDetail(c, hbaRefused, "", "")
	}
}

// mapped admits a certificate's or socket's name where the map says so.
func (l *loop) mapped(c *client, pol *ruling, name string) {
	if name == "" || !pol.Auth.Ident.Map(c.login.rule.Map, name, c.user) {
		l.denied(c)
		return
	}
	l.authenticated(c)
}

func (l *loop) denied(c *client) {
	l.note(c, authFailed)
	l.farewell(c, wire.Report{Severity: "FATAL", Code: "28P01", Message: `password authentication failed for user "` + c.user + `"`})
}
