package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"spillway/internal/proxy"
)

// now is when all fakes were snapped.
var now = time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)

// fakeFacts answers with fixed rows; fail makes every call an error.
type fakeFacts struct{ fail error }

func answered[T any](f *fakeFacts, rows T) (T, error) {
	if f.fail != nil {
		var none T
		return none, f.fail
	}
	return rows, nil
}

func (f *fakeFacts) Pools(context.Context) ([]proxy.PoolStat, error) {
	return answered(f, []proxy.PoolStat{
		{
			Database: "shop", User: "worker", Mode: proxy.ModeSession, ClientsActive: 1, ServersActive: 1,
		},
		{
			Database: "app", User: "api", Upstream: "main", Mode: proxy.ModeTransaction,
			ClientsActive: 2, ClientsWaiting: 3, ClientsIdle: 40, ClientsActiveCancel: 4, ClientsWaitingCancel: 5,
			ServersActive: 6, ServersActiveCancel: 7, ServersBeingCanceled: 8, ServersIdle: 9, ServersUsed: 10,
			ServersTested: 11, ServersLogin: 12,
			OldestWait: 13*time.Second + 14*time.Microsecond, LoadBalance: "round-robin",
		},
	})
}

func (f *fakeFacts) Clients(context.Context) ([]proxy.ConnStat, error) {
	return answered(f, []proxy.ConnStat{
		{
			ID: 12, Kind: 'C', User: "api", Database: "app", Replication: "none", State: "waiting", Addr: "10.0.0.7", Port: 40002,
			LocalAddr: "10.0.0.1", LocalPort: 6432, ConnectedAt: now.Add(-time.Minute), RequestedAt: now.Add(-2 * time.Second),
			Wait: 2*time.Second + 5*time.Microsecond, Application: "web",
		},
		{
			ID: 11, Kind: 'C', User: "api", Database: "app", Replication: "none", State: "active", Addr: "10.0.0.6", Port: 40001,
			LocalAddr: "10.0.0.1", LocalPort: 6432, ConnectedAt: now.Add(-time.Hour), RequestedAt: now.Add(-time.Second),
			Link: 21, TLS: "TLSv1.3/TLS_AES_128_GCM_SHA256", Application: "celery worker", Prepared: 3,
			InTransaction: 'T', CheckedOutAt: now.Add(-90 * time.Second), TransactionAt: now.Add(-90 * time.Second),
			QueryAt: now.Add(-1500 * time.Millisecond), SQL: "update jobs set state = ? where id = ?",
			Pinned: "temporary table", RecvPending: 17, SendPending: 18,
		},
		{ID: 13, Kind: 'C', State: "idle", Addr: "unix", LocalAddr: "unix", LocalPort: 6432, ConnectedAt: now, RemotePID: 4711},
	})
}

func (f *fakeFacts) Servers(context.Context) ([]proxy.ConnStat, error) {
	return answered(f, []proxy.ConnStat{
		{
			ID: 22, Kind: 'S', User: "api", Database: "app", State: "idle", Addr: "10.0.1.1", Port: 5432,
			LocalAddr: "10.0.0.1", LocalPort: 50002, ConnectedAt: now.Add(-time.Hour), RemotePID: 1002, CloseNeeded: true,
		},
		{
			ID: 21, Kind: 'S', User: "api", Database: "app", State: "active", Addr: "10.0.1.1", Port: 5432,
			LocalAddr: "10.0.0.1", LocalPort: 50001, ConnectedAt: now.Add(-time.Hour), RequestedAt: now.Add(-time.Second),
			Link: 11, RemotePID: 1001, InTransaction: 'T', Prepared: 9, CheckedOutAt: now.Add(-90 * time.Second),
		},
		{
			ID: 23, Kind: 'S', User: "worker", Database: "shop", State: "being_canceled", Addr: "10.0.1.1", Port: 5432,
			ConnectedAt: now.Add(-time.Hour), RemotePID: 1003, CheckedOutAt: now.Add(-5 * time.Minute), SQL: "select pg_sleep(?)",
		},
		{ID: 24, Kind: 'S', User: "worker", Database: "shop", State: "new", Addr: "10.0.1.1", Port: 5432, ConnectedAt: now},
	})
}

