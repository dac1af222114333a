package record

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/report"
	"spillway/internal/record/slo"
	"spillway/internal/record/store"
)

var update = flag.Bool("update", false, "write the golden reports in testdata")

// replay writes an incident of the past into a log, event by event, as this
// program would have at that time.
type replay struct {
	t    *testing.T
	day  string
	book *incident.Book
	id   string
	all  []event.Event
}

func (r *replay) at(clock string) time.Time {
	at, err := time.Parse("2006-01-02 15:04:05", r.day+" "+clock)
	if err != nil {
		r.t.Fatal(err)
	}
	return at
}

func (r *replay) add(events []event.Event, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		e.ID = "e" + string(rune('a'+len(r.all)/26)) + string(rune('a'+len(r.all)%26))
		e.Region = "us-east-1"
		r.book.Apply(e)
		r.all = append(r.all, e)
		if e.Kind == incident.Opened {
			r.id = e.Incident
		}
	}
}

func (r *replay) by(clock, who string) incident.Asker {
	return incident.Asker{At: r.at(clock), Actor: who, Node: "db-1"}
}

// note is one line of a report's timeline; mark may be empty.
func (r *replay) note(clock, who string, mark incident.Clock, text string) {
	r.t.Helper()
	r.add(r.book.Note(r.id, incident.NotedBody{Text: text, Clock: mark}, r.by(clock, who)))
}

func (r *replay) found(clock string, f incident.Finding) {
	f.At = r.at(clock)
	r.add(r.book.Found(f, r.by(clock, "")), nil)
}

func (r *replay) points(points []incident.Point) {
	for len(points) > 0 {
		n := min(len(points), chunk)
		r.add([]event.Event{{At: points[n-1].At, Kind: incident.Measured, Incident: r.id, Body: event.Body(incident.MeasuredBody{Points: points[:n]})}}, nil)
		points = points[n:]
	}
}

// shown writes the events into a real log and reads the incident from it.
func (r *replay) shown() *incident.Incident {
	r.t.Helper()
	dir := r.t.TempDir()
	c := configOf(dir)
	log, err := store.Open(r.t.Context(), c.Store)
	if err != nil {
		r.t.Fatal(err)
	}
	place := event.Place{}
	for _, e := range r.all {
		if place, err = log.Append(r.t.Context(), e, place); err != nil {
			r.t.Fatal(err)
		}
	}
	log.Close()
	record, stop := run(r.t, c)
	defer stop()
	eventually(r.t, "the log opens", func() bool { return len(record.List()) == 1 && record.State().Open })
	i, err := record.Show(r.t.Context(), r.id)
	if err != nil {
		r.t.Fatal(err)
	}
	if v, err := record.Verify(r.t.Context(), place.Hash); err != nil || !v.Valid() {
		r.t.Errorf("chain: %+v %v", v, err)
	}
	return i
}

// figures are what the reports' arithmetic is done with: both lost the same a minute.
func figures() report.Config {
	return report.Config{
		Objective: slo.Objective{Target: 0.999, Window: 30 * 24 * time.Hour}, Slow: time.Second,
		Revenue: slo.Revenue{PerMinute: 18000.0 / 92, Currency: "USD"}, Now: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC),
	}
}

