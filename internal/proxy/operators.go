package proxy

import "spillway/internal/auth"

// warmOperators makes the pools of operators whose passwords are known, so
// that a connection is open before the day it is needed: one for each operator
// and upstream, to its first named database, or to that of its url.
func (p *Proxy) warmOperators(rul *ruling) {
	trusts := rul.Auth.Method == "trust" || rul.Auth.Method == "any"
	for user := range rul.operators {
		creds := &credentials{}
		if secret, err := auth.ParseSecret(rul.Auth.Secrets[user]); err == nil {
			creds.secret = secret
			if _, plain := secret.Plain(); !plain && !trusts {
				continue // its first login will bring what opens servers
			}
		} else if !trusts {
			continue
		}
		for name, u := range rul.Upstreams {
			if d, database := rul.operatorDatabase(name, u); d != nil {
				if pl := p.pools.pool(rul, d, database, user); pl != nil && pl.creds.Load() == nil {
					pl.creds.Store(creds)
				}
			}
		}
	}
}

// operatorDatabase is where an operator's connection to an upstream is kept.
func (r *ruling) operatorDatabase(upstream string, u *Upstream) (d *Database, name string) {
	for candidate, one := range r.Databases {
		if one.Upstream == upstream && one.ForcedUser == "" && (d == nil || candidate < name) {
			d, name = one, candidate
		}
	}
	if d == nil && r.AnyDatabase != nil && r.AnyDatabase.Upstream == upstream {
		return r.AnyDatabase, orString(u.Database, "postgres")
	}
	return d, name
}
