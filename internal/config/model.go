package config

import (
	"time"

	"spillway/internal/config/fault"
	"spillway/internal/proxy"
)

// Config is one spillway.yaml, decoded, checked, and with its files read. It
// is not changed after Load or Parse has returned it.
type Config struct {
	Region                 string
	Listen                 []string
	UnixSocketMode         string
	ReusePort              bool
	Backlog                int
	Admin                  string
	AdminNames             []string
	DataDir                string
	Driver                 string
	Loops                  int // 0 = auto
	ErrorStyle             string
	StatsPeriod            time.Duration
	ApplicationNameAddHost bool
	TCPKeepalive           time.Duration

	Servers     map[string]*Server
	Databases   map[string]*Database
	Users       map[string]*User
	Workloads   map[string]*Workload
	Sweeps      map[string]*Sweep
	Jobs        map[string]*Job
	Actions     Actions
	Tokens      map[string]*Token
	Peers       map[string]*Peer
	Runbook     map[string]*Command
	Automatic   map[string]*Automatic
	Notify      map[string]*Channel
	Alarms      map[string]*AlarmSource
	Operators   []string
	SmokeChecks map[string]*SmokeCheck
	Watch       Watch
	Targets     map[string]*Target
	SLO         map[string]*SLO

	Auth     Auth
	TLS      TLS
	Limits   Limits
	Timeouts Timeouts
	Pool     Pool
	Session  Session
	Log      Log
	Record   Record

	origin   origin
	loaded   loaded
	warnings fault.List
}

// Server is one PostgreSQL: servers.NAME.
type Server struct {
	URL                string
	Hosts              []string // beside those of the URL
	Password           string
	PasswordFile       string
	MaxConnections     int // 0 = auto
	OperatorSlots      int
	TargetSessionAttrs string
	LoadBalanceHosts   string
	SSLMode            string
	SSLRootCert        string
	SSLCert            string
	SSLKey             string
	SSLNegotiation     string
	SSLMinProtocol     string
	SSLMaxProtocol     string
	ChannelBinding     string
	ConnectPace        int
	ConnectRate        float64
	ConnectBurst       int
	DNSMaxTTL          time.Duration

	target target
}

// target is what a server's URL says, read while checking.
type target struct {
	hosts                    []proxy.Address
	user, password, database string
}

// Database is a name clients may ask for: databases.NAME. Counts and
// durations of -1 inherit.
type Database struct {
	Server         string
	DBName         string
	PoolMode       string
	PoolSize       int
	MinPoolSize    int
	ReservePool    int
	MaxServers     int
	MaxClients     int
	User           string
	Password       string
	PasswordFile   string
	ConnectQuery   string
	AuthUser       string
	AuthQuery      string
	AuthDatabase   string
	ServerLifetime time.Duration
	QueryTimeout   time.Duration
	QueueTimeout   time.Duration
	Disabled       bool
}

// User overrides what databases say: users.NAME. -1 inherits.
type User struct {
	PoolMode           string
	PoolSize           int
	ReservePool        int
	MaxServers         int
	MaxClients         int
	QueryTimeout       time.Duration
	TransactionTimeout time.Duration
	IdleInTransaction  time.Duration
	ClientIdle         time.Duration
	QueueTimeout       time.Duration
	Password           string
	PasswordFile       string
}

// Auth is how clients prove who they are.
type Auth struct {
	Type         string
	File         string
	HBAFile      string
	IdentFile    string
	CertMap      string
	User         string
	Password     string
	PasswordFile string
	Query        string
	Database     string
	QueryTTL     time.Duration
	Admins       []string
	Stats        []string
	Operators    []string
}

// TLS is TLS towards clients.
type TLS struct {
	Mode      string
	Cert      string
	Key       string
	CA        string
	Protocols []string
	Ciphers   []string
}

// Limits on clients, servers and memory; 0 is no limit.
type Limits struct {
	MaxClients            int
	MaxClientsPerUser     int
	MaxClientsPerDatabase int
	MaxClientsPerAddress  int
	LoginsPerAddress      float64
	MaxServersPerUser     int
	MaxServersPerDatabase int
	ClientMemory          Bytes
	MaxMessage            Bytes
	MaxStartup            Bytes
	MaxPreparedText       Bytes
}

// Timeouts; 0 is no limit.
type Timeouts struct {
	ClientLogin       time.Duration
	ClientIdle        time.Duration
	Queue             time.Duration
	QueueNotice       time.Duration
	Query             time.Duration
	Transaction       time.Duration
	IdleInTransaction time.Duration
	ServerConnect     time.Duration
	ServerLoginRetry  time.Duration
	ServerIdle        time.Duration
	ServerLifetime    time.Duration
	ServerCheckDelay  time.Duration
	CancelWait        time.Duration
	Shutdown          time.Duration
	AutoDatabaseIdle  time.Duration
}

// Pool holds where neither database nor user says otherwise.
type Pool struct {
	Mode         string
	Size         int
	Min          int
	Reserve      int
	ReserveAfter time.Duration
	RoundRobin   bool
	CheckQuery   string
	ResetQuery   string
	ResetAlways  bool
	FastClose    bool
}

// Session says how session state is treated in transaction mode.
type Session struct {
	OnState                 string
	TrackParameters         []string
	MaxPreparedStatements   int
	IgnoreStartupParameters []string
	TrustFunctions          bool
}

// Log is what is logged and how.
type Log struct {
	Level          string
	Format         string
	Connections    bool
	Disconnections bool
	PoolerErrors   bool
}

// Workload is a named class of clients: workloads.NAME.
type Workload struct {
	Match              Match
	Mode               string // off, warn, enforce
	Class              string // critical, normal, batch
	Owner              string // who answers for it; "" = not said
	Share              int    // guaranteed slots
	Limit              int    // 0 = the server's budget
	Lendable           Percent
	Borrow             Percent
	QueueTimeout       time.Duration // -1 inherits; so the following
	QueueMax           int           // 0 = no limit
	StatementTimeout   time.Duration
	TransactionTimeout time.Duration
	IdleInTransaction  time.Duration
	LeakAfter          time.Duration // 0 = leaks are not looked for
	OnLeak             string        // warn, cap, reclaim
	LeakExempt         Match         // clients whose servers are never capped or taken back

	// Order is the workload's place in the file; the first that matches wins.
	Order int
}

// Match says which clients belong to a workload: all fields that are given
// must fit, one of the values of each.
type Match struct {
	User            []string // glob
	Database        []string // glob
	ApplicationName []string // glob
	Address         []string // CIDR or address
	Tag             []string // key=value of a sqlcommenter comment, value a glob
}

// Empty reports whether nothing is asked for.
func (m *Match) Empty() bool {
	return len(m.User)+len(m.Database)+len(m.ApplicationName)+len(m.Address)+len(m.Tag) == 0
}
