package config

import (
	"cmp"
	"maps"
	"slices"

	"spillway/internal/proxy"
)

// Proxy is what the hot path is made of; Console and Log are the caller's to
// add. Every call makes new values.
func (c *Config) Proxy() proxy.Config {
	return proxy.Config{
		Listen:    c.listens(),
		ReusePort: c.ReusePort,
		Backlog:   c.Backlog,
		Driver:    c.Driver,
		Loops:     c.Loops,
		Policy:    c.Policy(),
	}
}

func (c *Config) listens() []proxy.Listen {
	port := defaultListenPort
	out := make([]proxy.Listen, 0, len(c.Listen))
	mode, _ := socketMode(c.UnixSocketMode)
	for _, text := range c.Listen {
		if l, bad := readListen(text, port, 0); bad == nil && l.Network == "tcp" {
			port = portOf(l.Address)
			break
		}
	}
	for _, text := range c.Listen {
		if l, bad := readListen(text, port, mode); bad == nil {
			out = append(out, l)
		}
	}
	return out
}

// Policy is everything the loops ask about.
func (c *Config) Policy() *proxy.Policy {
	p := &proxy.Policy{
		Upstreams:           map[string]*proxy.Upstream{},
		Databases:           map[string]*proxy.Database{},
		Users:               map[string]*proxy.User{},
		Auth:                c.authentication(),
		ClientTLS:           proxy.ClientTLS{Mode: tlsMode(c.TLS.Mode), Config: c.loaded.tls.clients},
		Limits:              c.limits(),
		Timeouts:            c.timeouts(),
		Defaults:            c.poolDefaults(),
		Session:             c.sessionRules(),
		ApplicationNameHost: c.ApplicationNameAddHost,
		TCPKeepAlive:        c.TCPKeepalive,
		StatsPeriod:         c.StatsPeriod,
		LogConnections:      c.Log.Connections,
		LogDisconnections:   c.Log.Disconnections,
		LogPoolerErrors:     c.Log.PoolerErrors,
	}
	if c.ErrorStyle == "pgbouncer" {
		p.ErrorStyle = proxy.ErrorsPgBouncer
	}
	for name, s := range c.Servers {
		p.Upstreams[name] = c.upstream(name, s)
	}
	for name, d := range c.Databases {
		if name == "*" {
			p.AnyDatabase = c.database(name, d)
			continue
		}
		p.Databases[name] = c.database(name, d)
	}
	for name, u := range c.Users {
		p.Users[name] = c.user(name, u)
	}
	p.Workloads = c.workloads()
	return p
}

func (c *Config) upstream(name string, s *Server) *proxy.Upstream {
	return &proxy.Upstream{
		Name:           name,
		Hosts:          slices.Clone(s.target.hosts),
		TargetSession:  s.TargetSessionAttrs,
		LoadBalance:    s.LoadBalanceHosts == "round-robin",
		MaxConnections: s.MaxConnections,
		OperatorSlots:  s.OperatorSlots,
		User:           s.target.user,
		Password:       s.target.password,
		Database:       s.target.database,
		TLSMode:        tlsMode(s.SSLMode),
		TLS:            c.loaded.tls.servers[name],
		DirectTLS:      s.SSLNegotiation == "direct",
		ChannelBinding: s.ChannelBinding,
		DNSMaxTTL:      s.DNSMaxTTL,
		ConnectPace:    s.ConnectPace,
		ConnectRate:    s.ConnectRate,
		ConnectBurst:   s.ConnectBurst,
	}
}

func poolMode(word string) proxy.PoolMode {
	// ModeDefault is 0, and an empty word is not found: -1 + 1.
	return proxy.PoolMode(slices.Index(poolModes(), word) + 1)
}

func (c *Config) database(name string, d *Database) *proxy.Database {
	return &proxy.Database{
		Name:           name,
		Upstream:       d.Server,
		DBName:         d.DBName,
		ForcedUser:     d.User,
		ForcedPassword: d.Password,
		Mode:           poolMode(d.PoolMode),
		PoolSize:       d.PoolSize,
		MinPoolSize:    d.MinPoolSize,
		ReservePool:    d.ReservePool,
		MaxServers:     c.maxServers(d),
		MaxClients:     or(d.MaxClients, c.Limits.MaxClientsPerDatabase),
		ServerLifetime: d.ServerLifetime,
		ConnectQuery:   d.ConnectQuery,
		AuthUser:       d.AuthUser,
		AuthQuery:      d.AuthQuery,
		AuthDatabase:   d.AuthDatabase,
		QueryTimeout:   d.QueryTimeout,
		QueueTimeout:   d.QueueTimeout,
		Disabled:       d.Disabled,
	}
}

