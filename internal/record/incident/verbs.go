package incident

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"spillway/internal/record/event"
)

// Refused is why something asked of a book cannot be.
type Refused struct{ Text, Hint string }

// Error implements error.
func (r *Refused) Error() string { return r.Text }

func refuse(hint, format string, v ...any) error {
	return &Refused{fmt.Sprintf(format, v...), hint}
}

// Bounds of what people write, in bytes.
const (
	mostText = 16 << 10
	mostName = 100
)

// find returns the incident that a reference means: its id, the letters after
// the day, or "last".
func (b *Book) find(ref string) (*Incident, error) {
	if ref == "last" || ref == "" {
		ref = b.Latest()
	}
	if i := b.incidents[ref]; i != nil {
		return i, nil
	}
	for _, id := range slices.Backward(b.order) {
		if strings.HasSuffix(id, "-"+strings.ToLower(ref)) {
			return b.incidents[id], nil
		}
	}
	return nil, ErrUnknown
}

// ErrUnknown says that there is no such incident.
var ErrUnknown = errors.New("there is no such incident")

// Find is the id that a reference means.
func (b *Book) Find(ref string) (string, error) {
	i, err := b.find(ref)
	if err != nil {
		return "", err
	}
	return i.ID, nil
}

// Ack says that somebody takes an incident.
func (b *Book) Ack(ref string, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	if i.Status == IsResolved {
		return nil, refuse("Reopen it first.", "incident %s is resolved", i.ID)
	}
	if i.AckedBy == a.Actor && a.Actor != "" {
		return nil, nil
	}
	return []event.Event{a.draft(Acked, i.ID, nil)}, nil
}

// Command gives an incident a commander.
func (b *Book) Command(ref, name string, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err == nil {
		err = short("commander", name)
	}
	if err != nil {
		return nil, err
	}
	return []event.Event{a.draft(Commanded, i.ID, NamedBody{Name: name, Role: "commander"})}, nil
}

// Join says that somebody takes part, in a role.
func (b *Book) Join(ref string, who NamedBody, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err == nil {
		err = errors.Join(short("name", who.Name), short("role", who.Role+" "))
	}
	if err != nil {
		return nil, err
	}
	return []event.Event{a.draft(Joined, i.ID, who)}, nil
}

// Note puts a person's words on the timeline, and sets a clock with them.
func (b *Book) Note(ref string, n NotedBody, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	switch {
	case err != nil:
	case strings.TrimSpace(n.Text) == "":
		err = refuse("", "the note is empty")
	case len(n.Text) > mostText || len(n.Link) > mostText:
		err = refuse("Put the long text elsewhere and note its link.", "the note is longer than %d bytes", mostText)
	case !utf8.ValidString(n.Text):
		err = refuse("", "the note is not UTF-8")
	case n.Clock != "" && !slices.Contains(Clocks(), n.Clock):
		err = refuse("Clocks are "+clockNames()+".", "there is no clock %q", n.Clock)
	case n.When.After(a.At.Add(time.Minute)):
		err = refuse("", "the note is about the future")
	}
	if err != nil {
		return nil, err
	}
	return []event.Event{a.draft(Noted, i.ID, n)}, nil
}

