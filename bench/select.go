package main

import (
	"context"
	"fmt"
)

// clientCounts are the concurrencies every pgbench family runs at.
var clientCounts = []int{1, 16, 100, 1000}

// selectCells are pgbench -S: one SELECT by primary key.
func selectCells(options) []Cell {
	return pgbenchCells("select", "Select-only (`pgbench -S`)", nil, "-S")
}

// pgbenchCells is a builtin script in all three protocols, at all client
// counts, plain and over TLS.
func pgbenchCells(name, heading string, prepare func(*rig) error, script ...string) []Cell {
	var cells []Cell
	for _, tls := range []bool{false, true} {
		for _, mode := range []string{"simple", "extended", "prepared"} {
			for _, n := range clientCounts {
				c := Cell{
					Name:   fmt.Sprintf("%s/%s/%d/%s", name, mode, n, wire(tls)),
					Family: heading, Clients: n, TLS: tls, Prepare: prepare,
					Goal: goalFor(name, n, tls),
				}
				b := benchRun{args: append([]string{"-M", mode}, script...), clients: n, tls: tls}
				c.Run = func(ctx context.Context, r *rig, p *contender) (Sample, error) { return r.pgbench(ctx, p, b) }
				c.Cannot = cannotConnect(n)
				if mode == "prepared" {
					c.Instead = fmt.Sprintf("%s/extended/%d/%s", name, n, wire(tls))
					c.Cannot = cannotPrepare(n)
				}
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// goalFor is the table of goals.
func goalFor(name string, clients int, tls bool) Goal {
	g := Goal{TPS: 1, CPUEpoll: 1, CPUUring: 1, P99: 1}
	if clients == 100 || clients == 1000 {
		g.TPS = 1.15
	}
	if name == "select" && clients == 100 {
		g.CPUEpoll, g.CPUUring = 0.85, 0.70
	}
	if tls {
		g.CPUEpoll, g.CPUUring = min(g.CPUEpoll, 0.9), min(g.CPUUring, 0.9)
	}
	return g
}

// cannotConnect rules out more clients than PostgreSQL itself accepts.
func cannotConnect(clients int) func(*contender) string {
	return func(p *contender) string {
		if p.Kind.Program == "direct" && clients > 190 {
			return "more clients than max_connections"
		}
		return ""
	}
}

// cannotPrepare also rules out PgBouncer before 1.21, which does not map named
// prepared statements in transaction mode.
func cannotPrepare(clients int) func(*contender) string {
	connect := cannotConnect(clients)
	return func(p *contender) string {
		if p.Kind.Program == "pgbouncer" && p.Kind.Mode == "transaction" && olderThan(p.version, 1, 21) {
			return "PgBouncer " + p.version + " cannot"
		}
		return connect(p)
	}
}
