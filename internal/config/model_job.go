package config

import "time"

// Job is what a job that `spillway job run` starts is held to: jobs.NAME.
type Job struct {
	Server   string
	Database string // of the lease, on the server; "" = that of the server's url
	Every    time.Duration
	Deadline time.Duration // 0 = none
	Failures int
}
