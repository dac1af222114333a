package proxy

import (
	"context"
	"slices"
	"strings"
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