// redis is the incident of 2025-09-05: the master of the cache dies, and the
// database behind it is flooded.
func redis(t *testing.T) *replay {
	r := &replay{t: t, day: "2025-09-05", book: incident.NewBook(incident.Defaults())}
	down := incident.Finding{Key: "alarm/redis", Detector: "foreign-alarm", Level: incident.Page, Summary: "Redis cluster health check: node down", Since: r.at("09:45:00")}
	slow := incident.Finding{Key: "latency/main", Detector: "slo-burn", Level: incident.Page, Upstream: "main", Summary: "P95 of transactions above 10 s", Since: r.at("09:45:15")}
	full := incident.Finding{Key: "slots/main", Detector: "slots", Level: incident.Warn, Upstream: "main", Summary: "main 180/200", Since: r.at("09:48:00"), Evidence: []string{"api holds 171"}}
	r.found("09:45:00", down)
	r.found("09:45:30", slow)
	r.add(r.book.Ack(r.id, r.by("09:46:00", "sarah")))
	r.note("09:47:00", "sarah", "", "database CPU spiked to 95 %")
	r.found("09:48:00", full)
	r.note("09:49:00", "sarah", "", "user complaints flood support")
	r.add(r.book.Join(r.id, incident.NamedBody{Name: "marcus", Role: "senior SRE"}, r.by("09:50:00", "marcus")))
	r.note("09:52:00", "marcus", "", "Redis master unresponsive")
	r.note("09:54:00", "marcus", incident.CauseKnown, "Redis master failed, failover does not work")
	r.add(r.book.Rate(r.id, incident.RatedBody{Severity: 1, Why: "85 % of users"}, r.by("09:56:00", "marcus")))
	r.add(r.book.Escalate(r.id, "commander assigned", r.by("09:56:00", "marcus")))
	r.add(r.book.Command(r.id, "marcus", r.by("09:56:00", "marcus")))
	r.note("09:58:00", "sarah", "", "automatic failover attempted: failed")
	r.note("10:00:00", "marcus", incident.Decision, "promote a replica by hand")
	r.note("10:03:00", "sarah", incident.FirstAction, "replica-1 promoted")
	r.note("10:05:00", "sarah", "", "config points to the new master")
	r.note("10:08:00", "sarah", "", "rolling restart begins")
	r.note("10:15:00", "sarah", "", "half of the pods restarted")
	r.note("10:18:00", "sarah", "", "cache warming begins")
	r.note("10:25:00", "sarah", incident.Partial, "P95 3 s")
	down.Cleared, slow.Cleared, full.Cleared = true, true, true
	r.found("10:30:00", down)
	r.found("10:50:00", full)
	r.found("11:05:00", slow)
	r.points(redisPoints(r))
	r.add(r.book.Declare(r.id, incident.DeclaredBody{
		Segments: []slo.Segment{{From: r.at("09:45:00"), To: r.at("11:17:00"), Affected: 0.85}},
		Users:    &incident.UsersTold{Affected: 8500, Active: 10000, Who: "marcus"},
	}, r.by("11:16:00", "marcus")))
	r.add(r.book.Resolve(r.id, "P95 near the baseline", &incident.SmokeRun{Checks: []incident.Smoke{{Name: "web", Passed: true, Took: 0.12}}}, r.by("11:17:00", "marcus")))
	r.note("11:30:00", "marcus", incident.AtStable, "stability confirmed")
	_, drafts, err := r.book.SetItem(r.id, incident.Item{Text: "test the failover every month", Type: "process", Owner: "marcus", Due: "2025-09-30"}, r.by("11:40:00", "marcus"))
	r.add(drafts, err)
	return r
}

// redisPoints are a minute each: 1,000 transactions, of which 85 % wait while it lasts.
func redisPoints(r *replay) []incident.Point {
	var points []incident.Point
	for at := r.at("09:31:00"); !at.After(r.at("11:25:00")); at = at.Add(time.Minute) {
		l := incident.Load{Workload: "api", Good: 1000, P95: 0.2, InUse: 90}
		switch {
		case !at.After(r.at("09:45:00")):
		case at.After(r.at("11:05:00")):
			l.P95 = 0.22
		case at.After(r.at("10:40:00")):
			l.P95 = 0.8
		case at.After(r.at("10:25:00")):
			l.P95 = 3
		default:
			l.P95, l.InUse, l.Waiting = 45, 171, 300
		}
		if at.After(r.at("09:45:00")) && !at.After(r.at("11:05:00")) {
			l.Good, l.Slow = 150, 850
		}
		points = append(points, incident.Point{At: at, Seconds: 60, Loads: []incident.Load{l},
			Upstreams: []incident.Usage{{Upstream: "main", Used: l.InUse + 9, Usable: 200, Waiting: l.Waiting}}})
	}
	return points
}

// figure finds a number by the beginning of its name.
func figure(t *testing.T, figures []report.Figure, name string) report.Figure {
	t.Helper()
	for _, f := range figures {
		if strings.HasPrefix(f.Name, name) {
			return f
		}
	}
	t.Fatalf("there is no %q among %+v", name, figures)
	return report.Figure{}
}

func near(got, want, within float64) bool { return math.Abs(got-want) <= within }

