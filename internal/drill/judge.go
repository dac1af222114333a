package drill

import (
	"context"
	"strconv"
	"strings"

	"spillway/internal/drill/outcome"
)

// judge adds what takes knowledge of the drill: who named the cause on the bare
// side, and when the fault was contained.
func (r *running) judge(s *Scene, side *outcome.Side) {
	f := &side.Figures
	if !s.Guarded() {
		r.nameByPsql(s, side)
	}
	at := s.Gauge.LastAbove(s.Window.Culprit, s.Play.Bound, s.Window)
	if acted, ok := firstAction(side); ok {
		at = max(at, acted)
	}
	// What ends only with the fault was not contained.
	if at <= s.Window.FaultEnd-min(s.Play.Fault.Seconds()/8, 2) {
		d := max(at-s.Window.FaultAt, 0)
		f.Contained = &d
	}
}

// firstAction is when during the fault Spillway or a person first acted on the fault.
func firstAction(side *outcome.Side) (at float64, ok bool) {
	for _, e := range side.Events {
		if e.Kind == "action" && e.At >= side.FaultAt && e.At <= side.FaultEnd {
			return e.At, true
		}
	}
	return 0, false
}

// nameByPsql is how a cause is named without Spillway: once users complain, an
// operator has to get in and see the culprit with most connections, at least
// half of all.
func (r *running) nameByPsql(s *Scene, side *outcome.Side) {
	f := &side.Figures
	f.Named, f.NamedAs, f.NamedBy = nil, "", ""
	alarm, down := s.Gauge.FirstFailure(s.Window.FaultAt)
	if !down {
		return
	}
	for _, look := range s.Gauge.Looks() {
		at := look.At + look.Took
		who, count, _ := strings.Cut(look.Said, "|")
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if !look.In || at < alarm || at > s.Window.FaultEnd || err != nil || !r.drill.Cause.In(who) || 2*n < f.Peak {
			continue
		}
		d := at - s.Window.FaultAt
		f.Named, f.NamedBy, f.NamedAs = &d, "operator", look.Said
		return
	}
}

// postmortem is what Spillway writes of the last incident it recorded; "" when
// there was none.
func (s *Scene) postmortem(ctx context.Context) string {
	out, err := s.spillway(ctx, "incident", "report", "last", "--out", "-")
	if err != nil {
		return ""
	}
	return out
}
