package incident

import (
	"slices"
	"strings"
	"time"

	"spillway/internal/record/event"
)

// remember puts an event on the timeline.
func (i *Incident) remember(e event.Event) {
	if e.Kind == Measured {
		return
	}
	if len(i.Timeline) >= mostTimeline {
		i.Left++
		return
	}
	i.Timeline = append(i.Timeline, e)
}

// apply folds one event of this incident.
func (i *Incident) apply(e event.Event) {
	i.remember(e)
	i.hear(e)
	switch e.Kind {
	case Found:
		var b FoundBody
		if e.Read(&b) == nil {
			i.found(b.Finding, e)
		}
	case Rated:
		var b RatedBody
		if e.Read(&b) == nil {
			i.Severity = b.Severity
			i.Severities = append(i.Severities, Change{e.At, b.Severity, b.Why, e.Actor})
		}
	case Acked:
		i.AckedBy = e.Actor
		i.mark(Mark{Clock: Acknowledged, At: e.At, How: "acknowledged", Event: e.ID})
		i.join(e.Actor, "acknowledged", e.At)
	case Escalated:
		i.escalated = true
		i.mark(Mark{Clock: WasEscalated, At: e.At, How: "escalated", Event: e.ID})
	case Commanded:
		var b NamedBody
		if e.Read(&b) == nil {
			i.Commander = b.Name
			i.join(b.Name, "commander", e.At)
		}
	case Joined:
		var b NamedBody
		if e.Read(&b) == nil {
			i.join(b.Name, b.Role, e.At)
		}
	case ItemSet:
		i.setItem(e)
	case Measured:
		var b MeasuredBody
		if e.Read(&b) == nil && len(i.Points)+len(b.Points) <= mostPoints {
			for _, p := range b.Points {
				// The same point may be given twice: with its minute, and at the end.
				if !slices.ContainsFunc(i.Points[max(len(i.Points)-mostMarks, 0):], func(have Point) bool { return have.At.Equal(p.At) }) {
					i.Points = append(i.Points, p)
				}
			}
			slices.SortStableFunc(i.Points, func(a, b Point) int { return a.At.Compare(b.At) })
		}
	default:
		i.applyState(e)
	}
}

// applyState folds what moves an incident between its states, and what people
// and actions add.
func (i *Incident) applyState(e event.Event) {
	switch e.Kind {
	case Restored:
		i.Status = IsRestored
		i.mark(Mark{Clock: AllRestored, At: e.At, How: Clock(AllRestored).Meaning(), Event: e.ID})
	case Smoked:
		var b SmokeRun
		if e.Read(&b) == nil {
			b.At = e.At
			i.Smoke = &b
		}
	case Resolved:
		var b ReasonBody
		_ = e.Read(&b)
		i.Status, i.Reason = IsResolved, b.Reason
		i.mark(Mark{Clock: AllRestored, At: e.At, How: "said to be over", Event: e.ID})
		i.mark(Mark{Clock: AtResolved, At: e.At, How: "resolved", Event: e.ID})
	case Reopened:
		i.Status, i.Reason, i.wasOpen, i.stable, i.escalated = Open, "", e.At, false, false
		i.Relapses++
		i.unmark(AllRestored, AtResolved, AtStable)
	case Stable:
		i.stable = true
		i.mark(Mark{Clock: AtStable, At: e.At, How: "no finding came back", Event: e.ID})
	case Judged:
		var b JudgedBody
		if e.Read(&b) == nil {
			i.ruled(b.RuledOut)
		}
	case Noted:
		i.noted(e)
	case Declared:
		var b DeclaredBody
		if e.Read(&b) == nil {
			i.declared(b)
		}
	case Imported:
		i.mark(Mark{Clock: Alert, At: e.At, How: "a foreign alarm came", Event: e.ID})
	default:
		if strings.HasPrefix(e.Kind, "action.") && actionHasEffect(e.Kind) {
			i.mark(Mark{Clock: FirstAction, At: e.At, How: e.Kind, Event: e.ID})
		}
	}
}

// actionHasEffect leaves out what precedes or refuses an action.
func actionHasEffect(kind string) bool {
	return !slices.Contains([]string{"action.previewed", "action.begun", "action.refused", "action.failed", "action.expired"}, kind)
}

