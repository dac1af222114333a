package web

import (
	"time"

	"spillway/internal/proxy"
)

// The JSON of the API. These are the names clients depend on; the proxy's own
// may change. Times are RFC 3339, durations seconds.

type pool struct {
	Database     string            `json:"database"`
	User         string            `json:"user"`
	Upstream     string            `json:"upstream"`
	Mode         string            `json:"mode"`
	Paused       bool              `json:"paused"`
	Clients      map[string]int    `json:"clients"`
	Servers      map[string]int    `json:"servers"`
	OldestWait   float64           `json:"oldest_wait_seconds"`
	LoginError   string            `json:"last_login_error,omitempty"`
	LoginErrorAt *time.Time        `json:"last_login_error_at,omitempty"`
	Counters     counters          `json:"counters"`
	Latency      map[string]timing `json:"latency"`
}

type counters struct {
	Assignments        uint64            `json:"server_assignments"`
	Transactions       uint64            `json:"transactions"`
	Queries            uint64            `json:"queries"`
	Received           uint64            `json:"received_bytes"`
	Sent               uint64            `json:"sent_bytes"`
	TransactionSeconds float64           `json:"transaction_seconds"`
	QuerySeconds       float64           `json:"query_seconds"`
	WaitSeconds        float64           `json:"wait_seconds"`
	ClientParses       uint64            `json:"client_parses"`
	ServerParses       uint64            `json:"server_parses"`
	Binds              uint64            `json:"binds"`
	Errors             uint64            `json:"errors"`
	ErrorsBy           map[string]uint64 `json:"errors_by_reason,omitempty"`
}

// timing sums a histogram up; a quantile is the upper bound of its bucket.
type timing struct {
	Count uint64  `json:"count"`
	Sum   float64 `json:"sum_seconds"`
	P50   float64 `json:"p50_seconds"`
	P90   float64 `json:"p90_seconds"`
	P99   float64 `json:"p99_seconds"`
}

type conn struct {
	ID            uint64     `json:"id"`
	Kind          string     `json:"kind"`
	User          string     `json:"user"`
	Database      string     `json:"database"`
	Upstream      string     `json:"upstream,omitempty"`
	Replication   string     `json:"replication,omitempty"`
	State         string     `json:"state"`
	Addr          string     `json:"addr"`
	Port          int        `json:"port"`
	LocalAddr     string     `json:"local_addr"`
	LocalPort     int        `json:"local_port"`
	ConnectedAt   *time.Time `json:"connected_at,omitempty"`
	RequestedAt   *time.Time `json:"requested_at,omitempty"`
	Wait          float64    `json:"wait_seconds"`
	CloseNeeded   bool       `json:"close_needed"`
	Link          uint64     `json:"link,omitempty"`
	RemotePID     int        `json:"remote_pid,omitempty"`
	TLS           string     `json:"tls,omitempty"`
	Application   string     `json:"application_name,omitempty"`
	Prepared      int        `json:"prepared_statements"`
	Mode          string     `json:"mode,omitempty"`
	Pinned        string     `json:"pinned,omitempty"`
	Workload      string     `json:"workload,omitempty"`
	Operator      bool       `json:"operator,omitempty"`
	Leaking       bool       `json:"leaking,omitempty"`
	Transaction   string     `json:"transaction_state,omitempty"`
	CheckedOutAt  *time.Time `json:"checked_out_at,omitempty"`
	TransactionAt *time.Time `json:"transaction_at,omitempty"`
	QueryAt       *time.Time `json:"query_at,omitempty"`
	SQL           string     `json:"sql,omitempty"`
	RecvPending   int        `json:"recv_pending_bytes"`
	SendPending   int        `json:"send_pending_bytes"`
	Loop          int        `json:"loop"`
}

type database struct {
	Name           string  `json:"name"`
	Host           string  `json:"host,omitempty"`
	Port           int     `json:"port"`
	DBName         string  `json:"dbname"`
	ForceUser      string  `json:"force_user,omitempty"`
	PoolSize       int     `json:"pool_size"`
	MinPoolSize    int     `json:"min_pool_size"`
	ReservePool    int     `json:"reserve_pool_size"`
	ServerLifetime float64 `json:"server_lifetime_seconds"`
	Mode           string  `json:"mode,omitempty"`
	LoadBalance    string  `json:"load_balance_hosts,omitempty"`
	MaxServers     int     `json:"max_servers"`
	Servers        int     `json:"servers"`
	MaxClients     int     `json:"max_clients"`
	Clients        int     `json:"clients"`
	Paused         bool    `json:"paused"`
	Disabled       bool    `json:"disabled"`
}

// user has null where a setting is not its own.
type user struct {
	Name        string `json:"name"`
	PoolSize    *int   `json:"pool_size"`
	ReservePool *int   `json:"reserve_pool_size"`
	Mode        string `json:"mode,omitempty"`
	MaxServers  int    `json:"max_servers"`
	Servers     int    `json:"servers"`
	MaxClients  int    `json:"max_clients"`
	Clients     int    `json:"clients"`
}

