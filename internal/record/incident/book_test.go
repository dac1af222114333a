package incident

import (
	"errors"
	"strings"
	"testing"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/slo"
)

// desk applies what a book decides, as the record does.
type desk struct {
	t    *testing.T
	book *Book
	now  time.Time
	n    uint64
	all  []event.Event
}

func newDesk(t *testing.T) *desk {
	return &desk{t: t, book: NewBook(Defaults()), now: time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)}
}

func (d *desk) by(who string) Asker { return Asker{At: d.now, Actor: who, Node: "n"} }

func (d *desk) apply(events []event.Event) []string {
	var kinds []string
	for _, e := range events {
		d.n++
		e.N, e.ID = d.n, e.Kind+string(rune('0'+d.n%10))
		d.book.Apply(e)
		d.all = append(d.all, e)
		kinds = append(kinds, strings.TrimPrefix(e.Kind, "incident."))
	}
	return kinds
}

// found tells a finding and returns the kinds of events that came of it.
func (d *desk) found(f Finding) []string {
	d.t.Helper()
	f.At = d.now
	if f.Since.IsZero() {
		f.Since = d.now
	}
	return d.apply(d.book.Found(f, d.by("")))
}

func (d *desk) expect(what string, got []string, want ...string) {
	d.t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		d.t.Errorf("%s: events are %v, not %v", what, got, want)
	}
}

func (d *desk) pass(t time.Duration) []string {
	d.now = d.now.Add(t)
	return d.apply(d.book.Tick(d.by(""), Since{Started: d.now.Add(-time.Hour), Patient: time.Minute}))
}

func slots(upstream, level string) Finding {
	return Finding{Key: "slots/" + upstream, Detector: "slots", Level: level, Upstream: upstream, Summary: upstream + " is full"}
}

func gone(f Finding) Finding {
	f.Cleared = true
	return f
}

func TestLifeOfAnIncident(t *testing.T) {
	d := newDesk(t)
	d.expect("a warning", d.found(slots("main", Warn)), "finding.told")
	d.expect("the same again", d.found(slots("main", Warn)))
	d.expect("a page", d.found(slots("main", Page)), "opened")
	d.expect("the same page", d.found(slots("main", Page)))
	i := d.book.All()[0]
	d.expect("nobody takes it", d.pass(5*time.Minute), "escalated")
	d.expect("it is escalated once", d.pass(5*time.Minute))
	d.expect("it clears", d.found(gone(slots("main", Page))), "finding", "restored")
	d.expect("it clears again", d.found(gone(slots("main", Page))))
	d.expect("it is back", d.found(slots("main", Page)), "finding", "reopened")
	if i.Relapses != 1 || i.Status != Open || !i.At(AllRestored).IsZero() {
		t.Errorf("incident is %+v", i)
	}
	d.pass(time.Minute)
	d.expect("it clears for good", d.found(gone(slots("main", Page))), "finding", "restored")
	d.expect("it stays so", d.pass(15*time.Minute), "stable")
	if due := d.book.Due(d.now); len(due) != 0 {
		t.Errorf("due after 15 min: %v", due)
	}
	d.pass(24 * time.Hour)
	if due := d.book.Due(d.now); len(due) != 1 {
		t.Errorf("due after a day: %v", due)
	}
	events, err := d.book.Resolve("last", "", &SmokeRun{Checks: []Smoke{{Name: "x", Passed: true}}}, d.by(""))
	if err != nil {
		t.Fatal(err)
	}
	d.expect("it is resolved", d.apply(events), "smoke", "resolved")
	d.now = d.now.Add(10 * time.Minute)
	d.expect("it is back within the window", d.found(slots("main", Page)), "finding", "reopened")
	if folded := Fold(d.all); folded == nil || folded.Status != i.Status || folded.Relapses != i.Relapses || len(folded.Findings) != len(i.Findings) {
		t.Errorf("folded again it is %+v, not %+v", folded, i)
	}
}

func TestResolvedEarlyIsStableLater(t *testing.T) {
	d := newDesk(t)
	d.found(slots("main", Page))
	events, err := d.book.Resolve("last", "seen to", nil, d.by("alice"))
	if err != nil {
		t.Fatal(err)
	}
	d.apply(events)
	d.expect("soon after", d.pass(time.Minute))
	d.expect("later", d.pass(15*time.Minute), "stable")
	d.expect("once", d.pass(15*time.Minute))
}

