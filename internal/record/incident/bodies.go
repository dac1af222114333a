package incident

import (
	"time"

	"spillway/internal/record/slo"
)

// The bodies of the events of incidents. A field that is added is left out by
// who does not know it; none changes its meaning.

// OpenedBody says why an incident is there.
type OpenedBody struct {
	Title    string    `json:"title"`
	Severity int       `json:"severity"`
	Why      string    `json:"why,omitempty"` // of the severity
	Finding  *Finding  `json:"finding,omitempty"`
	Started  time.Time `json:"started"` // when the impact began, as far as known
	Changes  []Past    `json:"changes,omitempty"`
}

// Past is a change marker from before an incident.
type Past struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// FoundBody is a finding that joins, changes or clears.
type FoundBody struct {
	Finding Finding `json:"finding"`
}

// RatedBody is a change of severity.
type RatedBody struct {
	Severity int    `json:"severity"`
	Why      string `json:"why"`
}

// NamedBody names a person.
type NamedBody struct {
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
}

// NotedBody is what a person writes on the timeline.
type NotedBody struct {
	Text  string    `json:"text"`
	When  time.Time `json:"when,omitzero"` // it happened, when that was not now
	Clock Clock     `json:"clock,omitempty"`
	Link  string    `json:"link,omitempty"`
}

// DeclaredBody is an impact that a person states.
type DeclaredBody struct {
	Segments []slo.Segment `json:"segments,omitempty"`
	Users    *UsersTold    `json:"users,omitempty"`
}

// ReasonBody says why.
type ReasonBody struct {
	Reason  string   `json:"reason,omitempty"`
	Finding *Finding `json:"finding,omitempty"`
}

// JudgedBody is what stood at a time of the incident.
type JudgedBody struct {
	Sentence string   `json:"sentence"`
	RuledOut []string `json:"ruled_out,omitempty"`
}

// MeasuredBody is some points.
type MeasuredBody struct {
	Points []Point `json:"points"`
}
