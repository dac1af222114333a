package act

import "time"

// Rules are what the config says about actions. Immutable.
type Rules struct {
	For        time.Duration // how long pauses, limits and bans stand when nobody says
	Longest    time.Duration // how long they may
	MaxTargets int           // most connections that one kill hits
	Workloads  []string      // those that there are
	Commands   map[string]*Command
	Automatic  []Automatic
}

// Command is one command of the runbook: a program with its arguments, never
// a shell's text.
type Command struct {
	Argv    []string
	DryRun  []string // run instead for a dry run; empty: it is shown only
	Timeout time.Duration
	Role    Role
}

// Automatic lets findings of a detector bring an action about.
type Automatic struct {
	Name     string
	Detector string // the finding's detector, exactly
	Workload string // glob of the finding's workload; "" = any
	Order    Order  // what is done; workload and fingerprint come from the finding
	Every    time.Duration
}
