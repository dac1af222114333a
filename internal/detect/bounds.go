package detect

import "time"

// Bounds are where each detector begins. Ratios are 0–1. The config section
// watch sets them; Defaults says where each number comes from.
type Bounds struct {
	ClearAfter time.Duration // gone for this long, a finding is cleared; some take a multiple

	SlotsWarn, SlotsPage  float64 // busy slots ÷ usable
	SlotsAfter, FullAfter time.Duration

	ForecastFrom               float64 // below this ratio nothing is foretold
	ForecastWarn, ForecastPage time.Duration
	ForecastAfter              time.Duration

	WaitWarn, WaitPage       time.Duration // oldest wait for a slot
	WaitAfter, WaitPageAfter time.Duration

	LeakAfter time.Duration // idle in a transaction, where the workload has no leak_after
	LeakMany  int           // holders of one service
	LeakShare float64       // of the slots, from which a leak pages

	StormMany  int     // of one statement at once
	StormShare float64 // of the slots
	StormAge   time.Duration
	StormAfter time.Duration

	StatementCritical, StatementNormal, StatementBatch time.Duration
	Transaction                                        time.Duration

	BlockedWarn, BlockedPage time.Duration // longest wait for a lock
	BlockedMany              int           // waiters, from which it pages

	LagWarn, LagPage time.Duration
	LagBytes         float64
	LagAfter         time.Duration

	TableDead   float64 // dead rows ÷ live rows
	TableRows   float64 // dead rows below which nothing is said
	TableWindow time.Duration

	LoginAfter, LoginQuiet time.Duration
	DeniedMany             int // logins of one service that fail at the door within 10 s
	TargetFailures         int
	DriftAfter             time.Duration
	ProbeAfter             time.Duration
}

// Defaults are the bounds without a config.
func Defaults() Bounds {
	return Bounds{
		ClearAfter: 15 * time.Second,
		// The postgres_exporter mixin warns at 80 %; the reports' alarms stood at 90 %.
		// A pool that is busy but makes nobody wait is at work: only waits page.
		SlotsWarn: 0.80, SlotsPage: 0.90, SlotsAfter: time.Minute, FullAfter: 10 * time.Second,
		// Both the last minute's and the last five minutes' slope must say so.
		ForecastFrom: 0.50, ForecastWarn: 30 * time.Minute, ForecastPage: 5 * time.Minute, ForecastAfter: 10 * time.Second,
		WaitWarn: time.Second, WaitPage: 5 * time.Second, WaitAfter: 10 * time.Second, WaitPageAfter: 30 * time.Second,
		LeakAfter: 30 * time.Second, LeakMany: 3, LeakShare: 0.25,
		// A fast statement that is asked often is traffic: only what has run for
		// StormAge counts.
		StormMany: 20, StormShare: 0.20, StormAge: 500 * time.Millisecond, StormAfter: 5 * time.Second,
		StatementCritical: 30 * time.Second, StatementNormal: time.Minute, StatementBatch: 15 * time.Minute,
		Transaction: 5 * time.Minute,
		BlockedWarn: 3 * time.Second, BlockedPage: 30 * time.Second, BlockedMany: 10,
		LagWarn: 10 * time.Second, LagPage: time.Minute, LagBytes: 1 << 30, LagAfter: 10 * time.Second,
		TableDead: 0.5, TableRows: 10_000, TableWindow: 10 * time.Minute,
		LoginAfter: 2 * time.Second, LoginQuiet: 2 * time.Minute,
		// A person mistypes a few times; two a second is a program.
		DeniedMany:     20,
		TargetFailures: 3,
		DriftAfter:     15 * time.Second, // two censuses of the ledger
		ProbeAfter:     10 * time.Second,
	}
}
