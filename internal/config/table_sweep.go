package config

import "time"

func sweepKeys() []key {
	type S = Sweep
	return []key{
		scalar("server", func(s *S) *string { return &s.Server }, "", "",
			"Server of the table; may be left out when there is one only.", suggest("main")),
		scalar("database", func(s *S) *string { return &s.Database }, "", "",
			"Its database there; that of the server's url when left out.", suggest("app")),
		scalar("table", func(s *S) *string { return &s.Table }, "", "",
			"The table, as schema.table.", required(), sample("public.sessions")),
		scalar("where", func(s *S) *string { return &s.Where }, "", "",
			"Which rows go: one SQL expression. now() is fixed when a sweep starts.", required(), sample("expires_at < now()")),
		scalar("schedule", func(s *S) *string { return &s.Schedule }, "", "",
			"When, as the five fields of cron; without one it runs when somebody asks.", suggest("*/10 * * * *")),
		scalar("time_zone", func(s *S) *string { return &s.TimeZone }, "UTC", "",
			"Time zone of schedule and window."),
		scalar("window", func(s *S) *string { return &s.Window }, "", "",
			"Hours in which it may work, such as 22:00-06:00; outside of them it waits.", suggest("22:00-06:00")),
		scalar("deadline", func(s *S) *time.Duration { return &s.Deadline }, "0s", "",
			"After how long a run stops; the next one takes it up where it was. 0 is never."),
		scalar("rate", func(s *S) *float64 { return &s.Rate }, "0", "",
			"Most rows deleted a second; 0 is no limit."),
		scalar("share", func(s *S) *Percent { return &s.Share }, "25%", "",
			"Most of the time spent deleting while others use the server."),
		scalar("strategy", func(s *S) *string { return &s.Strategy }, "auto", "",
			"How rows are found; auto decides by how many go and how they lie.", oneOf("auto", "tid", "pk", "keyset", "drop")),
		scalar("keep_in", func(s *S) *string { return &s.KeepIn }, "", "",
			"A table, or the absolute path of a file, that takes the rows before they go.", suggest("archive.sessions")),
	}
}
