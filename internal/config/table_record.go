package config

import "time"

func recordKeys() []key {
	type R = Record
	return []key{
		scalar("path", func(r *R) *string { return &r.Path }, "", "",
			"Folder of the log; the folder log in data_dir when left out.", onRestart(), suggest("/var/lib/spillway/log")),
		scalar("url", func(r *R) *string { return &r.URL }, "", "",
			"A NATS cluster of the region that keeps the log instead of this process.", onRestart(), suggest("tls://nats-1:4222,tls://nats-2:4222")),
		scalar("credentials", func(r *R) *string { return &r.Credentials }, "", "",
			"File with the credentials for that cluster.", onRestart(), suggest("/etc/spillway/nats.creds")),
		scalar("replicas", func(r *R) *int { return &r.Replicas }, "3", "",
			"How many servers of that cluster keep the log, when it is made. The embedded one is alone.", atLeast(1), onRestart()),
		scalar("keep", func(r *R) *time.Duration { return &r.Keep }, "90d", "",
			"How long events are kept; those of incidents always are. 0 is for ever."),
		scalar("keep_size", func(r *R) *Bytes { return &r.KeepSize }, "1GiB", "",
			"Above this size of the log the oldest events go, those of incidents left out; 0 is no bound."),
		scalar("objective", func(r *R) *float64 { return &r.Objective }, "0", "",
			"Percent of transactions that must get their server in time and without an error of Spillway. 0 takes that of the first of slo, or 99.9.", of("percent")),
		scalar("window", func(r *R) *time.Duration { return &r.Window }, "0s", "",
			"Over how long the objective is kept; 0 likewise, or 30d."),
		scalar("slow", func(r *R) *time.Duration { return &r.Slow }, "0s", "",
			"A longer wait for a server counts against the objective; 0 likewise, or 1s. Buckets are up to 25 % wide; reports name the bound that was used."),
		scalar("revenue_per_minute", func(r *R) *float64 { return &r.Revenue }, "0", "",
			"What a minute of outage costs, for reports; 0 leaves it out.", of("number a minute")),
		scalar("currency", func(r *R) *string { return &r.Currency }, "USD", "",
			"Of what."),
		scalar("revenue_hours", func(r *R) *[]string { return &r.RevenueAt }, "[]", "",
			"Parts of the week (UTC) with another revenue, the first that fits holds: days, hours, revenue a minute.", suggest(`["mon-fri 08:00-18:00 300"]`)),
		scalar("active_users", func(r *R) *int { return &r.ActiveUsers }, "0", "",
			"Users at a usual time, for the estimate of how many were affected; 0 is not known."),
		scalar("open_on", func(r *R) *[]string { return &r.OpenOn }, "[leak, blocking, login, storm]", "",
			"Detectors whose warnings open an incident too; findings at level page always do."),
		scalar("sev1", func(r *R) *Percent { return &r.Sev1 }, "50%", "",
			"Part of the last minute's transactions going wrong from which an incident is SEV-1."),
		scalar("sev2", func(r *R) *Percent { return &r.Sev2 }, "5%", "",
			"The same for SEV-2; all others are SEV-3."),
		scalar("merge", func(r *R) *time.Duration { return &r.Merge }, "10m", "",
			"How long after its findings have cleared an incident still takes related ones."),
		scalar("reopen", func(r *R) *time.Duration { return &r.Reopen }, "30m", "",
			"How long after it was resolved the same finding opens an incident again."),
		scalar("stable", func(r *R) *time.Duration { return &r.Stable }, "15m", "",
			"How long an incident must stay restored to be called stable."),
		scalar("escalate", func(r *R) *time.Duration { return &r.Escalate }, "5m", "",
			"How long an incident may stay unacknowledged before it is escalated; 0 is for ever."),
		scalar("resolve", func(r *R) *time.Duration { return &r.Resolve }, "1d", "",
			"How long after its findings have cleared an incident is resolved by itself, if smoke checks pass or there are none; 0 is never."),
	}
}

func smokeKeys() []key {
	type S = SmokeCheck
	return []key{
		scalar("url", func(s *S) *string { return &s.URL }, "", "",
			"What is asked: http:// or https://, tcp://HOST:PORT, or postgres:// (through Spillway, to check that too). Secrets as ${NAME}.", required(), hidden(), sample("http://127.0.0.1:8080/health")),
		scalar("query", func(s *S) *string { return &s.Query }, "SELECT 1", "",
			"What is asked of a postgres:// URL."),
		scalar("status", func(s *S) *int { return &s.Status }, "200", "",
			"HTTP status that is right.", atLeast(100)),
		scalar("expect", func(s *S) *string { return &s.Expect }, "", "",
			"Text that the answer (the body, or the first value of the first row) must hold.", suggest("ok")),
		scalar("timeout", func(s *S) *time.Duration { return &s.Timeout }, "5s", "",
			"How long it may take."),
	}
}
