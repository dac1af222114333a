package drill

import (
	"context"
	"time"

	"spillway/internal/drill/gauge"
	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
	"spillway/internal/drill/rig"
	"spillway/internal/node/remote"
)

// Drill is an incident that can be replayed.
type Drill struct {
	Name       string
	Title      string
	Reports    []string // which reports it replays
	Story      string   // what happened then
	Hypothesis string   // what is expected of the guarded side
	Steady     string   // what is normal
	Report     Told     // the report's own figures
	Cause      gauge.Cause
	Culprit    []string      // roles of the fault's connections
	NameWithin time.Duration // in which the cause must be named
	Unnamed    bool          // the fault has no holder to be named
	Play       func(scale float64) Play
	// Extra are promises of its own; may be nil.
	Extra func(r *outcome.Result) []outcome.Promise
}

// Told are the report's own figures as words, "" where it tells none.
type Told struct {
	Availability, Errors, P99, Peak, Named, Contained, Recovered, Operator, WrongKills, Stuck, Deleted string
}

// Play is a drill at one scale.
type Play struct {
	Steady, Fault, After time.Duration // how long each phase is
	Setup                rig.Setup
	Fragment             string   // its part of spillway.yaml
	API                  load.API // without its URL
	Load                 []string // who puts load on, a line each
	Bound                int      // connections of the culprit that are contained
	Restart              bool     // the server restarts in it
	// Others is load beside the API, for as long as ctx lasts; may be nil.
	Others func(ctx context.Context, s *Scene) error
	// Strike is the fault; ctx ends with it. Its programs also end by themselves.
	Strike func(ctx context.Context, s *Scene) error
	// Respond is what people do about it, on both sides; ctx lasts to the end.
	// May be nil.
	Respond func(ctx context.Context, s *Scene) error
	// Close measures what the drill itself counts, after the load; may be nil.
	Close func(ctx context.Context, s *Scene, f *outcome.Figures) error
}

// Scene is one side while it runs.
type Scene struct {
	Rig    *rig.Rig
	Server *rig.Postgres
	Guard  *rig.Spillway  // nil on the bare side
	Node   *remote.Client // of Guard
	Login  rig.Login      // how clients reach this side
	Gauge  *gauge.Gauge
	Play   Play
	Tools  Tools
	Window gauge.Window // FaultAt holds once the fault began; the rest at the end

	services services
	figures  outcome.Figures // what the fault itself counted; read after its end
}

// Guarded tells which side it is.
func (s *Scene) Guarded() bool { return s.Guard != nil }

// Tools are programs of this machine.
type Tools struct {
	Psql, Pgbench string
	Spillway      string // the program that is tried
	Python        string // with psycopg2; "" when there is none
}

// All are the drills there are, in the order of the list.
func All() []Drill {
	return []Drill{leak(), backlog(), poolerBug(), loginStorm()}
}

// Find returns the drill of that name.
func Find(name string) (Drill, bool) {
	for _, d := range All() {
		if d.Name == name {
			return d, true
		}
	}
	return Drill{}, false
}

// span is a phase's length at a scale: shorter below 1, never under least.
func span(scale float64, full, least time.Duration) time.Duration {
	return max(time.Duration(float64(full)*min(scale, 1)), least)
}

// amount is a number at a scale, never under least.
func amount(scale float64, full, least int) int {
	return max(int(float64(full)*scale), least)
}