func TestWhatIsRelated(t *testing.T) {
	d := newDesk(t)
	d.found(slots("main", Page))
	d.now = d.now.Add(time.Second)
	d.expect("another finding of the same upstream", d.found(Finding{Key: "leak/main", Level: Page, Upstream: "main", Summary: "leak"}), "finding")
	d.expect("a warning of it", d.found(Finding{Key: "lag/main", Level: Warn, Upstream: "main", Summary: "lag"}), "finding")
	d.expect("one of no upstream", d.found(Finding{Key: "alarm/x", Level: Page, Summary: "alarm"}), "finding")
	if n := d.book.All()[0].Holding(); n != 3 {
		t.Errorf("it waits for %d findings", n)
	}
	d = newDesk(t)
	d.found(slots("main", Page))
	d.now = d.now.Add(time.Second)
	d.expect("a page of another upstream", d.found(slots("other", Page)), "opened")
	d.expect("the first clears", d.found(gone(slots("main", Page))), "finding", "restored")
	d.now = d.now.Add(5 * time.Minute)
	d.expect("related trouble soon after", d.found(Finding{Key: "lag/main", Level: Page, Upstream: "main", Summary: "lag"}), "finding", "reopened")
	d.found(gone(Finding{Key: "lag/main", Level: Page, Upstream: "main", Summary: "lag"}))
	d.now = d.now.Add(20 * time.Minute)
	d.expect("other trouble much later", d.found(Finding{Key: "wal/main", Level: Page, Upstream: "main", Summary: "wal"}), "opened")
}

func TestWarningsBeforeItStandOnItsTimeline(t *testing.T) {
	d := newDesk(t)
	d.found(Finding{Key: "lag/main", Level: Warn, Upstream: "main", Summary: "lag"})
	d.found(Finding{Key: "lag/other", Level: Warn, Upstream: "other", Summary: "lag"})
	d.apply([]event.Event{{At: d.now.Add(-48 * time.Hour), Kind: "change.deployed", Body: event.Body(map[string]string{"text": "v2"})}})
	d.expect("a page", d.found(slots("main", Page)), "opened", "finding")
	i := d.book.All()[0]
	if len(i.Changes) != 1 || !strings.Contains(i.Changes[0].Text, "v2") {
		t.Errorf("changes are %+v", i.Changes)
	}
	d.expect("a warning does not hold it open", d.found(gone(slots("main", Page))), "finding", "restored")
}

func TestConfiguredDetectorsOpen(t *testing.T) {
	d := newDesk(t)
	rules := Defaults()
	rules.Detectors = []string{"slots"}
	d.book.SetRules(rules)
	d.expect("a warning of a named detector", d.found(slots("main", Warn)), "opened")
	d.expect("and its end", d.found(gone(slots("main", Warn))), "finding", "restored")
}

func TestSeverityRises(t *testing.T) {
	d := newDesk(t)
	d.book.SetRatio(0.06)
	d.found(slots("main", Page))
	i := d.book.All()[0]
	if i.Severity != 2 {
		t.Errorf("it begins as SEV-%d", i.Severity)
	}
	d.book.SetRatio(0.6)
	d.expect("it gets worse", d.pass(time.Second), "severity")
	d.book.SetRatio(0)
	d.expect("it gets better", d.pass(time.Second))
	if i.Severity != 1 || len(i.Severities) != 2 {
		t.Errorf("incident is %+v", i)
	}
}

// TestLostFindings: what this node told before a restart and not since is gone.
func TestLostFindings(t *testing.T) {
	d := newDesk(t)
	d.found(slots("main", Page))
	d.now = d.now.Add(time.Minute)
	since := Since{Started: d.now, Patient: 5 * time.Minute}
	d.now = d.now.Add(4 * time.Minute)
	if events := d.book.Tick(d.by(""), since); strings.Contains(strings.Join(d.apply(events), " "), "finding") {
		t.Error("it is given up before the detectors had time")
	}
	d.now = d.now.Add(2 * time.Minute)
	other := d.by("")
	other.Node = "another"
	if events := d.book.Tick(other, since); strings.Contains(strings.Join(d.apply(events), " "), "finding") {
		t.Error("another node's finding is given up")
	}
	kinds := d.apply(d.book.Tick(d.by(""), since))
	if !strings.Contains(strings.Join(kinds, " "), "finding restored") {
		t.Errorf("it is not given up: %v", kinds)
	}
}

