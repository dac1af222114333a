package proxy

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"spillway/internal/session"
	"spillway/internal/statement"
	"spillway/internal/wire"
)

// gatherFacts runs f on every loop, or fails with ctx.
func (p *Proxy) facts(ctx context.Context, f func(l *loop)) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.each(f)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		<-done // the loops' thread must not write what the caller already has
		return ctx.Err()
	}
}

var clientStates = map[bool]string{true: "waiting", false: "idle"}

func (c *client) stateName() string {
	switch {
	case c.phase == phaseCancel:
		return "active_cancel_req"
	case c.waitSince != 0:
		return clientStates[true]
	case c.srv != nil || c.phase == phaseConsole:
		return "active"
	case c.phase != phaseServe:
		return "waiting_login"
	}
	return clientStates[false]
}

// Clients implements Facts.
func (p *Proxy) Clients(ctx context.Context) ([]ConnStat, error) {
	var list []ConnStat
	err := p.facts(ctx, func(l *loop) {
		for c := range l.clients {
			if c.phase >= phaseServe && c.phase < phaseEnd || c.waitSince != 0 {
				list = append(list, l.clientStat(c))
			}
		}
	})
	slices.SortFunc(list, func(a, b ConnStat) int { return int(a.ID) - int(b.ID) })
	return list, err
}

func (l *loop) clientStat(c *client) ConnStat {
	p := l.proxy
	st := ConnStat{ID: c.id, Kind: 'C', User: c.user, Database: c.database, Replication: "none", State: c.stateName(),
		ConnectedAt: p.at(c.connectedAt), RequestedAt: p.at(max(c.requestAt, c.connectedAt)), TLS: c.tlsName(),
		Application: c.app, Prepared: c.sess.Prepared(), Pinned: c.sess.Pinned(), RecvPending: len(c.in), SendPending: c.pending(), Loop: l.id}
	if c.sess.Rules != nil {
		if name := c.sess.Settings.Get("application_name"); name != "" && c.srv == nil {
			st.Application = name
		} else if c.srv != nil && c.sess.Mode != session.Session {
			st.Application = orString(c.srv.sess.Settings.Get("application_name"), st.Application)
		}
	}
	st.Mode = modeOf(c)
	st.Addr, st.Port = addrText(c)
	if !c.local {
		at := localOf(int(c.fd))
		st.LocalAddr, st.LocalPort = at.Addr().String(), int(at.Port())
	} else {
		st.RemotePID = peerPID(int(c.fd))
	}
	if c.pool != nil {
		st.Upstream = c.pool.up.name
	}
	st.Workload, st.Leaking, st.Operator = c.workName(), c.leaking, c.operator
	if c.waitSince != 0 {
		st.Wait = time.Duration(l.now - c.waitSince)
	}
	if s := c.srv; s != nil {
		st.Link, st.InTransaction = s.id, s.sess.State()
		st.CheckedOutAt, st.TransactionAt, st.QueryAt = p.at(c.leaseAt), p.at(c.txnAt), p.at(c.queryAt)
	}
	return st
}

func modeOf(c *client) PoolMode {
	switch c.sess.Mode {
	case session.Session:
		return ModeSession
	case session.Statement1:
		return ModeStatement
	case session.Transaction:
	}
	return ModeTransaction
}

func addrText(c *client) (string, int) {
	if c.local {
		return "unix", 0
	}
	return c.addr.String(), int(c.port)
}

// Servers implements Facts.
func (p *Proxy) Servers(ctx context.Context) ([]ConnStat, error) {
	var list []ConnStat
	err := p.facts(ctx, func(l *loop) {
		for s := range l.servers {
			list = append(list, l.serverStat(s))
		}
	})
	slices.SortFunc(list, func(a, b ConnStat) int { return int(a.ID) - int(b.ID) })
	return list, err
}

func (l *loop) serverStat(s *server) ConnStat {
	p := l.proxy
	st := ConnStat{ID: s.id, Kind: 'S', User: s.pool.role, Database: s.pool.key.database, Upstream: s.pool.up.name, Replication: "none",
		State: serverStates[s.state], ConnectedAt: p.at(s.openedAt), RequestedAt: p.at(s.requestAt), CloseNeeded: s.leaveMark != 0,
		RemotePID: int(s.pid), TLS: s.tlsName, Application: s.sess.Settings.Get("application_name"), Prepared: s.sess.Prepared(),
		InTransaction: s.sess.State(), RecvPending: len(s.in), SendPending: s.pending(), Loop: l.id}
	host, port, ok := strings.Cut(s.addr, ":")
	if i := strings.LastIndexByte(s.addr, ':'); ok && i > 0 {
		host, port = strings.Trim(s.addr[:i], "[]"), s.addr[i+1:]
	}
	if strings.HasPrefix(s.addr, "/") {
		host, port = "unix", s.addr[strings.LastIndexByte(s.addr, '.')+1:]
	}
	st.Addr, st.Port = host, atoi(port)
	if at := localOf(int(s.fd)); at.IsValid() {
		st.LocalAddr, st.LocalPort = at.Addr().String(), int(at.Port())
	}
	for _, q := range s.params {
		if q.Name == "replication" {
			st.Replication = q.Value
		}
	}
	if c := s.client; c != nil {
		st.Link, st.Mode, st.Pinned = c.id, modeOf(c), c.sess.Pinned()
		st.CheckedOutAt, st.TransactionAt, st.QueryAt = p.at(c.leaseAt), p.at(c.txnAt), p.at(c.queryAt)
		st.RequestedAt = p.at(max(c.requestAt, s.requestAt))
		st.SQL = s.lastSQL()
	}
	return st
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<20 {
			return n
		}
		n = n*10 + int(c-'0')
	}
	return n
}

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

