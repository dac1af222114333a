package act

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// State of an action.
type State string

// States.
const (
	Previewed State = "preview"  // a dry run: nothing was done
	Underway  State = "underway" // its effect is being brought about
	Stands    State = "stands"   // its effect lasts
	Done      State = "done"
	Failed    State = "failed"
	Expired   State = "expired"  // it stood until its time was over
	Undone    State = "undone"   // somebody ended it
	Replaced  State = "replaced" // another action took its place
)

// Action is one order with what became of it.
type Action struct {
	ID       string         `json:"id"`
	Order    Order          `json:"order"`
	Subject  string         `json:"subject,omitempty"` // what it acts on
	Who      string         `json:"who"`
	At       time.Time      `json:"at"`
	Until    time.Time      `json:"until,omitzero"`
	State    State          `json:"state"`
	Targets  int            `json:"targets"` // how many it hits, or would
	Hits     []Hit          `json:"hits,omitempty"`
	Guarded  int            `json:"guarded,omitempty"` // holders that fit and were left alone
	Observed map[string]any `json:"observed,omitempty"`
	Output   string         `json:"output,omitempty"`
	Notes    []string       `json:"notes,omitempty"`
	Error    string         `json:"error,omitempty"`
	EndedAt  time.Time      `json:"ended_at,omitzero"`
	EndedBy  string         `json:"ended_by,omitempty"`
}

// Hit is one holder with what became of it.
type Hit struct {
	Holder
	Outcome string `json:"outcome,omitempty"` // "" in a preview
}

func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

// brief is the action without the rows of its hits, for lists and events.
func (a *Action) brief() Action {
	b := *a
	b.Hits = nil
	return b
}

// outcomes counts the hits by outcome.
func (a *Action) outcomes() map[string]int {
	counts := map[string]int{}
	for _, h := range a.Hits {
		if h.Outcome != "" {
			counts[h.Outcome]++
		}
	}
	return counts
}
