package record

import (
	"context"
	"log/slog"
	"time"

	"spillway/internal/record/incident"
	"spillway/internal/record/slo"
	"spillway/internal/record/store"
)

// Config is what a Record is made of.
type Config struct {
	Store  store.Config
	Region string
	Node   string // which process tells; the same after a restart
	Rules  Rules
	// Readings are the proxy's counts; nil = no impact is measured.
	Readings Sampler
	// Bounds are the upper bounds of the readings' buckets in seconds.
	Bounds []float64
	// Found is told what is wrong with the log itself, and which incidents nobody
	// takes; may be nil. It is called from a goroutine of the record's own.
	Found func(incident.Finding)
	// Verdict is what stands now in a sentence, and what was ruled out; may be nil.
	Verdict func() (sentence string, ruledOut []string)
	// Smoke are the checks that say whether the service works.
	Smoke []Check
	Log   *slog.Logger
}

// Rules are what a reload may change.
type Rules struct {
	Incidents incident.Rules
	Keep      Keep
	Objective slo.Objective
	Slow      time.Duration // a wait for a server that is longer counts as bad
	Revenue   slo.Revenue
	Active    float64 // users at a usual time; 0 = not known
}

// Keep says how long events are kept that are not of an incident; those of
// incidents are kept for ever.
type Keep struct {
	Age  time.Duration // 0 = for ever
	Size uint64        // bytes of the whole log; 0 = no bound
}

// Sampler reads the proxy's counts.
type Sampler interface {
	Read(ctx context.Context) (Reading, error)
}

// Reading is the proxy's counts since its start, and what holds now.
type Reading struct {
	At         time.Time
	Loads      []LoadReading
	Upstreams  []incident.Usage
	Principals int
}

// LoadReading is one workload's part.
type LoadReading struct {
	Workload       string
	Failed         uint64
	Waits          []uint64 // waits for a server by bucket
	Transactions   []uint64 // their durations by bucket
	InUse, Waiting int
	OldestWait     time.Duration
}

// Check is one smoke check.
type Check interface {
	Name() string
	// Run says what is wrong; it ends with ctx.
	Run(ctx context.Context) error
}

// kinds that other rooms may not use: they make incidents.
const reserved = "incident."

// Times of the record.
const (
	// ackWithin bounds the wait for an event that must stand before an effect.
	ackWithin = 2 * time.Second
	// patient is how long detectors may take after a start to see again what they saw before.
	patient = 5 * time.Minute
	// lockGrace is how long another process may have the log before that is a
	// finding: a take-over drains for a minute.
	lockGrace = 90 * time.Second
	// flushWithin bounds the last writes of a stop.
	flushWithin = 3 * time.Second
	trimEvery   = time.Hour
	pollEvery   = 2 * time.Second // of a cluster, for what other nodes wrote
	tickEvery   = time.Second
)

// Bounds of the backlog.
const (
	mostEntries = 4096
	mostBytes   = 16 << 20
)
