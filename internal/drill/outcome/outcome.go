package outcome

import "time"

// Result is one drill, run bare and behind Spillway.
type Result struct {
	Drill      string    `json:"drill"`
	Title      string    `json:"title"`
	Reports    []string  `json:"reports"`
	Story      string    `json:"story"`
	Hypothesis string    `json:"hypothesis"`
	Steady     string    `json:"steady_state"`
	Load       []string  `json:"load"` // who puts load on, a line each
	Scale      float64   `json:"scale"`
	BeganAt    time.Time `json:"began_at"`
	Took       float64   `json:"took_seconds"`
	PostgreSQL string    `json:"postgresql"`
	Spillway   string    `json:"spillway"`
	Bare       Side      `json:"bare"`
	Guarded    Side      `json:"guarded"`
	Rows       []Row     `json:"table"`
	Promises   []Promise `json:"promises"`
	Held       bool      `json:"held"`           // every promise
	Void       string    `json:"void,omitempty"` // why broken promises say nothing: the machine had no time for the drill
}

// Side is one run. Times are seconds since its load began.
type Side struct {
	Name       string          `json:"name"` // bare or guarded
	FaultAt    float64         `json:"fault_at"`
	FaultEnd   float64         `json:"fault_end"`
	End        float64         `json:"end"`
	Figures    Figures         `json:"figures"`
	Seconds    []Second        `json:"seconds"`
	Events     []Event         `json:"events"`
	Errors     []Failure       `json:"errors"`
	Operator   []Failure       `json:"operator_errors"`
	Services   []ServiceReport `json:"other_clients"`
	Config     string          `json:"config,omitempty"`     // of Spillway, without secrets
	Postmortem string          `json:"postmortem,omitempty"` // Markdown, as Spillway wrote it
}

// Figures are a side's measurements. Times are seconds since the fault began;
// nil is never.
type Figures struct {
	Requests      int      `json:"api_requests"` // from the fault's beginning to the end
	Failed        int      `json:"api_failed"`
	Availability  float64  `json:"api_availability"` // 0..1
	P99           float64  `json:"api_p99_seconds"`  // of all requests, failed ones with the time they took to fail
	SteadyP99     float64  `json:"steady_p99_seconds"`
	Stall         float64  `json:"stall_seconds"` // the most that the drill's own clock was late
	SteadyFailed  int      `json:"steady_failed"`
	Peak          int      `json:"peak_connections"`
	CulpritPeak   int      `json:"culprit_peak_connections"`
	Named         *float64 `json:"named_seconds"`
	NamedAs       string   `json:"named_as,omitempty"`
	NamedBy       string   `json:"named_by,omitempty"`
	Contained     *float64 `json:"contained_seconds"`
	Recovered     *float64 `json:"recovered_seconds"` // 0: there was no outage; nil: still down at the end
	WrongKills    int      `json:"wrong_kills"`
	Stuck         int      `json:"stuck_statements,omitempty"` // the culprit's statements at once, at most
	Unstuck       *float64 `json:"unstuck_seconds,omitempty"`  // until the last of them was gone
	Deleted       int64    `json:"rows_deleted"`
	DeleteRate    float64  `json:"rows_deleted_per_second"`
	OperatorTries int      `json:"operator_tries"`                          // from the fault's beginning to its end
	OperatorAway  int      `json:"operator_tries_without_server,omitempty"` // failed as PostgreSQL itself was away; not among the tries
	OperatorIn    int      `json:"operator_in"`
	OperatorWorst float64  `json:"operator_worst_seconds"`
	Knocks        int      `json:"server_logins_busiest_second,omitempty"` // connections PostgreSQL was asked for, with log_connections
	Crowd         int      `json:"clients,omitempty"`
	Served        int      `json:"clients_served,omitempty"`
	AllServed     *float64 `json:"all_served_seconds,omitempty"` // since the server was back; nil: not all were
}

// Second is what one second of a run looked like.
type Second struct {
	OK      int            `json:"ok"`
	Failed  int            `json:"failed"`
	P50     float64        `json:"p50_seconds"`
	P99     float64        `json:"p99_seconds"`
	Holders map[string]int `json:"holders"`           // PostgreSQL's connections by role, the most of the second
	Waiting int            `json:"waiting,omitempty"` // clients in Spillway's queues
}

// Event is something that happened: a phase, the fault, an action.
type Event struct {
	At   float64 `json:"at"`
	Who  string  `json:"who"`  // drill, spillway, operator
	Kind string  `json:"kind"` // phase, fault, named, action, end
	What string  `json:"what"`
}

// Failure is a kind of error, how often, and one of them in full.
type Failure struct {
	Code   string `json:"code"`
	Count  int    `json:"count"`
	Sample string `json:"sample"`
}

// ServiceReport is what a client program of another project said at its end.
type ServiceReport struct {
	Name   string `json:"name"`
	Failed bool   `json:"failed"`
	Said   string `json:"said"`
}

// Row is a figure, side by side with what the report tells.
type Row struct {
	Figure  string `json:"figure"`
	Bare    string `json:"bare"`
	Guarded string `json:"guarded"`
	Report  string `json:"report"`
}

// Promise is what has to hold, and what was seen.
type Promise struct {
	Text string `json:"promise"`
	Saw  string `json:"saw"`
	Held bool   `json:"held"`
}
