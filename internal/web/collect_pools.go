package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/proxy"
)

// poolMetrics are those of pools, by database and user.
type poolMetrics struct {
	servers, serverLimit, clients, waiting, oldestWait, paused, loginFailing          metric
	transactions, queries, assignments, received, sent, errors                        metric
	clientParses, serverParses, binds                                                 metric
	checkout, transaction, query                                                      *prometheus.Desc
	databaseServers, databaseServerLimit, databaseClients, databaseClientLimit        metric
	databasePaused, databaseDisabled                                                  metric
	upstreamForeign, upstreamDrift, upstreamMended, upstreamFused                     metric
	upstreamUp, upstreamSlots, upstreamUsed, upstreamWaiting, upstreamOldest, breaker metric
}

func newPoolMetrics() poolMetrics {
	pool := []string{"database", "user"}
	state := []string{"database", "user", "state"}
	timing := func(name, text string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+name, text, pool, nil)
	}
	return poolMetrics{
		servers:      gauge("pool_server_connections", "Server connections of the pool by state.", state...),
		serverLimit:  gauge("pool_server_connections_limit", "Most server connections the pool may open.", pool...),
		clients:      gauge("pool_client_connections", "Client connections of the pool by state.", state...),
		waiting:      gauge("pool_clients_waiting", "Clients waiting for a server now.", pool...),
		oldestWait:   gauge("pool_oldest_wait_seconds", "How long the client at the head of the queue has waited.", pool...),
		paused:       gauge("pool_paused", "1 while the pool is paused.", pool...),
		loginFailing: gauge("pool_server_login_failing", "1 while the last login to the server failed.", pool...),

		transactions: counter("pool_transactions_total", "Transactions pooled.", pool...),
		queries:      counter("pool_queries_total", "Queries pooled.", pool...),
		assignments:  counter("pool_server_assignments_total", "Times a server was given to a client.", pool...),
		received:     counter("pool_received_bytes_total", "Bytes received from clients.", pool...),
		sent:         counter("pool_sent_bytes_total", "Bytes sent to clients.", pool...),
		clientParses: counter("pool_client_parses_total", "Prepared statements that clients sent.", pool...),
		serverParses: counter("pool_server_parses_total", "Prepared statements that servers had to parse.", pool...),
		binds:        counter("pool_binds_total", "Executions of prepared statements.", pool...),
		errors:       counter("pool_errors_total", "Errors the pooler gave to clients, by reason.", "database", "user", "reason"),

		checkout:    timing("checkout_duration_seconds", "How long clients waited for a server."),
		transaction: timing("transaction_duration_seconds", "How long transactions held a server."),
		query:       timing("query_duration_seconds", "How long servers took to answer."),

		databaseServers:     gauge("database_server_connections", "Server connections of all pools of the database.", "database"),
		databaseServerLimit: gauge("database_server_connections_limit", "Most server connections of the database, 0 when there is no limit.", "database"),
		databaseClients:     gauge("database_client_connections", "Client connections of the database.", "database"),
		databaseClientLimit: gauge("database_client_connections_limit", "Most client connections of the database, 0 when there is no limit.", "database"),
		databasePaused:      gauge("database_paused", "1 while the database is paused.", "database"),
		databaseDisabled:    gauge("database_disabled", "1 while the database is disabled.", "database"),

		upstreamUp:      gauge("upstream_up", "1 while the breaker towards the PostgreSQL server is closed.", "upstream"),
		upstreamForeign: gauge("upstream_foreign_connections", "Connections to the PostgreSQL server that are not Spillway's pools'.", "upstream"),
		upstreamDrift:   gauge("upstream_drift", "Connections on which Spillway's books and the PostgreSQL server differ: missing there, lingering there, stray in the books.", "upstream", "kind"),
		upstreamMended:  counter("upstream_drift_mended_total", "Of these, those that were closed or ended.", "upstream"),
		upstreamFused:   counter("upstream_fused_total", "Server connections that the fuse kept from being opened beyond the budget.", "upstream"),
		breaker:         gauge("upstream_breaker", "1 for the state the breaker is in.", "upstream", "state"),
		upstreamSlots:   gauge("upstream_slots_limit", "Server connections Spillway may open to the PostgreSQL server.", "upstream"),
		upstreamUsed:    gauge("upstream_slots_used", "Server connections open to the PostgreSQL server.", "upstream"),
		upstreamWaiting: gauge("upstream_clients_waiting", "Clients waiting for a slot of the PostgreSQL server.", "upstream"),
		upstreamOldest:  gauge("upstream_oldest_wait_seconds", "How long the longest of them has waited.", "upstream"),
	}
}