type upstream struct {
	Name          string  `json:"name"`
	Address       string  `json:"address,omitempty"`
	ServerVersion string  `json:"server_version,omitempty"`
	Usable        int     `json:"usable"`
	Used          int     `json:"used"`
	Waiting       int     `json:"waiting"`
	OldestWait    float64 `json:"oldest_wait_seconds"`
	Up            bool    `json:"up"`
	Breaker       string  `json:"breaker"`
	BreakerReason string  `json:"breaker_reason,omitempty"`
	NextProbe     float64 `json:"next_probe_seconds"`

	AskedAt         *time.Time `json:"asked_at,omitempty"` // of what follows
	MaxConnections  int        `json:"max_connections,omitempty"`
	Reserved        int        `json:"reserved,omitempty"`
	Foreign         int        `json:"foreign,omitempty"`
	Logins          uint64     `json:"logins"`
	Paced           uint64     `json:"logins_paced"`
	Calm            bool       `json:"calm"` // no outage of late
	LoginsFree      int        `json:"logins_free"`
	Trips           uint64     `json:"breaker_trips"`
	Missing         int        `json:"missing"`
	Lingering       int        `json:"lingering"`
	Stray           int        `json:"stray"`
	Mended          uint64     `json:"drift_mended"`
	Fused           uint64     `json:"fused"`
	OperatorSlots   int        `json:"operator_slots"`
	OperatorServers int        `json:"operator_servers"`
	Sockets         int        `json:"sockets"`
}

type period struct {
	Database string   `json:"database"`
	Total    counters `json:"total"`
	Average  counters `json:"average"`
}

type resolved struct {
	Host  string   `json:"host"`
	TTL   float64  `json:"ttl_seconds"`
	Addrs []string `json:"addrs"`
}

type state struct {
	State        string            `json:"state"`
	Version      string            `json:"version"`
	Revision     string            `json:"revision,omitempty"`
	Driver       string            `json:"driver"`
	Loops        int               `json:"loops"`
	StartedAt    *time.Time        `json:"started_at,omitempty"`
	Listeners    []string          `json:"listeners"`
	Databases    int               `json:"databases"`
	Users        int               `json:"users"`
	Pools        int               `json:"pools"`
	FreeClients  int               `json:"free_clients"`
	UsedClients  int               `json:"used_clients"`
	LoginClients int               `json:"login_clients"`
	FreeServers  int               `json:"free_servers"`
	UsedServers  int               `json:"used_servers"`
	ClientLogins uint64            `json:"client_logins"`
	Refused      map[string]uint64 `json:"refused,omitempty"`
	ReloadedAt   *time.Time        `json:"reloaded_at,omitempty"`
	ReloadFailed bool              `json:"reload_failed"`
}

func poolView(p proxy.PoolStat) pool {
	return pool{
		Database: p.Database, User: p.User, Upstream: p.Upstream, Mode: modeName(p.Mode), Paused: p.Paused,
		Clients:    clientStates(p),
		Servers:    serverStates(p),
		OldestWait: p.OldestWait.Seconds(),
		LoginError: p.LastLoginError, LoginErrorAt: moment(p.LastLoginErrorAt),
		Counters: countersView(p.Counters),
		Latency: map[string]timing{
			"wait": timingView(&p.Wait), "transaction": timingView(&p.Transaction), "query": timingView(&p.Query),
		},
	}
}

// clientStates and serverStates name states as metrics and API do.
func clientStates(p proxy.PoolStat) map[string]int {
	return map[string]int{
		"active": p.ClientsActive, "waiting": p.ClientsWaiting, "idle": p.ClientsIdle,
		"active_cancel_req": p.ClientsActiveCancel, "waiting_cancel_req": p.ClientsWaitingCancel,
	}
}

func serverStates(p proxy.PoolStat) map[string]int {
	return map[string]int{
		"active": p.ServersActive, "active_cancel": p.ServersActiveCancel, "being_canceled": p.ServersBeingCanceled,
		"idle": p.ServersIdle, "used": p.ServersUsed, "tested": p.ServersTested, "login": p.ServersLogin,
	}
}

func countersView(c proxy.Counters) counters {
	return counters{
		Assignments: c.Assignments, Transactions: c.Transactions, Queries: c.Queries,
		Received: c.ReceivedBytes, Sent: c.SentBytes,
		TransactionSeconds: micros(c.TransactionMicros), QuerySeconds: micros(c.QueryMicros), WaitSeconds: micros(c.WaitMicros),
		ClientParses: c.ClientParses, ServerParses: c.ServerParses, Binds: c.Binds,
		Errors: c.Errors, ErrorsBy: c.ErrorsBy,
	}
}

func micros(n uint64) float64 { return float64(n) / 1e6 }

