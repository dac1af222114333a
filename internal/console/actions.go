package console

import (
	"context"
	"time"
)

// Actions is containment as the console asks for it. Safe from any goroutine.
type Actions interface {
	// Act carries out what an admin of the console orders, or with DryRun shows
	// what it would hit. A *Refused says that nothing was done.
	Act(ctx context.Context, user string, o Order) (Deed, error)
	// Deeds are the actions of people and rules, the newest first.
	Deeds() []Deed
}

// Order is a containment verb with what was said to it.
type Order struct {
	Kind        string // pause, resume, limit, kill, ban, unban, undo
	Workload    string // glob for kill
	Fingerprint string
	Action      string // undo: its ID
	User        string // kill: glob; so the following
	Database    string
	Application string
	State       string // active, idle-in-transaction, idle
	OlderThan   time.Duration
	PID         int
	Limit       int
	Max         int
	Queue       bool
	Cancel      bool
	Grace       time.Duration
	For         time.Duration
	Reason      string
	DryRun      bool
}

// Deed is an action with what became of it.
type Deed struct {
	ID, Action, Subject, State string
	Who, Reason                string
	At, Until                  time.Time // Until is zero for what does not stand
	Targets                    int       // how many it hit, or would
	Guarded                    int       // how many fit and were left alone
	Error                      string
	Notes                      []string
	Hits                       []Hit
}

// Hit is one holder an action hit, or would.
type Hit struct {
	PID                                        int
	Workload, User, Database, Application      string
	State, Fingerprint, SQL, Outcome, Upstream string
	Since                                      time.Time
}

// Refused is an order that was not carried out.
type Refused struct{ Message, Hint string }

// Error implements error.
func (r *Refused) Error() string { return r.Message }
