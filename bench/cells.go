package main

import "context"

// Cell is one measured situation.
type Cell struct {
	Name    string // family/what/clients/plain or tls
	Family  string // heading of the report
	Clients int
	TLS     bool
	// Instead names the cell whose figures of the base stand in where the base
	// cannot run this one. Empty: no comparison then.
	Instead string
	Goal    Goal
	// Prepare makes turns alike, on the server itself; nil: nothing to do.
	Prepare func(*rig) error
	// Cannot says why a contender cannot run the cell; "" if it can.
	Cannot func(*contender) string
	// Run is one turn.
	Run func(context.Context, *rig, *contender) (Sample, error)
}

// Goal is what is aimed at, as ratios to the base; 0 is no goal.
type Goal struct {
	TPS       float64 // at least
	CPUEpoll  float64 // at most, pooler's CPU per transaction
	CPUUring  float64 // at most
	P99       float64 // at most
	IdleBytes float64 // at most, memory per idle client
}

// Sample is what one turn showed. Zero fields do not apply to the cell.
type Sample struct {
	TPS      float64 `json:"tps,omitempty"`
	AvgMS    float64 `json:"avg_ms,omitempty"`
	P50MS    float64 `json:"p50_ms,omitempty"`
	P99MS    float64 `json:"p99_ms,omitempty"`
	PoolerUS float64 `json:"pooler_cpu_us,omitempty"` // per transaction
	TotalUS  float64 `json:"total_cpu_us,omitempty"`  // per transaction, with PostgreSQL
	IdleKB   float64 `json:"idle_client_kb,omitempty"`
	Count    int     `json:"transactions,omitempty"`
	Reason   string  `json:"reason,omitempty"` // why there are no figures
}

// allCells joins the families, in the order of the report.
func allCells(o options) []Cell {
	families := [][]Cell{selectCells(o), tpcbCells(o), churnCells(o), largeCells(o), copyCells(o), idleCells(o)}
	var all []Cell
	for _, f := range families {
		all = append(all, f...)
	}
	return all
}

// wire names how clients connect, as a cell's name has it.
func wire(tls bool) string {
	if tls {
		return "tls"
	}
	return "plain"
}
