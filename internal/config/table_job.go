package config

import "time"

func jobKeys() []key {
	type J = Job
	return []key{
		scalar("server", func(j *J) *string { return &j.Server }, "", "",
			"Server that keeps the lease; may be left out when there is one only.", suggest("main")),
		scalar("database", func(j *J) *string { return &j.Database }, "", "",
			"Its database there; that of the server's url when left out.", suggest("app")),
		scalar("every", func(j *J) *time.Duration { return &j.Every }, "", "",
			"How often it is to start. It is late after one and a half of it, silent after three without a success.", required(), sample("1m")),
		scalar("deadline", func(j *J) *time.Duration { return &j.Deadline }, "0s", "",
			"Longest run, for `spillway job run` without --deadline; 0 is none."),
		scalar("failures", func(j *J) *int { return &j.Failures }, "3", "",
			"Failures in a row that are a finding.", atLeast(1)),
	}
}