func TestReportOfTheRedisIncident(t *testing.T) {
	r := redis(t)
	made := report.Make(r.shown(), figures())
	for c, want := range map[incident.Clock]string{
		incident.ImpactStart: "09:45:00", incident.Alert: "09:45:00", incident.Acknowledged: "09:46:00", incident.WasEscalated: "09:56:00",
		incident.CauseKnown: "09:54:00", incident.Decision: "10:00:00", incident.FirstAction: "10:03:00", incident.Partial: "10:25:00",
		incident.AllRestored: "11:05:00", incident.AtResolved: "11:17:00", incident.AtStable: "11:30:00",
	} {
		if got := made.At(c); !got.Equal(r.at(want)) {
			t.Errorf("%s is %v, not %s", c, got, want)
		}
	}
	for _, d := range made.Durations {
		want := map[string]float64{"TTD": 0, "TTA": 1, "TTI": 9, "TTM": 40, "TTR": 80, "declared": 92, "confirmed": 105}[d.Name]
		if !d.Known || d.Seconds != 60*want {
			t.Errorf("%s is %v s, not %v min", d.Name, d.Seconds, want)
		}
	}
	m := &made.Impact
	if m.Slow != 80*850 || m.Failed != 0 || m.P95Peak != 45 || !near(m.P95Before, 0.2, 1e-9) || !near(m.P95After, 0.22, 1e-9) {
		t.Errorf("impact is %+v", m)
	}
	if len(m.Upstreams) != 1 || m.Upstreams[0].Used != 180 || m.Upstreams[0].Usable != 200 {
		t.Errorf("peaks are %+v", m.Upstreams)
	}
	if f := figure(t, m.Budgets, "error budget used, weighted by time"); !near(f.Value, 181.0, 0.05) || !f.Estimate {
		t.Errorf("budget is %+v", f)
	}
	if f := figure(t, m.Revenue, "revenue lost"); !near(f.Value, 18000, 0.005) {
		t.Errorf("revenue is %+v", f)
	}
	if f := figure(t, m.Users, "part of the active users"); !near(f.Value, 85, 1e-9) {
		t.Errorf("users are %+v", f)
	}
	if len(made.Items) != 1 || made.Items[0].Owner != "marcus" || made.Commander != "marcus" || made.Severity != 1 || made.Status != incident.IsResolved {
		t.Errorf("incident is %+v", made.Incident)
	}
	for name, svg := range report.Charts(&made) {
		wellFormed(t, name, svg)
	}
	golden(t, "redis.md", report.Markdown(&made, report.Charts(&made)))
}

func wellFormed(t *testing.T, name, svg string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// golden compares a report with the one that was reviewed.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the report is not %s: go test ./internal/record -run Report -update, and review it like code", path)
	}
}

// TestReportOfTheLeak is the other incident of that report, 2025-10-14: 45.1 % of
// the budget by its weights, and 4,500 dollars in 23 minutes.
func TestReportOfTheLeak(t *testing.T) {
	r := &replay{t: t, day: "2025-10-14", book: incident.NewBook(incident.Defaults())}
	leak := incident.Finding{Key: "slots/main", Detector: "slots", Level: incident.Page, Upstream: "main", Summary: "main FULL 100/100", Since: r.at("03:15:00")}
	r.found("03:15:00", leak)
	r.add(r.book.Ack(r.id, r.by("03:15:30", "alice")))
	r.note("03:20:00", "bob", "", "PostgreSQL runs normally")
	r.note("03:23:00", "bob", incident.CauseKnown, "a background job leaks connections")
	r.note("03:25:00", "bob", incident.Decision, "restart the pods")
	r.note("03:27:00", "bob", incident.FirstAction, "rolling restart")
	r.note("03:33:00", "bob", incident.Partial, "half of the pods restarted")
	leak.Cleared = true
	r.found("03:36:00", leak)
	r.add(r.book.Declare(r.id, incident.DeclaredBody{Segments: []slo.Segment{
		{From: r.at("03:15:00"), To: r.at("03:33:00"), Affected: 1}, {From: r.at("03:33:00"), To: r.at("03:36:00"), Affected: 0.5},
	}}, r.by("03:37:00", "bob")))
	r.add(r.book.Resolve(r.id, "", &incident.SmokeRun{Checks: []incident.Smoke{{Name: "api", Passed: true}}}, r.by("03:38:00", "bob")))
	made := report.Make(r.shown(), figures())
	m := &made.Impact
	for name, want := range map[string]float64{"error budget used, weighted by time": 45.1, "error budget used, were all": 53.2} {
		if f := figure(t, m.Budgets, name); !near(f.Value, want, 0.05) {
			t.Errorf("%s is %+v", name, f)
		}
	}
	if f := figure(t, m.Revenue, "revenue lost"); !near(f.Value, 4500, 0.005) {
		t.Errorf("revenue is %+v", f)
	}
	for _, d := range made.Durations {
		if want := map[string]float64{"TTA": 0.5, "TTI": 8, "TTM": 18, "TTR": 21, "declared": 23}[d.Name]; want != 0 && d.Seconds != 60*want {
			t.Errorf("%s is %v s, not %v min", d.Name, d.Seconds, want)
		}
	}
}
