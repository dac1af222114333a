package sample

import "time"

// Postgres is what one server says of itself. Each part is nil when its probe
// could not run.
type Postgres struct {
	Activity *Activity
	Replicas *Replication
	Vitals   *Vitals
	Tables   *Tables
	Top      *Statements
}

// Activity is pg_stat_activity, summed up.
type Activity struct {
	At       time.Time
	Groups   []ActivityGroup // connections by user, application and state; the largest
	Total    int
	Long     []Backend // with the oldest transactions and statements first
	Blocked  []Backend // that wait for a lock
	Blockers []Backend // that others wait for
}

// ActivityGroup counts connections.
type ActivityGroup struct {
	User, Application, State string
	Count                    int
}

// Backend is one connection of the server.
type Backend struct {
	PID                               int
	User, Database, Application, Addr string
	Kind                              string // backend_type
	State, WaitType, Wait             string
	StartedAt, TransactionAt          time.Time
	QueryAt, StateAt                  time.Time
	BlockedBy                         []int
	Lock                              string // what it waits for: mode and relation
	Fingerprint                       uint64
	SQL                               string // without literals
}

// Replication is the server's replicas, or how it is one.
type Replication struct {
	At       time.Time
	Replica  bool          // the server itself is one
	Behind   time.Duration // of a replica: age of what it replayed last, while it has more to replay
	Replicas []Replica
	Slots    []Slot
}

// Replica is one that this server feeds.
type Replica struct {
	Application, Addr, State, Sync string
	LagBytes                       float64
	Lag                            time.Duration // replay
}

// Slot keeps WAL for a reader.
type Slot struct {
	Name      string
	Active    bool
	KeptBytes float64
	Status    string
	XminAge   int64
}

// Vitals change slowly or are single numbers.
type Vitals struct {
	At                                 time.Time
	Version                            int
	StartedAt                          time.Time
	Recovery                           bool
	MaxConnections, Reserved           int
	WALBytes                           float64 // written since initdb
	CheckpointsTimed, CheckpointsAsked float64 // since statistics were reset
	Autovacuums                        int     // running now
	AutovacuumMax                      int
	OldestXmin                         int64 // age in transactions
	OldestXminOf                       string
	WraparoundAge                      int64 // oldest datfrozenxid's age
	Deadlocks                          float64
	TempBytes                          float64
	Settings                           map[string]string
}

// Tables are the largest, the deadest and the named tables of one server.
type Tables struct {
	At    time.Time
	Items []Table
}

// Table is one.
type Table struct {
	Database, Name             string
	Bytes                      float64 // 0: not measured
	Live, Dead                 float64 // rows, as the statistics believe
	Inserted, Updated, Deleted float64 // rows since statistics were reset
	VacuumedAt                 time.Time
	VacuumRuns                 float64
	DeadBound                  float64 // dead rows at which autovacuum comes
	Named                      bool
}

// Statements are the costliest of pg_stat_statements since the reading before.
type Statements struct {
	At    time.Time
	Span  time.Duration
	Items []Statement
}

// Statement is one.
type Statement struct {
	ID      int64
	User    string
	Calls   float64
	Seconds float64
	Rows    float64
	SQL     string
}
