package node

import (
	"context"
	"fmt"
	"os"
	"time"

	"spillway/internal/sweep"
	"spillway/internal/sweep/run"
	"spillway/internal/sweep/target"
	"spillway/internal/sweep/when"
)

// What the command line says about sweeps; it reaches the room through these.
type (
	SweepOrder    = sweep.Order
	SweepPlan     = sweep.Plan
	SweepOptions  = sweep.Options
	SweepProgress = sweep.Listed
	SweepStrategy = sweep.Strategy
	SweepRefusal  = target.Refusal
)

// SweepAlone sweeps without a running node, over a connection of its own.
type SweepAlone struct{ access sweep.Access }

// patience is how long a command waits for a server that is away.
const patience = 10 * time.Minute

// NewSweepAlone reads the URL; nothing is connected yet.
func NewSweepAlone(url string) (*SweepAlone, error) {
	c, err := target.Parse(url)
	if err != nil {
		return nil, err
	}
	return &SweepAlone{sweep.Access{Config: c}}, nil
}

// CheckSweepOptions says what is wrong with options before anything is asked.
func CheckSweepOptions(o SweepOptions) error {
	zone, err := time.LoadLocation(o.Zone)
	if err != nil {
		return fmt.Errorf("time zone %q is not known", o.Zone)
	}
	_, err = when.ParseWindow(o.Window, zone)
	return err
}

// Plan plans a sweep.
func (a *SweepAlone) Plan(ctx context.Context, o SweepOrder) (*SweepPlan, error) {
	return a.access.Plan(ctx, o.Order)
}

// Begin writes a sweep down and returns its number.
func (a *SweepAlone) Begin(ctx context.Context, o SweepOrder) (int64, error) {
	return a.access.Begin(ctx, o)
}

// Run runs sweep id until it ends or ctx does; tell hears of its progress.
func (a *SweepAlone) Run(ctx context.Context, id int64, tell func(SweepProgress)) (SweepProgress, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var last SweepProgress
	s, err := run.Run(ctx, run.Config{
		Dial: a.access.Dial("runner"), Watch: a.access.Dial("brakes"), Holder: fmt.Sprintf("command on %s pid %d", host, os.Getpid()), Patience: patience,
		Tell: func(p run.Progress) { last = SweepProgress{Progress: p}; tell(last) },
	}, id)
	if s != nil {
		last.Sweep = *s
	}
	return last, err
}

// List are the sweeps of the database, newest first.
func (a *SweepAlone) List(ctx context.Context) ([]SweepProgress, error) {
	list, err := a.access.List(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]SweepProgress, len(list))
	for i, s := range list {
		all[i] = SweepProgress{Progress: run.Progress{Sweep: s, Left: s.Left(), Part: s.Part(), ETA: -1, At: time.Now()}}
	}
	return all, nil
}

// Find is the number of the sweep that ref means: its number or its table.
func (a *SweepAlone) Find(ctx context.Context, ref string) (int64, error) {
	list, err := a.access.List(ctx)
	if err != nil {
		return 0, err
	}
	s, err := sweep.Find(list, ref)
	if err != nil {
		return 0, err
	}
	return s.ID, nil
}

// Ask pauses or cancels a sweep, whoever runs it.
func (a *SweepAlone) Ask(ctx context.Context, ref string, want string) (SweepProgress, error) {
	id, err := a.Find(ctx, ref)
	if err != nil {
		return SweepProgress{}, err
	}
	s, err := a.access.Ask(ctx, id, run.Want(want))
	if err != nil {
		return SweepProgress{}, err
	}
	return SweepProgress{Progress: run.Progress{Sweep: *s, Left: s.Left(), Part: s.Part(), ETA: -1, At: time.Now()}}, nil
}
