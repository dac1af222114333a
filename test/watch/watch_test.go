package watch

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// TestLeak is report 001: a worker opens a transaction per item and ends none.
func TestLeak(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	p := serve(t, s, "")
	healthy(t, p)
	began := time.Now()
	var open []*pgx.Conn
	for len(open) < 12 {
		c := connect(t, p, "worker", "celery-sync")
		exec(t, c, "BEGIN")
		exec(t, c, "SELECT n FROM item WHERE id = 7")
		open = append(open, c)
		time.Sleep(time.Second) // the worker's pace
	}
	named(t, p, "leak/main/data-sync/celery-sync", limit, "leak: celery-sync (workload data-sync, owner @data)", "select n from item where id = ?")
	t.Logf("named %v after the first", time.Since(began).Round(time.Second))
	for _, c := range open {
		c.Close(context.Background())
	}
	closed(t, p, "celery-sync")
}

// TestReclaimedLeak: the proxy takes the servers back; the leak is named all the
// same.
func TestReclaimedLeak(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	p := serve(t, s, "  nightly: {match: {application_name: nightly}, share: 1, leak_after: 5s, on_leak: reclaim}\n")
	c := connect(t, p, "worker", "nightly")
	exec(t, c, "BEGIN")
	exec(t, c, "UPDATE item SET n = 1 WHERE id = 8")
	v := named(t, p, "leak/main/nightly/nightly", limit, "leak: nightly (workload nightly)", "update item")
	if !strings.Contains(strings.Join(v.Findings[0].Evidence, " "), "reclaim") {
		t.Errorf("evidence %q", v.Findings[0].Evidence)
	}
}

// TestFailingLogin: the secret Spillway has for one user is wrong.
func TestFailingLogin(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	p := serve(t, s, "")
	healthy(t, p)
	began := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() {
		for ctx.Err() == nil {
			c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "broken", Password: "wrong"}))
			if err == nil {
				_, _ = c.Exec(ctx, "SELECT 1")
				c.Close(context.Background())
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	named(t, p, "login/main/broken", limit, "logins of user broken to main fail", "password")
	t.Logf("named within %v", time.Since(began).Round(time.Second))
	api := connect(t, p, "api", "web")
	exec(t, api, "SELECT 1")
	stop()
	clients.Wait()
	s.Exec(t, "ALTER ROLE broken PASSWORD 'wrong'") // as Spillway has it
	eventually(t, "the login works again", limit, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "broken", Password: "wrong"}))
		if err != nil {
			return false
		}
		defer c.Close(context.Background())
		_, err = c.Exec(ctx, "SELECT 1")
		return err == nil
	})
	closed(t, p, "broken")
}

// TestStorm is report 000: the clean-up query runs over and over.
func TestStorm(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	p := serve(t, s, "")
	healthy(t, p)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 24 {
		c := connect(t, p, "worker", "session-cleanup")
		clients.Go(func() {
			_, _ = c.Exec(ctx, "SELECT pg_sleep(60) FROM item WHERE id = 3")
		})
	}
	named(t, p, "storm/main/"+stormPrint, limit, "storm: one statement runs 24 times at once on main", "session-cleanup", "select pg_sleep(?) from item")
	stop()
	clients.Wait()
	healthy(t, p)
}

// TestServerGone: the probes' values go with the server, the pooler stays.
func TestServerGone(t *testing.T) {
	t.Parallel()
	s, other := guarded(t), guarded(t)
	p := serve(t, s, "  other: {match: {database: elsewhere}, share: 1}\nservers: {second: {url: \"postgres://postgres@127.0.0.1:"+strconv.Itoa(other.Port)+"/postgres\"}}\ndatabases: {elsewhere: {server: second, dbname: postgres}}\n")
	seen := `spillway_postgres_connections{state="idle",upstream="main"}`
	eventually(t, "the probes have seen both", limit, func() bool {
		m := string(get(t, p, "/metrics"))
		return strings.Contains(m, seen) && strings.Contains(m, `spillway_postgres_up{upstream="second"} 1`)
	})
	load := newLoad(t, p)
	if err := s.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, "the values are withdrawn", limit, func() bool {
		m := string(get(t, p, "/metrics"))
		return !strings.Contains(m, seen) && strings.Contains(m, `spillway_postgres_up{upstream="main"} 0`)
	})
	t.Logf("withdrawn after %v", took.Round(time.Millisecond))
	works(t, p) // somebody wants the server
	eventually(t, "the verdict says so", limit, func() bool {
		v := judge(t, p)
		return len(v.Findings) == 1 && (v.Findings[0].Key == "server/main" || v.Findings[0].Key == "probe/main" || v.Findings[0].Detector == "login")
	})
	t.Log(judge(t, p).Sentence)
	before, _ := load.counts()
	eventually(t, "the other server's clients are served", limit, func() bool {
		served, _ := load.counts()
		return served > before+100
	})
	load.stop()
	if _, failed := load.counts(); failed > 0 {
		t.Errorf("%d transactions on the other server failed", failed)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the probes are back", limit, func() bool {
		return strings.Contains(string(get(t, p, "/metrics")), `spillway_postgres_up{upstream="main"} 1`)
	})
	eventually(t, "a login works", limit, func() bool { return works(t, p) })
	healthy(t, p)
}

// works tries a statement of a client of its own.
func works(t *testing.T, p *pgtest.Pooler) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "api"}))
	if err != nil {
		return false
	}
	defer c.Close(context.Background())
	_, err = c.Exec(ctx, "SELECT 1")
	return err == nil
}

// load is one client of the other server, at work.
type load struct {
	stop func()

	mu             sync.Mutex
	served, failed int // guarded by mu
}

func newLoad(t *testing.T, p *pgtest.Pooler) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "api", Database: "elsewhere", Params: map[string]string{"default_query_exec_mode": "simple_protocol"}}))
	if err != nil {
		t.Fatal(err)
	}
	l := &load{}
	var done sync.WaitGroup
	l.stop = sync.OnceFunc(func() { cancel(); done.Wait(); c.Close(context.Background()) })
	t.Cleanup(l.stop)
	done.Go(func() {
		for ctx.Err() == nil {
			_, err := c.Exec(context.Background(), "SELECT 1")
			l.mu.Lock()
			if err == nil {
				l.served++
			} else {
				l.failed++
			}
			l.mu.Unlock()
		}
	})
	return l
}

func (l *load) counts() (served, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served, l.failed
}

// TestStatusCommand: the exit code says healthy or not.
func TestStatusCommand(t *testing.T) {
	t.Parallel()
	s := guarded(t)
	p := serve(t, s, "")
	healthy(t, p)
	if out, code := command(t, p, "status"); code != 0 || !strings.Contains(out, "us-east-1 OK") || !strings.Contains(out, "nothing found") {
		t.Errorf("healthy: exit code %d\n%s", code, out)
	}
	blocker, victim := connect(t, p, "worker", "psql"), connect(t, p, "api", "web")
	exec(t, blocker, "BEGIN")
	exec(t, blocker, "LOCK TABLE item")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = victim.Exec(context.Background(), "SELECT count(*) FROM item")
	}()
	eventually(t, "it is blocked", limit, func() bool { return strings.Contains(judge(t, p).Sentence, "blocking: psql") })
	if out, code := command(t, p, "status"); code != 1 || !strings.Contains(out, "blocking: psql") || !strings.Contains(out, "What to do:") {
		t.Errorf("blocked: exit code %d\n%s", code, out)
	} else {
		t.Log(out)
	}
	exec(t, blocker, "ROLLBACK")
	<-done
}
