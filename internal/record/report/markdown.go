package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/incident"
)

// page is Markdown under way.
type page struct{ strings.Builder }

func (p *page) line(format string, v ...any) { fmt.Fprintf(p, format+"\n", v...) }

func (p *page) head(text string) { p.line("## %s\n", text) }

// prompt asks people for what only they know.
func (p *page) prompt(format string, v ...any) { p.line("> **To write:** "+format+"\n", v...) }

// table writes a table; cells must not hold what ends one.
func (p *page) table(heads []string, rows [][]string) {
	p.line("| %s |", strings.Join(heads, " | "))
	p.line("|%s", strings.Repeat(" --- |", len(heads)))
	for _, row := range rows {
		for n := range row {
			row[n] = cell(row[n])
		}
		p.line("| %s |", strings.Join(row, " | "))
	}
	p.line("")
}

// cell makes a text of anybody harmless inside a table: it stays one line of one
// cell, and no mark-up.
func cell(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return escaper().Replace(text)
}

func escaper() *strings.Replacer {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]")
}

// Markdown is the post-mortem with every field of the template.
func Markdown(r *Report, charts map[string]string) string {
	var p page
	p.line("# Post-mortem: %s", cell(r.Title))
	p.line("\nWritten by Spillway at %s UTC from the record. **(A)** is measured or recorded, **(E)** is an estimate with its formula, prompts are for people.\n", utc(r.MadeAt))
	r.facts(&p)
	r.summary(&p)
	r.clocks(&p)
	r.impact(&p, charts)
	r.detection(&p)
	r.timeline(&p)
	r.people(&p)
	r.causes(&p)
	r.actions(&p)
	r.recovery(&p)
	r.lessons(&p)
	r.after(&p)
	return p.String()
}

func (r *Report) facts(p *page) {
	rows := [][]string{
		{"Id", r.ID}, {"Date", r.OpenedAt.UTC().Format(time.DateOnly)}, {"Region", orNone(r.Region)}, {"Status", string(r.Status)},
		{"Severity", r.severities()}, {"Title (E)", r.Title}, {"Authors", "to write"},
		{"Databases affected", orNone(strings.Join(r.upstreams(), ", "))}, {"Workloads affected", orNone(strings.Join(r.workloads(), ", "))},
		{"Services affected", "to write"},
	}
	p.table([]string{"", ""}, rows)
}

func (r *Report) severities() string {
	var parts []string
	for _, c := range r.Severities {
		parts = append(parts, fmt.Sprintf("SEV-%d from %s (%s)", c.To, clock(c.At), orNone(c.Why)))
	}
	return strings.Join(parts, ", then ")
}

func (r *Report) upstreams() []string {
	var names []string
	for _, f := range r.Findings {
		names = append(names, f.Upstream)
	}
	return distinct(names)
}

func (r *Report) workloads() []string {
	var names []string
	for _, f := range r.Findings {
		names = append(names, f.Workload)
	}
	for _, l := range r.Impact.Loads {
		if l.Failed+l.Slow > 0 {
			names = append(names, l.Workload)
		}
	}
	return distinct(names)
}

