package bounds

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// leaker opens a transaction per item and never ends it: the job of reports 001
// and 002.
type leaker struct {
	conns []*pgx.Conn
	errs  map[string]int
	told  string
}

func (k *leaker) item(p *pgtest.Pooler) {
	ctx, end := context.WithTimeout(context.Background(), limit)
	defer end()
	conn, err := connect(ctx, p, "worker", "celery-sync")
	if err == nil {
		k.conns = append(k.conns, conn)
		if _, err = conn.Exec(ctx, "BEGIN"); err == nil {
			_, err = conn.Exec(ctx, "SELECT n FROM item WHERE id = 42")
		}
	}
	if err != nil {
		k.errs[code(err)]++
		k.told = text(err)
	}
}

func (k *leaker) close() {
	for _, c := range k.conns {
		_ = c.Close(context.Background())
	}
}

// leak lets the job run for a while and returns it, its connections open.
func leak(t *testing.T, p *pgtest.Pooler, items int) *leaker {
	t.Helper()
	k := &leaker{errs: map[string]int{}}
	t.Cleanup(k.close)
	for range items {
		k.item(p)
		time.Sleep(5 * time.Millisecond) // its pace, not a wait
	}
	return k
}

// TestALeakTakesTheAPIDownWithoutSpillway is what the reports tell.
func TestALeakTakesTheAPIDownWithoutSpillway(t *testing.T) {
	s := server(t)
	direct := pgtest.Serve(t, pgtest.Direct, pgtest.PoolerConfig{Server: s})
	k := leak(t, direct, 120)
	if k.errs["53300"] == 0 {
		t.Errorf("the job was never refused: %v", k.errs)
	}
	for _, user := range []string{"api", "oncall"} {
		if _, err := connect(t.Context(), direct, user, "web"); code(err) != "53300" {
			t.Errorf("%s still gets in: %v", user, err)
		}
	}
	t.Logf("after %d items every slot is gone: %v", len(k.conns), k.errs)
}

// TestALeakHurtsOnlyItself: the same job beside an API at work. The machine is
// not ours alone: stretches with and without the job take turns, and the
// figures of each kind are put together.
func TestALeakHurtsOnlyItself(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads, nil)
	api := run(t, p, "api", "web", 20, 5*time.Millisecond, ask)
	rounds, span, items := 3, 2*time.Second, 10
	if long() {
		rounds, span, items = 6, 5*time.Second, 30
	}
	time.Sleep(2 * time.Second) // its servers are open then
	api.reap()
	var base, beside figures
	var k *leaker
	for round := range rounds {
		time.Sleep(span) // the length of the measurement
		base.add(api)
		mark, began := p.Log.Mark(), time.Now()
		job := make(chan *leaker)
		go func() { job <- leak(t, p, items) }()
		if err := p.Log.WaitFrom(mark, limit, "leak: a client keeps a server idle", "workload=data-sync", "application=celery-sync", "SELECT n FROM item WHERE id = ?"); err != nil {
			t.Fatal(err)
		}
		t.Logf("the leak was named with application and statement %v after it began", time.Since(began).Round(time.Millisecond))
		k = <-job
		time.Sleep(span - time.Since(began)) // at least as long as without
		beside.add(api)
		if in := show(t, p, "data-sync")["in_use"]; in > 8 {
			t.Errorf("the job holds %d slots, its limit is 8", in)
		}
		if round < rounds-1 {
			k.close()
			eventually(t, "the job has gone", limit, func() bool { return show(t, p, "data-sync")["in_use"] == 0 })
			api.reap()
		}
	}
	t.Logf("API: %d transactions, p99 %v without; %d, p99 %v beside the leak (×%.2f)", len(base.took), base.p99(), len(beside.took), beside.p99(),
		float64(beside.p99())/float64(base.p99()))
	if base.failed+beside.failed > 0 || len(base.took) == 0 || len(beside.took) == 0 {
		t.Errorf("the API failed: %d times without the job, %d times beside it; %s", base.failed, beside.failed, api.sample)
	}
	eventually(t, "its slots are reclaimed", limit, func() bool { return show(t, p, "data-sync")["in_use"] == 0 })
	reclaimed, told := 0, ""
	for _, c := range k.conns {
		if _, err := c.Exec(t.Context(), "SELECT 1"); code(err) == "25P03" {
			reclaimed++
			told = text(err)
		}
	}
	t.Logf("%d of %d connections are told: %s", reclaimed, len(k.conns), told)
	t.Logf("and others at the door: %v, %s", k.errs, k.told)
	if reclaimed == 0 || !strings.Contains(told, "workloads.data-sync.leak_after") {
		t.Error("the job was not told why")
	}
	if idle := s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"); idle != "0" {
		t.Errorf("%s transactions are still open on the server", idle)
	}
}

// TestOperatorsGetIn: with every slot taken an operator reaches the console
// and the database.
func TestOperatorsGetIn(t *testing.T) {
	s := server(t)
	p := serve(t, s, "operators: [oncall]\n", nil)
	// Not for ever: a connection of somebody else that comes late takes a slot away,
	// and one of the hogs has to give it.
	run(t, p, "worker", "hog", 150, 0, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT pg_sleep(20)")
		return err
	})
	var seen map[string]string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("upstream at last: %v", seen)
		}
	})
	eventually(t, "every slot is taken", limit, func() bool {
		rows, err := pgtest.Console(p, "SHOW UPSTREAMS")
		if err != nil {
			t.Fatal(err)
		}
		seen = rows[0]
		return rows[0]["used"] == rows[0]["usable"] && rows[0]["waiting"] != "0"
	})
	best := time.Hour
	for range 10 {
		began := time.Now()
		conn, err := connect(t.Context(), p, "oncall", "psql")
		if err != nil {
			t.Fatalf("the operator cannot log in: %v", err)
		}
		if err := ask(t.Context(), conn); err != nil {
			t.Fatalf("the operator is not served: %v", err)
		}
		best = min(best, time.Since(began))
		_ = conn.Close(t.Context())
	}
	began := time.Now()
	if _, err := pgtest.Console(p, "SHOW HOLDERS"); err != nil {
		t.Errorf("console: %v", err)
	}
	if best > 2*time.Second {
		t.Errorf("the operator's login and SELECT took %v at best: it waited for one of the hogs, who stay for 20 s", best)
	}
	t.Logf("at 100 %%: login and SELECT %v (best of 10), console %v", best.Round(time.Microsecond), time.Since(began).Round(time.Microsecond))
}