func (c *Config) user(name string, u *User) *proxy.User {
	return &proxy.User{
		Name:               name,
		Mode:               poolMode(u.PoolMode),
		PoolSize:           u.PoolSize,
		ReservePool:        u.ReservePool,
		MaxServers:         or(u.MaxServers, c.Limits.MaxServersPerUser),
		MaxClients:         or(u.MaxClients, c.Limits.MaxClientsPerUser),
		QueryTimeout:       u.QueryTimeout,
		TransactionTimeout: u.TransactionTimeout,
		IdleInTransaction:  u.IdleInTransaction,
		ClientIdle:         u.ClientIdle,
		QueueTimeout:       u.QueueTimeout,
	}
}

func (c *Config) authentication() proxy.Authentication {
	a := &c.Auth
	return proxy.Authentication{
		Method:        cmp.Or(a.Type, "scram-sha-256"),
		Secrets:       maps.Clone(c.loaded.secrets),
		HBA:           c.loaded.hba,
		Ident:         c.loaded.ident,
		CertMap:       a.CertMap,
		QueryUser:     a.User,
		Query:         a.Query,
		QueryDatabase: a.Database,
		QueryTTL:      a.QueryTTL,
		Admins:        slices.Clone(a.Admins),
		Stats:         slices.Clone(a.Stats),
		Operators:     slices.Clone(c.Operators),
	}
}

func (c *Config) limits() proxy.Limits {
	l := &c.Limits
	return proxy.Limits{
		MaxClients:        l.MaxClients,
		MaxClientsPerUser: l.MaxClientsPerUser,
		MaxClientsPerDB:   l.MaxClientsPerDatabase,
		MaxClientsPerAddr: l.MaxClientsPerAddress,
		LoginsPerAddr:     l.LoginsPerAddress,
		MaxServersPerUser: l.MaxServersPerUser,
		MaxServersPerDB:   l.MaxServersPerDatabase,
		ClientMemory:      int(l.ClientMemory),
		MaxMessage:        int(l.MaxMessage),
		MaxStartup:        int(l.MaxStartup),
		MaxPreparedText:   int(l.MaxPreparedText),
	}
}

func (c *Config) timeouts() proxy.Timeouts {
	t := &c.Timeouts
	return proxy.Timeouts{
		ClientLogin:       t.ClientLogin,
		ClientIdle:        t.ClientIdle,
		Queue:             t.Queue,
		QueueNotice:       t.QueueNotice,
		Query:             t.Query,
		Transaction:       t.Transaction,
		IdleInTransaction: t.IdleInTransaction,
		ServerConnect:     t.ServerConnect,
		ServerLoginRetry:  t.ServerLoginRetry,
		ServerIdle:        t.ServerIdle,
		ServerLifetime:    t.ServerLifetime,
		ServerCheckDelay:  t.ServerCheckDelay,
		CancelWait:        t.CancelWait,
		Shutdown:          t.Shutdown,
		AutoDBIdle:        t.AutoDatabaseIdle,
	}
}

func (c *Config) poolDefaults() proxy.PoolDefaults {
	p := &c.Pool
	return proxy.PoolDefaults{
		Mode:         poolMode(p.Mode),
		PoolSize:     p.Size,
		MinPoolSize:  p.Min,
		ReservePool:  p.Reserve,
		ReserveAfter: p.ReserveAfter,
		RoundRobin:   p.RoundRobin,
		CheckQuery:   p.CheckQuery,
		ResetQuery:   p.ResetQuery,
		ResetAlways:  p.ResetAlways,
		FastClose:    p.FastClose,
	}
}

func (c *Config) sessionRules() proxy.SessionRules {
	s := &c.Session
	r := proxy.SessionRules{
		TrackParameters: slices.Clone(s.TrackParameters),
		MaxPrepared:     s.MaxPreparedStatements,
		IgnoreStartup:   slices.Clone(s.IgnoreStartupParameters),
		TrustFunctions:  s.TrustFunctions,
	}
	if s.OnState == "refuse" {
		r.OnState = proxy.StateRefuse
	}
	return r
}
