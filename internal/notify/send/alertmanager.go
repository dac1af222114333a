package send

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"spillway/internal/notify/alarm"
)

// Generator is the label that marks our own alarms: they are not taken in again
// when they come back as a webhook.
const Generator = "spillway"

type postedAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// leastLife is how long an Alertmanager keeps an alarm that is not repeated, at
// least: its own resolve_timeout's default.
const leastLife = 5 * time.Minute

func (s *Sender) alertmanager(a alarm.Alarm) ([]byte, error) {
	alert := postedAlert{
		Labels: filled(map[string]string{
			"alertname": "Spillway" + camel(a.Detector), "generator": Generator, "severity": severity(a.Level), "key": a.Key,
			"detector": a.Detector, "upstream": a.Upstream, "workload": a.Workload, "region": s.endpoint.Region, "node": s.endpoint.Node,
		}),
		Annotations: filled(map[string]string{"summary": a.Summary, "description": strings.Join(a.Evidence, "\n"), "runbook": a.Runbook}),
		StartsAt:    a.Since.UTC(), EndsAt: a.At.UTC(),
	}
	switch {
	case a.Level == alarm.Test:
		alert.EndsAt = time.Now().Add(time.Minute).UTC()
	case a.Status == alarm.Firing:
		alert.EndsAt = time.Now().Add(max(3*s.endpoint.Repeat, leastLife)).UTC()
	}
	if alert.EndsAt.Before(alert.StartsAt) {
		alert.StartsAt = alert.EndsAt // refused otherwise
	}
	return json.Marshal([]postedAlert{alert})
}

// filled leaves out what is empty: Alertmanager treats an empty label as none.
func filled(labels map[string]string) map[string]string {
	for name, value := range labels {
		if value == "" {
			delete(labels, name)
		}
	}
	return labels
}

// camel makes an alert's name of a detector's: slots-forecast, SlotsForecast.
func camel(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		up = false
	}
	return b.String()
}
