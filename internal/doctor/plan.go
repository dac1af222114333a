package doctor

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Plan is what a config names.
type Plan struct {
	DataDir      string
	Socket       string // of the admin API, in DataDir
	NeedFiles    uint64 // descriptors that the config may need at once
	Listen       []Listen
	Running      bool // a node of this config runs on this machine
	Files        []File
	Certificates []Certificate
	Servers      []Server
	Databases    []Database
	Channels     []Channel
	Send         bool // send a test through every channel
	// Outside is a source of alarms that cannot be reached from outside this
	// machine, "" for none.
	Outside string
}

// Listen is one address for clients or the API.
type Listen struct{ Key, Network, Address string }

// File is one that the config names.
type File struct {
	Key, Path string
	Secret    bool // holds one
}

// Certificate is a PEM file whose first certificate must not be past.
type Certificate struct{ Key, Path string }

// Server is one PostgreSQL.
type Server struct {
	Name  string
	Hosts []Host
	// Attrs is what the hosts must be, as target_session_attrs says.
	Attrs         string
	Configured    int // max_connections; 0 = auto
	OperatorSlots int
	Pools         []Pool
	Workloads     []Workload
	IdleTimeout   time.Duration // after which Spillway closes idle servers itself
	Users         []string      // whose secrets are known here
	Tables        bool          // sweeps or jobs keep tables there
}

// Host is one address of a server.
type Host struct {
	Address string
	Login   *pgx.ConnConfig
	Local   bool // a unix socket or loopback
	again   bool // its certificate has been looked at
}

// Pool is the largest pool of a database on the server.
type Pool struct {
	Database, Name string // of clients, and on the server; "" = any
	Size           int    // with its reserve
}

// Workload is what of a workload counts in slots.
type Workload struct {
	Name         string
	Share, Limit int
}

// Database is a login that the config names besides a server's own.
type Database struct {
	Name  string
	Why   string // "forced user", "auth_query"
	Login *pgx.ConnConfig
	Query string // asked for the secret of User; "" = only the login is tried
	User  string
}

// Channel is one endpoint of an alarm channel.
type Channel struct {
	Name, Endpoint string
	Reach          func(ctx context.Context) error
	Send           func(ctx context.Context) error
}