func connView(c proxy.ConnStat) conn {
	kind := "client"
	if c.Kind == 'S' {
		kind = "server"
	}
	return conn{
		ID: c.ID, Kind: kind, User: c.User, Database: c.Database, Upstream: c.Upstream, Replication: c.Replication,
		State: c.State, Addr: c.Addr, Port: c.Port, LocalAddr: c.LocalAddr, LocalPort: c.LocalPort,
		ConnectedAt: moment(c.ConnectedAt), RequestedAt: moment(c.RequestedAt), Wait: c.Wait.Seconds(),
		CloseNeeded: c.CloseNeeded, Link: c.Link, RemotePID: c.RemotePID, TLS: c.TLS, Application: c.Application,
		Prepared: c.Prepared, Mode: modeName(c.Mode), Pinned: c.Pinned, Workload: c.Workload, Operator: c.Operator, Leaking: c.Leaking, Transaction: transactionName(c.InTransaction),
		CheckedOutAt: moment(c.CheckedOutAt), TransactionAt: moment(c.TransactionAt), QueryAt: moment(c.QueryAt),
		SQL: c.SQL, RecvPending: c.RecvPending, SendPending: c.SendPending, Loop: c.Loop,
	}
}

func databaseView(d proxy.DatabaseStat) database {
	return database{
		Name: d.Name, Host: d.Host, Port: d.Port, DBName: d.DBName, ForceUser: d.ForceUser,
		PoolSize: d.PoolSize, MinPoolSize: d.MinPoolSize, ReservePool: d.ReservePool,
		ServerLifetime: d.ServerLifetime.Seconds(), Mode: modeName(d.Mode), LoadBalance: d.LoadBalance,
		MaxServers: d.MaxServers, Servers: d.Servers, MaxClients: d.MaxClients, Clients: d.Clients,
		Paused: d.Paused, Disabled: d.Disabled,
	}
}

func userView(u proxy.UserStat) user {
	return user{
		Name: u.Name, PoolSize: ifSet(u.PoolSize), ReservePool: ifSet(u.ReservePool), Mode: modeName(u.Mode),
		MaxServers: u.MaxServers, Servers: u.Servers, MaxClients: u.MaxClients, Clients: u.Clients,
	}
}

func ifSet(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

func upstreamView(u proxy.UpstreamStat) upstream {
	return upstream{
		Name: u.Name, Address: u.Address, ServerVersion: u.ServerVersion,
		Usable: u.Usable, Used: u.Used, Waiting: u.Waiting, OldestWait: u.OldestWait.Seconds(),
		Up: upstreamUp(u), Breaker: u.Breaker, BreakerReason: u.BreakerReason, NextProbe: u.NextProbe.Seconds(),
		AskedAt: moment(u.AskedAt), MaxConnections: u.MaxConnections, Reserved: u.Reserved, Foreign: u.Foreign, Missing: u.Missing,
		Logins: u.Logins, Paced: u.Paced, Calm: u.Calm, LoginsFree: u.LoginsFree, Trips: u.Trips, Lingering: u.Lingering, Stray: u.Stray, Mended: u.Mended, Fused: u.Fused,
		OperatorSlots: u.OperatorSlots, OperatorServers: u.OperatorServers, Sockets: u.Sockets,
	}
}

func periodView(p proxy.Period) period {
	return period{p.Database, countersView(p.Total), countersView(p.Average)}
}

func dnsView(d proxy.DNSStat) resolved { return resolved{d.Host, d.TTL.Seconds(), d.Addrs} }

func (s *Server) stateView(g proxy.Gauges) state {
	at, err := s.config.Control.LastReload()
	return state{
		State: g.State, Version: s.config.Build.Version, Revision: s.config.Build.Revision, Driver: g.Driver, Loops: g.Loops,
		StartedAt: moment(g.StartedAt), Listeners: g.Listeners,
		Databases: g.Databases, Users: g.Users, Pools: g.Pools,
		FreeClients: g.FreeClients, UsedClients: g.UsedClients, LoginClients: g.LoginClients,
		FreeServers: g.FreeServers, UsedServers: g.UsedServers,
		ClientLogins: g.ClientLogins, Refused: g.Refused,
		ReloadedAt: moment(at), ReloadFailed: err != nil,
	}
}

// moment leaves out what never was.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func modeName(m proxy.PoolMode) string {
	switch m {
	case proxy.ModeSession:
		return "session"
	case proxy.ModeTransaction:
		return "transaction"
	case proxy.ModeStatement:
		return "statement"
	case proxy.ModeDefault:
	}
	return ""
}

func transactionName(b byte) string {
	switch b {
	case 'I':
		return "idle"
	case 'T':
		return "in_transaction"
	case 'E':
		return "failed"
	}
	return ""
}

// timingView reads quantiles off the buckets.
func timingView(h *proxy.Histogram) timing {
	t := timing{Count: h.Count(), Sum: float64(h.SumNanos) / 1e9}
	t.P50, t.P90, t.P99 = quantile(h, 0.5), quantile(h, 0.9), quantile(h, 0.99)
	return t
}

// quantile is the upper bound of the bucket that holds it; the highest bound
// for what is above all.
func quantile(h *proxy.Histogram, q float64) float64 {
	total := h.Count()
	if total == 0 {
		return 0
	}
	bounds := proxy.HistogramBounds()
	var seen uint64
	for i, n := range h.Counts {
		seen += n
		if float64(seen) >= q*float64(total) {
			return bounds[min(i, len(bounds)-1)]
		}
	}
	return bounds[len(bounds)-1]
}
