package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"spillway/internal/auth"
	"spillway/internal/wire"
)

// secretCache keeps the SCRAM verifiers of plain secrets and the answers of
// auth_query.
type secretCache struct {
	mu      sync.Mutex // guards the maps
	derived map[[2]string]auth.Secret
	asked   map[[2]string]askedSecret
	asking  map[string]*sync.Mutex // one connection of auth_query per database
	links   map[string]*link
}

type askedSecret struct {
	secret auth.Secret
	err    error
	at     time.Time
}

// maxSecrets bounds both maps.
const maxSecrets = 10000

func (k *secretCache) get(user, password string) (auth.Secret, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.derived[[2]string{user, password}]
	return s, ok
}

// derive computes a verifier. Slow: PBKDF2.
func (k *secretCache) derive(user, password string) (auth.Secret, error) {
	salt, err := auth.NewSalt(rand.Reader)
	if err != nil {
		return auth.Secret{}, err
	}
	s, err := auth.SecretFromPassword(password, salt, auth.DefaultIterations)
	if err != nil {
		return auth.Secret{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.derived == nil || len(k.derived) >= maxSecrets {
		k.derived = map[[2]string]auth.Secret{}
	}
	if old, ok := k.derived[[2]string{user, password}]; ok {
		return old, nil // another client's login was quicker
	}
	k.derived[[2]string{user, password}] = s
	return s, nil
}

// lookup asks the database for a user's secret, as auth_user.
func (p *Proxy) lookup(ctx context.Context, pol *ruling, d *Database, database, user string) (auth.Secret, error) {
	k := &p.secret
	where := orString(orString(d.AuthDatabase, pol.Auth.QueryDatabase), orString(d.DBName, database))
	key := [2]string{d.Upstream + "/" + where, user}
	if ttl := pol.Auth.QueryTTL; ttl > 0 {
		k.mu.Lock()
		a, ok := k.asked[key]
		k.mu.Unlock()
		if ok && time.Since(a.at) < ttl {
			return a.secret, a.err
		}
	}
	s, err := p.ask(ctx, pol, d, where, user)
	if err == nil || errors.Is(err, auth.ErrUnknownUser) || errors.Is(err, auth.ErrNoSecret) {
		k.mu.Lock()
		if k.asked == nil || len(k.asked) >= maxSecrets {
			k.asked = map[[2]string]askedSecret{}
		}
		k.asked[key] = askedSecret{s, err, time.Now()}
		k.mu.Unlock()
	}
	return s, err
}

// ask runs auth_query on a connection of its own, whose search_path is pinned
// and which no client's settings reach (CVE-2025-12819).
func (p *Proxy) ask(ctx context.Context, pol *ruling, d *Database, where, user string) (auth.Secret, error) {
	name := orString(d.AuthUser, pol.Auth.QueryUser)
	id := d.Upstream + "/" + where + "/" + name
	k := &p.secret
	k.mu.Lock()
	if k.asking == nil {
		k.asking, k.links = map[string]*sync.Mutex{}, map[string]*link{}
	}
	turn := k.asking[id]
	if turn == nil {
		turn = new(sync.Mutex)
		k.asking[id] = turn
	}
	k.mu.Unlock()
	turn.Lock()
	defer turn.Unlock()
	ctx, stop := withTimeout(ctx, pol.Timeouts.ServerConnect, 15*time.Second)
	defer stop()
	sql := orString(orString(d.AuthQuery, pol.Auth.Query), auth.LookupQuery)
	k.mu.Lock()
	ln := k.links[id]
	delete(k.links, id)
	k.mu.Unlock()
	for try := range 2 {
		fresh := ln == nil
		if fresh {
			var err error
			if ln, err = p.askLink(ctx, pol, d, where, name); err != nil {
				return auth.Secret{}, fmt.Errorf("connect for auth_query: %w", err)
			}
		}
		end := context.AfterFunc(ctx, func() { _ = ln.nc.SetDeadline(time.Unix(1, 0)) })
		rows, err := ln.prepared(sql, user)
		ended := end()
		var se *serverError
		if err != nil && !errors.As(err, &se) || !ended {
			_ = ln.nc.Close()
			ln = nil
			if fresh || try == 1 || !ended {
				return auth.Secret{}, fmt.Errorf("run auth_query: %w", err)
			}
			continue
		}
		k.mu.Lock()
		k.links[id] = ln
		k.mu.Unlock()
		if err != nil {
			return auth.Secret{}, fmt.Errorf("run auth_query: %w", err)
		}
		return auth.ParseLookup(user, rows)
	}
	return auth.Secret{}, errors.New("run auth_query: connection lost")
}

func (p *Proxy) askLink(ctx context.Context, pol *ruling, d *Database, where, name string) (*link, error) {
	u := pol.Upstreams[d.Upstream]
	if u == nil {
		return nil, fmt.Errorf("no server %q", d.Upstream)
	}
	var creds *credentials
	if raw, ok := pol.Auth.Secrets[name]; ok {
		if s, err := auth.ParseSecret(raw); err == nil {
			creds = &credentials{secret: s}
		}
	} else if u.User == name && u.Password != "" {
		creds = &credentials{secret: auth.PlainSecret(u.Password)}
	}
	choice := hostChoice{hosts: u.Hosts}
	return choice.dial(ctx, dialing{conf: u, database: where, role: name, creds: creds,
		params: []wire.Param{{Name: "search_path", Value: auth.LookupSearchPath}, {Name: "application_name", Value: "spillway auth_query"}}})
}

// closeLinks ends the connections of auth_query.
func (k *secretCache) closeLinks() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, ln := range k.links {
		ln.close()
		delete(k.links, id)
	}
}

// learn keeps what the pool's servers can log in with: the forced user's
// password, the users' file, or what the client's own login proved.
func (p *pool) learn(lg *login, d *Database, pol *ruling) {
	if d.ForcedUser != "" {
		secret := auth.PlainSecret(d.ForcedPassword)
		if d.ForcedPassword == "" {
			secret, _ = auth.ParseSecret(pol.Auth.Secrets[d.ForcedUser])
		}
		p.creds.Store(&credentials{secret: secret})
		return
	}
	next := &credentials{secret: lg.secret, keys: lg.keys}
	if lg.offer.Mock {
		next.secret = auth.Secret{}
	}
	if lg.password != "" {
		next.secret = auth.PlainSecret(lg.password)
	} else if raw, ok := pol.Auth.Secrets[p.role]; ok {
		if s, err := auth.ParseSecret(raw); err == nil && s.Kind() != auth.KindSCRAM {
			next.secret = s // what the file holds logs in anywhere; a derived verifier does not
			next.keys = nil
		}
	}
	if old := p.creds.Load(); old != nil && next.keys == nil && old.secret.Equal(next.secret) {
		return // keeps keys a server's login has proved
	}
	p.creds.Store(next)
}

// endPointOf is the hash of our own certificate, for channel binding.
func endPointOf(conf *tls.Config) []byte {
	cert := certificateOf(conf)
	if cert == nil || len(cert.Certificate) == 0 {
		return nil
	}
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil
		}
	}
	sum, err := auth.EndPoint(leaf)
	if err != nil {
		return nil
	}
	return sum
}

func certificateOf(conf *tls.Config) *tls.Certificate {
	if conf.GetConfigForClient != nil {
		if c, err := conf.GetConfigForClient(&tls.ClientHelloInfo{}); err == nil && c != nil {
			conf = c
		}
	}
	if conf.GetCertificate != nil {
		if c, err := conf.GetCertificate(&tls.ClientHelloInfo{}); err == nil && c != nil {
			return c
		}
	}
	if len(conf.Certificates) > 0 {
		return &conf.Certificates[0]
	}
	return nil
}