// ruled adds what was ruled out, each once: figures after a colon change all the
// time, and those of the first time stay.
func (i *Incident) ruled(lines []string) {
	for _, line := range lines {
		what, _, _ := strings.Cut(line, ":")
		have := slices.ContainsFunc(i.Ruled, func(r string) bool { r, _, _ = strings.Cut(r, ":"); return r == what })
		if !have && len(i.Ruled) < mostMarks {
			i.Ruled = append(i.Ruled, line)
		}
	}
}

func (i *Incident) declared(b DeclaredBody) {
	if len(b.Segments) > 0 && len(i.Segments)+len(b.Segments) <= mostMarks {
		i.Segments = append(i.Segments, b.Segments...)
	}
	if b.Users != nil {
		i.Users = b.Users
	}
}

func (i *Incident) noted(e event.Event) {
	var b NotedBody
	if e.Read(&b) != nil {
		return
	}
	if b.Clock != "" && len(i.Marks) < mostMarks {
		i.Marks = append(i.Marks, Mark{Clock: b.Clock, At: whenOf(b, e), How: b.Text, Who: nameOr(e.Actor, "somebody"), Event: e.ID})
	}
	i.join(e.Actor, "noted", e.At)
}

func whenOf(b NotedBody, e event.Event) time.Time {
	if b.When.IsZero() {
		return e.At
	}
	return b.When
}

func nameOr(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

// join lists a person once; a role of command goes before the others.
func (i *Incident) join(name, role string, at time.Time) {
	if name == "" || len(i.People) >= mostMembers {
		return
	}
	for n := range i.People {
		if p := &i.People[n]; p.Name == name {
			if role != "noted" && p.Role != "commander" {
				p.Role = role
			}
			return
		}
	}
	i.People = append(i.People, Person{name, role, at})
}

// found puts a finding among the members. What two nodes of a region see by the
// same key are two members: it is gone when both say so.
func (i *Incident) found(f Finding, e event.Event) {
	m := i.member(f.Key, e.Node)
	if m == nil {
		if len(i.Findings) >= mostMembers {
			return
		}
		i.Findings = append(i.Findings, Member{First: e.At})
		m = &i.Findings[len(i.Findings)-1]
	}
	m.Finding, m.Node, m.lastTold = f, e.Node, e.At
	m.Paged = m.Paged || f.Level == Page
	if f.Workload != "" && !f.Cleared {
		i.mark(Mark{Clock: CauseKnown, At: e.At, How: "a finding named the workload " + f.Workload, Event: e.ID})
	}
	// A finding may say that it began before the one that opened the incident.
	for n := range i.Marks {
		mark := &i.Marks[n]
		if mark.Clock == ImpactStart && mark.Who == "" && m.Paged && !f.Since.IsZero() && f.Since.Before(mark.At) && e.At.Sub(f.Since) < changesBefore {
			mark.At, mark.Event = f.Since, e.ID
		}
	}
}

// member is a finding as this node told it, nil when it has not.
func (i *Incident) member(key, node string) *Member {
	for n := range i.Findings {
		if i.Findings[n].Key == key && i.Findings[n].Node == node {
			return &i.Findings[n]
		}
	}
	return nil
}

// has reports whether any node has told a finding of this key.
func (i *Incident) has(key string) bool {
	return slices.ContainsFunc(i.Findings, func(m Member) bool { return m.Key == key })
}

// hear takes note of the node that an event comes from.
func (i *Incident) hear(e event.Event) {
	if e.Node == "" || len(i.heard) >= mostMembers {
		return
	}
	if i.heard == nil {
		i.heard = map[string]time.Time{}
	}
	if e.At.After(i.heard[e.Node]) {
		i.heard[e.Node] = e.At
	}
}

// Holding counts the findings that the incident waits for.
func (i *Incident) Holding() int {
	n := 0
	for k := range i.Findings {
		if i.Findings[k].Paged && !i.Findings[k].Cleared {
			n++
		}
	}
	return n
}

func (i *Incident) setItem(e event.Event) {
	var item Item
	if e.Read(&item) != nil || item.N < 1 || item.N > mostItems {
		return
	}
	item.Incident, item.At = i.ID, e.At
	for n := range i.Items {
		if i.Items[n].N == item.N {
			i.Items[n] = item
			return
		}
	}
	i.Items = append(i.Items, item)
}
