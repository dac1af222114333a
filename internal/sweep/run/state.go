package run

import (
	"errors"
	"time"

	"spillway/internal/sweep/brake"
	"spillway/internal/sweep/plan"
)

// Phase is where a sweep is in its life.
type Phase string

// Phases. Running without a runner is a sweep whose runner died; resume takes
// it up.
const (
	Running   Phase = "running"
	Paused    Phase = "paused"
	Done      Phase = "done"
	Failed    Phase = "failed"
	Cancelled Phase = "cancelled"
)

// Over says whether nothing more will happen.
func (p Phase) Over() bool { return p == Done || p == Cancelled }

// Want is what a person asks of a running sweep; it is obeyed within a batch.
type Want string

// Wants.
const (
	WantRun    Want = "run"
	WantPause  Want = "pause"
	WantCancel Want = "cancel"
)

// Options say how a sweep may run.
type Options struct {
	Rate     float64       `json:"rate,omitempty"`        // rows a second; 0 = no limit
	Share    float64       `json:"share,omitempty"`       // of the time, beside live traffic; 0 = 0.25
	Target   time.Duration `json:"target_ns,omitempty"`   // of a batch when alone; 0 = 200 ms
	Beside   time.Duration `json:"beside_ns,omitempty"`   // of a batch beside live traffic; 0 = 1 ms
	Window   string        `json:"window,omitempty"`      // as when.ParseWindow reads it
	Zone     string        `json:"zone,omitempty"`        // of the window
	Deadline time.Duration `json:"deadline_ns,omitempty"` // from the start of the runner; then it pauses
	NoVacuum bool          `json:"no_vacuum,omitempty"`
	Limits   *brake.Limits `json:"limits,omitempty"` // nil = brake.Defaults
}

// Job is what stays the same over a sweep's life; it is kept as JSON.
type Job struct {
	Order     plan.Order    `json:"order"`
	Strategy  plan.Strategy `json:"strategy"`
	Alias     string        `json:"alias"`     // under which the condition knows the table
	Condition string        `json:"condition"` // with the cut-off in it
	Zone      string        `json:"zone"`      // TimeZone the condition was read in
	Columns   []string      `json:"columns"`   // that can be written, quoted
	Legs      []plan.Leg    `json:"legs"`
	KeepTable string        `json:"keep_table,omitempty"` // quoted
	KeepFile  string        `json:"keep_file,omitempty"`
	Options   Options       `json:"options"`
	Lambda    float64       `json:"lambda"`
}

// Cursor is where a sweep is; saved with every batch.
type Cursor struct {
	Leg      int      `json:"leg"`
	Begun    bool     `json:"begun"`              // the leg's fields below are set
	Filenode uint32   `json:"filenode,omitempty"` // a rewrite of the table moves every row
	Page     int64    `json:"page"`               // first not visited
	End      int64    `json:"end"`                // first page not to visit
	Key      []string `json:"key,omitempty"`      // last visited; empty = none yet
	Moved    int64    `json:"moved"`              // rows that had changed pages when the pass began
	Pass     int      `json:"pass"`
	Demoted  []int    `json:"demoted,omitempty"` // legs that could not be dropped and go row by row
	Again    []Range  `json:"again,omitempty"`   // where rows were locked
}

// Range is a part of one leg: pages [From, To), or keys (After, Upto].
type Range struct {
	Leg   int      `json:"leg"`
	From  int64    `json:"from,omitempty"`
	To    int64    `json:"to,omitempty"`
	After []string `json:"after,omitempty"`
	Upto  []string `json:"upto,omitempty"`  // empty = to the end
	Tries int      `json:"tries,omitempty"` // visits because rows were locked, the first not counted
}

// Sweep is one row of spillway.sweep.
type Sweep struct {
	ID       int64      `json:"id"`
	Name     string     `json:"name,omitempty"` // in the config; "" when a person started it
	Database string     `json:"database"`
	Table    string     `json:"table"`
	Relation uint32     `json:"-"`
	Job      Job        `json:"job"`
	Cutoff   time.Time  `json:"cutoff"`
	Phase    Phase      `json:"phase"`
	Want     Want       `json:"want"`
	Alive    bool       `json:"alive"` // a runner holds its lock now
	Fence    int64      `json:"fence"`
	Holder   string     `json:"holder"`
	Cursor   Cursor     `json:"cursor"`
	Backlog  float64    `json:"backlog"` // doomed at the start, as the plan knew it
	Deleted  int64      `json:"deleted"`
	Batches  int64      `json:"batches"`
	Kept     int64      `json:"kept_bytes,omitempty"` // of the file
	Active   float64    `json:"active_seconds"`       // with a runner and not held
	Brake    string     `json:"brake"`
	Reason   string     `json:"reason"` // why it failed or stopped
	Created  time.Time  `json:"created"`
	Beat     time.Time  `json:"beat"`
	Ended    *time.Time `json:"ended"`
}

// Part is how much of the sweep's way is behind it, 0 to 1; by pages where it
// goes by pages, by rows otherwise.
func (s *Sweep) Part() float64 {
	if s.Phase == Done {
		return 1
	}
	n := len(s.Job.Legs)
	if n == 0 {
		return 0
	}
	c := &s.Cursor
	if c.Leg < n && !s.byPages() {
		if s.Backlog <= 0 {
			return 0
		}
		return min(float64(s.Deleted)/s.Backlog, 1)
	}
	part := float64(c.Leg)
	if c.Begun && c.End > 0 && c.Pass == 0 {
		part += min(float64(c.Page)/float64(c.End), 1)
	} else if c.Pass > 0 {
		part++
	}
	return min(part/float64(n), 1)
}

func (s *Sweep) byPages() bool {
	for i := range s.Job.Legs {
		if k := s.Job.Legs[i].Strategy; k != plan.TID && k != plan.Drop {
			return false
		}
	}
	return true
}

// Left is how many doomed rows are left, roughly.
func (s *Sweep) Left() float64 {
	if s.Phase == Done {
		return 0
	}
	part := s.Part()
	if s.byPages() && part > 0.05 && s.Deleted > 0 {
		return float64(s.Deleted) * (1 - part) / part
	}
	return max(s.Backlog-float64(s.Deleted), 0)
}

// Errors that callers tell apart.
var (
	// ErrTaken: another runner is at the table.
	ErrTaken = errors.New("another sweep is at this table")
	// ErrFenced: another runner has taken this sweep over.
	ErrFenced = errors.New("another runner has taken this sweep over")
	// ErrNone: there is no such sweep.
	ErrNone = errors.New("there is no such sweep")
	// ErrOver: the sweep is done or cancelled.
	ErrOver = errors.New("the sweep is over")
)
