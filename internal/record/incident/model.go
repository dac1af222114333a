package incident

import (
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/slo"
)

// Kinds of events that make incidents.
const (
	Opened    = "incident.opened"
	Found     = "incident.finding" // joined, changed or cleared
	Rated     = "incident.severity"
	Acked     = "incident.acked"
	Escalated = "incident.escalated"
	Commanded = "incident.commander"
	Joined    = "incident.joined"
	Noted     = "incident.noted"
	Declared  = "incident.declared"
	Restored  = "incident.restored"
	Smoked    = "incident.smoke"
	Resolved  = "incident.resolved"
	Reopened  = "incident.reopened"
	Stable    = "incident.stable"
	Measured  = "incident.measured"
	Judged    = "incident.verdict"
	ItemSet   = "incident.item"
	Warned    = "finding.told"   // a finding that belongs to no incident
	Cleared   = "finding.gone"   // and its end
	Imported  = "alarm.received" // a foreign alarm
)

// Untaken is the detector of the findings about incidents that nobody takes; the
// record tells them, and takes none of them for trouble of its own.
const Untaken = "incident-unacknowledged"

// Levels of findings.
const (
	Warn = "warn"
	Page = "page"
)

// Finding is what a detector says.
type Finding struct {
	Key      string    `json:"key"`
	Detector string    `json:"detector,omitempty"`
	Level    string    `json:"level"`
	Upstream string    `json:"upstream,omitempty"`
	Workload string    `json:"workload,omitempty"`
	Summary  string    `json:"summary"`
	Evidence []string  `json:"evidence,omitempty"`
	Runbook  string    `json:"runbook,omitempty"`
	Since    time.Time `json:"since"`
	At       time.Time `json:"at"`
	Cleared  bool      `json:"cleared,omitempty"`
}

// Status of an incident.
type Status string

// Statuses.
const (
	Open       Status = "open"
	IsRestored Status = "restored" // findings have cleared; nobody has said it is over
	IsResolved Status = "resolved"
)

// mostTimeline is how many events of an incident are kept in memory.
const mostTimeline = 5000

// Incident is one incident as the events make it. Times are zero until known.
type Incident struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Region    string    `json:"region,omitempty"`
	Status    Status    `json:"status"`
	Severity  int       `json:"severity"` // 1 is the worst
	OpenedAt  time.Time `json:"opened_at"`
	Declared  bool      `json:"declared,omitempty"` // by a person, not by a finding
	AckedBy   string    `json:"acked_by,omitempty"`
	Commander string    `json:"commander,omitempty"`
	Reason    string    `json:"reason,omitempty"` // why it is resolved
	Relapses  int       `json:"relapses,omitempty"`

	Findings   []Member      `json:"findings,omitempty"`
	People     []Person      `json:"people,omitempty"`
	Severities []Change      `json:"severities,omitempty"`
	Marks      []Mark        `json:"marks,omitempty"`
	Smoke      *SmokeRun     `json:"smoke,omitempty"` // the last run
	Items      []Item        `json:"items,omitempty"`
	Points     []Point       `json:"points,omitempty"`
	Segments   []slo.Segment `json:"declared_impact,omitempty"`
	Users      *UsersTold    `json:"declared_users,omitempty"`
	Ruled      []string      `json:"ruled_out,omitempty"` // of all verdicts
	Changes    []Past        `json:"changes,omitempty"`   // of the week before
	// Timeline is every event of it, oldest first; only kept for incidents that
	// are not resolved, and by Fold.
	Timeline []event.Event `json:"-"`
	Left     int           `json:"timeline_left_out,omitempty"` // events beyond the bound

	heard     map[string]time.Time // when each node last wrote an event of it
	wasOpen   time.Time            // when it was last opened or reopened
	escalated bool
	stable    bool
}

// Member is a finding of an incident, as it was last told.
type Member struct {
	Finding
	Node  string    `json:"node,omitempty"` // that told it
	Paged bool      `json:"paged"`          // has been at level page: the incident waits for it to clear
	First time.Time `json:"first"`

	lastTold time.Time // into the log
}

// Person took part.
type Person struct {
	Name string    `json:"name"`
	Role string    `json:"role"`
	At   time.Time `json:"at"`
}

// Change of the severity.
type Change struct {
	At  time.Time `json:"at"`
	To  int       `json:"to"`
	Why string    `json:"why"`
	Who string    `json:"who,omitempty"`
}

// Mark is a clock that an event or a person has set.
type Mark struct {
	Clock Clock     `json:"clock"`
	At    time.Time `json:"at"`
	How   string    `json:"how"`
	Who   string    `json:"who,omitempty"` // empty: an event
	Event string    `json:"event,omitempty"`
}

// SmokeRun is one run of the smoke checks.
type SmokeRun struct {
	At     time.Time `json:"at"`
	Checks []Smoke   `json:"checks"`
}

// Passed reports whether there were checks and all passed.
func (s *SmokeRun) Passed() bool {
	if s == nil || len(s.Checks) == 0 {
		return false
	}
	for _, c := range s.Checks {
		if !c.Passed {
			return false
		}
	}
	return true
}

// Smoke is one smoke check's result.
type Smoke struct {
	Name   string  `json:"name"`
	Passed bool    `json:"passed"`
	Told   string  `json:"told,omitempty"`
	Took   float64 `json:"took_seconds"`
}

// Item is something to be done so that it does not happen again.
type Item struct {
	Incident string    `json:"incident"`
	N        int       `json:"n"` // within the incident, from 1
	Text     string    `json:"text"`
	Type     string    `json:"type,omitempty"` // prevent, detect, mitigate, process
	Owner    string    `json:"owner,omitempty"`
	Due      string    `json:"due,omitempty"` // 2006-01-02
	Ticket   string    `json:"ticket,omitempty"`
	Done     bool      `json:"done"`
	At       time.Time `json:"at"`
}

// UsersTold is what somebody says about how many were affected.
type UsersTold struct {
	Affected float64 `json:"affected,omitempty"`
	Active   float64 `json:"active,omitempty"`
	Who      string  `json:"who,omitempty"`
}

// Point is what the proxy counted over some seconds before At.
type Point struct {
	At         time.Time `json:"at"`
	Seconds    float64   `json:"seconds"`
	Loads      []Load    `json:"loads,omitempty"`
	Upstreams  []Usage   `json:"upstreams,omitempty"`
	Principals int       `json:"principals,omitempty"` // distinct users of clients connected
}

// Load is one workload's part of a Point.
type Load struct {
	Workload string  `json:"workload"`
	Good     uint64  `json:"good"`           // transactions in time
	Slow     uint64  `json:"slow,omitempty"` // later than the threshold
	Failed   uint64  `json:"failed,omitempty"`
	P95      float64 `json:"p95_seconds,omitempty"`
	InUse    int     `json:"in_use,omitempty"` // most at once
	Waiting  int     `json:"waiting,omitempty"`
	Wait     float64 `json:"oldest_wait_seconds,omitempty"`
}

// Usage is one upstream's part of a Point.
type Usage struct {
	Upstream string `json:"upstream"`
	Used     int    `json:"used"` // most at once
	Usable   int    `json:"usable"`
	Waiting  int    `json:"waiting,omitempty"`
}

// Bad is how many went wrong, and of how many.
func (p *Point) Bad() (bad, valid uint64) {
	for i := range p.Loads {
		l := &p.Loads[i]
		bad += l.Slow + l.Failed
		valid += l.Good + l.Slow + l.Failed
	}
	return bad, valid
}

// IsEscalated reports whether it was escalated since it was last opened.
func (i *Incident) IsEscalated() bool { return i.escalated }