func distinct(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

func (r *Report) summary(p *page) {
	p.head("Summary")
	p.line("%s (E)\n", cell(r.draft()))
	p.prompt("correct the sentence above; then say why this was a surprise: what did we believe that was not so?")
}

// draft is a sentence made of what is known.
func (r *Report) draft() string {
	s := fmt.Sprintf("On %s from %s", r.OpenedAt.UTC().Format(time.DateOnly), clock(r.At(incident.ImpactStart)))
	if at := r.At(incident.AllRestored); !at.IsZero() {
		s += fmt.Sprintf(" to %s UTC (%s)", clock(at), at.Sub(r.At(incident.ImpactStart)).Round(time.Second))
	}
	s += ": " + r.Title
	if m := &r.Impact; m.Measured {
		s += fmt.Sprintf("; %d transactions failed and %d waited too long, of %d", m.Failed, m.Slow, m.Valid)
	}
	return s + "."
}

func (r *Report) clocks(p *page) {
	p.head("Clocks (A)")
	var rows [][]string
	for _, c := range incident.Clocks() {
		m, known := r.Clock(c)
		if !known {
			rows = append(rows, []string{string(c), "not known", c.Meaning(), ""})
			continue
		}
		rows = append(rows, []string{string(c), utc(m.At), m.How, orText(m.Who, "spillway")})
	}
	p.table([]string{"clock", "at (UTC)", "how", "set by"}, rows)
	rows = nil
	for _, d := range r.Durations {
		value := "not known"
		if d.Known {
			value = length(d.Seconds)
		}
		rows = append(rows, []string{d.Name, d.Meaning, value, fmt.Sprintf("%s → %s", d.From, d.To)})
	}
	p.table([]string{"duration", "time", "value", "from → to"}, rows)
}

func (r *Report) impact(p *page, charts map[string]string) {
	p.head("Impact")
	m := &r.Impact
	p.line("SLI: %s.\n", cell(m.SLI))
	rows := [][]string{}
	if m.Measured {
		rows = append(rows,
			[]string{"transactions failed (A)", fmt.Sprint(m.Failed), ""},
			[]string{"transactions slow (A)", fmt.Sprint(m.Slow), "waited longer than the threshold for a server"},
			[]string{"transactions valid (A)", fmt.Sprint(m.Valid), "between impact start and restored"},
			[]string{"P95 before / peak / after (A)", fmt.Sprintf("%s / %s / %s", within(m.P95Before), within(m.P95Peak), within(m.P95After)), "worst workload; mean of the 15 min before, most during, mean of the 5 min after"},
			[]string{"most waiting at once (A)", fmt.Sprint(m.Waiting), ""})
		for _, u := range m.Upstreams {
			rows = append(rows, []string{"peak connections of " + u.Upstream + " (A)", fmt.Sprintf("%d of %d", u.Used, u.Usable), "at " + clock(u.At)})
		}
	}
	for _, figures := range [][]Figure{m.Budgets, m.Users, m.Revenue} {
		for _, f := range figures {
			rows = append(rows, []string{f.Name + mark(f.Estimate), amount(f), f.Formula})
		}
	}
	p.table([]string{"what", "value", "formula, source"}, rows)
	if !m.Measured {
		p.line("Nothing was measured in that time: the record has no samples of it.\n")
	}
	if len(m.Loads) > 0 {
		rows = nil
		for _, l := range m.Loads {
			rows = append(rows, []string{l.Workload, fmt.Sprint(l.Failed), fmt.Sprint(l.Slow), fmt.Sprint(l.Valid), fmt.Sprint(l.InUse), fmt.Sprint(l.Waiting), length(l.P95Peak)})
		}
		p.table([]string{"workload (A)", "failed", "slow", "valid", "most in use", "most waiting", "P95 peak"}, rows)
	}
	for _, name := range chartNames(charts) {
		p.line("![%s](%s)\n", strings.TrimSuffix(name, ".svg"), name)
	}
	p.prompt("CPU of the database, and what Spillway does not see: pages that did not load, jobs that did not run.")
	p.prompt("effect on the business and on trust: what did customers say, what was promised to them?")
}

func mark(estimate bool) string {
	if estimate {
		return " (E)"
	}
	return " (A)"
}

func amount(f Figure) string {
	if f.Unit == "%" {
		return fmt.Sprintf("%.1f %%", f.Value)
	}
	return number(f.Value) + " " + f.Unit
}

// within is the P95 of a span; 0 is that of one in which nothing ran to its end.
func within(seconds float64) string {
	if seconds == 0 {
		return "no transactions"
	}
	return length(seconds)
}

// length shows seconds in the units a person would use.
func length(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", 1000*seconds)
	case d < time.Minute:
		return fmt.Sprintf("%.3g s", seconds)
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min %02d s", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

func utc(at time.Time) string { return at.UTC().Format(time.DateTime) }

func orNone(text string) string { return orText(text, "none named") }

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
