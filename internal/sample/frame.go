package sample

import "time"

// Frame is everything known at one moment.
type Frame struct {
	At       time.Time
	Region   string
	Proxy    *Proxy               // nil: the event loops did not answer
	Postgres map[string]*Postgres // by server; absent: not asked, or withdrawn
	Targets  []Target
	Machine  *Machine
	Probes   []Probe
}

// Probe is how one probe does.
type Probe struct {
	Name   string
	Server string // the PostgreSQL it asks, "" for none
	Up     bool
	GoodAt time.Time // last success; zero: never
	Tried  time.Time // last attempt's end; zero: none yet
	Failed int       // attempts that failed since the last success
	Error  string    // of the last attempt; "" when it worked
	Took   time.Duration
}

// Machine is the host the node runs on. Ratios are 0–1.
type Machine struct {
	At            time.Time
	CPUs          int
	CPU           float64 // ratio of all CPUs that was busy since the sample before
	Own           float64 // CPUs that this process used
	Load          float64 // one minute
	MemoryTotal   float64 // bytes
	MemoryFree    float64 // bytes that can be had without swapping
	OwnMemory     float64 // resident bytes of this process
	OwnFiles      int
	MaxFiles      int
	Goroutines    int
	StolenSeconds float64 // by the hypervisor since boot
}

// Target is an HTTP or TCP address that is looked at as a load balancer does.
type Target struct {
	Name, Group string
	Address     string
	Up          bool
	Failed      int // checks in a row
	Since       time.Time
	At          time.Time
	Took        time.Duration
	Error       string
}