func (m *poolMetrics) all() []*prometheus.Desc {
	var list []*prometheus.Desc
	for _, one := range []metric{
		m.servers, m.serverLimit, m.clients, m.waiting, m.oldestWait, m.paused, m.loginFailing,
		m.transactions, m.queries, m.assignments, m.received, m.sent, m.errors,
		m.clientParses, m.serverParses, m.binds,
		m.databaseServers, m.databaseServerLimit, m.databaseClients, m.databaseClientLimit,
		m.databasePaused, m.databaseDisabled,
		m.upstreamForeign, m.upstreamDrift, m.upstreamMended, m.upstreamFused,
		m.upstreamUp, m.upstreamSlots, m.upstreamUsed, m.upstreamWaiting, m.upstreamOldest, m.breaker,
	} {
		list = append(list, one.Desc)
	}
	return append(list, m.checkout, m.transaction, m.query)
}

func (m *poolMetrics) collect(s *sample, f factSet) {
	limits := poolLimits(f)
	for i := range f.pools {
		p := &f.pools[i]
		m.pool(s, p)
		if limit, known := limits(p); known {
			s.send(m.serverLimit, float64(limit), p.Database, p.User)
		}
	}
	for _, d := range f.databases {
		s.send(m.databaseServers, float64(d.Servers), d.Name)
		s.send(m.databaseServerLimit, float64(d.MaxServers), d.Name)
		s.send(m.databaseClients, float64(d.Clients), d.Name)
		s.send(m.databaseClientLimit, float64(d.MaxClients), d.Name)
		s.send(m.databasePaused, truth(d.Paused), d.Name)
		s.send(m.databaseDisabled, truth(d.Disabled), d.Name)
	}
	for _, u := range f.upstreams {
		m.upstream(s, u)
	}
}

func (m *poolMetrics) pool(s *sample, p *proxy.PoolStat) {
	send := func(one metric, value float64, more ...string) {
		s.send(one, value, append([]string{p.Database, p.User}, more...)...)
	}
	for state, n := range serverStates(*p) {
		send(m.servers, float64(n), state)
	}
	for state, n := range clientStates(*p) {
		send(m.clients, float64(n), state)
	}
	send(m.waiting, float64(p.ClientsWaiting))
	send(m.oldestWait, p.OldestWait.Seconds())
	send(m.paused, truth(p.Paused))
	send(m.loginFailing, truth(p.LastLoginError != ""))
	send(m.transactions, float64(p.Counters.Transactions))
	send(m.queries, float64(p.Counters.Queries))
	send(m.assignments, float64(p.Counters.Assignments))
	send(m.received, float64(p.Counters.ReceivedBytes))
	send(m.sent, float64(p.Counters.SentBytes))
	send(m.clientParses, float64(p.Counters.ClientParses))
	send(m.serverParses, float64(p.Counters.ServerParses))
	send(m.binds, float64(p.Counters.Binds))
	for reason, n := range p.Counters.ErrorsBy {
		send(m.errors, float64(n), reason)
	}
	s.histogram(m.checkout, &p.Wait, p.Database, p.User)
	s.histogram(m.transaction, &p.Transaction, p.Database, p.User)
	s.histogram(m.query, &p.Query, p.Database, p.User)
}

// poolLimits finds a pool's size: the user's own, or its database's.
func poolLimits(f factSet) func(*proxy.PoolStat) (int, bool) {
	byDatabase, byUser := map[string]int{}, map[string]int{}
	for _, d := range f.databases {
		byDatabase[d.Name] = d.PoolSize
	}
	for _, u := range f.users {
		if u.PoolSize >= 0 {
			byUser[u.Name] = u.PoolSize
		}
	}
	return func(p *proxy.PoolStat) (int, bool) {
		if n, ok := byUser[p.User]; ok {
			return n, true
		}
		n, ok := byDatabase[p.Database]
		return n, ok
	}
}

func (m *poolMetrics) upstream(s *sample, u proxy.UpstreamStat) {
	s.send(m.upstreamUp, truth(upstreamUp(u)), u.Name)
	s.send(m.upstreamForeign, float64(u.Foreign), u.Name)
	s.send(m.upstreamDrift, float64(u.Missing), u.Name, "missing")
	s.send(m.upstreamDrift, float64(u.Lingering), u.Name, "lingering")
	s.send(m.upstreamDrift, float64(u.Stray), u.Name, "stray")
	s.send(m.upstreamMended, float64(u.Mended), u.Name)
	s.send(m.upstreamFused, float64(u.Fused), u.Name)
	s.send(m.upstreamSlots, float64(u.Usable), u.Name)
	s.send(m.upstreamUsed, float64(u.Used), u.Name)
	s.send(m.upstreamWaiting, float64(u.Waiting), u.Name)
	s.send(m.upstreamOldest, u.OldestWait.Seconds(), u.Name)
	for _, state := range []string{"closed", "open", "half-open"} {
		s.send(m.breaker, truth(u.Breaker == state), u.Name, state)
	}
}
