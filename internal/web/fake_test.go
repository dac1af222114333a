package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"spillway/internal/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errFake = errors.New("event loop does not answer")

// fakeProxy is facts, verbs, health and control in memory. It may be changed
// only while nothing is served.
type fakeProxy struct {
	fail         error // of facts
	verbFail     error
	block        bool // verbs wait for their context
	dead, closed bool
	state        string
	paused       bool
	databases    []proxy.DatabaseStat
	breaker      string
	reloadAt     time.Time
	reloadFail   error

	mu    sync.Mutex
	asked []string // guarded by mu
}

var snapped = time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)

func newFake() *fakeProxy {
	return &fakeProxy{
		state: "active", breaker: "closed", reloadAt: snapped,
		databases: []proxy.DatabaseStat{
			{Name: "app", Host: "10.0.1.1", Port: 5432, DBName: "app", PoolSize: 20, ServerLifetime: time.Hour, Mode: proxy.ModeTransaction, Servers: 7, Clients: 45},
			{Name: "shop", Port: 5432, DBName: "shop", ForceUser: "worker", PoolSize: 10, MaxServers: 12, MaxClients: 100},
		},
	}
}

func answered[T any](f *fakeProxy, rows T) (T, error) {
	if f.fail != nil {
		var none T
		return none, f.fail
	}
	return rows, nil
}

func (f *fakeProxy) Pools(context.Context) ([]proxy.PoolStat, error) {
	p := proxy.PoolStat{
		Database: "app", User: "api", Upstream: "main", Mode: proxy.ModeTransaction, Paused: f.paused,
		ClientsActive: 2, ClientsWaiting: 3, ClientsIdle: 40, ClientsActiveCancel: 4, ClientsWaitingCancel: 5,
		ServersActive: 6, ServersActiveCancel: 7, ServersBeingCanceled: 8, ServersIdle: 9, ServersUsed: 10,
		ServersTested: 11, ServersLogin: 12, OldestWait: 1500 * time.Millisecond,
		LastLoginError: "password authentication failed", LastLoginErrorAt: snapped,
		Counters: proxy.Counters{
			Assignments: 1, Transactions: 2, Queries: 3, ReceivedBytes: 4, SentBytes: 5, TransactionMicros: 6, QueryMicros: 7,
			WaitMicros: 8, ClientParses: 9, ServerParses: 10, Binds: 11, Errors: 12,
			ErrorsBy: map[string]uint64{"query_wait_timeout": 12},
		},
	}
	for _, ns := range []int64{1, 5e3, 5e6, 5e6, 5e9, 500e9} {
		p.Wait.Observe(ns)
		p.Transaction.Observe(2 * ns)
	}
	return answered(f, []proxy.PoolStat{p, {Database: "shop", User: "worker", Mode: proxy.ModeSession}})
}

func (f *fakeProxy) Clients(context.Context) ([]proxy.ConnStat, error) {
	at := time.Now()
	return answered(f, []proxy.ConnStat{
		{
			ID: 11, Kind: 'C', User: "api", Database: "app", State: "active", Addr: "10.0.0.6", Port: 40001, Link: 21, Application: "celery <worker>",
			InTransaction: 'T', CheckedOutAt: at.Add(-90 * time.Second), TransactionAt: at.Add(-90 * time.Second),
			SQL: "update jobs set state = ? where note = '</code>'", Pinned: "temporary table", Mode: proxy.ModeTransaction,
		},
		{ID: 12, Kind: 'C', User: "api", Database: "app", State: "waiting", Addr: "10.0.0.7", Port: 40002, Wait: 41 * time.Second},
		{ID: 13, Kind: 'C', User: "api", Database: "app", State: "idle", Addr: "unix"},
	})
}

func (f *fakeProxy) Servers(context.Context) ([]proxy.ConnStat, error) {
	return answered(f, []proxy.ConnStat{{
		ID: 21, Kind: 'S', User: "api", Database: "app", Upstream: "main", State: "active", Addr: "10.0.1.1", Port: 5432, Link: 11,
		RemotePID: 1001, InTransaction: 'E', ConnectedAt: snapped, Loop: 1,
	}})
}

func (f *fakeProxy) Databases(context.Context) ([]proxy.DatabaseStat, error) {
	return answered(f, f.databases)
}

func (f *fakeProxy) UserStats(context.Context) ([]proxy.UserStat, error) {
	return answered(f, []proxy.UserStat{{Name: "api", PoolSize: -1, ReservePool: -1}, {Name: "worker", PoolSize: 5, ReservePool: 1, MaxClients: 9}})
}

func (f *fakeProxy) Upstreams(context.Context) ([]proxy.UpstreamStat, error) {
	u := proxy.UpstreamStat{
		Name: "main", Usable: 97, Used: 20, Waiting: 3, OldestWait: 1500 * time.Millisecond, Breaker: f.breaker,
		Address: "10.0.1.1:5432", ServerVersion: "15.8",
	}
	if f.breaker != "closed" {
		u.BreakerReason, u.NextProbe = "connection refused", 250*time.Millisecond
	}
	return answered(f, []proxy.UpstreamStat{u})
}

