package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
	"spillway/internal/drill/rig"
	"spillway/internal/machine"
)

// Options say how a drill is run.
type Options struct {
	Scale   float64 // 1 is the full drill
	Binary  string  // Spillway's program; "" is this one
	Version string  // of Spillway, for the result
	// Watch is told of every change, from one goroutine; may be nil.
	Watch Watcher
}

// Watcher follows a drill while it runs.
type Watcher interface {
	// Phase tells what begins now.
	Phase(p Phase)
	// Tick comes several times a second while there is load.
	Tick(t Tick)
}

// Phase is a step of a drill.
type Phase struct {
	Side string        // bare, guarded; "" before the first
	What string        // "steady state", "fault"
	Last time.Duration // how long it takes; 0 is unknown
}

// Scale bounds.
const (
	LeastScale = 0.05
	MostScale  = 20
)

// Run runs both sides and compares them. When
// ctx ends it stops at once; everything it started is ended and removed in any
// case.
func Run(ctx context.Context, d Drill, o Options) (result outcome.Result, err error) {
	if o.Scale < LeastScale || o.Scale > MostScale {
		return result, fmt.Errorf("scale %g is not between %g and %g", o.Scale, LeastScale, float64(MostScale))
	}
	if o.Watch == nil {
		o.Watch = deaf{}
	}
	tools, err := findTools(o.Binary)
	if err != nil {
		return result, err
	}
	place, err := rig.New()
	if err != nil {
		return result, err
	}
	defer func() {
		switch left := place.Close(); {
		case left != nil:
			err = fmt.Errorf("clean up: %w", errors.Join(left, withoutEnd(err)))
		case ctx.Err() != nil:
			err = ctx.Err()
		}
	}()
	r := &running{drill: d, play: d.Play(o.Scale), options: o, rig: place, tools: tools}
	return r.both(ctx)
}

// withoutEnd leaves out that the drill was interrupted.
func withoutEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Result is what a drill found out.
type Result = outcome.Result

// Clear ends and removes what drills that were killed have left, and returns
// how many those were.
func Clear() (int, error) { return rig.Sweep() }

// Length is how long the load of one side lasts.
func (d Drill) Length(scale float64) time.Duration { return d.Play(scale).length() }

// deaf is a Watcher that does nothing.
type deaf struct{}

func (deaf) Phase(Phase) {}
func (deaf) Tick(Tick)   {}

func findTools(binary string) (tools Tools, err error) {
	if tools.Spillway = binary; binary == "" {
		if tools.Spillway, err = os.Executable(); err != nil {
			return tools, fmt.Errorf("find this program: %w", err)
		}
	}
	if tools.Psql, err = machine.Postgres("psql"); err != nil {
		return tools, err
	}
	if tools.Pgbench, err = machine.Postgres("pgbench"); err != nil {
		return tools, err
	}
	tools.Python = load.Python()
	return tools, nil
}

// running is one drill under way.
type running struct {
	drill   Drill
	play    Play
	options Options
	rig     *rig.Rig
	tools   Tools
	base    *rig.Postgres
}

func (r *running) both(ctx context.Context) (outcome.Result, error) {
	d, began := r.drill, time.Now()
	result := outcome.Result{
		Drill: d.Name, Title: d.Title, Reports: d.Reports, Story: d.Story, Hypothesis: d.Hypothesis, Steady: d.Steady,
		Load: r.play.Load, Scale: r.options.Scale, BeganAt: began, Spillway: r.options.Version,
	}
	var err error
	if result.PostgreSQL, err = r.rig.Version(); err != nil {
		return result, err
	}
	r.options.Watch.Phase(Phase{What: "making a PostgreSQL and its tables"})
	if r.base, err = r.rig.Base(ctx, r.play.Setup); err != nil {
		return result, err
	}
	if result.Bare, err = r.side(ctx, "bare"); err != nil {
		return result, fmt.Errorf("bare: %w", err)
	}
	if result.Guarded, err = r.side(ctx, "guarded"); err != nil {
		return result, fmt.Errorf("guarded: %w", err)
	}
	result.Took = time.Since(began).Seconds()
	compare(&result, d)
	return result, nil
}
