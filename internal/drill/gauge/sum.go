package gauge

import (
	"maps"
	"slices"

	"spillway/internal/drill/outcome"
)

// Window is when a side's fault began and ended, and when its load did.
type Window struct {
	FaultAt, FaultEnd, End float64
	Culprit                []string // roles of the fault's connections
	Restart                bool     // the server restarts: its own 57P01 is no kill
}

// Side sums up what was measured.
func (g *Gauge) Side(name string, w Window) outcome.Side {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := outcome.Side{
		Name: name, FaultAt: w.FaultAt, FaultEnd: w.FaultEnd, End: w.End,
		Seconds: g.seconds(w.End), Events: append([]outcome.Event{}, g.events...),
		Errors: failuresOf(g.failures), Operator: failuresOf(g.lockouts),
	}
	f := &s.Figures
	g.requests(f, w)
	g.connections(f, w)
	g.operator(f, w)
	if g.named != nil && g.named.At >= w.FaultAt && g.named.At <= w.FaultEnd {
		f.NamedAs, f.NamedBy = g.named.As, g.named.By
		f.Named = since(g.named.At, w.FaultAt)
	}
	f.Stall = g.stall
	back := w.FaultAt
	if n := len(g.away); n > 1 {
		back = g.away[n-1]
	}
	f.Knocks = busiest(g.knocks, back, w.End)
	f.Recovered = recovered(s.Seconds, w)
	return s
}

// busiest is the most of the moments between from and to that lie within one
// second.
func busiest(moments []float64, from, to float64) int {
	var at []float64
	for _, m := range moments {
		if m >= from && m <= to {
			at = append(at, m)
		}
	}
	slices.Sort(at)
	most, first := 0, 0
	for i := range at {
		for at[i]-at[first] > 1 {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func since(at, from float64) *float64 {
	d := max(at-from, 0)
	return &d
}

func (g *Gauge) requests(f *outcome.Figures, w Window) {
	var steady, took []float64
	for _, s := range g.shots {
		switch {
		case s.due < w.FaultAt:
			if s.due+s.took < w.FaultAt { // else the fault had its part in it
				steady = append(steady, s.took)
				f.SteadyFailed += one(s.failed)
			}
			continue
		case s.due > w.End:
			continue
		}
		took = append(took, s.took)
		f.Requests++
		if s.failed {
			f.Failed++
		}
		if s.failed && killed(s.code, w.Restart) {
			f.WrongKills++
		}
	}
	if f.Requests > 0 {
		f.Availability = float64(f.Requests-f.Failed) / float64(f.Requests)
	}
	f.P99, f.SteadyP99 = quantile(took, 0.99), quantile(steady, 0.99)
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// killed tells whether an error says that somebody ended a statement, a
// transaction or a session that did not ask for it.
func killed(code string, restart bool) bool {
	switch code {
	case "57P01":
		return !restart
	case "57014", "57P05", "25P03", "25P04":
		return true
	}
	return false
}

func (g *Gauge) connections(f *outcome.Figures, w Window) {
	for _, c := range g.counts {
		if c.at > w.End {
			continue
		}
		f.Peak = max(f.Peak, c.all)
		f.CulpritPeak = max(f.CulpritPeak, c.of(w.Culprit))
	}
}

func (c count) of(roles []string) int {
	n := 0
	for _, role := range roles {
		n += c.roles[role]
	}
	return n
}

// LastAbove is when the roles last had more than bound connections within the
// window; 0 when they never had.
func (g *Gauge) LastAbove(roles []string, bound int, w Window) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := 0.0
	for _, c := range g.counts {
		if c.at >= w.FaultAt && c.at <= w.End && c.of(roles) > bound {
			last = c.at
		}
	}
	return last
}

// BusyUntil is when a statement of the roles last ran within the window, and
// how many ran at once at most.
func (g *Gauge) BusyUntil(roles []string, w Window) (at float64, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.counts {
		n := 0
		for _, role := range roles {
			n += c.busy[role]
		}
		if n > 0 && c.at <= w.End {
			at, most = c.at, max(most, n)
		}
	}
	return at, most
}

// Looks are the operator's tries so far.
func (g *Gauge) Looks() []Look {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Look{}, g.looks...)
}

// FirstFailure is when the API first failed from at on; ok is whether it did.
func (g *Gauge) FirstFailure(from float64) (at float64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.shots {
		if end := s.due + s.took; s.failed && s.due >= from && (!ok || end < at) {
			at, ok = end, true
		}
	}
	return at, ok
}

// operator counts tries that began while the fault lasted; those that failed
// because the server itself was away are counted apart.
func (g *Gauge) operator(f *outcome.Figures, w Window) {
	for _, l := range g.looks {
		if l.At < w.FaultAt || l.At > w.FaultEnd {
			continue
		}
		switch {
		case l.In:
			f.OperatorTries++
			f.OperatorIn++
			f.OperatorWorst = max(f.OperatorWorst, l.Took)
		case g.duringAway(l):
			f.OperatorAway++
		default:
			f.OperatorTries++
		}
	}
}

// seconds cuts the run into seconds.
func (g *Gauge) seconds(end float64) []outcome.Second {
	all := make([]outcome.Second, max(int(end), 1)) // a last part of a second says little
	took := make([][]float64, len(all))
	inside := func(at float64) bool { return at >= 0 && int(at) < len(all) }
	for _, s := range g.shots {
		if !inside(s.due) {
			continue
		}
		i := int(s.due)
		took[i] = append(took[i], s.took)
		if s.failed {
			all[i].Failed++
		} else {
			all[i].OK++
		}
	}
	peak := make([]int, len(all))
	for _, c := range g.counts {
		if inside(c.at) && (all[int(c.at)].Holders == nil || c.all > peak[int(c.at)]) {
			all[int(c.at)].Holders, peak[int(c.at)] = maps.Clone(c.roles), c.all
		}
	}
	for _, w := range g.waiting {
		if inside(w.at) {
			all[int(w.at)].Waiting = max(all[int(w.at)].Waiting, w.n)
		}
	}
	for i := range all {
		all[i].P50, all[i].P99 = quantile(took[i], 0.5), quantile(took[i], 0.99)
		if all[i].Holders == nil {
			all[i].Holders = map[string]int{}
		}
	}
	return all
}

// bad is a second in which more than one request in a hundred failed.
func bad(s outcome.Second) bool { return s.Failed > 0 && 100*s.Failed > s.OK+s.Failed }

// recovered is how long after the fault began the last bad second was over:
// 0 when there was none, nil when the run ended bad.
func recovered(seconds []outcome.Second, w Window) *float64 {
	zero := 0.0
	for i := len(seconds) - 1; i >= int(w.FaultAt); i-- {
		if !bad(seconds[i]) {
			continue
		}
		if i == len(seconds)-1 {
			return nil
		}
		return since(float64(i+1), w.FaultAt)
	}
	return &zero
}
