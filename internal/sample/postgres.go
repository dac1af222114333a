package sample

import "time"

// Postgres is what one server says of itself. Each part is nil when its probe
// could not run.
type Postgres struct {
	Activity *Activity    `json:"activity"`
	Replicas *Replication `json:"replicas"`
	Vitals   *Vitals      `json:"vitals"`
	Tables   *Tables      `json:"tables"`
	Top      *Statements  `json:"top"`
}

// Activity is pg_stat_activity, summed up.
type Activity struct {
	At       time.Time       `json:"at,omitzero"`
	Role     string          `json:"role"`   // that asks
	Blind    bool            `json:"blind"`  // it may not see others' sessions
	Groups   []ActivityGroup `json:"groups"` // connections by user, application and state; the largest
	Total    int             `json:"total"`
	Long     []Backend       `json:"long"`     // with the oldest transactions and statements first
	Blocked  []Backend       `json:"blocked"`  // that wait for a lock
	Blockers []Backend       `json:"blockers"` // that others wait for
}

// ActivityGroup counts connections.
type ActivityGroup struct {
	User        string `json:"user"`
	Application string `json:"application"`
	State       string `json:"state"`
	Count       int    `json:"count"`
}

// Backend is one connection of the server.
type Backend struct {
	PID           int       `json:"pid"`
	User          string    `json:"user"`
	Database      string    `json:"database"`
	Application   string    `json:"application"`
	Addr          string    `json:"addr"`
	Kind          string    `json:"kind"` // backend_type
	State         string    `json:"state"`
	WaitType      string    `json:"wait_type"`
	Wait          string    `json:"wait"`
	StartedAt     time.Time `json:"started_at,omitzero"`
	TransactionAt time.Time `json:"transaction_at,omitzero"`
	QueryAt       time.Time `json:"query_at,omitzero"`
	StateAt       time.Time `json:"state_at,omitzero"`
	BlockedBy     []int     `json:"blocked_by"`
	Lock          string    `json:"lock"` // what it waits for: mode and relation
	Fingerprint   uint64    `json:"-"`
	SQL           string    `json:"sql"` // without literals
}

// Replication is the server's replicas, or how it is one.
type Replication struct {
	At       time.Time     `json:"at,omitzero"`
	Replica  bool          `json:"replica"`   // the server itself is one
	Behind   time.Duration `json:"behind_ns"` // of a replica: age of what it replayed last, while it has more to replay
	Replicas []Replica     `json:"replicas"`
	Slots    []Slot        `json:"slots"`
}

// Replica is one that this server feeds.
type Replica struct {
	Application string        `json:"application"`
	Addr        string        `json:"addr"`
	State       string        `json:"state"`
	Sync        string        `json:"sync"`
	LagBytes    float64       `json:"lag_bytes"`
	Lag         time.Duration `json:"lag_ns"` // replay
}

// Slot keeps WAL for a reader.
type Slot struct {
	Name      string  `json:"name"`
	Active    bool    `json:"active"`
	KeptBytes float64 `json:"kept_bytes"`
	XminAge   int64   `json:"xmin_age"`
}

// Vitals change slowly or are single numbers.
type Vitals struct {
	At               time.Time         `json:"at,omitzero"`
	Version          int               `json:"version"`
	StartedAt        time.Time         `json:"started_at,omitzero"`
	Recovery         bool              `json:"recovery"`
	MaxConnections   int               `json:"max_connections"`
	Reserved         int               `json:"reserved"`
	WALBytes         float64           `json:"wal_bytes"`         // written since initdb
	CheckpointsTimed float64           `json:"checkpoints_timed"` // since statistics were reset
	CheckpointsAsked float64           `json:"checkpoints_asked"` // since statistics were reset
	Autovacuums      int               `json:"autovacuums"`       // running now
	AutovacuumMax    int               `json:"autovacuum_max"`
	OldestXmin       int64             `json:"oldest_xmin"` // age in transactions
	OldestXminOf     string            `json:"oldest_xmin_of"`
	WraparoundAge    int64             `json:"wraparound_age"` // oldest datfrozenxid's age
	Deadlocks        float64           `json:"deadlocks"`
	TempBytes        float64           `json:"temp_bytes"`
	Settings         map[string]string `json:"settings"`
}

// Tables are the largest, the deadest and the named tables of one server.
type Tables struct {
	At    time.Time `json:"at,omitzero"`
	Items []Table   `json:"items"`
}

// Table is one.
type Table struct {
	Database   string    `json:"database"`
	Name       string    `json:"name"`
	Bytes      float64   `json:"bytes"`    // 0: not measured
	Live       float64   `json:"live"`     // rows, as the statistics believe
	Dead       float64   `json:"dead"`     // rows, as the statistics believe
	Inserted   float64   `json:"inserted"` // rows since statistics were reset
	Updated    float64   `json:"updated"`  // rows since statistics were reset
	Deleted    float64   `json:"deleted"`  // rows since statistics were reset
	VacuumedAt time.Time `json:"vacuumed_at,omitzero"`
	VacuumRuns float64   `json:"vacuum_runs"`
	DeadBound  float64   `json:"dead_bound"` // dead rows at which autovacuum comes
	Named      bool      `json:"named"`
}

// Statements are the costliest of pg_stat_statements since the reading before.
type Statements struct {
	At    time.Time     `json:"at,omitzero"`
	Span  time.Duration `json:"span_ns"`
	Items []Statement   `json:"items"`
}

// Statement is one.
type Statement struct {
	ID      int64   `json:"id"`
	User    string  `json:"user"`
	Calls   float64 `json:"calls"`
	Seconds float64 `json:"seconds"`
	Rows    float64 `json:"rows"`
	SQL     string  `json:"sql"`
}
