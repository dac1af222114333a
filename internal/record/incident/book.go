package incident

import (
	"slices"
	"strings"
	"time"

	"spillway/internal/record/event"
)

// Bounds of a book.
const (
	mostChanges   = 200 // change markers in memory
	mostPoints    = 9000
	mostMembers   = 200
	mostMarks     = 200
	mostItems     = 500
	mostResolved  = 1000 // resolved incidents in memory; the log has the others
	changesBefore = 7 * 24 * time.Hour
)

// Book is the fold of events. Not safe for concurrent use.
type Book struct {
	rules     Rules
	incidents map[string]*Incident
	order     []string // by opening
	told      map[string]*telling
	changes   []event.Event
	// ratio is the part of transactions that went wrong lately.
	ratio float64
	last  uint64 // place of the last event of the log that was applied
}

// telling is when a finding without an incident was last put into the log.
type telling struct {
	finding Finding
	at      time.Time
}

// NewBook makes an empty book.
func NewBook(rules Rules) *Book {
	return &Book{rules: rules, incidents: map[string]*Incident{}, told: map[string]*telling{}}
}

// SetRules changes what holds from now on.
func (b *Book) SetRules(r Rules) { b.rules = r }

// Succeed takes over what a book knows that is not in the log.
func (b *Book) Succeed(before *Book) { b.rules, b.ratio = before.rules, before.ratio }

// SetRatio tells the part of transactions that went wrong in the last minute.
func (b *Book) SetRatio(r float64) { b.ratio = r }

// Get returns an incident by its id, nil when there is none. The book owns it.
func (b *Book) Get(id string) *Incident { return b.incidents[id] }

// Latest is the id of the incident opened last, "" for none.
func (b *Book) Latest() string {
	if len(b.order) == 0 {
		return ""
	}
	return b.order[len(b.order)-1]
}

// All returns the incidents, the newest first. The book owns them.
func (b *Book) All() []*Incident {
	all := make([]*Incident, 0, len(b.order))
	for _, id := range slices.Backward(b.order) {
		all = append(all, b.incidents[id])
	}
	return all
}

// Live returns those that are not resolved, the newest first.
func (b *Book) Live() []*Incident {
	return slices.DeleteFunc(b.All(), func(i *Incident) bool { return i.Status == IsResolved })
}

// Changes returns the change markers since a time.
func (b *Book) Changes(since time.Time) []event.Event {
	var found []event.Event
	for _, e := range b.changes {
		if !e.At.Before(since) {
			found = append(found, e)
		}
	}
	return found
}

// Apply folds an event into the book. An event that does not fit changes
// nothing but the timeline: history is as it is.
func (b *Book) Apply(e event.Event) {
	if e.N != 0 && e.N <= b.last {
		return // read twice
	}
	b.last = max(b.last, e.N)
	if strings.HasPrefix(e.Kind, "change.") {
		b.changes = append(b.changes, e)
		if len(b.changes) > mostChanges {
			b.changes = slices.Delete(b.changes, 0, len(b.changes)-mostChanges)
		}
	}
	switch {
	case e.Kind == Warned || e.Kind == Cleared:
		b.retell(e)
	case e.Incident == "":
	case e.Kind == Opened:
		b.open(e)
	default:
		if i := b.incidents[e.Incident]; i != nil {
			i.apply(e)
			b.forget()
		}
	}
}

func (b *Book) retell(e event.Event) {
	var body FoundBody
	if e.Read(&body) != nil {
		return
	}
	if e.Kind == Cleared {
		delete(b.told, body.Finding.Key)
		return
	}
	b.told[body.Finding.Key] = &telling{body.Finding, e.At}
}

func (b *Book) open(e event.Event) {
	var body OpenedBody
	if e.Read(&body) != nil || b.incidents[e.Incident] != nil {
		return
	}
	i := &Incident{
		ID: e.Incident, Title: body.Title, Region: e.Region, Status: Open, Severity: body.Severity,
		OpenedAt: e.At, wasOpen: e.At, Declared: body.Finding == nil,
	}
	i.Changes = body.Changes
	i.Severities = []Change{{e.At, body.Severity, body.Why, e.Actor}}
	i.mark(Mark{Clock: ImpactStart, At: body.Started, How: Clock(ImpactStart).Meaning(), Event: e.ID})
	i.mark(Mark{Clock: Alert, At: e.At, How: "the incident was opened", Event: e.ID})
	if body.Finding != nil {
		i.found(*body.Finding, e)
		delete(b.told, body.Finding.Key)
	}
	i.remember(e)
	i.hear(e)
	b.incidents[i.ID] = i
	at, _ := slices.BinarySearchFunc(b.order, i.OpenedAt, func(id string, at time.Time) int {
		if !b.incidents[id].OpenedAt.After(at) {
			return -1
		}
		return 1
	})
	b.order = slices.Insert(b.order, at, i.ID)
}

// forget drops the oldest resolved incidents beyond the bound.
func (b *Book) forget() {
	if len(b.order) <= mostResolved {
		return
	}
	for n, id := range b.order {
		if b.incidents[id].Status == IsResolved {
			delete(b.incidents, id)
			b.order = slices.Delete(b.order, n, n+1)
			return
		}
	}
}

// Fold makes one incident of its events, with its whole timeline. nil when they
// do not begin with an opening.
func Fold(events []event.Event) *Incident {
	b := NewBook(Rules{})
	var i *Incident
	for _, e := range events {
		if e.Kind == Opened && i == nil {
			b.open(e)
			i = b.incidents[e.Incident]
			continue
		}
		if i != nil {
			i.apply(e)
		}
	}
	return i
}
