package proxy

import "time"

// Snapshots are values: the caller owns what it gets and nothing in it changes
// afterwards. Durations are since the moment At of the enclosing answer.

// PoolStat is one row of SHOW POOLS: the servers of one (database, user).
type PoolStat struct {
	Database, User                                 string
	Upstream                                       string
	Mode                                           PoolMode
	ClientsActive, ClientsWaiting, ClientsIdle     int
	ClientsActiveCancel, ClientsWaitingCancel      int
	ServersActive, ServersActiveCancel             int
	ServersBeingCanceled, ServersIdle, ServersUsed int
	ServersTested, ServersLogin                    int
	OldestWait                                     time.Duration
	LoadBalance                                    string // "disable" or "round-robin"; "" when one host
	Paused                                         bool
	LastLoginError                                 string // "" when the last login worked
	LastLoginErrorAt                               time.Time
	Counters                                       Counters
	Wait, Transaction, Query                       Histogram
}

// Counters of one pool since start, as SHOW STATS counts them. Times in µs.
type Counters struct {
	Assignments, Transactions, Queries uint64
	ReceivedBytes, SentBytes           uint64 // from clients; to clients
	TransactionMicros, QueryMicros     uint64
	WaitMicros                         uint64
	ClientParses, ServerParses, Binds  uint64
	Errors                             uint64            // caused by the proxy
	ErrorsBy                           map[string]uint64 // disconnect or refusal reason → count
}

// Histogram counts durations in log-linear buckets: Bounds()[i] is the upper
// bound of Counts[i] in seconds, the last one counts what is above all.
type Histogram struct {
	Counts   [histBuckets]uint64
	SumNanos uint64
}

// ConnStat is one row of SHOW CLIENTS or SHOW SERVERS.
type ConnStat struct {
	ID             uint64 // unique while the process lives
	Kind           byte   // 'C' client, 'S' server
	User, Database string
	Upstream       string
	Replication    string // none, logical, physical
	State          string // as PgBouncer names it
	Addr           string // "unix" for a unix socket
	Port           int
	LocalAddr      string
	LocalPort      int
	ConnectedAt    time.Time
	RequestedAt    time.Time     // last request
	Wait           time.Duration // in the queue now
	CloseNeeded    bool
	Link           uint64 // ID of the other half, 0 when there is none
	RemotePID      int    // server: backend pid; client over a unix socket: its pid
	TLS            string // "TLSv1.3/TLS_AES_128_GCM_SHA256" or ""
	Application    string
	Prepared       int
	Mode           PoolMode
	Pinned         string // why the server stays with the client; "" when it does not
	InTransaction  byte   // 'I', 'T', 'E'
	CheckedOutAt   time.Time
	TransactionAt  time.Time
	QueryAt        time.Time
	SQL            string // last statement, literals removed, truncated
	RecvPending    int    // bytes buffered from the peer
	SendPending    int    // bytes buffered for the peer
	Loop           int
	Workload       string // "" when none is configured
	Operator       bool
	Leaking        bool // keeps its server idle for longer than its workload allows
}

// DatabaseStat is one row of SHOW DATABASES.
type DatabaseStat struct {
	Name, Host, DBName, ForceUser            string
	Port                                     int
	PoolSize, MinPoolSize, ReservePool       int
	ServerLifetime                           time.Duration
	Mode                                     PoolMode
	LoadBalance                              string
	MaxServers, Servers, MaxClients, Clients int
	Paused, Disabled                         bool
}

// UserStat is one row of SHOW USERS.
type UserStat struct {
	Name                                     string
	PoolSize, ReservePool                    int      // -1 = not set
	Mode                                     PoolMode // ModeDefault = not set
	MaxServers, Servers, MaxClients, Clients int
}

// UpstreamStat tells how one PostgreSQL's budget stands.
type UpstreamStat struct {
	Name          string
	Usable, Used  int
	Active        int // of those used, the ones that clients hold
	Waiting       int
	OldestWait    time.Duration
	Breaker       string // closed, open, half-open
	BreakerReason string
	NextProbe     time.Duration
	Address       string // host in use
	// What the server said last; zero until it was asked.
	AskedAt                           time.Time
	MaxConnections, Reserved, Foreign int
	// Server logins since start, those that had to wait for the pace, and how
	// often an outage stopped them.
	Logins, Paced, Trips uint64
	// Calm: no outage of late, so that every slot may be filled as fast as logins
	// go. LoginsFree may begin now, before connect_rate holds them.
	Calm       bool
	LoginsFree int
	// Drift between our books and the server's: connections we hold that it does
	// not know, backends that run on after we closed them, slots without a server.
	Missing, Lingering, Stray      int
	Mended, Fused                  uint64 // drift mended; connections the fuse kept from being opened
	OperatorSlots, OperatorServers int
	Sockets                        int // open or being opened, as the fuse counts them
	ServerVersion                  string
}

// WorkloadStat is one row of SHOW WORKLOADS: a workload on one upstream.
type WorkloadStat struct {
	Upstream, Name string
	Class, Mode    string // critical, normal, batch; off, warn, enforce
	Share          int    // guaranteed slots
	Limit          int    // 0 = none
	InUse          int
	Lent, Borrowed int
	Waiting        int
	OldestWait     time.Duration
	Clients        int
	Leaking        int           // holders kept idle for longer than allowed
	Shed           uint64        // refused at once: the queue was full or too slow
	WouldShed      uint64        // would have been, in mode warn
	WouldWait      uint64        // would have waited for the limit, in mode warn
	Pause          string        // "", queue, refuse
	Note           string        // who paused or limited it, and why
	QueueTimeout   time.Duration // -1 = the general one; so the following
	Statement      time.Duration
	Transaction    time.Duration
	IdleInTx       time.Duration
	LeakAfter      time.Duration // 0 = not looked for
	OnLeak         string
}

// Gauges are single numbers of the whole proxy.
type Gauges struct {
	State                                  string // active, paused, suspended, draining
	Driver                                 string // epoll, io_uring, goroutine
	Loops                                  int
	Databases, Users, Pools                int
	FreeClients, UsedClients, LoginClients int
	FreeServers, UsedServers               int
	DNSNames, DNSPending                   int
	ClientLogins                           uint64
	StartedAt                              time.Time
	Listeners                              []string
	Refused                                map[string]uint64 // clients refused before login, by reason
}

// DNSStat is one row of SHOW DNS_HOSTS.
type DNSStat struct {
	Host  string
	TTL   time.Duration
	Addrs []string
}

// Period is two readings of the counters of one database: since start, and the
// average of the last finished stats period.
type Period struct {
	Database string
	Total    Counters
	Average  Counters // per second; times are per transaction, query and wait
}
