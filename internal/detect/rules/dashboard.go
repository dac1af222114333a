package rules

import "encoding/json"

// panel is one chart of the dashboard.
type panel struct {
	title, unit string
	exprs       []string // PromQL and its legend, in turn
	width       int      // of 24
	stat        bool
}

// Dashboard is the JSON of a Grafana dashboard, for schema version 39 (Grafana
// 10.4) and later.
func Dashboard() []byte {
	var panels []any
	x, y, id := 0, 0, 0
	const height = 8
	for _, p := range dashboardPanels() {
		if x+p.width > 24 {
			x, y = 0, y+height
		}
		id++
		panels = append(panels, p.json(id, x, y, height))
		x += p.width
	}
	text, err := json.MarshalIndent(map[string]any{
		"title": "Spillway", "uid": "spillway", "tags": []string{"spillway", "postgresql"}, "timezone": "utc",
		"schemaVersion": 39, "version": 1, "editable": true, "refresh": "10s",
		"time": map[string]string{"from": "now-1h", "to": "now"},
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
			variable("job", "label_values(spillway_build_info, job)"),
			variable("instance", `label_values(spillway_build_info{job=~"$job"}, instance)`),
		}},
		"panels": panels,
	}, "", "  ")
	if err != nil {
		return nil // maps and strings always marshal
	}
	return append(text, '\n')
}

func variable(name, query string) map[string]any {
	return map[string]any{"name": name, "type": "query", "datasource": source(), "query": map[string]any{"query": query, "refId": name},
		"definition": query, "includeAll": true, "multi": true, "refresh": 2, "sort": 1, "allValue": ".+", "current": map[string]any{"text": "All", "value": "$__all"}}
}

func source() map[string]string { return map[string]string{"type": "prometheus", "uid": "${source}"} }

func (p *panel) json(id, x, y, height int) map[string]any {
	kind := "timeseries"
	if p.stat {
		kind = "stat"
	}
	var targets []any
	for i := 0; i+1 < len(p.exprs); i += 2 {
		targets = append(targets, map[string]any{"refId": string(rune('A' + i/2)), "datasource": source(), "expr": p.exprs[i], "legendFormat": p.exprs[i+1]})
	}
	return map[string]any{
		"id": id, "type": kind, "title": p.title, "datasource": source(), "targets": targets,
		"gridPos":     map[string]int{"x": x, "y": y, "w": p.width, "h": height},
		"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit, "min": 0}, "overrides": []any{}},
		"options":     map[string]any{"tooltip": map[string]string{"mode": "multi", "sort": "desc"}},
	}
}

// here is what every query is narrowed to.
const here = `job=~"$job",instance=~"$instance"`

func dashboardPanels() []panel {
	return []panel{
		{title: "Healthy", width: 4, stat: true, unit: "bool_yes_no", exprs: []string{`min(spillway_healthy{` + here + `})`, "healthy"}},
		{title: "Findings", width: 8, unit: "short", exprs: []string{`sum by (detector, level, upstream, workload) (spillway_findings{` + here + `})`, "{{level}} {{detector}} {{upstream}} {{workload}}"}},
		{title: "Slots held", width: 12, unit: "short", exprs: []string{
			`sum by (upstream) (spillway_slots_held{` + here + `})`, "{{upstream}} held",
			`sum by (upstream) (spillway_slots_usable{` + here + `})`, "{{upstream}} usable"}},
		{title: "Slots by workload", width: 12, unit: "short", exprs: []string{`sum by (upstream, workload) (spillway_workload_in_use{` + here + `})`, "{{upstream}} {{workload}}"}},
		{title: "Clients that wait", width: 6, unit: "short", exprs: []string{`sum by (upstream) (spillway_upstream_clients_waiting{` + here + `})`, "{{upstream}}"}},
		{title: "Oldest wait", width: 6, unit: "s", exprs: []string{`max by (upstream) (spillway_upstream_oldest_wait_seconds{` + here + `})`, "{{upstream}}"}},
		{title: "Transactions", width: 12, unit: "ops", exprs: []string{
			`sum by (objective) (rate(spillway_slo_transactions_total{` + here + `}[1m]))`, "{{objective}}",
			`sum by (objective) (rate(spillway_slo_bad_transactions_total{` + here + `}[1m]))`, "{{objective}} bad"}},
		{title: "Error budget used", width: 6, unit: "percentunit", exprs: []string{`max by (objective) (spillway_slo_budget_used_ratio{` + here + `})`, "{{objective}}"}},
		{title: "Burn rate", width: 6, unit: "short", exprs: []string{`max by (objective, window) (spillway_slo_burn_rate{` + here + `})`, "{{objective}} {{window}}"}},
		{title: "Full in", width: 6, unit: "s", exprs: []string{`min by (upstream) (spillway_slots_full_seconds{` + here + `})`, "{{upstream}}"}},
		{title: "PostgreSQL connections", width: 12, unit: "short", exprs: []string{`sum by (upstream, state) (spillway_postgres_connections{` + here + `})`, "{{upstream}} {{state}}"}},
		{title: "Blocked backends", width: 6, unit: "short", exprs: []string{`max by (upstream) (spillway_postgres_blocked_backends{` + here + `})`, "{{upstream}}"}},
		{title: "Longest transaction", width: 6, unit: "s", exprs: []string{`max by (upstream) (spillway_postgres_longest_transaction_seconds{` + here + `})`, "{{upstream}}"}},
		{title: "Replica lag", width: 6, unit: "s", exprs: []string{`max by (upstream, replica) (spillway_postgres_replica_lag_seconds{` + here + `})`, "{{upstream}} {{replica}}"}},
		{title: "WAL", width: 6, unit: "Bps", exprs: []string{`sum by (upstream) (rate(spillway_postgres_wal_bytes_total{` + here + `}[2m]))`, "{{upstream}}"}},
		{title: "Dead rows", width: 12, unit: "short", exprs: []string{`topk(10, max by (upstream, database, table) (spillway_postgres_table_dead_rows{` + here + `}))`, "{{upstream}} {{database}} {{table}}"}},
		{title: "Targets healthy", width: 6, unit: "percentunit", exprs: []string{`avg by (group, target) (spillway_target_up{` + here + `})`, "{{group}} {{target}}"}},
		{title: "Machine and Spillway CPU", width: 6, unit: "short", exprs: []string{
			`max by (instance) (spillway_machine_cpu_ratio{` + here + `})`, "{{instance}} machine, part of all",
			`max by (instance) (spillway_machine_own_cpus{` + here + `})`, "{{instance}} Spillway, CPUs"}},
		{title: "Probes", width: 12, unit: "bool_yes_no", exprs: []string{`min by (probe) (spillway_probe_up{` + here + `})`, "{{probe}}"}},
	}
}
