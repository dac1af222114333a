package config

import (
	"time"

	"spillway/internal/record/slo"
)

// Record is where events are kept, and what incidents are made of.
type Record struct {
	Path        string // "" = log in data_dir
	URL         string // of a NATS cluster; "" = embedded
	Credentials string
	Replicas    int
	Keep        time.Duration // 0 = for ever
	KeepSize    Bytes         // 0 = no bound

	Objective   float64 // percent
	Window      time.Duration
	Slow        time.Duration
	Revenue     float64 // a minute
	Currency    string
	RevenueAt   []string
	ActiveUsers int

	OpenOn   []string
	Sev1     Percent
	Sev2     Percent
	Merge    time.Duration
	Reopen   time.Duration
	Stable   time.Duration
	Escalate time.Duration
	Resolve  time.Duration

	hours []slo.Hours
}

// Hours are the parts of the week with a revenue of their own.
func (r *Record) Hours() []slo.Hours { return r.hours }

// SmokeCheck is one check of whether the service works: smoke_checks.NAME.
type SmokeCheck struct {
	URL     string // http, https, tcp or postgres
	Query   string
	Status  int
	Expect  string
	Timeout time.Duration
}