// Gauges implements Facts.
func (p *Proxy) Gauges(ctx context.Context) (Gauges, error) {
	pol := p.policy.Load()
	g := Gauges{State: [...]string{"active", "paused", "suspended", "draining", "closed"}[p.state.Load()], Driver: p.driver, Loops: len(p.loops),
		Databases: len(pol.Databases), Users: len(pol.Auth.Secrets), ClientLogins: p.logins.Load(), StartedAt: p.start,
		LoginClients: int(p.gate.logging.Load()), UsedClients: int(p.gate.clients.Load()), Refused: map[string]uint64{}}
	g.FreeClients = max(0, pol.Limits.MaxClients-g.UsedClients)
	for _, ln := range p.listeners {
		g.Listeners = append(g.Listeners, ln.addr)
	}
	for r := range p.gate.refused {
		if n := p.gate.refused[r].Load(); n > 0 {
			g.Refused[reason(r).label()] = n
		}
	}
	for _, up := range p.pools.hosts() {
		h := up.host.Snapshot(p.now())
		g.Pools += len(h.Pools)
		g.UsedServers += h.Total
		g.FreeServers += max(0, h.Usable-h.Total)
		g.DNSNames += len(up.hosts.names())
	}
	return g, ctx.Err()
}

// DNS implements Facts.
func (p *Proxy) DNS(context.Context) ([]DNSStat, error) {
	var list []DNSStat
	for _, up := range p.pools.hosts() {
		list = append(list, up.hosts.names()...)
	}
	slices.SortFunc(list, func(a, b DNSStat) int { return strings.Compare(a.Host, b.Host) })
	return list, nil
}

// statsPeriods keeps the readings between which averages are taken.
type statsPeriods struct {
	mu      sync.Mutex // guards what follows
	at      time.Time
	last    map[string]Counters
	average map[string]Counters
}

// step ends a period when its time has come.
func (s *statsPeriods) step(p *Proxy) {
	every := p.policy.Load().StatsPeriod
	if every <= 0 {
		every = time.Minute
	}
	s.mu.Lock()
	due := time.Since(s.at) >= every
	s.mu.Unlock()
	if !due {
		return
	}
	totals, err := p.totals(p.background)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	span := time.Since(s.at).Seconds()
	first := s.at.IsZero()
	s.average = map[string]Counters{}
	for db, now := range totals {
		if !first {
			s.average[db] = averageOf(s.last[db], now, span)
		}
	}
	s.last, s.at = totals, time.Now()
}

func averageOf(was, now Counters, seconds float64) Counters {
	per := func(a, b uint64) uint64 { return uint64(float64(b-a) / seconds) }
	each := func(a, b, na, nb uint64) uint64 {
		if nb <= na {
			return 0
		}
		return (b - a) / (nb - na)
	}
	return Counters{
		Assignments: per(was.Assignments, now.Assignments), Transactions: per(was.Transactions, now.Transactions),
		Queries: per(was.Queries, now.Queries), ReceivedBytes: per(was.ReceivedBytes, now.ReceivedBytes), SentBytes: per(was.SentBytes, now.SentBytes),
		TransactionMicros: each(was.TransactionMicros, now.TransactionMicros, was.Transactions, now.Transactions),
		QueryMicros:       each(was.QueryMicros, now.QueryMicros, was.Queries, now.Queries),
		WaitMicros:        per(was.WaitMicros, now.WaitMicros),
		ClientParses:      per(was.ClientParses, now.ClientParses), ServerParses: per(was.ServerParses, now.ServerParses), Binds: per(was.Binds, now.Binds),
	}
}

func (p *Proxy) totals(ctx context.Context) (map[string]Counters, error) {
	pools, err := p.Pools(ctx)
	if err != nil {
		return nil, err
	}
	sum := map[string]Counters{}
	for i := range pools {
		c := sum[pools[i].Database]
		c.add(&pools[i].Counters)
		sum[pools[i].Database] = c
	}
	return sum, nil
}

// Stats implements Facts.
func (p *Proxy) Stats(ctx context.Context) ([]Period, error) {
	totals, err := p.totals(ctx)
	if err != nil {
		return nil, err
	}
	p.period.mu.Lock()
	defer p.period.mu.Unlock()
	list := make([]Period, 0, len(totals))
	for db, c := range totals {
		list = append(list, Period{Database: db, Total: c, Average: p.period.average[db]})
	}
	slices.SortFunc(list, func(a, b Period) int { return strings.Compare(a.Database, b.Database) })
	return list, nil
}

// lastSQL is the last statement for the log, without its literals.
func (s *server) lastSQL() string { return string(statement.Redact(nil, s.lastText(), true, maxShown)) }

// sqlOf keeps the start of a client's last statement for SHOW HOLDERS.
func (s *server) sqlOf(m *session.Msg) {
	if m.Kind != wire.Query && m.Kind != wire.Parse {
		return
	}
	text := m.Raw[wire.HeaderSize:]
	if m.Kind == wire.Parse {
		_, text, _ = wire.CString(text)
	}
	s.sql = append(s.sql[:0], text[:min(len(text), statement.MaxPrint)]...)
}
