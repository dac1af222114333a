package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"spillway/internal/detect"
)

// group is a group of rules as Prometheus evaluates them together.
type group struct {
	name  string
	rules []rule
}

// rule is an alert, or a recording where record is set.
type rule struct {
	alert, record string
	expr          string
	lasts, keeps  time.Duration // for, keep_firing_for
	severity      string        // critical, warning, info
	window        string        // a label that tells rules of one name apart; may be empty
	summary       string
	runbook       string
}

// Severities, as the levels of findings are called in the field.
const (
	critical = "critical"
	warning  = "warning"
	info     = "info"
)

// keeps is how long an alert fires on after its expression has ended.
const keeps = time.Minute

// YAML is the rules' file for promtool and Prometheus from 2.42 on.
func YAML(b *detect.Bounds) []byte {
	var out strings.Builder
	out.WriteString("# Made by `spillway rules` from the bounds of the detectors. Prometheus 2.42 or later.\ngroups:\n")
	for _, g := range groups(b) {
		fmt.Fprintf(&out, "  - name: %s\n    rules:\n", g.name)
		for _, r := range g.rules {
			r.write(&out)
		}
	}
	return []byte(out.String())
}

func (r *rule) write(out *strings.Builder) {
	if r.record != "" {
		fmt.Fprintf(out, "      - record: %s\n        expr: %s\n", r.record, quote(r.expr))
		return
	}
	fmt.Fprintf(out, "      - alert: %s\n        expr: %s\n", r.alert, quote(r.expr))
	if r.lasts > 0 {
		fmt.Fprintf(out, "        for: %s\n", promTime(r.lasts))
	}
	if r.keeps > 0 {
		fmt.Fprintf(out, "        keep_firing_for: %s\n", promTime(r.keeps))
	}
	fmt.Fprintf(out, "        labels:\n          severity: %s\n%s        annotations:\n          summary: %s\n", r.severity, r.windowLabel(), quote(r.summary))
	if r.runbook != "" {
		fmt.Fprintf(out, "          description: %s\n", quote(r.runbook))
	}
}

func (r *rule) windowLabel() string {
	if r.window == "" {
		return ""
	}
	return "          window: " + r.window + "\n"
}

// quote writes a text as a YAML string; JSON's escapes are YAML's too.
func quote(text string) string { return strconv.Quote(text) }

// promTime writes a duration as Prometheus reads it.
func promTime(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d/time.Millisecond)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func seconds(d time.Duration) string { return number(d.Seconds()) }

// groups are all rules.
func groups(b *detect.Bounds) []group {
	return []group{
		{"spillway", process()},
		{"spillway-findings", findings()},
		{"spillway-slots", slots(b)},
		{"spillway-postgres", servers(b)},
		{"spillway-slo", objectives()},
	}
}

func process() []rule {
	return []rule{
		{alert: "SpillwayWatchdog", expr: "vector(1)", severity: info, summary: "Always fires: whoever stops getting it has lost the way alerts take."},
		{alert: "SpillwayGone", expr: "absent(spillway_build_info)", lasts: time.Minute, severity: critical, summary: "No Spillway is scraped.", runbook: "See whether the process runs (systemctl status spillway), and whether Prometheus reaches its admin address."},
		{alert: "SpillwayNotServing", expr: "spillway_serving == 0", lasts: time.Minute, severity: critical, summary: "Spillway {{ $labels.instance }} takes no clients."},
		{alert: "SpillwayReloadFailed", expr: "max_over_time(spillway_config_last_reload_successful[5m]) == 0", severity: warning, summary: "The last reload of Spillway {{ $labels.instance }} failed: the config before it is in force.", runbook: "spillway check names the line; spillway reload tries again."},
		{alert: "SpillwayProbeDown", expr: "spillway_probe_up == 0", lasts: time.Minute, keeps: keeps, severity: warning, summary: "Probe {{ $labels.probe }} cannot run: its figures are withdrawn.", runbook: detect.Runbook("probe")},
	}
}

