package report

import (
	"time"

	"spillway/internal/record/incident"
	"spillway/internal/record/slo"
)

// Config is what a report computes with.
type Config struct {
	Objective slo.Objective
	Slow      time.Duration
	Revenue   slo.Revenue
	Active    float64 // users at a usual time; 0 = not known
	Now       time.Time
}

// Report is an incident with everything that follows from it.
type Report struct {
	*incident.Incident
	Clocks    []incident.Mark     `json:"clocks"`
	Durations []incident.Duration `json:"durations"`
	Impact    Impact              `json:"impact"`
	Timeline  []Line              `json:"timeline"`
	MadeAt    time.Time           `json:"made_at"`
}

// Make computes a report.
func Make(i *incident.Incident, c Config) Report {
	return Report{
		Incident: i, Clocks: i.Clocks(), Durations: i.Durations(), Impact: impact(i, &c),
		Timeline: timeline(i.Timeline), MadeAt: c.Now.UTC(),
	}
}
