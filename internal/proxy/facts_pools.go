package proxy

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Pools implements Facts.
func (p *Proxy) Pools(ctx context.Context) ([]PoolStat, error) {
	stats := map[*pool]*PoolStat{}
	pools := p.pools.all()
	for _, pl := range pools {
		d := pl.database.Load()
		st := &PoolStat{Database: pl.key.database, User: pl.key.user, Upstream: pl.up.name,
			Mode: p.policy.Load().mode(d, pl.key.user), Paused: pl.paused.Load()}
		if u := pl.up.conf.Load(); len(u.Hosts) > 1 {
			st.LoadBalance = "disable"
			if u.LoadBalance {
				st.LoadBalance = "round-robin"
			}
		}
		if f := pl.failure.Load(); f != nil {
			st.LastLoginError, st.LastLoginErrorAt = f.report.Message, f.at
		}
		for _, hp := range pl.up.host.Snapshot(p.now()).Pools {
			if hp.Name == pl.key.database+"/"+pl.key.user {
				st.ServersLogin = hp.Opening
			}
		}
		stats[pl] = st
	}
	err := p.facts(ctx, func(l *loop) { l.countPools(stats) })
	list := make([]PoolStat, 0, len(stats))
	for _, st := range stats {
		list = append(list, *st)
	}
	slices.SortFunc(list, func(a, b PoolStat) int {
		return strings.Compare(a.Database+"\x00"+a.User, b.Database+"\x00"+b.User)
	})
	return list, err
}

func (l *loop) countPools(stats map[*pool]*PoolStat) {
	for c := range l.clients {
		st := stats[c.pool]
		if st == nil {
			continue
		}
		switch {
		case c.waitSince != 0:
			st.ClientsWaiting++
			st.OldestWait = max(st.OldestWait, time.Duration(l.now-c.waitSince))
		case c.srv != nil:
			st.ClientsActive++
		default:
			st.ClientsIdle++
		}
	}
	for s := range l.servers {
		st := stats[s.pool]
		if st == nil {
			continue
		}
		switch s.state {
		case serverActive:
			st.ServersActive++
		case serverTested:
			st.ServersTested++
		case serverCanceled:
			st.ServersBeingCanceled++
		default:
			st.ServersIdle++
		}
		if s.cancels > 0 {
			st.ServersActiveCancel++
		}
	}
	for pl, st := range stats {
		own := &pl.byLoop[l.id]
		st.Counters.add(&own.Counters)
		st.Wait.Add(&own.wait)
		st.Transaction.Add(&own.transaction)
		st.Query.Add(&own.query)
		for r, n := range own.refused {
			if n > 0 {
				if st.Counters.ErrorsBy == nil {
					st.Counters.ErrorsBy = map[string]uint64{}
				}
				st.Counters.ErrorsBy[reason(r).label()] += n
			}
		}
	}
}

func (c *Counters) add(o *Counters) {
	c.Assignments += o.Assignments
	c.Transactions += o.Transactions
	c.Queries += o.Queries
	c.ReceivedBytes += o.ReceivedBytes
	c.SentBytes += o.SentBytes
	c.TransactionMicros += o.TransactionMicros
	c.QueryMicros += o.QueryMicros
	c.WaitMicros += o.WaitMicros
	c.ClientParses += o.ClientParses
	c.ServerParses += o.ServerParses
	c.Binds += o.Binds
	c.Errors += o.Errors
}

