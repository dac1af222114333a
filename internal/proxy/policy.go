package proxy

import (
	"crypto/tls"
	"time"

	"spillway/internal/auth"
)

// PoolMode says when a server goes back to its pool.
type PoolMode uint8

// Pool modes, named as PgBouncer names them.
const (
	ModeDefault PoolMode = iota // inherit: user, then database, then policy
	ModeSession
	ModeTransaction
	ModeStatement
)

// StateRule says what happens in transaction mode when a client makes session
// state that cannot be shared (LISTEN, temporary tables, an untracked SET, …).
type StateRule uint8

// State rules.
const (
	StatePin    StateRule = iota // the server stays with the client; the reason is shown
	StateRefuse                  // the statement is refused with a hint (0A000)
)

// ErrorStyle chooses the texts and SQLSTATEs of the proxy's own errors.
type ErrorStyle uint8

// Error styles.
const (
	ErrorsNative    ErrorStyle = iota // 53300, 57014, 25P03, …, naming limit and mend
	ErrorsPgBouncer                   // 08P01 with PgBouncer's texts
)

// TLSMode is libpq's sslmode.
type TLSMode uint8

// The six sslmodes.
const (
	TLSDisable TLSMode = iota
	TLSAllow
	TLSPrefer
	TLSRequire
	TLSVerifyCA
	TLSVerifyFull
)

// Policy is everything the loops ask about. It is immutable: a change is a new
// Policy published with Proxy.Apply. All durations of zero mean "no limit"
// unless said otherwise.
type Policy struct {
	Upstreams   map[string]*Upstream
	Databases   map[string]*Database
	AnyDatabase *Database // the "*" entry; nil when there is none
	Users       map[string]*User
	// Workloads in the order in which they are tried; the first that matches
	// wins, the one named "default" takes the rest.
	Workloads []Workload
	Bans      []Ban // of statements

	Auth      Authentication
	ClientTLS ClientTLS
	Limits    Limits
	Timeouts  Timeouts
	Defaults  PoolDefaults
	Session   SessionRules

	ErrorStyle          ErrorStyle
	ApplicationNameHost bool          // append "host:port" of the client to application_name
	TCPKeepAlive        time.Duration // 0: off
	StatsPeriod         time.Duration // averages of SHOW STATS; default 60 s

	LogConnections    bool
	LogDisconnections bool
	LogPoolerErrors   bool
}

// Upstream is one PostgreSQL: one budget of slots, one or several hosts of
// which one fits TargetSession.
type Upstream struct {
	Name           string
	Hosts          []Address
	TargetSession  string // any, read-write, read-only, primary, standby, prefer-standby
	LoadBalance    bool   // several hosts: round robin instead of in order
	MaxConnections int    // slots; 0: asked of the server
	OperatorSlots  int    // opened at start, never lent

	// The probing and maintenance role of the server's url.
	User, Password, Database string

	TLSMode TLSMode
	TLS     *tls.Config // roots and client certificate; nil with TLSDisable
	// DirectTLS starts TLS without SSLRequest (PostgreSQL 17 and later).
	DirectTLS      bool
	ChannelBinding string // disable, prefer, require

	DNSMaxTTL    time.Duration // 15 s
	ConnectPace  int           // parallel logins; 4
	ConnectRate  float64       // logins a second; 20
	ConnectBurst int           // 10
}

// Address is where a PostgreSQL listens.
type Address struct {
	Host string // name, IP, or a directory beginning with "/"
	Port uint16
}

// Database is a name clients may ask for.
type Database struct {
	Name       string // as clients say it; "*" in Policy.AnyDatabase
	Upstream   string // key of Policy.Upstreams
	DBName     string // on the server; "" = the name the client said
	ForcedUser string // all clients use this server role; "" = their own
	// ForcedPassword is the server password of ForcedUser; "" = from the users' file.
	ForcedPassword string

	Mode           PoolMode
	PoolSize       int // -1 = default
	MinPoolSize    int // -1 = default
	ReservePool    int // -1 = default
	MaxServers     int // over all pools of this database; 0 = no limit
	MaxClients     int
	ServerLifetime time.Duration // <0 = default
	ConnectQuery   string        // run on every new server
	AuthUser       string        // overrides Authentication.QueryUser
	AuthQuery      string
	AuthDatabase   string
	QueryTimeout   time.Duration // <0 = default
	QueueTimeout   time.Duration // <0 = default
	Disabled       bool
}