// clockNames are all clocks, for people.
func clockNames() string {
	var names []string
	for _, c := range Clocks() {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

// Declare states an impact that was not measured.
func (b *Book) Declare(ref string, d DeclaredBody, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	for _, s := range d.Segments {
		if !s.To.After(s.From) || s.To.Sub(s.From) > changesBefore || s.Affected < 0 || s.Affected > 1 {
			return nil, refuse("", "an impact needs a beginning, an end within a week, and a part of 0 to 100 %%")
		}
	}
	if u := d.Users; u != nil && (u.Affected < 0 || u.Active < 0 || u.Affected > 1e10 || u.Active > 1e10) {
		return nil, refuse("", "a number of users is not one")
	}
	if len(d.Segments) == 0 && d.Users == nil || len(d.Segments) > mostMarks {
		return nil, refuse("", "nothing is declared, or too much")
	}
	return []event.Event{a.draft(Declared, i.ID, d)}, nil
}

// Rate sets the severity.
func (b *Book) Rate(ref string, r RatedBody, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	if r.Severity < 1 || r.Severity > 5 || len(r.Why) > mostText {
		return nil, refuse("", "a severity is 1 to 5")
	}
	return []event.Event{a.draft(Rated, i.ID, r)}, nil
}

// Escalate says that more people are needed.
func (b *Book) Escalate(ref, reason string, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	return []event.Event{a.draft(Escalated, i.ID, ReasonBody{Reason: cut(reason, mostText)})}, nil
}

// Resolve says that an incident is over. It wants a run of smoke checks that
// passed after the last opening, or a reason.
func (b *Book) Resolve(ref, reason string, smoke *SmokeRun, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	if i.Status == IsResolved {
		return nil, refuse("", "incident %s is resolved already", i.ID)
	}
	var drafts []event.Event
	if smoke != nil && len(smoke.Checks) > 0 {
		drafts = append(drafts, a.draft(Smoked, i.ID, smoke))
	}
	passed := smoke.Passed()
	if strings.TrimSpace(reason) == "" {
		const hint = "Give a reason with --reason to resolve it all the same."
		switch {
		case smoke != nil && len(smoke.Checks) > 0 && !passed:
			return drafts, refuse(hint, "incident %s stays open: %s", i.ID, smoke.failed())
		case !passed:
			return nil, refuse("Name some under smoke_checks: in the config, or give a reason with --reason.", "there are no smoke checks that could say that it is over")
		case i.Status == Open && i.Holding() > 0:
			return drafts, refuse(hint, "incident %s stays open: smoke checks pass, but %d of its findings hold", i.ID, i.Holding())
		}
		reason = "smoke checks passed"
	}
	return append(drafts, a.draft(Resolved, i.ID, ReasonBody{Reason: cut(reason, mostText)})), nil
}

func (s *SmokeRun) failed() string {
	var failed []string
	for _, c := range s.Checks {
		if !c.Passed {
			failed = append(failed, c.Name+": "+c.Told)
		}
	}
	return "smoke checks fail: " + strings.Join(failed, "; ")
}

// Reopen opens an incident that is over.
func (b *Book) Reopen(ref, reason string, a Asker) ([]event.Event, error) {
	i, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	if i.Status == Open {
		return nil, refuse("", "incident %s is open", i.ID)
	}
	return []event.Event{a.draft(Reopened, i.ID, ReasonBody{Reason: nameOr(cut(reason, mostText), "by hand")})}, nil
}

// Open declares an incident by hand. started is when its impact began.
func (b *Book) Open(title string, severity int, started time.Time, a Asker) (id string, drafts []event.Event, err error) {
	if strings.TrimSpace(title) == "" || len(title) > mostText || !utf8.ValidString(title) {
		return "", nil, refuse("", "the title is empty, too long or not UTF-8")
	}
	if severity == 0 {
		severity, _ = b.rules.Severity(b.ratio)
	}
	if severity < 1 || severity > 5 {
		return "", nil, refuse("", "a severity is 1 to 5")
	}
	if started.IsZero() || started.After(a.At) {
		started = a.At
	}
	id = ID(a.At, title)
	return id, []event.Event{a.draft(Opened, id, OpenedBody{Title: cut(title, mostTitle), Severity: severity, Why: "declared", Started: started, Changes: b.lately(a.At)})}, nil
}

// SetItem adds an action item, or changes the one of that number; 0 is a new one.
func (b *Book) SetItem(ref string, item Item, a Asker) (n int, drafts []event.Event, err error) {
	i, err := b.find(ref)
	if err != nil {
		return 0, nil, err
	}
	if item.N == 0 {
		item.N = len(i.Items) + 1
	} else if !slices.ContainsFunc(i.Items, func(have Item) bool { return have.N == item.N }) {
		return 0, nil, refuse("", "incident %s has no action item %d", i.ID, item.N)
	}
	if err := item.check(); err != nil {
		return 0, nil, err
	}
	return item.N, []event.Event{a.draft(ItemSet, i.ID, item)}, nil
}

func (item *Item) check() error {
	if _, err := time.Parse(time.DateOnly, item.Due); err != nil && item.Due != "" {
		return refuse("", "due date %q is not like 2026-11-30", cut(item.Due, mostName))
	}
	if !slices.Contains([]string{"", "prevent", "detect", "mitigate", "process"}, item.Type) {
		return refuse("Types are prevent, detect, mitigate, process.", "there is no type %q of action items", cut(item.Type, mostName))
	}
	if strings.TrimSpace(item.Text) == "" || len(item.Text) > mostText || item.N > mostItems || len(item.Owner) > mostName || len(item.Ticket) > mostText {
		return refuse("", "the action item is empty or too long, or there are too many")
	}
	return nil
}

func short(what, name string) error {
	if name == "" || utf8.RuneCountInString(name) > mostName || !utf8.ValidString(name) {
		return refuse("", "%s is empty or longer than %d letters", what, mostName)
	}
	return nil
}