func (f *fakeFacts) Databases(context.Context) ([]proxy.DatabaseStat, error) {
	return answered(f, []proxy.DatabaseStat{
		{
			Name: "shop", Host: "10.0.1.1,10.0.1.2", Port: 5432, DBName: "shop", ForceUser: "worker", PoolSize: 20, MinPoolSize: 2,
			ReservePool: 3, ServerLifetime: time.Hour, Mode: proxy.ModeSession, LoadBalance: "disable",
			MaxServers: 30, Servers: 4, MaxClients: 500, Clients: 6, Paused: true, Disabled: true,
		},
		{Name: "app", Port: 5432, DBName: "app", PoolSize: 20, ServerLifetime: time.Hour},
	})
}

func (f *fakeFacts) UserStats(context.Context) ([]proxy.UserStat, error) {
	return answered(f, []proxy.UserStat{
		{Name: "worker", PoolSize: 5, ReservePool: 2, Mode: proxy.ModeStatement, MaxServers: 10, Servers: 1, MaxClients: 100, Clients: 2},
		{Name: "api", PoolSize: -1, ReservePool: -1},
	})
}

func (f *fakeFacts) Upstreams(context.Context) ([]proxy.UpstreamStat, error) {
	return answered(f, []proxy.UpstreamStat{
		{Name: "main", Usable: 97, Used: 20, Waiting: 3, OldestWait: 13 * time.Second, Breaker: "closed", Address: "10.0.1.1:5432", ServerVersion: "15.8", OperatorSlots: 3, OperatorServers: 2, Calm: true, LoginsFree: 77},
		{Name: "far", Usable: 50, Breaker: "open", BreakerReason: "connection refused", NextProbe: 250 * time.Millisecond},
	})
}

func counters(n uint64) proxy.Counters {
	return proxy.Counters{
		Assignments: n, Transactions: n + 1, Queries: n + 2, ReceivedBytes: n + 3, SentBytes: n + 4,
		TransactionMicros: n + 5, QueryMicros: n + 6, WaitMicros: n + 7, ClientParses: n + 8, ServerParses: n + 9, Binds: n + 10,
	}
}

func (f *fakeFacts) Stats(context.Context) ([]proxy.Period, error) {
	return answered(f, []proxy.Period{
		{Database: "app", Total: counters(1000), Average: counters(100)},
		{Database: "shop", Total: counters(123456789012345), Average: counters(300)},
	})
}

func (f *fakeFacts) Gauges(context.Context) (proxy.Gauges, error) {
	return answered(f, proxy.Gauges{
		State: "paused", Driver: "epoll", Loops: 2, Databases: 2, Users: 3, Pools: 4,
		FreeClients: 90, UsedClients: 10, LoginClients: 1, FreeServers: 80, UsedServers: 20, DNSNames: 5, DNSPending: 6,
	})
}

func (f *fakeFacts) DNS(context.Context) ([]proxy.DNSStat, error) {
	return answered(f, []proxy.DNSStat{{Host: "db-1", TTL: 14500 * time.Millisecond, Addrs: []string{"10.0.1.1", "fd00::1"}}})
}

// fakeProcess notes what verbs, settings and control were asked. fail is what
// they answer; block makes verbs wait for their context.
type fakeProcess struct {
	asked []string
	fail  error
	block bool
	notes []string
}

