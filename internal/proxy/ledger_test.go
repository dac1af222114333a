package proxy

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// bookkeeper is a proxy before a PostgreSQL whose ledger the test turns by
// hand; the url's role has no rights.
func bookkeeper(t *testing.T) (*pgtest.Server, *Proxy, *ledger, string) {
	t.Helper()
	pg := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "30"}})
	if _, err := pg.Query("CREATE ROLE probe LOGIN"); err != nil {
		t.Fatal(err)
	}
	inherit := time.Duration(-1)
	d := &Database{Name: "*", Upstream: "main", PoolSize: -1, MinPoolSize: -1, ReservePool: -1, Mode: ModeTransaction,
		ServerLifetime: inherit, QueryTimeout: inherit, QueueTimeout: inherit}
	at := pgtest.FreeAddr(t)
	p, err := New(Config{Listen: []Listen{{Network: "tcp", Address: at}}, Driver: "epoll", Loops: 1, Policy: &Policy{
		Upstreams: map[string]*Upstream{"main": {Name: "main", Hosts: []Address{{Host: "127.0.0.1", Port: uint16(pg.Port)}},
			User: "probe", Database: "postgres"}},
		AnyDatabase: d, Auth: Authentication{Method: "trust"}, Limits: Limits{MaxClients: 100}, Defaults: PoolDefaults{PoolSize: 20},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &ledger{proxy: p, up: p.pools.upstream("main")}
	t.Cleanup(b.close)
	return pg, p, b, fmt.Sprintf("postgres://postgres@%s/postgres", at)
}

// reconcile turns the ledger n times and returns what it read last.
func (b *ledger) turn(t *testing.T, n int) *census {
	t.Helper()
	for range n {
		before := b.up.asked.Load()
		b.reconcile()
		if b.silent || b.up.asked.Load() == before {
			t.Fatal("the server was not asked")
		}
	}
	return b.up.asked.Load()
}

// hold opens a client that holds a server in a transaction.
func hold(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(ctx, "begin"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestLedgerLeavesTheHealthyAlone: a role that sees nothing of others' sessions
// but their pids is enough, and 30 − 3 reserved − what is foreign are left.
func TestLedgerLeavesTheHealthyAlone(t *testing.T) {
	pg, p, b, url := bookkeeper(t)
	conn := hold(t, url)
	hold(t, url)
	direct := hold(t, fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", pg.Port))
	c := b.turn(t, 3)
	if c.maxConnections != 30 || c.reserved != 3 || c.missing+c.lingering+c.stray != 0 {
		t.Errorf("census %+v", *c)
	}
	// The proxy's own ledger has a connection beside this one's. That of the test's
	// own set-up may still be closing.
	for deadline := time.Now().Add(2 * time.Minute); c.foreign > 3 && time.Now().Before(deadline); {
		c = b.turn(t, 1)
	}
	if c.foreign != 3 {
		t.Errorf("%d foreign connections, want the direct one and two ledgers", c.foreign)
	}
	ups, err := p.Upstreams(t.Context())
	if err != nil || ups[0].Usable != 24 || ups[0].Mended != 0 {
		t.Errorf("upstream %+v, %v", ups, err)
	}
	for _, each := range []*pgx.Conn{conn, direct} {
		if _, err := each.Exec(t.Context(), "commit"); err != nil {
			t.Errorf("a healthy connection: %v", err)
		}
	}
}

func TestLedgerClosesWhatTheServerDoesNotKnow(t *testing.T) {
	_, p, b, url := bookkeeper(t)
	hold(t, url)
	hold(t, url)
	p.each(func(l *loop) {
		for s := range l.servers {
			s.pid = 1 << 30 // as if its backend had gone without a word
			break
		}
	})
	if c := b.turn(t, 1); c.missing != 1 {
		t.Fatalf("missing %d after one census, want 1", c.missing)
	}
	b.turn(t, 2)
	if c := b.up.asked.Load(); c.missing != 0 || b.up.mended.Load() != 1 {
		t.Errorf("missing %d, mended %d", c.missing, b.up.mended.Load())
	}
	if n := b.up.host.Snapshot(p.now()).Total; n != 1 {
		t.Errorf("%d slots are taken, want 1", n)
	}
}

func TestLedgerEndsWhatRunsOn(t *testing.T) {
	pg, p, b, url := bookkeeper(t)
	if _, err := pg.Query("ALTER ROLE probe SUPERUSER"); err != nil { // or pg_signal_backend and pg_read_all_stats
		t.Fatal(err)
	}
	hold(t, url)
	conn := hold(t, url)
	asking, giveUp := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Exec(asking, "select pg_sleep(600)")
	}()
	running := func() int {
		rows, err := pg.Query("select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid() and state = 'active'")
		if err != nil {
			t.Fatal(err)
		}
		return int(rows[0][0][0] - '0')
	}
	for deadline := time.Now().Add(2 * time.Minute); running() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the statement does not run")
		}
	}
	p.each(func(l *loop) {
		for s := range l.servers {
			if !s.sess.Quiet() {
				l.closeServer(s, "cut without a cancel")
			}
		}
	})
	if c := b.turn(t, 1); c.lingering != 1 || running() != 1 {
		t.Fatalf("lingering %d after one census, want 1", c.lingering)
	}
	b.turn(t, 1)
	for deadline := time.Now().Add(2 * time.Minute); running() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("the backend runs on")
		}
	}
	if c := b.turn(t, 1); c.lingering != 0 {
		t.Errorf("lingering %d", c.lingering)
	}
	giveUp()
	<-gone
}

// TestFuseIsTheWholeBudget: slots kept for operators are a part of it, not more.
func TestFuseIsTheWholeBudget(t *testing.T) {
	up := new(upstream)
	up.conf.Store(&Upstream{MaxConnections: 10, OperatorSlots: 3})
	if up.blown(10) {
		t.Error("blown within the budget")
	}
	if !up.blown(11) {
		t.Error("not blown beyond the budget")
	}
}