// Databases implements Facts.
func (p *Proxy) Databases(context.Context) ([]DatabaseStat, error) {
	pol := p.policy.Load()
	clients := p.gate.counts(p.gate.byDB)
	paused := map[string]bool{}
	servers := map[string]int{}
	for _, up := range p.pools.hosts() {
		for _, hp := range up.host.Snapshot(p.now()).Pools {
			db, _, _ := strings.Cut(hp.Name, "/")
			servers[db] += hp.Active + hp.Idle
		}
	}
	for _, pl := range p.pools.all() {
		paused[pl.key.database] = paused[pl.key.database] || pl.paused.Load()
	}
	var list []DatabaseStat
	add := func(name string, d *Database) {
		size, least, reserve := pol.poolSize(d, "")
		st := DatabaseStat{Name: name, DBName: orString(d.DBName, name), ForceUser: d.ForcedUser, PoolSize: size, MinPoolSize: least,
			ReservePool: reserve, ServerLifetime: pol.Timeouts.ServerLifetime, Mode: d.Mode, MaxServers: orInt(d.MaxServers, pol.Limits.MaxServersPerDB),
			Servers: servers[name], MaxClients: orInt(d.MaxClients, pol.Limits.MaxClientsPerDB), Clients: clients[name],
			Paused: paused[name], Disabled: d.Disabled}
		if d.ServerLifetime >= 0 {
			st.ServerLifetime = d.ServerLifetime
		}
		if u := pol.Upstreams[d.Upstream]; u != nil && len(u.Hosts) > 0 {
			st.Host, st.Port = u.Hosts[0].Host, int(u.Hosts[0].Port)
			if len(u.Hosts) > 1 {
				st.LoadBalance = "disable"
				if u.LoadBalance {
					st.LoadBalance = "round-robin"
				}
			}
		}
		list = append(list, st)
	}
	for name, d := range pol.Databases {
		add(name, d)
	}
	for name := range servers {
		if pol.Databases[name] == nil && pol.AnyDatabase != nil {
			add(name, pol.AnyDatabase)
		}
	}
	slices.SortFunc(list, func(a, b DatabaseStat) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// UserStats implements Facts.
func (p *Proxy) UserStats(context.Context) ([]UserStat, error) {
	pol := p.policy.Load()
	clients := p.gate.counts(p.gate.byUser)
	servers := map[string]int{}
	names := map[string]bool{}
	for _, up := range p.pools.hosts() {
		for _, hp := range up.host.Snapshot(p.now()).Pools {
			_, user, _ := strings.Cut(hp.Name, "/")
			servers[user] += hp.Active + hp.Idle
			names[user] = true
		}
	}
	for n := range pol.Users {
		names[n] = true
	}
	for n := range pol.Auth.Secrets {
		names[n] = true
	}
	var list []UserStat
	for n := range names {
		st := UserStat{Name: n, PoolSize: -1, ReservePool: -1, MaxServers: pol.Limits.MaxServersPerUser, Servers: servers[n],
			MaxClients: pol.Limits.MaxClientsPerUser, Clients: clients[n]}
		if u := pol.Users[n]; u != nil {
			st.PoolSize, st.ReservePool, st.Mode = u.PoolSize, u.ReservePool, u.Mode
			st.MaxServers, st.MaxClients = orInt(u.MaxServers, st.MaxServers), orInt(u.MaxClients, st.MaxClients)
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b UserStat) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Upstreams implements Facts.
func (p *Proxy) Upstreams(context.Context) ([]UpstreamStat, error) {
	var list []UpstreamStat
	for _, up := range p.pools.hosts() {
		h := up.host.Snapshot(p.now())
		st := UpstreamStat{Name: up.name, Usable: h.Usable, Used: h.Total, Active: h.Active, Waiting: h.Waiting, Breaker: "closed", NextProbe: h.Breaker.NextProbe}
		st.OperatorSlots, st.OperatorServers, st.Sockets = h.Operator, h.OperatorUp, int(up.sockets.Load())
		if c := up.asked.Load(); c != nil {
			st.AskedAt, st.MaxConnections, st.Reserved, st.Foreign, st.Missing = c.at, c.maxConnections, c.reserved, c.foreign, c.missing
			st.Lingering, st.Stray = c.lingering, c.stray
		}
		st.Logins, st.Paced, st.Trips = h.Opened, h.Paced, h.Breaker.Trips
		st.Calm, st.LoginsFree = h.Calm, h.Logins
		st.Mended, st.Fused = up.mended.Load(), up.fused.Load()
		if h.Breaker.Open {
			st.Breaker, st.BreakerReason = "open", h.Breaker.Class.String()
		}
		for _, hp := range h.Pools {
			st.OldestWait = max(st.OldestWait, hp.Oldest)
		}
		if hosts := up.hosts.order(false); len(hosts) > 0 {
			st.Address = hosts[0].Host
		}
		for _, pl := range p.pools.all() {
			if w := pl.welcome.Load(); w != nil && pl.up == up {
				st.ServerVersion, _ = param(w.params, "server_version")
			}
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b UpstreamStat) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