// findings hand on what the node has found itself: it names the culprit, which
// Prometheus cannot.
func findings() []rule {
	const what = "spillway_findings{level=%q} > 0"
	return []rule{
		{alert: "SpillwayFindingPage", expr: fmt.Sprintf(what, "page"), keeps: keeps, severity: critical, summary: "Spillway {{ $labels.instance }} found: {{ $labels.detector }} {{ $labels.upstream }} {{ $labels.workload }}; spillway status says who and since when."},
		{alert: "SpillwayFinding", expr: fmt.Sprintf(what, "warn"), lasts: time.Minute, keeps: keeps, severity: warning, summary: "Spillway {{ $labels.instance }} found: {{ $labels.detector }} {{ $labels.upstream }} {{ $labels.workload }}; spillway status says who and since when."},
	}
}

// slotsLast is how long a fullness lasts before Prometheus warns: it sees no
// more than one scrape in 15 s or 30 s, and the node warns sooner.
const slotsLast = 10 * time.Minute

func slots(b *detect.Bounds) []rule {
	const ratio = "spillway_slots_held / spillway_slots_usable"
	return []rule{
		{alert: "SpillwaySlotsNearlyFull", expr: fmt.Sprintf("%s > %s", ratio, number(b.SlotsWarn)), lasts: slotsLast, keeps: keeps, severity: warning, summary: "{{ $value | humanizePercentage }} of the slots of {{ $labels.upstream }} are held.", runbook: detect.Runbook("slots")},
		{alert: "SpillwaySlotsFull", expr: fmt.Sprintf("%s > %s and on (instance, job, upstream) spillway_upstream_oldest_wait_seconds > %s", ratio, number(b.SlotsPage), seconds(b.WaitPage)), lasts: time.Minute, keeps: keeps, severity: critical, summary: "{{ $value | humanizePercentage }} of the slots of {{ $labels.upstream }} are held, and clients wait.", runbook: detect.Runbook("slots")},
		{alert: "SpillwaySlotsFullSoon", expr: fmt.Sprintf("spillway_slots_full_seconds < %s", seconds(b.ForecastPage)), lasts: 30 * time.Second, keeps: keeps, severity: critical, summary: "{{ $labels.upstream }} will be full in {{ $value | humanizeDuration }}.", runbook: detect.Runbook("slots-forecast")},
		{alert: "SpillwaySlotsFullPredicted", expr: fmt.Sprintf("%s > %s and on (instance, job, upstream) predict_linear(spillway_slots_held[15m], %s) > spillway_slots_usable", ratio, number(b.ForecastFrom), seconds(b.ForecastWarn)), lasts: 5 * time.Minute, keeps: keeps, severity: warning, summary: "{{ $labels.upstream }} will be full within " + promTime(b.ForecastWarn) + " if it goes on like this.", runbook: detect.Runbook("slots-forecast")},
		{alert: "SpillwayQueueWait", expr: fmt.Sprintf("spillway_upstream_oldest_wait_seconds > %s", seconds(b.WaitWarn)), lasts: time.Minute, keeps: keeps, severity: warning, summary: "A client has waited for {{ $labels.upstream }} for {{ $value | humanizeDuration }}.", runbook: detect.Runbook("queue-wait")},
		{alert: "SpillwayLeak", expr: "spillway_workload_leaking > 0", lasts: time.Minute, keeps: keeps, severity: warning, summary: "Workload {{ $labels.workload }} keeps {{ $value }} servers of {{ $labels.upstream }} idle.", runbook: detect.Runbook("leak")},
		{alert: "SpillwayShedding", expr: "rate(spillway_workload_shed_total[5m]) > 0", lasts: time.Minute, keeps: keeps, severity: warning, summary: "Workload {{ $labels.workload }} on {{ $labels.upstream }} is refused {{ $value | humanize }} times a second: its queue is full.", runbook: detect.Runbook("queue-wait")},
	}
}

