package incident

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"spillway/internal/record/event"
)

// Asker is who asks, and when.
type Asker struct {
	At    time.Time
	Actor string // empty: Spillway itself
	Node  string
}

// draft is an event that is not in the log yet.
func (a Asker) draft(kind, incident string, body any) event.Event {
	return event.Event{At: a.At, Kind: kind, Incident: incident, Actor: a.Actor, Node: a.Node, Body: event.Body(body)}
}

// mostTitle is the longest title in bytes.
const mostTitle = 300

// Found says what a finding does.
func (b *Book) Found(f Finding, a Asker) []event.Event {
	if i := b.having(f.Key); i != nil {
		return b.again(i, f, a)
	}
	if b.rules.opens(&f) {
		return b.fresh(f, a)
	}
	if i := b.near(&f, a.At); i != nil && !f.Cleared {
		return []event.Event{a.draft(Found, i.ID, FoundBody{f})}
	}
	return b.passing(f, a)
}

// having is the incident, not resolved, that has this finding.
func (b *Book) having(key string) *Incident {
	for _, i := range b.Live() {
		if i.has(key) {
			return i
		}
	}
	return nil
}

// again is a finding that an incident has already, of this node or another.
func (b *Book) again(i *Incident, f Finding, a Asker) []event.Event {
	m := i.member(f.Key, a.Node)
	if m == nil {
		return b.too(i, f, a)
	}
	same := m.Level == f.Level && m.Cleared == f.Cleared && m.Workload == f.Workload
	if same && (f.Cleared || m.Summary == f.Summary || f.At.Sub(m.At) < b.rules.Retell) {
		return nil
	}
	drafts := []event.Event{a.draft(Found, i.ID, FoundBody{f})}
	switch {
	case i.Status == IsRestored && b.rules.opens(&f):
		drafts = append(drafts, a.draft(Reopened, i.ID, ReasonBody{Reason: "it came back: " + f.Summary}))
	case i.Status == Open && f.Cleared && m.Paged && !m.Cleared && i.Holding() == 1 && !i.Declared:
		drafts = append(drafts, a.draft(Restored, i.ID, nil))
	}
	return drafts
}

// too is a finding that another node has told and this one sees too.
func (b *Book) too(i *Incident, f Finding, a Asker) []event.Event {
	switch {
	case f.Cleared:
		return nil
	case b.rules.opens(&f):
		return b.join(i, paged(f), a, "it came back: ")
	}
	return []event.Event{a.draft(Found, i.ID, FoundBody{f})}
}

// join puts a finding into an incident, and opens it again when it was restored.
func (b *Book) join(i *Incident, f Finding, a Asker, why string) []event.Event {
	drafts := []event.Event{a.draft(Found, i.ID, FoundBody{f})}
	if i.Status == IsRestored {
		drafts = append(drafts, a.draft(Reopened, i.ID, ReasonBody{Reason: why + f.Summary}))
	}
	return drafts
}

// fresh is a finding that opens an incident, or joins a related one.
func (b *Book) fresh(f Finding, a Asker) []event.Event {
	f = paged(f)
	if i := b.near(&f, a.At); i != nil {
		return b.join(i, f, a, "related trouble: ")
	}
	for _, i := range b.All() {
		if i.Status == IsResolved && a.At.Sub(i.At(AtResolved)) < b.rules.Reopen && i.has(f.Key) {
			return []event.Event{
				a.draft(Found, i.ID, FoundBody{f}),
				a.draft(Reopened, i.ID, ReasonBody{Reason: "it came back: " + f.Summary}),
			}
		}
	}
	return b.opening(f, a)
}

// paged: what opens an incident is what it waits for, whatever its level.
func paged(f Finding) Finding {
	f.Level = Page
	return f
}

func (b *Book) opening(f Finding, a Asker) []event.Event {
	severity, why := b.rules.Severity(b.ratio)
	id := ID(a.At, f.Key)
	drafts := []event.Event{a.draft(Opened, id, OpenedBody{
		Title: cut(f.Summary, mostTitle), Severity: severity, Why: why, Finding: &f, Started: started(f, a.At), Changes: b.lately(a.At),
	})}
	// What was known before stands at the beginning of its timeline.
	opened := &Incident{Findings: []Member{{Finding: f}}}
	for _, t := range b.told {
		if t.finding.Key != f.Key && opened.related(&t.finding) {
			drafts = append(drafts, a.draft(Found, id, FoundBody{t.finding}))
		}
	}
	return drafts
}

// mostPast is how many changes before an incident stand with it.
const mostPast = 30

// lately are the changes of the week before.
func (b *Book) lately(at time.Time) []Past {
	var past []Past
	for _, e := range b.Changes(at.Add(-changesBefore)) {
		past = append(past, Past{e.At, e.Kind, cut(string(e.Body), mostTitle)})
	}
	return past[max(len(past)-mostPast, 0):]
}

// started is when a finding's trouble began, as far as that can be believed: not
// in the future, and not before the week that is looked at.
func started(f Finding, at time.Time) time.Time {
	if f.Since.IsZero() || f.Since.After(at) || at.Sub(f.Since) > changesBefore {
		return at
	}
	return f.Since
}

// near is the incident that takes a finding as related: one that is open, or
// was restored not long ago.
func (b *Book) near(f *Finding, at time.Time) *Incident {
	for _, i := range b.Live() {
		recent := i.Status == Open || at.Sub(i.At(AllRestored)) < b.rules.Merge
		if recent && i.related(f) {
			return i
		}
	}
	return nil
}

// passing is a finding of no incident: told when it comes, changes its level,
// goes, and otherwise now and then.
func (b *Book) passing(f Finding, a Asker) []event.Event {
	before := b.told[f.Key]
	switch {
	case f.Cleared && before == nil:
		return nil
	case f.Cleared:
		return []event.Event{a.draft(Cleared, "", FoundBody{f})}
	case before != nil && before.finding.Level == f.Level && (before.finding.Summary == f.Summary || a.At.Sub(before.at) < b.rules.Retell):
		return nil
	}
	return []event.Event{a.draft(Warned, "", FoundBody{f})}
}

// ID names an incident: the day, and letters that follow from when and why it
// was opened, so that deciding twice makes one incident.
func ID(at time.Time, why string) string {
	sum := sha256.Sum256([]byte(at.UTC().Format(time.RFC3339Nano) + " " + why))
	return at.UTC().Format("20060102") + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:4])
}

func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
