package main

import (
	"fmt"
	"strings"
	"time"
)

// markdown is the whole report.
func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	fmt.Fprintf(&b, "`make bench`, that is `go run ./bench %s`, on %s; %s in all.\n\n",
		strings.Join(r.args, " "), r.begun.UTC().Format("2006-01-02"), time.Since(r.begun).Round(time.Minute))
	r.machine.markdown(&b)
	fmt.Fprintf(&b, `
Each figure is the median of %d rounds of %d s. In a round every pooler has one turn, in rotating order, before the same
PostgreSQL with pools of %d servers, all in transaction mode; the first second of a turn is warm-up. **×** columns are ratios to %s
in the same round, median over the rounds: TPS higher is better, all else lower. CPU is per transaction: the pooler's own (the
kernel's clock of the process) and the total with PostgreSQL (its control group), without pgbench. Poolers reach PostgreSQL over %s.
`, r.options.rounds, r.options.seconds, r.options.poolSize, r.options.base, map[bool]string{false: "TCP", true: "a unix socket"}[r.options.unixServer])
	b.WriteString("The last column holds the goals of the issue that are missed; “†”: the ratio is to another cell of the base, see the note below.\n")
	family := ""
	for _, c := range r.cells {
		if c.Family != family {
			family = c.Family
			r.heading(&b, c)
		}
		for _, name := range r.names {
			b.WriteString(r.row(c, name))
		}
	}
	r.notes(&b)
	b.WriteString("\nWhere goals are missed, and why, stands in [speed.md](speed.md); what rules cost on the hot path in [workloads.md](workloads.md#figures).\n")
	return b.String()
}

func (r *report) heading(b *strings.Builder, c Cell) {
	fmt.Fprintf(b, "\n## %s\n\n", c.Family)
	if c.Goal.IdleBytes > 0 {
		b.WriteString("| cell | pooler | kB per client | × | missed |\n|---|---|--:|--:|---|\n")
		return
	}
	b.WriteString("| cell | pooler | TPS | avg ms | p50 ms | p99 ms | CPU µs | total µs | TPS × | p50 × | p99 × | CPU × | total × | missed |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
}

// row is one line of a table.
func (r *report) row(c Cell, name string) string {
	cell := c.Name[strings.Index(c.Name, "/")+1:]
	if _, ok := r.median(c.Name, name, tps); !ok {
		return fmt.Sprintf("| %s | %s | %s |\n", cell, name, firstLine(r.reason(c.Name, name)))
	}
	if c.Goal.IdleBytes > 0 {
		kb, _ := r.median(c.Name, name, idleKB)
		return fmt.Sprintf("| %s | %s | %.2f | %s | %s |\n", cell, name, kb, r.ratioText(c, name, idleKB), r.missed(c, name))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s ", cell, name)
	for _, f := range []figure{tps, avg, p50, p99, pooler, total} {
		v, _ := r.median(c.Name, name, f)
		fmt.Fprintf(&b, "| %s ", digits(v))
	}
	for _, f := range []figure{tps, p50, p99, pooler, total} {
		fmt.Fprintf(&b, "| %s ", r.ratioText(c, name, f))
	}
	fmt.Fprintf(&b, "| %s |\n", r.missed(c, name))
	return b.String()
}

// firstLine keeps a table's cell small; the JSON has the whole reason.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return fmt.Sprintf("%.120s", line)
}

// digits prints three or more significant digits.
func digits(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (r *report) ratioText(c Cell, name string, f figure) string {
	if name == r.options.base {
		return ""
	}
	v, instead, ok := r.ratio(c, name, f)
	if !ok {
		return "–"
	}
	mark := ""
	if instead {
		mark = "†"
	}
	return fmt.Sprintf("%.2f%s", v, mark)
}

// missed lists the goals that a Spillway contender misses.
func (r *report) missed(c Cell, name string) string {
	if name == r.options.base || !strings.HasPrefix(name, "spillway") {
		return ""
	}
	cpu := c.Goal.CPUEpoll
	if r.kinds[name] == "uring" {
		cpu = c.Goal.CPUUring
	}
	var out []string
	check := func(what string, f figure, goal float64, least bool) {
		v, _, ok := r.ratio(c, name, f)
		if ok && goal > 0 && (least && v < goal || !least && v > goal) {
			sign := "≤"
			if least {
				sign = "≥"
			}
			out = append(out, fmt.Sprintf("%s %s %.2f", what, sign, goal))
		}
	}
	check("TPS", tps, c.Goal.TPS, true)
	check("CPU", pooler, cpu, false)
	check("p99", p99, c.Goal.P99, false)
	check("memory", idleKB, c.Goal.IdleBytes, false)
	return strings.Join(out, ", ")
}

// notes explains the marks that were used.
func (r *report) notes(b *strings.Builder) {
	for _, c := range r.cells {
		if c.Instead == "" || measured(r.turns[c.Name][r.options.base]) {
			continue
		}
		fmt.Fprintf(b, "\n† %s has no figures in `prepared` cells (%s): the ratio is to its `extended` cell with as many clients.\n",
			r.options.base, r.reason(c.Name, r.options.base))
		return
	}
}
