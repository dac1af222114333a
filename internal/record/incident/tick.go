package incident

import (
	"fmt"
	"time"

	"spillway/internal/record/event"
)

// Since says when this node began to look, and how long its detectors may take
// to say again what they saw before.
type Since struct {
	Started time.Time
	Patient time.Duration
}

// Tick says what the passing of time does: an incident that nobody takes is
// escalated, one that gets worse rises, one that stays restored is stable, and a
// finding that nobody has told since a restart is gone.
func (b *Book) Tick(a Asker, since Since) []event.Event {
	var drafts []event.Event
	for _, i := range b.All() {
		if i.Status == Open {
			drafts = append(drafts, b.tickOpen(i, a)...)
			drafts = append(drafts, b.lost(i, a, since)...)
			continue
		}
		stays := a.At.Sub(i.At(AllRestored))
		if !i.stable && b.rules.Stable > 0 && stays >= b.rules.Stable && stays < changesBefore {
			drafts = append(drafts, a.draft(Stable, i.ID, nil))
		}
	}
	return drafts
}

func (b *Book) tickOpen(i *Incident, a Asker) []event.Event {
	var drafts []event.Event
	if severity, why := b.rules.Severity(b.ratio); severity < i.Severity {
		drafts = append(drafts, a.draft(Rated, i.ID, RatedBody{severity, why}))
	}
	if wait := a.At.Sub(i.wasOpen); i.AckedBy == "" && !i.escalated && b.rules.Escalate > 0 && wait >= b.rules.Escalate {
		drafts = append(drafts, a.draft(Escalated, i.ID, ReasonBody{Reason: fmt.Sprintf("nobody has acknowledged it for %s", wait.Round(time.Second))}))
	}
	return drafts
}

// lost clears what this node told before it was started and has not told again,
// and what a node told that has not been heard of for as long.
func (b *Book) lost(i *Incident, a Asker, since Since) []event.Event {
	if a.At.Sub(since.Started) < since.Patient {
		return nil
	}
	var drafts []event.Event
	holding := i.Holding()
	for n := range i.Findings {
		m := &i.Findings[n]
		if m.Cleared {
			continue
		}
		f, by := m.Finding, a
		switch heard := i.heard[m.Node]; {
		case m.Node != a.Node && a.At.Sub(heard) >= since.Patient:
			f.Summary = fmt.Sprintf("node %s has not been heard of since %s: %s", m.Node, heard.UTC().Format(time.TimeOnly), f.Summary)
			by.Node = m.Node // in whose place it is said
		case m.Node == a.Node && m.lastTold.Before(since.Started):
			f.Summary = "not seen since the restart at " + since.Started.UTC().Format(time.TimeOnly) + ": " + f.Summary
		default:
			continue
		}
		f.Cleared, f.At = true, a.At
		drafts = append(drafts, by.draft(Found, i.ID, FoundBody{f}))
		if m.Paged {
			holding--
		}
	}
	if len(drafts) > 0 && holding == 0 && !i.Declared {
		drafts = append(drafts, a.draft(Restored, i.ID, nil))
	}
	return drafts
}

// Due returns the ids of incidents that have been restored for long enough to
// be resolved without anybody.
func (b *Book) Due(at time.Time) []string {
	var due []string
	for _, i := range b.Live() {
		if i.Status == IsRestored && b.rules.Resolve > 0 && at.Sub(i.At(AllRestored)) >= b.rules.Resolve {
			due = append(due, i.ID)
		}
	}
	return due
}