func TestClocks(t *testing.T) {
	d := newDesk(t)
	started := d.now
	f := slots("main", Page)
	f.Since = started.Add(-2 * time.Minute)
	d.found(f)
	earlier := Finding{Key: "leak/main", Level: Page, Upstream: "main", Workload: "sync", Summary: "leak", Since: started.Add(-10 * time.Minute)}
	d.now = d.now.Add(time.Minute)
	d.found(earlier)
	i := d.book.All()[0]
	if !i.At(ImpactStart).Equal(earlier.Since) || !i.At(CauseKnown).Equal(d.now) {
		t.Errorf("impact since %v, cause %v", i.At(ImpactStart), i.At(CauseKnown))
	}
	d.apply([]event.Event{{At: d.now, Kind: "action.begun", Incident: i.ID}})
	if !i.At(FirstAction).IsZero() {
		t.Error("an action that begins has an effect")
	}
	d.apply([]event.Event{{At: d.now, Kind: "action.applied", Incident: i.ID}})
	if !i.At(FirstAction).Equal(d.now) {
		t.Error("an action that was applied is not the first")
	}
	// What a person says goes before what events say, and the last word holds.
	for _, when := range []time.Duration{-time.Minute, -3 * time.Minute} {
		note, err := d.book.Note("last", NotedBody{Text: "users saw it", Clock: ImpactStart, When: started.Add(when)}, d.by("alice"))
		if err != nil {
			t.Fatal(err)
		}
		d.apply(note)
	}
	if got := i.At(ImpactStart); !got.Equal(started.Add(-3 * time.Minute)) {
		t.Errorf("impact since %v", got)
	}
}

// TestUnbelievableBeginnings: a detector that does not know since when says
// something far off.
func TestUnbelievableBeginnings(t *testing.T) {
	for _, since := range []time.Time{{}, time.Unix(1, 0), time.Date(1734, 8, 12, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)} {
		d := newDesk(t)
		f := slots("main", Page)
		f.At, f.Since = d.now, since
		d.apply(d.book.Found(f, d.by("")))
		if got := d.book.All()[0].At(ImpactStart); !got.Equal(d.now) {
			t.Errorf("since %v: the impact begins at %v", since, got)
		}
	}
}

func TestPartialIsHalfOfThePeak(t *testing.T) {
	d := newDesk(t)
	d.found(slots("main", Page))
	i := d.book.All()[0]
	for n, slow := range []uint64{0, 50, 100, 80, 40, 0} {
		p := Point{At: d.now.Add(time.Duration(n) * time.Minute), Seconds: 60, Loads: []Load{{Workload: "api", Good: 100 - slow, Slow: slow}}}
		d.apply([]event.Event{{At: p.At, Kind: Measured, Incident: i.ID, Body: event.Body(MeasuredBody{[]Point{p}})}})
	}
	if m, ok := i.Clock(Partial); !ok || !m.At.Equal(d.now.Add(4*time.Minute)) {
		t.Errorf("partial is %+v", m)
	}
}