func servers(b *detect.Bounds) []rule {
	return []rule{
		{alert: "SpillwayServerDown", expr: "spillway_upstream_up == 0", lasts: 10 * time.Second, keeps: keeps, severity: critical, summary: "{{ $labels.upstream }} cannot be reached.", runbook: detect.Runbook("server")},
		{alert: "SpillwayFuseBlown", expr: "increase(spillway_upstream_fused_total[5m]) > 0", severity: critical, summary: "More connections to {{ $labels.upstream }} are open than its budget allows.", runbook: detect.Runbook("ledger")},
		{alert: "SpillwayDrift", expr: "sum by (instance, job, upstream) (spillway_upstream_drift) > 0", lasts: time.Minute, severity: warning, summary: "Spillway's books of {{ $labels.upstream }} do not agree with the server.", runbook: detect.Runbook("ledger")},
		{alert: "SpillwayBlocked", expr: "spillway_postgres_blocked_backends > 0", lasts: b.BlockedPage, keeps: keeps, severity: warning, summary: "{{ $value }} backends of {{ $labels.upstream }} wait for locks.", runbook: detect.Runbook("blocking")},
		{alert: "SpillwayLongTransaction", expr: fmt.Sprintf("spillway_postgres_longest_transaction_seconds > %s", seconds(b.Transaction)), lasts: time.Minute, keeps: keeps, severity: warning, summary: "A transaction on {{ $labels.upstream }} is open for {{ $value | humanizeDuration }}.", runbook: detect.Runbook("long-transaction")},
		{alert: "SpillwayReplicaLag", expr: fmt.Sprintf("spillway_postgres_replica_lag_seconds > %s", seconds(b.LagWarn)), lasts: time.Minute, keeps: keeps, severity: warning, summary: "Replica {{ $labels.replica }} of {{ $labels.upstream }} is {{ $value | humanizeDuration }} behind.", runbook: detect.Runbook("replica-lag")},
		{alert: "SpillwayReplicaLagPage", expr: fmt.Sprintf("spillway_postgres_replica_lag_seconds > %s", seconds(b.LagPage)), lasts: time.Minute, keeps: keeps, severity: critical, summary: "Replica {{ $labels.replica }} of {{ $labels.upstream }} is {{ $value | humanizeDuration }} behind.", runbook: detect.Runbook("replica-lag")},
		{alert: "SpillwayTableGrowth", expr: fmt.Sprintf("spillway_postgres_table_dead_rows > %s and spillway_postgres_table_dead_rows > %s * spillway_postgres_table_live_rows and deriv(spillway_postgres_table_dead_rows[30m]) > 0", number(b.TableRows), number(b.TableDead)), lasts: b.TableWindow, keeps: keeps, severity: warning, summary: "Table {{ $labels.table }} of {{ $labels.database }} on {{ $labels.upstream }} grows faster than it is cleaned: {{ $value | humanize }} dead rows.", runbook: detect.Runbook("table-growth")},
		{alert: "SpillwayTargetsUnhealthy", expr: "avg by (instance, job, group) (spillway_target_up) < 0.5", lasts: 30 * time.Second, keeps: keeps, severity: critical, summary: "{{ $value | humanizePercentage }} of the targets of {{ $labels.group }} are healthy.", runbook: detect.Runbook("target")},
		{alert: "SpillwayWraparound", expr: "spillway_postgres_wraparound_age > 1e9", lasts: 10 * time.Minute, severity: warning, summary: "{{ $labels.upstream }} is {{ $value | humanize }} transactions from its last freeze; at 2.1 billion it stops."},
	}
}

// objectives are burn rates over two windows each, from counters: they hold over
// restarts and over many nodes.
func objectives() []rule {
	var list []rule
	seen := map[time.Duration]bool{}
	for _, r := range detect.BurnRules() {
		for _, w := range []time.Duration{r.Short, r.Long} {
			if seen[w] {
				continue
			}
			seen[w] = true
			list = append(list, rule{record: ratioName(w), expr: fmt.Sprintf(
				"sum by (job, objective) (rate(spillway_slo_bad_transactions_total[%[1]s])) / (sum by (job, objective) (rate(spillway_slo_transactions_total[%[1]s])) > 0)", promTime(w))})
		}
	}
	for _, r := range detect.BurnRules() {
		severity := warning
		if r.Level == detect.Page {
			severity = critical
		}
		const budget = "on (job, objective) group_left () (1 - max by (job, objective) (spillway_slo_target_ratio))"
		list = append(list, rule{alert: "SpillwayBudgetBurn", severity: severity, window: promTime(r.Long),
			expr:    fmt.Sprintf("%s / %s > %s and %s / %s > %s", ratioName(r.Long), budget, number(r.Factor), ratioName(r.Short), budget, number(r.Factor)),
			summary: fmt.Sprintf("Objective {{ $labels.objective }} burns its error budget {{ $value | humanize }} times too fast, over %s and %s.", promTime(r.Long), promTime(r.Short)),
			runbook: detect.Runbook("slo-burn")})
	}
	return list
}

func ratioName(w time.Duration) string { return "spillway:slo_bad:ratio_rate" + promTime(w) }
