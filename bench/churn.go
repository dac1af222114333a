package main

import (
	"context"
	"fmt"
)

// churnCells open a connection for every transaction (`pgbench -C -S`).
func churnCells(options) []Cell {
	var cells []Cell
	for _, tls := range []bool{false, true} {
		for _, n := range []int{1, 16, 100} {
			b := benchRun{args: []string{"-C", "-S"}, clients: n, tls: tls}
			cells = append(cells, Cell{
				Name:   fmt.Sprintf("churn/simple/%d/%s", n, wire(tls)),
				Family: "A connection per transaction (`pgbench -C -S`)", Clients: n, TLS: tls,
				Goal:   goalFor("churn", n, tls),
				Cannot: cannotConnect(n),
				Run:    func(ctx context.Context, r *rig, p *contender) (Sample, error) { return r.pgbench(ctx, p, b) },
			})
		}
	}
	return cells
}