// User overrides what databases say, for one user.
type User struct {
	Name        string
	Mode        PoolMode
	PoolSize    int // -1 = none
	ReservePool int // -1 = none
	MaxServers  int
	MaxClients  int

	QueryTimeout       time.Duration // <0 = default; so the following
	TransactionTimeout time.Duration
	IdleInTransaction  time.Duration
	ClientIdle         time.Duration
	QueueTimeout       time.Duration
}

// Authentication of clients.
type Authentication struct {
	Method string // trust, plain, md5, scram-sha-256, cert, hba, any
	// Secrets holds the users' file: user → secret as ParseSecret takes it.
	Secrets       map[string]string
	HBA           *auth.HBA // with Method "hba"
	Ident         *auth.Ident
	CertMap       string        // map of Ident for method cert outside HBA; "" = CN equals user
	QueryUser     string        // auth_user; "" = no auth_query
	Query         string        // with $1 for the user; "" = auth.DefaultQuery
	QueryDatabase string        // "" = the database asked for
	QueryTTL      time.Duration // how long an answer serves; 0 = ask at every login

	Admins    []string // console: every verb
	Stats     []string // console: SHOW only
	Operators []string // users that may take operator slots
}

// ClientTLS is TLS towards clients.
type ClientTLS struct {
	Mode TLSMode // allow and prefer: offered; require and above: demanded; verify-*: client certificate demanded
	// Config is complete (certificate, client CAs, ALPN "postgresql"); nil with TLSDisable.
	Config *tls.Config
}

// Limits on clients and memory.
type Limits struct {
	MaxClients        int // max_client_conn
	MaxClientsPerUser int
	MaxClientsPerDB   int
	MaxClientsPerAddr int     // address, 0 = no limit
	LoginsPerAddr     float64 // a second, 0 = no limit
	MaxServersPerUser int
	MaxServersPerDB   int
	ClientMemory      int // bytes buffered for one client; default 1 MiB
	MaxMessage        int // bytes of one message; default 1 GiB
	MaxStartup        int // bytes of a startup packet; default 10,000 as PostgreSQL
	MaxPreparedText   int // bytes of one prepared statement's text; default 1 MiB
}

// Timeouts; each names the setting in its error.
type Timeouts struct {
	ClientLogin       time.Duration // 60 s
	ClientIdle        time.Duration
	Queue             time.Duration // query_wait_timeout, 120 s
	QueueNotice       time.Duration // query_wait_notify, 5 s
	Query             time.Duration
	Transaction       time.Duration
	IdleInTransaction time.Duration
	ServerConnect     time.Duration // 15 s
	ServerLoginRetry  time.Duration // 15 s
	ServerIdle        time.Duration // 600 s
	ServerLifetime    time.Duration // 3600 s
	ServerCheckDelay  time.Duration // 30 s
	CancelWait        time.Duration // 10 s
	Shutdown          time.Duration // drain deadline; 0 = wait for ever
	AutoDBIdle        time.Duration // 3600 s
}

// PoolDefaults hold where neither database nor user says otherwise.
type PoolDefaults struct {
	Mode         PoolMode // session, as PgBouncer; our own config's default is transaction
	PoolSize     int      // 20
	MinPoolSize  int
	ReservePool  int
	ReserveAfter time.Duration // 5 s
	RoundRobin   bool          // else LIFO
	CheckQuery   string        // "" = an empty query
	ResetQuery   string        // session mode; "DISCARD ALL"
	ResetAlways  bool          // also in transaction mode
	FastClose    bool
}

// SessionRules say how session state is treated in transaction mode.
type SessionRules struct {
	OnState         StateRule
	TrackParameters []string // beyond those every server reports: followed by asking
	MaxPrepared     int      // prepared statements kept per server; 0 = mapping off
	IgnoreStartup   []string // startup parameters accepted and dropped
	TrustFunctions  bool     // do not reset after unknown functions, DO and CALL
}

// Listen is one address clients connect to.
type Listen struct {
	Network string // tcp or unix
	Address string // host:port, or the socket's path (…/.s.PGSQL.6432)
	Mode    uint32 // permissions of a unix socket; 0 = 0777
	FD      int    // an inherited listener (systemd); 0 = none
}
