package proxy

import "context"

// Verbs are what console, API and signals may ask of the proxy. Every one is
// safe from any goroutine and returns when the effect is there or ctx ends.
type Verbs interface {
	// Pause stops granting servers and waits until none of db ("" = all) is
	// active. When ctx ends first the pause is withdrawn and ctx.Err returned.
	Pause(ctx context.Context, db string) error
	Resume(ctx context.Context, db string) error
	Disable(ctx context.Context, db string) error
	Enable(ctx context.Context, db string) error
	// Reconnect closes every server of db ("" = all) as soon as it is free.
	Reconnect(ctx context.Context, db string) error
	// WaitClose waits until the servers marked by Reconnect or a reload are gone.
	WaitClose(ctx context.Context, db string) error
	// Kill drops all clients and servers of db ("" = all) at once and pauses it.
	Kill(ctx context.Context, db string) error
	KillClient(ctx context.Context, id uint64) error
	// Suspend flushes buffers and stops reading from clients until Resume.
	Suspend(ctx context.Context) error
}

// Facts are the proxy's snapshots; each asks every loop once and costs it
// a pass over its own connections.
type Facts interface {
	Pools(ctx context.Context) ([]PoolStat, error)
	Clients(ctx context.Context) ([]ConnStat, error)
	Servers(ctx context.Context) ([]ConnStat, error)
	Databases(ctx context.Context) ([]DatabaseStat, error)
	UserStats(ctx context.Context) ([]UserStat, error)
	Upstreams(ctx context.Context) ([]UpstreamStat, error)
	Workloads(ctx context.Context) ([]WorkloadStat, error) // by upstream, in the policy's order
	Stats(ctx context.Context) ([]Period, error)           // by database, sorted
	Gauges(ctx context.Context) (Gauges, error)
	DNS(ctx context.Context) ([]DNSStat, error)
}

// Console serves clients of the admin databases ("pgbouncer", "spillway").
// node joins it in; proxy does not know what it does.
type Console interface {
	// Open begins a session for an authenticated user. admin is false for
	// users that may only SHOW.
	Open(user string, admin bool) ConsoleSession
	// Parameters are the ParameterStatus pairs told at login.
	Parameters() [][2]string
}

// ConsoleSession handles one console client's messages, one at a time, off the
// loop. It appends the reply, ReadyForQuery included, to out and returns it.
// An error closes the client after out was sent.
type ConsoleSession interface {
	Message(ctx context.Context, kind byte, body []byte, out []byte) ([]byte, error)
	Close()
}

// Lifecycle is what node does with a Proxy besides.
//
//	New(Config) (*Proxy, error)   opens listeners; serves nobody yet
//	Start() error                 runs the loops
//	Apply(*Policy) error          publishes a policy; loops see it at the next message boundary
//	Drain(ctx) error              stops accepting, lets transactions finish, ends idle clients with
//	                              57P01 at a boundary; nil when no client is left
//	Close() error                 ends everything at once
type Lifecycle interface {
	Start() error
	Apply(p *Policy) error
	Drain(ctx context.Context) error
	Close() error
	// Alive reports whether every loop has turned within the last seconds;
	// it waits for none of them.
	Alive() bool
	// Serving reports whether listeners accept and the state is not draining.
	Serving() bool
}
