package drill

import (
	"fmt"
	"time"

	"spillway/internal/drill/outcome"
)

// What product.md and the issue promise of the guarded side.
const (
	leastAvailability = 0.999
	containWithin     = 30 * time.Second
	// outageBelow is the availability under which the bare side has had the
	// report's outage.
	outageBelow = 0.9
)

// compare fills in the table and the promises.
func compare(r *outcome.Result, d Drill) {
	r.Rows = table(r, d)
	r.Promises = promises(r, d)
	r.Held = true
	for _, p := range r.Promises {
		r.Held = r.Held && p.Held
	}
	if !r.Held {
		r.Void = void(r)
	}
}

// Beyond these the machine is too busy for a drill: before there was any fault
// the API was slow, or the drill's own clock stood still.
const (
	unsteady = 0.3 // seconds, p99 before the fault
	stalled  = 1.5 // seconds between two counts that should be 0.25 apart
)

// void says why broken promises say nothing, "" when they do.
func void(r *outcome.Result) string {
	for _, s := range []*outcome.Side{&r.Bare, &r.Guarded} {
		if f := &s.Figures; f.SteadyP99 > unsteady || f.SteadyFailed > 0 {
			return fmt.Sprintf("%s, the steady state was none: p99 %s and %d failed before the fault; the machine is too busy", s.Name, took(f.SteadyP99), f.SteadyFailed)
		}
	}
	if f := &r.Guarded.Figures; f.Stall > stalled {
		return fmt.Sprintf("guarded, the drill itself got no processor for %s; the machine is too busy", took(f.Stall))
	}
	return ""
}

// line makes a row from one figure of both sides.
func line(r *outcome.Result, name, report string, of func(*outcome.Side) string) outcome.Row {
	if report == "" {
		report = "-"
	}
	return outcome.Row{Figure: name, Bare: of(&r.Bare), Guarded: of(&r.Guarded), Report: report}
}

func table(r *outcome.Result, d Drill) []outcome.Row {
	figure := func(name, report string, of func(*outcome.Figures) string) outcome.Row {
		return line(r, name, report, func(s *outcome.Side) string { return of(&s.Figures) })
	}
	rows := []outcome.Row{
		figure("availability of the API", d.Report.Availability, func(f *outcome.Figures) string { return percent(f.Availability) }),
		figure("failed requests", d.Report.Errors, func(f *outcome.Figures) string { return fmt.Sprintf("%d of %d", f.Failed, f.Requests) }),
		figure("p99 of the API", d.Report.P99, func(f *outcome.Figures) string {
			return fmt.Sprintf("%s (steady %s)", took(f.P99), took(f.SteadyP99))
		}),
		figure("peak connections", d.Report.Peak, func(f *outcome.Figures) string {
			return fmt.Sprintf("%d (culprit %d)", f.Peak, f.CulpritPeak)
		}),
		figure("time to name the cause", d.Report.Named, func(f *outcome.Figures) string { return orNever(f.Named) }),
		figure("time to contain", d.Report.Contained, func(f *outcome.Figures) string { return orNever(f.Contained) }),
		figure("time to recover", d.Report.Recovered, func(f *outcome.Figures) string { return recovery(f.Recovered) }),
		figure("operator gets in", d.Report.Operator, func(f *outcome.Figures) string {
			text := fmt.Sprintf("%d of %d tries", f.OperatorIn, f.OperatorTries)
			if f.OperatorAway > 0 {
				text += fmt.Sprintf(" (%d more while the server was away)", f.OperatorAway)
			}
			return text
		}),
		figure("wrong kills", d.Report.WrongKills, func(f *outcome.Figures) string { return fmt.Sprint(f.WrongKills) }),
	}
	if r.Bare.Figures.Crowd > 0 {
		rows = append(rows,
			figure("clients served", "", servedText),
			figure("logins at PostgreSQL, busiest second", "", func(f *outcome.Figures) string { return fmt.Sprint(f.Knocks) }))
	}
	if r.Bare.Figures.Stuck > 0 {
		rows = append(rows, figure("stuck statements", d.Report.Stuck, func(f *outcome.Figures) string {
			return fmt.Sprintf("%d, gone after %s", f.Stuck, orNever(f.Unstuck))
		}))
	}
	if r.Bare.Figures.Deleted > 0 || r.Guarded.Figures.Deleted > 0 {
		rows = append(rows, figure("rows deleted", d.Report.Deleted, func(f *outcome.Figures) string {
			return fmt.Sprintf("%d (%.0f rows/s)", f.Deleted, f.DeleteRate)
		}))
	}
	return rows
}

func promises(r *outcome.Result, d Drill) []outcome.Promise {
	b, g := &r.Bare.Figures, &r.Guarded.Figures
	all := []outcome.Promise{
		{
			Text: "bare, the API goes down as in the report (availability under 90 %)",
			Saw:  percent(b.Availability), Held: b.Availability < outageBelow && b.SteadyFailed == 0,
		},
		{
			Text: "bare, the operator is locked out", Saw: fmt.Sprintf("%d of %d tries failed", b.OperatorTries-b.OperatorIn, b.OperatorTries),
			Held: b.OperatorIn < b.OperatorTries,
		},
		{
			Text: "guarded, at least 99.9 % of the API's requests are answered",
			Saw:  percent(g.Availability), Held: g.Availability >= leastAvailability && g.Requests > 0,
		},
		{
			Text: "guarded, the operator always gets in", Saw: fmt.Sprintf("%d of %d tries, the longest %s", g.OperatorIn, g.OperatorTries, took(g.OperatorWorst)),
			Held: g.OperatorTries > 0 && g.OperatorIn == g.OperatorTries,
		},
		{
			Text: "guarded, contained in 30 s", Saw: orNever(g.Contained),
			Held: g.Contained != nil && *g.Contained <= containWithin.Seconds(),
		},
		{Text: "guarded, nothing is ended that should go on", Saw: fmt.Sprintf("%d wrong kills", g.WrongKills), Held: g.WrongKills == 0},
	}
	if !d.Unnamed {
		saw := orNever(g.Named)
		if g.NamedAs != "" {
			saw += ": " + g.NamedAs
		}
		all = append(all, outcome.Promise{
			Text: "guarded, the cause is named in " + d.NameWithin.String(), Saw: saw,
			Held: g.Named != nil && *g.Named <= d.NameWithin.Seconds(),
		})
	}
	if d.Extra != nil {
		all = append(all, d.Extra(r)...)
	}
	return all
}

// percent never rounds up to 100.
func percent(part float64) string {
	if part >= 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.2f %%", float64(int(part*10000))/100)
}

func took(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func orNever(s *float64) string {
	if s == nil {
		return "never"
	}
	return took(*s)
}

func recovery(s *float64) string {
	switch {
	case s == nil:
		return "not by the end"
	case *s == 0:
		return "no outage"
	}
	return took(*s)
}
