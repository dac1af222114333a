package web

import "github.com/prometheus/client_golang/prometheus"

// processMetrics are those of the whole process.
type processMetrics struct {
	factsUp, loopsAlive, serving, reloadOK, reloadAt, build                   metric
	state, started, loops, databases, users, pools                            metric
	clients, clientsLogin, clientsFree, servers, serversFree, logins, refused metric
	dnsNames, dnsPending                                                      metric
}

func newProcessMetrics() processMetrics {
	return processMetrics{
		factsUp:    gauge("facts_up", "1 when every event loop answered this scrape; metrics of those that did not are absent."),
		loopsAlive: gauge("loops_alive", "1 while every event loop turns."),
		serving:    gauge("serving", "1 while clients are accepted."),
		reloadOK:   gauge("config_last_reload_successful", "1 when the last reading of the config file succeeded."),
		reloadAt:   gauge("config_last_reload_timestamp_seconds", "When the config file was last read."),
		build:      gauge("build_info", "What is running; always 1.", "version", "revision", "goversion", "driver"),

		state:     gauge("state", "1 for the state the pooler is in.", "state"),
		started:   gauge("start_timestamp_seconds", "When the pooler started."),
		loops:     gauge("loops", "Event loops."),
		databases: gauge("databases", "Databases known."),
		users:     gauge("users", "Users known."),
		pools:     gauge("pools", "Pools open."),

		clients:      gauge("client_connections", "Client connections open."),
		clientsLogin: gauge("client_connections_login", "Client connections that are logging in."),
		clientsFree:  gauge("client_connections_free", "Client connections that may still be opened."),
		servers:      gauge("server_connections", "Server connections open."),
		serversFree:  gauge("server_connections_free", "Server connections that may still be opened."),
		logins:       counter("client_logins_total", "Clients logged in."),
		refused:      counter("clients_refused_total", "Clients refused before their login was complete, by reason.", "reason"),
		dnsNames:     gauge("dns_names", "Host names resolved and kept."),
		dnsPending:   gauge("dns_lookups_pending", "Host names being resolved."),
	}
}

func (m *processMetrics) all() []*prometheus.Desc {
	var list []*prometheus.Desc
	for _, one := range []metric{
		m.factsUp, m.loopsAlive, m.serving, m.reloadOK, m.reloadAt, m.build,
		m.state, m.started, m.loops, m.databases, m.users, m.pools,
		m.clients, m.clientsLogin, m.clientsFree, m.servers, m.serversFree, m.logins, m.refused,
		m.dnsNames, m.dnsPending,
	} {
		list = append(list, one.Desc)
	}
	return list
}

func (m *processMetrics) collect(s *sample, f factSet) {
	g := f.gauges
	if g == nil {
		return
	}
	for _, state := range []string{"active", "paused", "suspended", "draining"} {
		s.send(m.state, truth(g.State == state), state)
	}
	if !g.StartedAt.IsZero() {
		s.send(m.started, float64(g.StartedAt.UnixMilli())/1e3)
	}
	s.send(m.loops, float64(g.Loops))
	s.send(m.databases, float64(g.Databases))
	s.send(m.users, float64(g.Users))
	s.send(m.pools, float64(g.Pools))
	s.send(m.clients, float64(g.UsedClients))
	s.send(m.clientsLogin, float64(g.LoginClients))
	s.send(m.clientsFree, float64(g.FreeClients))
	s.send(m.servers, float64(g.UsedServers))
	s.send(m.serversFree, float64(g.FreeServers))
	s.send(m.logins, float64(g.ClientLogins))
	for reason, n := range g.Refused {
		s.send(m.refused, float64(n), reason)
	}
	s.send(m.dnsNames, float64(g.DNSNames))
	s.send(m.dnsPending, float64(g.DNSPending))
}