func (p *fakeProcess) note(ctx context.Context, verb string, arg any) error {
	p.asked = append(p.asked, fmt.Sprintf("%s(%v)", verb, arg))
	if p.block {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.fail
}

func (p *fakeProcess) Pause(ctx context.Context, db string) error  { return p.note(ctx, "pause", db) }
func (p *fakeProcess) Resume(ctx context.Context, db string) error { return p.note(ctx, "resume", db) }
func (p *fakeProcess) Disable(ctx context.Context, db string) error {
	return p.note(ctx, "disable", db)
}
func (p *fakeProcess) Enable(ctx context.Context, db string) error { return p.note(ctx, "enable", db) }
func (p *fakeProcess) Reconnect(ctx context.Context, db string) error {
	return p.note(ctx, "reconnect", db)
}
func (p *fakeProcess) WaitClose(ctx context.Context, db string) error {
	return p.note(ctx, "wait_close", db)
}
func (p *fakeProcess) Kill(ctx context.Context, db string) error { return p.note(ctx, "kill", db) }
func (p *fakeProcess) KillClient(ctx context.Context, id uint64) error {
	return p.note(ctx, "kill_client", id)
}
func (p *fakeProcess) Suspend(ctx context.Context) error { return p.note(ctx, "suspend", "") }

func (p *fakeProcess) Settings() []Setting {
	return []Setting{
		{Key: "max_client_conn", Value: "1000", Default: "100", Changeable: true},
		{Key: "max_user_connections", Value: "0", Default: "0", Changeable: true},
		{Key: "listen_port", Value: "6432", Default: "6432"},
		{Key: "auth_query", Value: "select 'hunter2'", Secret: true, Changeable: true},
		{Key: "server_password", Value: "hunter2", Changeable: true},
		{Key: "admin_token", Changeable: true},
	}
}

func (p *fakeProcess) Set(ctx context.Context, key, value string) error {
	return p.note(ctx, "set", key+"="+value)
}

func (p *fakeProcess) Reload(ctx context.Context) ([]string, error) {
	return p.notes, p.note(ctx, "reload", "")
}

func (p *fakeProcess) Shutdown(mode ShutdownMode) error {
	return p.note(context.Background(), "shutdown", mode)
}

// bench is a console over fakes, with one session.
type bench struct {
	t       testing.TB
	facts   *fakeFacts
	process *fakeProcess
	actions *fakeActions
	console *Console
	session proxy.ConsoleSession
}

func newBench(t testing.TB, admin bool) *bench {
	b := &bench{t: t, facts: &fakeFacts{}, process: &fakeProcess{}, actions: &fakeActions{}}
	b.console = New(Config{
		Verbs: b.process, Facts: b.facts, Settings: b.process, Control: b.process, Version: "0.1.0",
		Now:       func() time.Time { return now },
		Contained: &fakeContained{facts: b.facts}, Actions: b.actions,
	})
	b.session = b.console.Open("someone", admin)
	t.Cleanup(b.session.Close)
	return b
}

// send hands over one message and returns the reply, made out.
func (b *bench) send(kind byte, body []byte) []message {
	b.t.Helper()
	out, err := b.session.Message(b.t.Context(), kind, body, nil)
	if err != nil {
		b.t.Fatalf("message %q: %v", kind, err)
	}
	return messages(b.t, out)
}

func (b *bench) query(sql string) []message {
	b.t.Helper()
	return b.send('Q', append([]byte(sql), 0))
}

// failed is the error of a simple query; it must be there, and be followed by
// ReadyForQuery alone.
func (b *bench) failed(sql string) message {
	b.t.Helper()
	reply := b.query(sql)
	if len(reply) < 2 || reply[len(reply)-2].kind != 'E' || reply[len(reply)-1].kind != 'Z' {
		b.t.Fatalf("%s: want an error and ReadyForQuery, got:\n%s", sql, transcript(reply))
	}
	return reply[len(reply)-2]
}

// tags are the command tags of a simple query that must not fail.
func (b *bench) tags(sql string) []string {
	b.t.Helper()
	var tags []string
	for _, m := range b.query(sql) {
		switch m.kind {
		case 'E':
			b.t.Fatalf("%s: %s", sql, m)
		case 'C':
			tags = append(tags, m.tag)
		}
	}
	return tags
}

func (b *bench) wasAsked(want ...string) {
	b.t.Helper()
	if !slices.Equal(b.process.asked, want) {
		b.t.Errorf("the process was asked %q, want %q", b.process.asked, want)
	}
	b.process.asked = nil
}

var errFake = errors.New("event loop does not answer")

// Workloads is one of each kind of bound.
func (f *fakeFacts) Workloads(context.Context) ([]proxy.WorkloadStat, error) {
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
