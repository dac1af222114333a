package config

import "time"

func roles() []string { return []string{"viewer", "operator", "admin"} }

func actionsKeys() []key {
	type A = Actions
	return []key{
		scalar("for", func(a *A) *time.Duration { return &a.For }, "1h", "",
			"How long a pause, limit or ban stands when nobody says."),
		scalar("longest", func(a *A) *time.Duration { return &a.Longest }, "24h", "",
			"How long one may stand; what is to last longer belongs into this file."),
		scalar("max_targets", func(a *A) *int { return &a.MaxTargets }, "500", "",
			"Most connections that one kill hits; above that it does nothing.", atLeast(1)),
	}
}

func tokenKeys() []key {
	return []key{
		scalar("hash", func(t *Token) *string { return &t.Hash }, "", "",
			"SHA-256 of the token in hexadecimal; `spillway token` makes a token with its hash.", required(), hidden(),
			sample(`"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`)),
		scalar("role", func(t *Token) *string { return &t.Role }, "viewer", "",
			"viewer reads; operator contains (pause, limit, kill, ban); admin does everything.", oneOf(roles()...)),
		scalar("scope", func(t *Token) *[]string { return &t.Scope }, "[]", "",
			"Globs of what it may do below its role, as ACTION or ACTION:SUBJECT; empty is all of the role.", suggest(`["pause:batch*", kill]`)),
		scalar("expires", func(t *Token) *string { return &t.Expires }, "", "",
			"Date, or time as RFC 3339, from which it is refused; empty is never.", suggest("2027-06-30")),
	}
}

func peerKeys() []key {
	return []key{
		scalar("role", func(p *Peer) *string { return &p.Role }, "viewer", "",
			"What the user may do over the admin socket. root and the user Spillway runs as are admins always.", oneOf(roles()...)),
	}
}

func commandKeys() []key {
	return []key{
		scalar("command", func(c *Command) *[]string { return &c.Command }, "[]", "",
			"Program and arguments; no shell reads them.", required(), sample("[kubectl, rollout, restart, deploy/api]")),
		scalar("dry_run", func(c *Command) *[]string { return &c.DryRun }, "[]", "",
			"Run in its place for a dry run; without it the command is shown.", suggest("[kubectl, rollout, status, deploy/api]")),
		scalar("timeout", func(c *Command) *time.Duration { return &c.Timeout }, "1m", "",
			"After how long it is ended, with all that it started."),
		scalar("role", func(c *Command) *string { return &c.Role }, "operator", "",
			"Who may run it.", oneOf(roles()...)),
	}
}

func automaticKeys() []key {
	type A = Automatic
	return []key{
		scalar("detector", func(a *A) *string { return &a.Detector }, "", "",
			"Whose findings bring the action about.", required(), sample("storm")),
		scalar("action", func(a *A) *string { return &a.Action }, "", "",
			"What is done: to the finding's workload or statement.", required(), oneOf("pause", "limit", "ban", "kill", "run"), sample("ban")),
		scalar("workload", func(a *A) *string { return &a.Workload }, "", "",
			"Glob of the workloads whose findings count; empty is all.", suggest("batch*")),
		scalar("max", func(a *A) *int { return &a.Max }, "0", "",
			"ban: most at once, 0 for none; kill: most targets."),
		scalar("limit", func(a *A) *int { return &a.Limit }, "0", "",
			"limit: slots."),
		scalar("queue", func(a *A) *bool { return &a.Queue }, "false", "",
			"pause: new transactions wait instead of being refused."),
		scalar("cancel", func(a *A) *bool { return &a.Cancel }, "false", "",
			"pause: cancel what runs, too."),
		scalar("older_than", func(a *A) *time.Duration { return &a.OlderThan }, "0s", "",
			"kill: only what has lasted for longer."),
		scalar("command", func(a *A) *string { return &a.Command }, "", "",
			"run: its name in the runbook.", suggest("rollout")),
		scalar("for", func(a *A) *time.Duration { return &a.For }, "10m", "",
			"How long a pause, limit or ban stands."),
		scalar("every", func(a *A) *time.Duration { return &a.Every }, "5m", "",
			"The least time between two actions of this rule."),
	}
}
