package config

import "time"

func watchKeys() []key {
	type W = Watch
	return []key{
		scalar("postgres", func(w *W) *bool { return &w.Postgres }, "true", "",
			"Ask every server how it does, over two kept connections of the role in its url. It sees everything as a member of pg_monitor."),
		scalar("tables", func(w *W) *[]string { return &w.Tables }, "[]", "",
			"Tables looked at beside the largest and those with most dead rows: schema.table, or database.schema.table.", suggest("[public.sessions]")),
		scalar("slots_warn", func(w *W) *Percent { return &w.SlotsWarn }, "80%", "",
			"Held slots of a server from which it is a warning, when it lasts for a minute."),
		scalar("slots_page", func(w *W) *Percent { return &w.SlotsPage }, "90%", "",
			"From here on it pages, when clients wait for wait_page too."),
		scalar("wait_warn", func(w *W) *time.Duration { return &w.WaitWarn }, "1s", "",
			"Longest wait for a slot from which it is a warning."),
		scalar("wait_page", func(w *W) *time.Duration { return &w.WaitPage }, "5s", "",
			"The same for a page; batch workloads never page."),
		scalar("forecast_warn", func(w *W) *time.Duration { return &w.ForecastWarn }, "30m", "",
			"A server that will be full within this time is a warning."),
		scalar("forecast_page", func(w *W) *time.Duration { return &w.ForecastPage }, "5m", "",
			"The same for a page."),
		scalar("leak_after", func(w *W) *time.Duration { return &w.LeakAfter }, "30s", "",
			"Three clients of a service that are idle in transactions for longer are a leak; a workload's own leak_after goes before it."),
		scalar("storm_many", func(w *W) *int { return &w.StormMany }, "20", "",
			"So many executions of one statement at once are a storm.", atLeast(2)),
		scalar("storm_share", func(w *W) *Percent { return &w.StormShare }, "20%", "",
			"Or so much of the slots of a server, five at least."),
		scalar("storm_age", func(w *W) *time.Duration { return &w.StormAge }, "500ms", "",
			"Only executions that have run for longer count."),
		scalar("transaction", func(w *W) *time.Duration { return &w.Transaction }, "5m", "",
			"A transaction open for longer is a finding."),
		section("statement", func(w *W) *Statement { return &w.Statement },
			"A statement that runs for longer is a finding, by the class of its workload.", []key{
				scalar("critical", func(s *Statement) *time.Duration { return &s.Critical }, "30s", "", "Of critical workloads."),
				scalar("normal", func(s *Statement) *time.Duration { return &s.Normal }, "60s", "", "Of normal ones, and where there is none."),
				scalar("batch", func(s *Statement) *time.Duration { return &s.Batch }, "15m", "", "Of batch workloads, and of connections that do not come through Spillway."),
			}),
		scalar("blocked_warn", func(w *W) *time.Duration { return &w.BlockedWarn }, "3s", "",
			"Longest wait for a lock from which it is a warning."),
		scalar("blocked_page", func(w *W) *time.Duration { return &w.BlockedPage }, "30s", "",
			"The same for a page; ten who wait page at once."),
		scalar("lag_warn", func(w *W) *time.Duration { return &w.LagWarn }, "10s", "",
			"A replica's lag from which it is a warning."),
		scalar("lag_page", func(w *W) *time.Duration { return &w.LagPage }, "1m", "",
			"The same for a page."),
		scalar("table_rows", func(w *W) *int { return &w.TableRows }, "10000", "",
			"Tables with fewer dead rows are no finding."),
		scalar("clear_after", func(w *W) *time.Duration { return &w.ClearAfter }, "15s", "",
			"A finding is cleared when it has been gone for this long; those about fullness take four times as long."),
	}
}

func targetKeys() []key {
	type T = Target
	return []key{
		scalar("url", func(t *T) *string { return &t.URL }, "", "",
			"http://, https:// or tcp://host:port.", required(), sample("http://10.0.0.5:8080/healthz")),
		scalar("group", func(t *T) *string { return &t.Group }, "", "",
			"Targets of one group are told together; less than half of them healthy pages.", suggest("api")),
		scalar("status", func(t *T) *int { return &t.Status }, "0", "",
			"HTTP status of a healthy one; 0 is any below 400."),
		scalar("every", func(t *T) *time.Duration { return &t.Every }, "5s", "",
			"How often it is looked at."),
		scalar("timeout", func(t *T) *time.Duration { return &t.Timeout }, "2s", "",
			"How long it may take to answer."),
		scalar("insecure", func(t *T) *bool { return &t.Insecure }, "false", "",
			"Do not verify its certificate."),
	}
}

func sloKeys() []key {
	type S = SLO
	return []key{
		scalar("workloads", func(s *S) *[]string { return &s.Workloads }, "[]", "",
			"Whose transactions count; empty is all.", suggest("[api]")),
		scalar("objective", func(s *S) *string { return &s.Objective }, "99.9%", "",
			"How much of them must be good."),
		scalar("wait", func(s *S) *time.Duration { return &s.Wait }, "1s", "",
			"A transaction that waited longer for its server is bad, as is one that Spillway failed or shed."),
		scalar("latency", func(s *S) *time.Duration { return &s.Latency }, "0s", "",
			"And one that took longer than this; 0 does not look.", suggest("500ms")),
		scalar("window", func(s *S) *time.Duration { return &s.Window }, "720h", "",
			"Time of the error budget; 720h is 30 days, which is also the most."),
	}
}
