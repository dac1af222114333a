package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"spillway/internal/sweep/target"
)

// Text is the plan for people.
func (p *Plan) Text() string {
	var b strings.Builder
	p.writeTable(&b)
	p.writeDoomed(&b)
	p.writeOptions(&b)
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "\nwarning: %s", w)
	}
	if len(p.Warnings) > 0 {
		b.WriteByte('\n')
	}
	if len(p.Missing) > 0 {
		b.WriteString("\nYou may want to run, by hand:\n")
		for _, m := range p.Missing {
			fmt.Fprintf(&b, "  %s\n", m)
		}
	}
	return b.String()
}

func (p *Plan) writeTable(b *strings.Builder) {
	t := p.Table
	table, indexes := t.Bytes()
	fmt.Fprintf(b, "%s in database %s: %s rows, %s, indexes %s\n", t.Ident(), t.Server.Database, Count(t.Rows), bytes(table), bytes(indexes))
	w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	if t.Partitioned {
		line("partitions", "%d, of which %d may hold doomed rows", len(t.Leaves), len(p.Legs))
	}
	for i, x := range t.Indexes {
		if i == 20 {
			line("", "and %d more", len(t.Indexes)-i)
			break
		}
		about := ""
		if !x.Valid {
			about = ", INVALID"
		}
		if x.Partial {
			about += ", partial"
		}
		line("index", "%s (%s), %s, %s%s", target.Quote(x.Name), keyNames(x.Columns), x.Method, bytes(x.Bytes), about)
	}
	for _, k := range t.Referencing {
		line("referred to by", "%s (%s), %s", k.Table, keyNames(k.Columns), k.OnDelete)
	}
	for _, k := range t.References {
		line("refers to", "%s by (%s)", k.Table, keyNames(k.Columns))
	}
	for _, g := range t.Triggers {
		line("trigger", "%s", target.Quote(g.Name))
	}
	line("replica identity", "%s", t.Identity)
	if len(t.Published) > 0 {
		line("published in", "%s", strings.Join(t.Published, ", "))
	}
	_ = w.Flush() // into memory
}

func (p *Plan) writeDoomed(b *strings.Builder) {
	fmt.Fprintf(b, "\ndoomed: %s rows, %.1f %% (by %s; the planner says %s)\n", Count(p.Doomed.Rows), 100*p.Doomed.Share, p.Doomed.By, Count(p.Doomed.Planner))
	fmt.Fprintf(b, "  condition  %s\n", p.Condition.At(p.Cutoff))
	if p.Correlation != nil {
		fmt.Fprintf(b, "  correlation with the physical order  %.2f\n", *p.Correlation)
	}
	if p.LambdaHow != "" {
		fmt.Fprintf(b, "  λ  %.1f rows/s become doomed (%s)\n", p.Lambda, p.LambdaHow)
	}
	if p.Mu > 0 {
		fmt.Fprintf(b, "  μ  %.0f rows/s are deleted beside live traffic\n", p.Mu)
	}
}

func (p *Plan) writeOptions(b *strings.Builder) {
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "  STRATEGY\tALONE\tBESIDE TRAFFIC\tWAL\tDEAD ROWS\tWHAT")
	for _, o := range p.Options {
		name := "  " + string(o.Strategy)
		if o.Strategy == p.Chosen {
			name = "* " + string(o.Strategy)
		}
		what := o.Why
		if o.Possible && o.Locks != "" {
			what += "; " + o.Locks
		}
		if !o.Possible {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\tnot possible: %s\n", name, what)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, about(o.Alone), about(o.Company), bytes(o.WAL), bytes(o.Bloat), what)
	}
	_ = w.Flush() // into memory
	fmt.Fprintf(b, "\nchosen: %s: %s\n", p.Chosen, p.Why)
}

func keyNames(columns []string) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = "…"
		if c != "" {
			names[i] = target.Quote(c)
		}
	}
	return strings.Join(names, ", ")
}

// about is a duration of which only the size is known.
func about(d time.Duration) string {
	switch {
	case d < time.Second:
		return "< 1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

// Count prints a number of rows for people: 48.0M.
func Count(n float64) string {
	switch {
	case n < 0:
		return "an unknown number of"
	case n < 10_000:
		return fmt.Sprintf("%.0f", n)
	case n < 1e6:
		return fmt.Sprintf("%.1fk", n/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1fM", n/1e6)
	}
	return fmt.Sprintf("%.1fG", n/1e9)
}

func bytes(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