func (f *fakeProxy) Stats(context.Context) ([]proxy.Period, error) {
	return answered(f, []proxy.Period{{Database: "app", Total: proxy.Counters{Queries: 1000}, Average: proxy.Counters{Queries: 10}}})
}

func (f *fakeProxy) Gauges(context.Context) (proxy.Gauges, error) {
	return answered(f, proxy.Gauges{
		State: f.state, Driver: "epoll", Loops: 2, Databases: 2, Users: 3, Pools: 2, FreeClients: 90, UsedClients: 10, LoginClients: 1,
		FreeServers: 80, UsedServers: 20, DNSNames: 5, DNSPending: 6, ClientLogins: 77, StartedAt: snapped,
		Listeners: []string{"127.0.0.1:6432"}, Refused: map[string]uint64{"max_client_conn": 4},
	})
}

func (f *fakeProxy) DNS(context.Context) ([]proxy.DNSStat, error) {
	return answered(f, []proxy.DNSStat{{Host: "db-1", TTL: 15 * time.Second, Addrs: []string{"10.0.1.1"}}})
}

func (f *fakeProxy) note(ctx context.Context, verb string, arg any) error {
	f.mu.Lock()
	f.asked = append(f.asked, fmt.Sprintf("%s(%v)", verb, arg))
	f.mu.Unlock()
	if f.block {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.verbFail
}

func (f *fakeProxy) Pause(ctx context.Context, db string) error   { return f.note(ctx, "pause", db) }
func (f *fakeProxy) Resume(ctx context.Context, db string) error  { return f.note(ctx, "resume", db) }
func (f *fakeProxy) Disable(ctx context.Context, db string) error { return f.note(ctx, "disable", db) }
func (f *fakeProxy) Enable(ctx context.Context, db string) error  { return f.note(ctx, "enable", db) }
func (f *fakeProxy) Reconnect(ctx context.Context, db string) error {
	return f.note(ctx, "reconnect", db)
}
func (f *fakeProxy) WaitClose(ctx context.Context, db string) error {
	return f.note(ctx, "wait_close", db)
}
func (f *fakeProxy) Kill(ctx context.Context, db string) error { return f.note(ctx, "kill", db) }
func (f *fakeProxy) KillClient(ctx context.Context, id uint64) error {
	return f.note(ctx, "kill_client", id)
}
func (f *fakeProxy) Suspend(ctx context.Context) error { return f.note(ctx, "suspend", "") }

func (f *fakeProxy) Alive() bool   { return !f.dead }
func (f *fakeProxy) Serving() bool { return !f.closed }

func (f *fakeProxy) Reload(ctx context.Context) ([]string, error) {
	return []string{"listen: needs a restart"}, f.note(ctx, "reload", "")
}

func (f *fakeProxy) LastReload() (time.Time, error) { return f.reloadAt, f.reloadFail }

func (f *fakeProxy) Shutdown(mode string) error {
	return f.note(context.Background(), "shutdown", mode)
}

func (f *fakeProxy) wasAsked(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.asked, " "); got != strings.Join(want, " ") {
		t.Errorf("the proxy was asked %q, want %q", got, want)
	}
	f.asked = nil
}

func (f *fakeProxy) config() Config {
	return Config{
		Names: []string{"Pooler.Example."}, Token: testToken,
		Facts: f, Verbs: f, Health: f, Control: f, Build: Build{Version: "0.1.0", Revision: "abc123"},
	}
}

const testToken = "correct horse battery staple"

// handler is the server's handler, without sockets.
func handler(t *testing.T, c Config) http.Handler {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s.http.Handler
}

// request is one over TCP to the address it is meant for, if nothing else is said.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:6433"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// as puts a request on the unix socket, from a user.
func as(r *http.Request, uid uint32, known bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), originKey{}, origin{local: true, known: known, uid: uid}))
}

func do(t *testing.T, h http.Handler, r *http.Request) (status int, body string, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	read, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(read), w.Result().Header
}

// Workloads is one of each kind of bound.
func (f *fakeProxy) Workloads(context.Context) ([]proxy.WorkloadStat, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	return []proxy.WorkloadStat{
		{Upstream: "main", Name: "api", Class: "critical", Mode: "enforce", Share: 50, Limit: 70, InUse: 12, Lent: 6, QueueTimeout: 2 * time.Second,
			Statement: -1, Transaction: -1, IdleInTx: -1, OnLeak: "warn"},
		{Upstream: "main", Name: "data-sync", Class: "batch", Mode: "enforce", Share: 5, Limit: 8, InUse: 8, Borrowed: 3, Waiting: 4, OldestWait: 1500 * time.Millisecond,
			Clients: 12, Leaking: 2, Shed: 7, Pause: "refuse", Note: "paused by uid 0", QueueTimeout: -1, Statement: time.Minute, Transaction: -1, IdleInTx: -1, LeakAfter: 30 * time.Second, OnLeak: "reclaim"},
	}, nil
}
