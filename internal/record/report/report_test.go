package report

import (
	"strings"
	"testing"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/slo"
)

func TestWords(t *testing.T) {
	for want, e := range map[string]event.Event{
		"kill celery: applied, 20 targets, 18 killed, 2 gone, because it leaks, until 03:30:00, observed in_use=3, id a1": {Kind: "action.applied", Body: event.Body(map[string]any{
			"id": "a1", "order": map[string]any{"kind": "kill", "reason": "it leaks"}, "subject": "celery", "targets": 20, "who": "alice",
			"outcomes": map[string]int{"killed": 18, "gone": 2}, "until": "2026-01-01T03:30:00Z", "observed": map[string]int{"in_use": 3}})},
		"sweep.paused: load is high, sweep 7":     {Kind: "sweep.paused", Body: event.Body(map[string]any{"reason": "load is high", "sweep": 7})},
		"action.odd: [1]":                         {Kind: "action.odd", Body: []byte("[1]")},
		"acknowledged":                            {Kind: incident.Acked},
		"resolved":                                {Kind: incident.Resolved, Body: []byte("[")},
		"change.deployed: v2, who bob":            {Kind: "change.deployed", Body: event.Body(map[string]string{"text": "v2", "who": "bob"})},
		"verdict: main FULL 85/85":                {Kind: incident.Judged, Body: event.Body(incident.JudgedBody{Sentence: "main FULL 85/85"})},
		"gone: main is full":                      {Kind: incident.Found, Body: event.Body(incident.FoundBody{Finding: incident.Finding{Summary: "main is full", Cleared: true}})},
		"action item 1: close the session (done)": {Kind: incident.ItemSet, Body: event.Body(incident.Item{N: 1, Text: "close the session", Done: true})},
	} {
		if got := words(&e); got != want {
			t.Errorf("words are %q, not %q", got, want)
		}
	}
}

// TestHarmless: what strangers wrote stays one cell of the table, and no mark-up.
func TestHarmless(t *testing.T) {
	nasty := "a | b\n# head\n<script>alert(1)</script> ![x](http://evil) `code`"
	opened := event.Event{ID: "1", Kind: incident.Opened, Incident: "i", At: time.Unix(1000, 0), Body: event.Body(incident.OpenedBody{Title: nasty, Severity: 1})}
	note := event.Event{ID: "2", Kind: incident.Noted, Incident: "i", Actor: nasty, At: time.Unix(1001, 0), Body: event.Body(incident.NotedBody{Text: nasty, Link: nasty})}
	found := event.Event{ID: "3", Kind: incident.Found, Incident: "i", At: time.Unix(1002, 0), Body: event.Body(incident.FoundBody{
		Finding: incident.Finding{Key: nasty, Level: incident.Page, Summary: nasty, Evidence: []string{nasty}, Workload: nasty}})}
	made := Make(incident.Fold([]event.Event{opened, note, found}), Config{Objective: slo.Objective{Target: 0.999, Window: time.Hour}, Now: time.Unix(2000, 0)})
	text := Markdown(&made, nil)
	for _, bad := range []string{"<script", "\n# head", "![x](", "| b |"} {
		if strings.Contains(text, bad) {
			t.Errorf("the report holds %q", bad)
		}
	}
}

func TestFewEvents(t *testing.T) {
	at := time.Unix(10000, 0)
	opened := event.Event{ID: "1", Kind: incident.Opened, Incident: "i", At: at, Body: event.Body(incident.OpenedBody{Title: "x", Started: at})}
	points := event.Event{ID: "2", Kind: incident.Measured, Incident: "i", At: at, Body: event.Body(incident.MeasuredBody{Points: []incident.Point{
		{At: at.Add(10 * time.Second), Seconds: 10, Loads: []incident.Load{{Workload: "api", Good: 3, Slow: 1, Failed: 1}}}}})}
	made := Make(incident.Fold([]event.Event{opened, points}), Config{Objective: slo.Objective{Target: 0.999, Window: time.Hour}, Now: at.Add(time.Minute)})
	found := false
	for _, f := range made.Impact.Budgets {
		found = found || strings.Contains(f.Formula, "too few events (5)")
	}
	if !found || !made.Impact.Ongoing || made.Impact.Failed != 1 || made.Impact.Slow != 1 {
		t.Errorf("impact is %+v", made.Impact)
	}
}
