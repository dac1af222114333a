package config

import "time"

// Watch is what is looked at, and from where on it is a finding.
type Watch struct {
	Postgres     bool // ask the servers
	Tables       []string
	SlotsWarn    Percent
	SlotsPage    Percent
	WaitWarn     time.Duration
	WaitPage     time.Duration
	ForecastWarn time.Duration
	ForecastPage time.Duration
	LeakAfter    time.Duration
	StormMany    int
	StormShare   Percent
	StormAge     time.Duration
	Transaction  time.Duration
	Statement    Statement
	BlockedWarn  time.Duration
	BlockedPage  time.Duration
	LagWarn      time.Duration
	LagPage      time.Duration
	TableRows    int
	ClearAfter   time.Duration
}

// Statement bounds statements by the class of their workload.
type Statement struct{ Critical, Normal, Batch time.Duration }

// Target is an address that is looked at as a load balancer does: targets.NAME.
type Target struct {
	URL      string // http, https or tcp
	Group    string
	Status   int // 0: any below 400
	Every    time.Duration
	Timeout  time.Duration
	Insecure bool
}

// SLO is what a workload's users are promised: slo.NAME.
type SLO struct {
	Workloads []string // none: all
	Objective string   // "99.9%"
	Wait      time.Duration
	Latency   time.Duration // 0: not looked at
	Window    time.Duration

	ratio float64
}

// Ratio is the objective as a part of 1.
func (s *SLO) Ratio() float64 { return s.ratio }
