package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/incident"
)

func (r *Report) detection(p *page) {
	p.head("Detection")
	source := "declared by a person"
	if len(r.Findings) > 0 {
		f := r.Findings[0]
		source = fmt.Sprintf("detector %s: %s", orText(f.Detector, "unnamed"), f.Summary)
	}
	p.line("First told by (A): %s\n", cell(source))
	first := time.Time{}
	for _, f := range r.Findings {
		if !f.Paged && (first.IsZero() || f.Since.Before(first)) {
			first = f.Since
		}
	}
	if !first.IsZero() && first.Before(r.OpenedAt) {
		p.line("A warning about it held since %s, %s before the incident opened (A).\n", utc(first), r.OpenedAt.Sub(first).Round(time.Second))
	}
	p.prompt("could it have been noticed earlier? What was true hours or days before, and who could have seen it?")
}

func (r *Report) timeline(p *page) {
	p.head("Timeline (A)")
	var rows [][]string
	for _, l := range r.Timeline {
		text := l.Text
		if l.Link != "" {
			text += " (" + l.Link + ")"
		}
		if !l.NoteAt.IsZero() {
			text += " — noted at " + clock(l.NoteAt)
		}
		rows = append(rows, []string{utc(l.At), l.Who, text, l.Kind, l.Event})
	}
	p.table([]string{"at (UTC)", "who", "what", "kind", "event"}, rows)
	if r.Left > 0 {
		p.line("%d more events are in the log.\n", r.Left)
	}
}

func (r *Report) people(p *page) {
	p.head("Who took part (A)")
	if len(r.People) == 0 {
		p.line("Nobody is on record.\n")
	}
	var rows [][]string
	for _, one := range r.People {
		rows = append(rows, []string{one.Name, one.Role, utc(one.At)})
	}
	if len(rows) > 0 {
		p.table([]string{"who", "role", "from (UTC)"}, rows)
	}
}

func (r *Report) causes(p *page) {
	p.head("Causes")
	p.line("### Findings (A)\n")
	for _, f := range r.Findings {
		state := "holds"
		if f.Cleared {
			state = "gone at " + clock(f.At)
		}
		p.line("- **%s** (%s, since %s, %s): %s", cell(f.Key), f.Level, clock(f.Since), state, cell(f.Summary))
		for _, line := range f.Evidence {
			p.line("  - %s", cell(line))
		}
	}
	p.line("\n### Hypotheses ruled out\n")
	for _, line := range r.Ruled {
		p.line("- %s (A)", cell(line))
	}
	if len(r.Ruled) > 0 {
		p.line("")
	}
	p.prompt("what else was suspected, and what spoke against it?")
	p.line("### Trigger, root cause, contributing factors\n")
	if cause, ok := r.Clock(incident.CauseKnown); ok {
		p.line("Candidate (E): %s\n", cell(cause.How))
	}
	p.prompt("the trigger, the root cause, what contributed, and five whys; the code or config at fault.")
	p.line("### Changes before it (A)\n")
	if len(r.Changes) == 0 {
		p.line("No change markers are on record for the week before.\n")
	}
	for _, c := range r.Changes {
		p.line("- %s %s: %s", utc(c.At), cell(c.Kind), cell(plain([]byte(c.Text))))
	}
	p.line("")
}

// actions are what was done, as recorded.
func (r *Report) actions(p *page) {
	p.head("Actions (A)")
	var rows [][]string
	for _, l := range r.Timeline {
		if strings.HasPrefix(l.Kind, "action.") || strings.HasPrefix(l.Kind, "sweep.") || strings.HasPrefix(l.Kind, "job.") || strings.HasPrefix(l.Kind, "verb.") {
			rows = append(rows, []string{utc(l.At), l.Who, l.Kind, l.Text})
		}
	}
	if len(rows) == 0 {
		p.line("Spillway was asked for none.\n")
		return
	}
	p.table([]string{"at (UTC)", "who", "what", "scope, result"}, rows)
}

func (r *Report) recovery(p *page) {
	p.head("Recovery")
	switch run := r.Smoke; {
	case run == nil:
		p.line("No smoke checks were run.\n")
	default:
		var rows [][]string
		for _, c := range run.Checks {
			result := "passed"
			if !c.Passed {
				result = "failed: " + c.Told
			}
			rows = append(rows, []string{c.Name, result, length(c.Took)})
		}
		p.line("Smoke checks at %s (A):\n", utc(run.At))
		p.table([]string{"check", "result", "took"}, rows)
	}
	if at := r.At(incident.AtStable); !at.IsZero() {
		p.line("Stability was confirmed at %s (A).\n", utc(at))
	}
	if r.Relapses > 0 {
		p.line("It came back %d times (A).\n", r.Relapses)
	}
	if r.Reason != "" {
		p.line("Resolved because (A): %s\n", cell(r.Reason))
	}
	p.prompt("what was put off, and when does it go on?")
}

func (r *Report) lessons(p *page) {
	p.head("Lessons")
	p.line("Slowest steps (A):\n")
	for _, s := range r.slowest() {
		p.line("- %s from %s to %s", length(s.Seconds), s.From, s.To)
	}
	p.line("")
	p.prompt("what went well?")
	p.prompt("what went wrong? Begin with the slowest steps above.")
	p.prompt("where were we lucky?")
	p.line("Would today's config have stopped it? `spillway drill list` names rehearsals that try it on real servers.\n")
}

// slowest are the longest steps between clocks in their order of time.
func (r *Report) slowest() []incident.Duration {
	known := slices.Clone(r.Clocks)
	slices.SortStableFunc(known, func(a, b incident.Mark) int { return a.At.Compare(b.At) })
	var steps []incident.Duration
	for n := 1; n < len(known); n++ {
		steps = append(steps, incident.Duration{From: known[n-1].Clock, To: known[n].Clock, Seconds: known[n].At.Sub(known[n-1].At).Seconds()})
	}
	slices.SortStableFunc(steps, func(a, b incident.Duration) int {
		switch {
		case a.Seconds > b.Seconds:
			return -1
		case a.Seconds < b.Seconds:
			return 1
		}
		return 0
	})
	return steps[:min(len(steps), 3)]
}

func (r *Report) after(p *page) {
	p.head("Action items")
	var rows [][]string
	for _, i := range r.Items {
		done := "open"
		if i.Done {
			done = "done"
		}
		rows = append(rows, []string{fmt.Sprint(i.N), i.Text, i.Type, i.Owner, i.Due, i.Ticket, done})
	}
	for _, draft := range r.drafts() {
		rows = append(rows, []string{"draft", draft, "prevent", "to write", "to write", "", ""})
	}
	p.table([]string{"n", "item", "type", "owner", "due", "ticket", "state"}, rows)
	p.line("Keep them with `spillway incident item %s TEXT --owner NAME --due DATE`.\n", r.ID)
	p.head("Afterwards")
	p.prompt("what was changed meanwhile; when this is reviewed; what is told to whom, and the words of an apology if one is due.")
}

// drafts are action items that each finding suggests.
func (r *Report) drafts() []string {
	if len(r.Items) > 0 {
		return nil
	}
	var drafts []string
	for _, f := range r.Findings {
		if f.Paged && len(drafts) < 5 {
			drafts = append(drafts, fmt.Sprintf("keep this from happening again: %s. Runbook: %s", f.Summary, orText(f.Runbook, "none")))
		}
	}
	return drafts
}
