package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// largeTable holds 50,000 rows of about 1 kB: 50 MB as text.
const largeTable = `CREATE UNLOGGED TABLE wide AS SELECT i AS id, rpad(i::text, 1000, 'x') AS filler FROM generate_series(1, 50000) i;
CREATE UNLOGGED TABLE target (id int, filler text)`

// largeCells read 1 MB or 50 MB in one SELECT.
func largeCells(options) []Cell {
	var cells []Cell
	for _, tls := range []bool{false, true} {
		for _, size := range []struct{ mb, clients int }{{1, 16}, {50, 4}} {
			cells = append(cells, largeCell(size.mb, size.clients, tls))
		}
	}
	return cells
}

func largeCell(mb, clients int, tls bool) Cell {
	sql := fmt.Sprintf("SELECT * FROM wide LIMIT %d;\n", mb*1000)
	return Cell{
		Name:   fmt.Sprintf("large/%dMB/%d/%s", mb, clients, wire(tls)),
		Family: "Large results (one SELECT)", Clients: clients, TLS: tls,
		Goal: goalFor("large", clients, tls),
		Run: func(ctx context.Context, r *rig, p *contender) (Sample, error) {
			file := filepath.Join(r.dir, fmt.Sprintf("large%d.sql", mb))
			if err := os.WriteFile(file, []byte(sql), 0o644); err != nil {
				return Sample{}, fmt.Errorf("write script: %w", err)
			}
			return r.pgbench(ctx, p, benchRun{args: []string{"-f", file}, clients: clients, tls: tls})
		},
	}
}
