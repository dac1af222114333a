package config

import "time"

// Actions bound what people and rules may do to workloads and connections.
type Actions struct {
	For        time.Duration // how long pauses, limits and bans stand when nobody says
	Longest    time.Duration
	MaxTargets int // of one kill
}

// Token lets whoever sends it do what its role may: tokens.NAME.
type Token struct {
	Hash    string // SHA-256 of the token, 64 hexadecimal digits
	Role    string
	Scope   []string // globs of ACTION or ACTION:SUBJECT; empty = all of the role
	Expires string   // date or RFC 3339; "" = never

	until time.Time
}

// Until is when the token ends; the zero time is never.
func (t *Token) Until() time.Time { return t.until }

// Peer is a user of the machine who may use the admin socket: peers.USER.
type Peer struct{ Role string }

// Command is one of the runbook: runbook.NAME.
type Command struct {
	Command []string // program and arguments
	DryRun  []string
	Timeout time.Duration
	Role    string
}

// Automatic lets a detector's findings bring an action about: automatic.NAME.
type Automatic struct {
	Detector  string
	Action    string
	Workload  string // glob of the finding's
	Max       int
	Limit     int
	Queue     bool
	Cancel    bool
	OlderThan time.Duration
	Command   string
	For       time.Duration
	Every     time.Duration
}
