package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
)

// Line is one event of a timeline in words.
type Line struct {
	At     time.Time `json:"at"` // when it happened
	Kind   string    `json:"kind"`
	Who    string    `json:"who"` // "spillway" for what nobody did
	Node   string    `json:"node,omitempty"`
	Text   string    `json:"text"`
	Link   string    `json:"link,omitempty"`
	Event  string    `json:"event"`         // its id
	N      uint64    `json:"n,omitempty"`   // its place in the chain; 0 = not in the log yet
	NoteAt time.Time `json:"told,omitzero"` // when it was noted, if later
}

// timeline puts events in the order in which they happened.
func timeline(events []event.Event) []Line {
	lines := make([]Line, 0, len(events))
	for _, e := range events {
		l := Line{At: e.At, Kind: e.Kind, Who: e.Actor, Node: e.Node, Event: e.ID, N: e.N}
		if l.Who == "" {
			l.Who = "spillway"
		}
		l.Text = words(&e)
		var note incident.NotedBody
		if e.Kind == incident.Noted && e.Read(&note) == nil {
			l.Link = note.Link
			if !note.When.IsZero() {
				l.At, l.NoteAt = note.When, e.At
			}
		}
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) })
	return lines
}

// words says what an event is.
func words(e *event.Event) string {
	read := func(into any) { _ = e.Read(into) } // what cannot be read says nothing
	switch e.Kind {
	case incident.Opened:
		var b incident.OpenedBody
		read(&b)
		return fmt.Sprintf("incident opened, SEV-%d: %s", b.Severity, b.Title)
	case incident.Found, incident.Warned, incident.Cleared:
		var b incident.FoundBody
		read(&b)
		return found(&b.Finding)
	case incident.Rated:
		var b incident.RatedBody
		read(&b)
		return strings.TrimSuffix(fmt.Sprintf("severity is now SEV-%d: %s", b.Severity, b.Why), ": ")
	case incident.Acked:
		return "acknowledged"
	case incident.Escalated:
		return because(e, "escalated")
	case incident.Commanded:
		var b incident.NamedBody
		read(&b)
		return b.Name + " is the commander"
	case incident.Joined:
		var b incident.NamedBody
		read(&b)
		return strings.TrimSuffix(b.Name+" joined as "+b.Role, " as ")
	}
	return moreWords(e, read)
}

func moreWords(e *event.Event, read func(any)) string {
	switch e.Kind {
	case incident.Noted:
		var b incident.NotedBody
		read(&b)
		if b.Clock != "" {
			return b.Text + " [" + string(b.Clock) + "]"
		}
		return b.Text
	case incident.Judged:
		var b incident.JudgedBody
		read(&b)
		return "verdict: " + b.Sentence
	case incident.Declared:
		var b incident.DeclaredBody
		read(&b)
		return declared(&b)
	case incident.Restored:
		return "all findings have cleared"
	case incident.Smoked:
		var b incident.SmokeRun
		read(&b)
		return smoked(&b)
	case incident.Resolved:
		return because(e, "resolved")
	case incident.Reopened:
		return because(e, "reopened")
	case incident.Stable:
		return "stable: nothing came back"
	case incident.ItemSet:
		var b incident.Item
		read(&b)
		done := ""
		if b.Done {
			done = " (done)"
		}
		return fmt.Sprintf("action item %d: %s%s", b.N, b.Text, done)
	}
	if strings.HasPrefix(e.Kind, "action.") {
		if text := actedWords(e); text != "" {
			return text
		}
	}
	return e.Kind + ": " + plain(e.Body)
}

func found(f *incident.Finding) string {
	if f.Cleared {
		return "gone: " + f.Summary
	}
	return f.Level + ": " + f.Summary
}

func because(e *event.Event, what string) string {
	var b incident.ReasonBody
	if e.Read(&b) != nil || b.Reason == "" {
		return what
	}
	return what + ": " + b.Reason
}

func declared(b *incident.DeclaredBody) string {
	var parts []string
	for _, s := range b.Segments {
		parts = append(parts, fmt.Sprintf("%g %% affected from %s to %s", 100*s.Affected, clock(s.From), clock(s.To)))
	}
	if b.Users != nil {
		parts = append(parts, fmt.Sprintf("%.0f users affected of %.0f active", b.Users.Affected, b.Users.Active))
	}
	return "declared: " + strings.Join(parts, ", ")
}

func smoked(b *incident.SmokeRun) string {
	var parts []string
	for _, c := range b.Checks {
		word := "passed"
		if !c.Passed {
			word = "failed (" + c.Told + ")"
		}
		parts = append(parts, c.Name+" "+word)
	}
	return "smoke checks: " + strings.Join(parts, ", ")
}

// plain shows a body of another room: its fields, the known ones first.
func plain(body []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return short(string(body))
	}
	var parts []string
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	for _, key := range keys {
		var text string
		value := fields[key]
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		if text == "" || text == "null" || text == `""` || text == "0" || text == "false" {
			continue
		}
		if rank(key) == 0 {
			parts = append(parts, text)
			continue
		}
		parts = append(parts, key+" "+text)
	}
	return short(strings.Join(parts, ", "))
}

// rank puts the fields that speak for themselves first.
func rank(key string) int {
	switch key {
	case "summary", "text", "title", "reason":
		return 0
	case "kind", "action", "workload", "sweep", "name":
		return 1
	}
	return 2
}

// mostWords is how much of a foreign body stands on a timeline.
const mostWords = 400

func short(text string) string {
	if len(text) <= mostWords {
		return text
	}
	return strings.ToValidUTF8(text[:mostWords], "") + "…"
}

func clock(at time.Time) string { return at.UTC().Format(time.TimeOnly) }
