package config

import (
	"time"

	"spillway/internal/sweep/when"
)

// Sweep is a batched delete on a schedule: sweeps.NAME.
type Sweep struct {
	Server   string
	Database string // on the server; "" = that of the server's url
	Table    string
	Where    string
	Schedule string // cron; "" = never by itself
	TimeZone string
	Window   string
	Deadline time.Duration // of one run; 0 = none
	Rate     float64       // rows a second; 0 = no limit
	Share    Percent
	Strategy string
	KeepIn   string

	plan *when.Schedule
}

// When is the sweep's schedule, nil for none.
func (s *Sweep) When() *when.Schedule { return s.plan }
