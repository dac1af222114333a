package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// reportFile is where -write puts the report.
const reportFile = "docs/trouble.md"

func (r *rig) heading(b *strings.Builder, began time.Time) {
	b.WriteString("# Trouble around the proxy\n\n")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // the line is short without it
	load, _ := os.ReadFile("/proc/loadavg")
	before, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(b, "`make bench-trouble`, that is `go run ./bench/trouble %s`, on %s; %d CPUs, Linux %s, %s; PostgreSQL and pgbench on the same machine; load average before: %s.\n",
		strings.Join(r.args, " "), began.UTC().Format(time.DateOnly), runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version(), before)
	fmt.Fprintf(b, `
pgbench -S with %d clients through one node, slices of %d s: TPS as fast as it goes, p99 at %d transactions a second from when each was due.
All the time an alarm comes or goes every %s (events of the log) and %d clients ask a second PostgreSQL of the same node. Slices with a
trouble begin at its first moment and stand between slices without it. **×** is the ratio of the medians; *spread* is that of the slices without trouble, as
parts of their median. A ratio within the spread, or better than it, is no difference that these slices can show.

| trouble | figure | without: median (lowest – highest) | with: median (lowest – highest) | slices | × | spread | seen |
|---|---|--:|--:|--:|--:|--:|---|
`, r.clients, r.seconds, r.rate, alarmEvery, bystanders)
}

// rows are the trouble's lines of the table.
func (m *measured) rows(b *strings.Builder) {
	for _, f := range []struct {
		name          string
		without, with []float64
		more          bool // is better
	}{{"TPS", m.without.tps, m.with.tps, true}, {"p99 ms", m.without.p99, m.with.p99, false}} {
		without, with := spreadOf(f.without), spreadOf(f.with)
		ratio := with.median / without.median
		low, high := without.low/without.median, without.high/without.median
		fmt.Fprintf(b, "| %s | %s | %s | %s | %d, %d | %.2f | %.2f – %.2f | %s |\n",
			m.about, f.name, without, with, len(f.without), len(f.with), ratio, low, high, judge(ratio, low, high, f.more))
	}
}

// judge says whether a ratio stands out of the spread of slices without trouble.
func judge(ratio, low, high float64, more bool) string {
	switch {
	case ratio >= low && ratio <= high:
		return "no difference"
	case ratio > high == more:
		return "better"
	}
	return "**worse**"
}

// findings is the trouble's part of the text below the table.
func (m *measured) findings(b *strings.Builder) {
	var after []string
	for _, took := range m.took {
		after = append(after, took.Round(100*time.Millisecond).String())
	}
	fmt.Fprintf(b, "- **%s**, for %s: a finding after %s, `%s`: %s. At the end %s.\n", m.about, m.stay.Round(time.Second), strings.Join(after, ", "), m.last.Key, m.last.Summary, m.seen[len(m.seen)-1])
}

// spread is how far figures lie from one another.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return spread{}
	}
	n := len(sorted)
	return spread{sorted[0], (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n-1]}
}

// String is for a cell of the table.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s – %s)", digits(s.median), digits(s.low), digits(s.high))
}

// digits are enough to compare.
func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
