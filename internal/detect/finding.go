package detect

import (
	"time"

	"spillway/internal/sample"
)

// Level is how much a finding matters.
type Level uint8

// Levels.
const (
	None Level = iota
	Warn       // somebody should look in working hours
	Page       // somebody should look now
)

// String implements fmt.Stringer.
func (l Level) String() string {
	switch l {
	case Warn:
		return "warn"
	case Page:
		return "page"
	default:
		return ""
	}
}

// Finding is a suspicion that has lasted.
type Finding struct {
	Key, Detector      string
	Level              Level
	Upstream, Workload string
	Fingerprint        string // of the statement it is about, 16 hexadecimal digits
	Summary            string
	Evidence           []string
	Runbook            string
	Since, At          time.Time
	Cleared            bool
}

// Suspicion is what a detector sees in one frame.
type Suspicion struct {
	Key                string // the same for the same trouble of the same thing
	Level              Level
	Upstream, Workload string
	Fingerprint        string
	Summary            string
	Evidence           []string
	Since              time.Time // when it began, if the sample tells; zero: with the first sight
}

// Input is one look at things.
type Input struct {
	*sample.Frame
	Bounds *Bounds
	// held is the level at which a finding with this key stands, for bounds that
	// differ on the way up and down.
	held   func(key string) Level
	trends *trends
	claims claims
	marks  *marks
	budget map[string]*budget
}

// claims are backends whose trouble one detector has explained, by host and
// pid: others leave them out.
type claims map[string]map[int]string

func (c claims) take(host string, pid int, by string) {
	if c[host] == nil {
		c[host] = map[int]string{}
	}
	if c[host][pid] == "" {
		c[host][pid] = by
	}
}

func (c claims) of(host string, pid int) string { return c[host][pid] }

// detector is one way of looking.
type detector struct {
	name   string
	timing func(b *Bounds) timing
	look   func(in *Input) []Suspicion
}

// timing says how long a suspicion must last before it is a finding, and how
// long it must be gone before it is none.
type timing struct{ warn, page, keep time.Duration }

// detectors in the order in which they look: those that explain backends come
// before those that leave explained ones out.
func detectors() []detector {
	soon := func(b *Bounds) timing { return timing{0, 0, b.ClearAfter} }
	return []detector{
		{"server", func(b *Bounds) timing { return timing{b.LoginAfter, b.LoginAfter, b.ClearAfter} }, lookServer},
		{"login", func(b *Bounds) timing { return timing{b.LoginAfter, b.LoginAfter, b.ClearAfter} }, lookLogin},
		{"denied", soon, lookDenied},
		{"blocking", soon, lookBlocking},
		{"leak", soon, lookLeak},
		{"storm", func(b *Bounds) timing { return timing{b.StormAfter, b.StormAfter, b.ClearAfter} }, lookStorm},
		{"long-transaction", soon, lookLongTransaction},
		{"long-statement", soon, lookLongStatement},
		{"slots", func(b *Bounds) timing { return timing{b.SlotsAfter, b.FullAfter, 4 * b.ClearAfter} }, lookSlots},
		{"slots-forecast", func(b *Bounds) timing { return timing{b.ForecastAfter, b.ForecastAfter, 4 * b.ClearAfter} }, lookForecast},
		{"queue-wait", func(b *Bounds) timing { return timing{b.WaitAfter, b.WaitPageAfter, 2 * b.ClearAfter} }, lookQueue},
		{"replica-lag", func(b *Bounds) timing { return timing{b.LagAfter, b.LagAfter, 2 * b.ClearAfter} }, lookReplica},
		{"table-growth", soon, lookTables},
		{"target", soon, lookTargets},
		{"slo-burn", func(b *Bounds) timing { return timing{0, 0, 4 * b.ClearAfter} }, lookBurn},
		{"ledger", func(b *Bounds) timing { return timing{b.DriftAfter, 0, 2 * b.ClearAfter} }, lookLedger},
		{"probe", func(b *Bounds) timing { return timing{b.ProbeAfter, b.ProbeAfter, b.ClearAfter} }, lookProbes},
	}
}
