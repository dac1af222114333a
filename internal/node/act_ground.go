package node

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/act"
	"spillway/internal/proxy"
)

// proxyGround shows and strikes those who hold servers of Spillway.
type proxyGround struct {
	*seam
	lines *lines
}

// Holders implements act.Ground.
func (g proxyGround) Holders(ctx context.Context) ([]act.Holder, error) {
	list, err := g.hot.Holders(ctx, false)
	if err != nil {
		return nil, err
	}
	out := make([]act.Holder, len(list))
	for i, h := range list {
		out[i] = act.Holder{Client: h.Client, PID: h.PID, Workload: h.Workload, Application: h.Application, User: h.User,
			Database: h.Database, Server: h.Upstream, Addr: h.Addr, State: h.State, Fingerprint: printText(h.Fingerprint), SQL: h.SQL,
			Guarded: h.Guarded, BackendAt: h.BackendAt, TransactionAt: h.TransactionAt, QueryAt: h.QueryAt, IdleAt: h.IdleAt}
	}
	return out, nil
}

func printText(fingerprint uint64) string {
	if fingerprint == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", fingerprint)
}

// Strike implements act.Ground. Of what is terminated PostgreSQL is told too: a
// backend that did not hear the cancel does not hear its connection close.
func (g proxyGround) Strike(ctx context.Context, targets []act.Holder, terminate bool, text string) ([]string, error) {
	list := make([]proxy.Target, len(targets))
	for i, t := range targets {
		list[i] = proxy.Target{Client: t.Client, PID: t.PID, BackendAt: t.BackendAt, TransactionAt: t.TransactionAt, QueryAt: t.QueryAt}
	}
	var ports map[backendKey]int
	if terminate {
		ports = g.ports(ctx)
	}
	struck, err := g.hot.Strike(ctx, list, proxy.Strike{Terminate: terminate, Text: text})
	outcomes := make([]string, len(struck))
	for i, s := range struck {
		outcomes[i] = string(s.Outcome)
		port, known := ports[backendKey{targets[i].Server, s.PID}]
		if s.Outcome != proxy.Ended || !known {
			continue
		}
		if err := g.end(ctx, &targets[i], port); err != nil {
			g.log.Warn("backend not terminated on PostgreSQL; the role of the server's url needs pg_signal_backend", "pid", s.PID, "error", err)
		}
	}
	return outcomes, err
}

type backendKey struct {
	upstream string
	pid      int
}

// ports are the local ports of our connections, which PostgreSQL knows them by.
func (g proxyGround) ports(ctx context.Context) map[backendKey]int {
	ports := map[backendKey]int{}
	servers, err := g.hot.Servers(ctx)
	if err != nil {
		g.log.Warn("servers not read: backends that hang are not terminated on PostgreSQL", "error", err)
	}
	for i := range servers {
		ports[backendKey{servers[i].Upstream, servers[i].RemotePID}] = servers[i].LocalPort
	}
	return ports
}

// endOurs ends a backend that has the port of our connection and began no later
// than it: ages are compared, not the clocks of two machines. Behind an address
// translation nothing fits, and the backend is left to find its socket closed.
const endOurs = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
 WHERE pid = $1 AND client_port = CASE WHEN $2 = 0 THEN -1 ELSE $2 END
   AND pg_catalog.clock_timestamp() - backend_start > pg_catalog.make_interval(secs => $3)`

func (g proxyGround) end(ctx context.Context, h *act.Holder, port int) error {
	age := max(0, time.Since(h.BackendAt).Seconds()-1)
	return g.lines.with(ctx, h.Server, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, endOurs, h.PID, port, age)
		return err
	})
}