func TestRefused(t *testing.T) {
	d := newDesk(t)
	d.found(slots("main", Page))
	long := strings.Repeat("x", mostText+1)
	for name, ask := range map[string]func() ([]event.Event, error){
		"unknown":       func() ([]event.Event, error) { return d.book.Ack("nothing", d.by("a")) },
		"empty note":    func() ([]event.Event, error) { return d.book.Note("last", NotedBody{Text: " "}, d.by("a")) },
		"long note":     func() ([]event.Event, error) { return d.book.Note("last", NotedBody{Text: long}, d.by("a")) },
		"no UTF-8":      func() ([]event.Event, error) { return d.book.Note("last", NotedBody{Text: "\xff"}, d.by("a")) },
		"no such clock": func() ([]event.Event, error) { return d.book.Note("last", NotedBody{Text: "x", Clock: "x"}, d.by("a")) },
		"the future": func() ([]event.Event, error) {
			return d.book.Note("last", NotedBody{Text: "x", When: d.now.Add(time.Hour)}, d.by("a"))
		},
		"no commander":    func() ([]event.Event, error) { return d.book.Command("last", "", d.by("a")) },
		"no severity":     func() ([]event.Event, error) { return d.book.Rate("last", RatedBody{Severity: 9}, d.by("a")) },
		"open already":    func() ([]event.Event, error) { return d.book.Reopen("last", "", d.by("a")) },
		"no smoke checks": func() ([]event.Event, error) { return d.book.Resolve("last", "", nil, d.by("a")) },
		"findings hold": func() ([]event.Event, error) {
			return d.book.Resolve("last", "", &SmokeRun{Checks: []Smoke{{Passed: true}}}, d.by("a"))
		},
		"nothing declared": func() ([]event.Event, error) { return d.book.Declare("last", DeclaredBody{}, d.by("a")) },
		"a part above all": func() ([]event.Event, error) {
			return d.book.Declare("last", DeclaredBody{Segments: []slo.Segment{{From: d.now, To: d.now.Add(1), Affected: 2}}}, d.by("a"))
		},
		"a part backwards": func() ([]event.Event, error) {
			return d.book.Declare("last", DeclaredBody{Segments: []slo.Segment{{From: d.now, To: d.now.Add(-1)}}}, d.by("a"))
		},
		"users below zero": func() ([]event.Event, error) {
			return d.book.Declare("last", DeclaredBody{Users: &UsersTold{Affected: -1}}, d.by("a"))
		},
		"no title":          func() ([]event.Event, error) { _, e, err := d.book.Open("", 0, d.now, d.by("a")); return e, err },
		"item without text": func() ([]event.Event, error) { _, e, err := d.book.SetItem("last", Item{}, d.by("a")); return e, err },
		"item's due date": func() ([]event.Event, error) {
			_, e, err := d.book.SetItem("last", Item{Text: "x", Due: "soon"}, d.by("a"))
			return e, err
		},
		"item's type": func() ([]event.Event, error) {
			_, e, err := d.book.SetItem("last", Item{Text: "x", Type: "y"}, d.by("a"))
			return e, err
		},
		"item not there": func() ([]event.Event, error) {
			_, e, err := d.book.SetItem("last", Item{Text: "x", N: 7}, d.by("a"))
			return e, err
		},
	} {
		var refused *Refused
		if _, err := ask(); err == nil || !errors.As(err, &refused) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheSameDecisionMakesTheSameIncident: what is decided again after the log
// was away must not become a second incident.
func TestTheSameDecisionMakesTheSameIncident(t *testing.T) {
	d := newDesk(t)
	a, b := d.book.Found(slots("main", Page), d.by("")), d.book.Found(slots("main", Page), d.by(""))
	if a[0].Incident != b[0].Incident {
		t.Errorf("incidents are %s and %s", a[0].Incident, b[0].Incident)
	}
	d.apply(a)
	d.apply(b)
	if len(d.book.All()) != 1 {
		t.Errorf("there are %d", len(d.book.All()))
	}
	id, err := d.book.Find(strings.ToUpper(a[0].Incident[len(a[0].Incident)-4:]))
	if err != nil || id != a[0].Incident {
		t.Errorf("found %s, %v", id, err)
	}
}

// FuzzApply: no event breaks the fold, whatever its kind and body.
func FuzzApply(f *testing.F) {
	for _, kind := range []string{Opened, Found, Rated, Acked, Commanded, Noted, Declared, Restored, Smoked, Resolved, Reopened, Measured, ItemSet, Judged, Warned, Cleared, "action.applied", "change.x"} {
		f.Add(kind, []byte(`{}`))
		f.Add(kind, []byte(`{"finding":{"key":"k","level":"page"},"severity":1,"text":"x","n":1,"points":[{"loads":[{}]}],"segments":[{}],"checks":[{}]}`))
		f.Add(kind, []byte(`[`))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		b := NewBook(Defaults())
		at := time.Unix(1, 0)
		b.Apply(event.Event{Kind: Opened, Incident: "i", At: at, Body: event.Body(OpenedBody{Title: "x"})})
		b.Apply(event.Event{Kind: kind, Incident: "i", At: at, Body: body})
		b.Apply(event.Event{Kind: kind, Incident: "j", At: at, Body: body})
		for _, i := range b.All() {
			i.Clocks()
			i.Durations()
		}
		b.Tick(Asker{At: at.Add(time.Hour)}, Since{Started: at.Add(time.Second)})
		b.Due(at.Add(48 * time.Hour))
	})
}

// TestRuledOutOnce: what is ruled out again with other figures is no new line.
func TestRuledOutOnce(t *testing.T) {
	var i Incident
	i.ruled([]string{"database main is up: it answered 2 s ago", "traffic is normal: 5 transactions a second"})
	i.ruled([]string{"database main is up: it answered 181 ms ago", "targets are healthy: 2 of 2"})
	if len(i.Ruled) != 3 || i.Ruled[0] != "database main is up: it answered 2 s ago" {
		t.Errorf("ruled out: %q", i.Ruled)
	}
}
