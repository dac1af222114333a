package sample

import "time"

// Proxy is the pooler's own figures.
type Proxy struct {
	At        time.Time
	State     string // active, paused, suspended, draining
	StartedAt time.Time
	Hosts     []Host
	Workloads []Workload
	Pools     []Pool
	Holders   []Holder
	Leaks     []Leak
	Denials   []Denial
	Crowds    []Crowd   // of CrowdsAt; nil before the first
	CrowdsAt  time.Time // they are counted less often than the rest
}

// Host is one PostgreSQL's budget of slots.
type Host struct {
	Name, Address, Version            string
	Usable                            int // slots for all pools
	Open                              int // server connections, idle ones included
	Busy                              int // of these, held by clients
	Waiting                           int
	OldestWait                        time.Duration
	Down                              bool // the breaker is open
	DownReason                        string
	AskedAt                           time.Time // when the server was last asked for its connections
	MaxConnections, Reserved, Foreign int
	Missing, Lingering, Stray         int
	Mended, Fused                     uint64
}

// Workload is a workload on a host. Name is "" for the clients of none.
type Workload struct {
	Host, Name, Owner, Class string
	Share, Limit             int
	InUse, Lent, Borrowed    int
	Waiting                  int
	OldestWait               time.Duration
	Leaking                  int
	Shed                     uint64
	Pause, Note              string
	QueueTimeout             time.Duration
	LeakAfter                time.Duration // 0 = leaks are not looked for
	OnLeak                   string
	Count                    Count
}

// Count is what transactions came to since the proxy's start.
type Count struct {
	Transactions, Failed uint64
	Wait, Transaction    Histogram
}

// Pool is the servers of one (database, user).
type Pool struct {
	Host, Database, User string
	Waiting              int
	OldestWait           time.Duration
	LoginError           string // "" when the last server login worked
	LoginErrorAt         time.Time
	Transactions, Errors uint64
}

// State is what a holder does with its server.
type State string

// States of holders, as pg_stat_activity names them.
const (
	Runs    State = "active"
	Idles   State = "idle in transaction"
	Aborted State = "idle in transaction (aborted)"
	Pinned  State = "idle"
)

// Holder is a client that has a server. Times that have not begun are zero.
type Holder struct {
	Client                                      uint64
	PID                                         int
	Host, Workload, Application, User, Database string
	Addr                                        string
	State                                       State
	CheckedOutAt, TransactionAt                 time.Time
	QueryAt, IdleAt                             time.Time
	Leaking, Operator, Replicates               bool
	Fingerprint                                 uint64 // 0: no statement was seen
	SQL                                         string // without literals
}

// Crowd is the clients of one service on one host.
type Crowd struct {
	Host, Workload, Application, Addr string
	Clients, Holding, Waiting         int
	OldestWait                        time.Duration
}

// Leak is servers of one service that the proxy has found kept idle for longer
// than its workload allows.
type Leak struct {
	Host, Workload, Application, Addr string
	User, Database                    string
	Marked                            uint64 // since FirstAt
	FirstAt, LastAt                   time.Time
	OnLeak                            string
	SQL                               string // of the last one, without literals
}

// Denial is failed logins of one service at Spillway's own door.
type Denial struct {
	User, Application, Addr string
	Recent                  int    // within the last seconds
	Total                   uint64 // since FirstAt
	FirstAt, LastAt         time.Time
}
