package contain

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// stuck is how many queries hang in TestKillStuck: those of the promise.
const stuck = 200

// deaf is a statement that a cancel does not end.
const deaf = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"

// steady are clients at work that nothing may happen to.
type steady struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	served int      // guarded by mu
	errs   []string // guarded by mu
}

// atWork starts n clients that do the work over and over.
func atWork(t *testing.T, url string, n int, work func(context.Context, *pgx.Conn) error) *steady {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	k := &steady{stop: stop}
	for range n {
		c := connect(t, url)
		k.done.Go(func() {
			for ctx.Err() == nil {
				step, end := context.WithTimeout(context.Background(), limit)
				err := work(step, c)
				end()
				k.mu.Lock()
				if k.served++; err != nil {
					k.errs = append(k.errs, text(err))
				}
				k.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	t.Cleanup(func() { stop(); k.done.Wait() })
	return k
}

// unharmed stops the clients; none may have had an error.
func (k *steady) unharmed(t *testing.T, who string) {
	t.Helper()
	k.stop()
	k.done.Wait()
	if len(k.errs) > 0 || k.served == 0 {
		t.Errorf("%s: %d statements, errors %q", who, k.served, k.errs)
	}
}

func transfer(ctx context.Context, c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE item SET n = n + 1 WHERE id = 1 + (random() * 999)::int"); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	return tx.Commit(ctx)
}

// hang starts a client that runs sql and returns how that ends.
func hang(t *testing.T, url, sql string) (*pgx.Conn, <-chan error) {
	t.Helper()
	c, told := connect(t, url), make(chan error, 1)
	ctx, end := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(end)
	go func() {
		_, err := c.Exec(ctx, sql)
		told <- err
	}()
	return c, told
}

// TestKillStuck is the promise: 200 queries stuck for minutes are previewed,
// cancelled and gone in 60 s, and nobody else notices.
func TestKillStuck(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	api := atWork(t, p.URL(login("api", "web")), 10, transfer)
	direct := atWork(t, s.URL(login("worker", "reporting")), 2, transfer)
	var conns []*pgx.Conn
	var told []<-chan error
	for range stuck {
		c, ch := hang(t, p.URL(login("worker", "job")), "SELECT pg_sleep(600)")
		conns, told = append(conns, c), append(told, ch)
	}
	eventually(t, "all hang", limit, func() bool { return backends(t, s, "state = 'active' AND query LIKE '%pg_sleep(600)%'") == "200" })
	wait, letGo := held(t, s)
	sleeper, slept := hang(t, p.URL(login("other", "report")), wait)
	eventually(t, "the report runs", limit, func() bool { return backends(t, s, "state = 'active' AND usename = 'other'") == "1" })
	others := pids(t, s, "usename IN ('api', 'other') OR application_name = 'reporting'")

	preview := order(t, p, "kill", "--workload", "batch", "--dry-run")
	if preview.Targets != stuck || len(preview.Hits) != stuck || len(preview.outcomes()) != 1 {
		t.Fatalf("the preview shows %d targets, %d rows", preview.Targets, len(preview.Hits))
	}
	if n := backends(t, s, "state = 'active' AND query LIKE '%pg_sleep(600)%'"); n != "200" {
		t.Fatalf("after the dry run %s hang", n)
	}
	refused(t, p, "the most is 100", "kill", "--workload", "batch", "--max", "100")

	began := time.Now()
	a := order(t, p, "kill", "--workload", "batch", "--reason", "stuck for minutes")
	took := time.Since(began)
	t.Logf("%d killed in %v: %v", a.Targets, took.Round(time.Millisecond), a.outcomes())
	if got := a.outcomes(); a.State != "done" || got["cancelled"] != stuck {
		t.Errorf("got %v, error %q", got, a.Error)
	}
	if n := backends(t, s, "query LIKE '%pg_sleep(600)%' AND state = 'active'"); n != "0" || took > time.Minute {
		t.Errorf("%s still hang after %v", n, took)
	}
	for i := range told {
		wantError(t, <-told[i], "57014", "stuck for minutes")
		must(t, conns[i], "SELECT 1") // the session goes on
	}
	api.unharmed(t, "api")
	direct.unharmed(t, "direct connections of the same user")
	letGo()
	if err := <-slept; err != nil {
		t.Errorf("another workload's statement: %s", text(err))
	}
	must(t, sleeper, "SELECT 1")
	for pid := range others {
		if !pids(t, s, "true")[pid] {
			t.Errorf("backend %s of somebody else is gone", pid)
		}
	}
}

// pids of the backends that the condition selects, by the moment they began too.
func pids(t *testing.T, s *pgtest.Server, where string) map[string]bool {
	t.Helper()
	set := map[string]bool{}
	for _, row := range s.Exec(t, "SELECT pid || ' ' || backend_start FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND ("+where+")") {
		set[row[0]] = true
	}
	return set
}

// TestKillTerminates: what does not hear the cancel is terminated after the
// grace; what is idle in a transaction is rolled back and its session kept.
func TestKillTerminates(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	_, told := hang(t, p.URL(login("worker", "job")), deaf)
	idle := connect(t, p.URL(login("worker", "job")))
	must(t, idle, "BEGIN")
	must(t, idle, "SELECT n FROM item WHERE id = 1 FOR UPDATE")
	bystander := connect(t, p.URL(login("worker", "other")))
	must(t, bystander, "BEGIN")
	must(t, bystander, "SELECT 1")
	eventually(t, "it runs", limit, func() bool { return backends(t, s, "state = 'active' AND query LIKE 'DO $$%'") == "1" })
	a := order(t, p, "kill", "--application", "job", "--grace", "1s")
	if got := a.outcomes(); !maps.Equal(got, map[string]int{"terminated": 1, "rolled back": 1}) {
		t.Errorf("outcomes %v, error %q", got, a.Error)
	}
	wantError(t, <-told, "57P01", "killed by uid")
	eventually(t, "the backend is gone", limit, func() bool { return backends(t, s, "query LIKE 'DO $$%'") == "0" })
	wantError(t, ask(t, idle, "COMMIT"), "25P03", "killed by uid")
	must(t, idle, "SELECT 1")
	must(t, bystander, "COMMIT")
}

// TestKillDirect: connections that do not come through Spillway, and none that do.
func TestKillDirect(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	_, running := hang(t, s.URL(login("worker", "cron")), "SELECT pg_sleep(600)")
	_, unheard := hang(t, s.URL(login("worker", "cron")), deaf)
	idle := connect(t, s.URL(login("worker", "cron")))
	must(t, idle, "BEGIN")
	must(t, idle, "SELECT 1")
	quiet := connect(t, s.URL(login("worker", "cron"))) // idle outside a transaction
	must(t, quiet, "SELECT 1")
	wait, letGo := held(t, s)
	operator, spared := hang(t, s.URL(login("oncall", "cron")), wait)
	through, inside := hang(t, p.URL(login("worker", "cron")), wait)
	eventually(t, "all run", limit, func() bool {
		return backends(t, s, "state = 'active' AND (query LIKE 'DO $$%' OR query LIKE '%pg_sleep%' OR query LIKE '%xact_lock%')") == "4"
	})

	preview := order(t, p, "kill", "--direct", "--user", "worker", "--dry-run")
	if preview.Targets != 3 {
		t.Errorf("the preview hits %d: %+v", preview.Targets, preview.Hits)
	}
	if all := order(t, p, "kill", "--direct", "--application", "cron", "--dry-run"); all.Targets != 3 || all.Guarded != 1 {
		t.Errorf("the preview hits %d and guards %d", all.Targets, all.Guarded)
	}
	a := order(t, p, "kill", "--direct", "--application", "cron", "--grace", "10s", "--reason", "by hand")
	if got := a.outcomes(); !maps.Equal(got, map[string]int{"cancelled": 1, "terminated": 2}) {
		t.Errorf("outcomes %v, error %q", got, a.Error)
	}
	wantError(t, <-running, "57014")
	wantError(t, <-unheard, "57P01")
	if err := ask(t, idle, "SELECT 1"); err == nil {
		t.Error("a transaction that was terminated goes on")
	}
	must(t, quiet, "SELECT 1")
	letGo()
	for who, ch := range map[string]<-chan error{"the operator": spared, "the client of Spillway": inside} {
		if err := <-ch; err != nil {
			t.Errorf("%s: %s", who, text(err))
		}
	}
	must(t, operator, "SELECT 1")
	must(t, through, "SELECT 1")
}

// TestKillRefuses: nobody is hit by a selection that says nothing.
func TestKillRefuses(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	wait, letGo := held(t, s)
	_, told := hang(t, p.URL(login("worker", "job")), wait)
	eventually(t, "it runs", limit, func() bool { return backends(t, s, "state = 'active' AND usename = 'worker'") == "1" })
	refused(t, p, "it would hit everybody", "kill")
	refused(t, p, "is not a glob", "kill", "--workload", "[")
	refused(t, p, "there is no state", "kill", "--state", "asleep")
	refused(t, p, "there is no server", "kill", "--direct", "--server", "nope", "--user", "worker")
	if a := order(t, p, "kill", "--workload", "batch", "--older", "1h"); a.Targets != 0 {
		t.Errorf("it hit %+v", a.Hits)
	}
	if a := order(t, p, "kill", "--workload", "api"); a.Targets != 0 {
		t.Errorf("it hit %+v", a.Hits)
	}
	if _, err := pgtest.Console(p, "KILL QUERIES"); err == nil || !strings.Contains(err.Error(), "it would hit everybody") {
		t.Errorf("KILL QUERIES: %v", err)
	}
	letGo()
	if err := <-told; err != nil {
		t.Errorf("the statement: %s", text(err))
	}
}

func TestKillByConsole(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	c, told := hang(t, p.URL(login("worker", "job")), "SELECT pg_sleep(600)")
	eventually(t, "it runs", limit, func() bool { return backends(t, s, "state = 'active' AND usename = 'worker'") == "1" })
	rows, err := pgtest.Console(p, "KILL QUERIES WORKLOAD batch STATE active REASON 'by console'")
	if err != nil || len(rows) != 1 || rows[0]["outcome"] != "cancelled" {
		t.Fatalf("got %v, %v", rows, err)
	}
	wantError(t, <-told, "57014", "console user postgres", "by console")
	must(t, c, "SELECT 1")
	if rows, err = pgtest.Console(p, "PAUSE WORKLOAD batch FOR 5m"); err != nil || rows[0]["state"] != "stands" {
		t.Fatalf("got %v, %v", rows, err)
	}
	wantError(t, ask(t, c, "SELECT 1"), "53300")
	if rows, err = pgtest.Console(p, "UNDO ACTION '"+rows[0]["id"]+"'"); err != nil || rows[0]["state"] != "done" {
		t.Fatalf("got %v, %v", rows, err)
	}
	must(t, c, "SELECT 1")
	if rows, err = pgtest.Console(p, "SHOW ACTIONS"); err != nil || len(rows) != 3 || rows[0]["action"] != "undo" || rows[1]["state"] != "undone" {
		t.Errorf("SHOW ACTIONS: %v, %v", rows, err)
	}
}

// TestKillWhenFull: PostgreSQL has no slot left, and whoever took them is killed over
// the connection that is kept for that.
func TestKillWhenFull(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "30"}})
	s.Exec(t, "CREATE ROLE keeper LOGIN; GRANT pg_signal_backend, pg_monitor TO keeper; CREATE ROLE worker LOGIN")
	p := pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, Users: map[string]string{"postgres": ""},
		Set: map[string]any{"servers.main.url": s.URL(pgtest.Login{User: "keeper"})}})
	eventually(t, "the connection is kept", limit, func() bool { return backends(t, s, "application_name = 'spillway act'") == "1" })
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	hogs := 0
	for ; hogs < 40; hogs++ {
		c, err := pgx.Connect(ctx, s.URL(login("worker", "hog")))
		if err != nil {
			wantError(t, err, "53300")
			break
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		if _, err := c.Exec(ctx, "BEGIN"); err != nil {
			t.Fatal(err)
		}
	}
	a := order(t, p, "kill", "--direct", "--application", "hog", "--grace", "100ms")
	if got := a.outcomes(); hogs == 40 || got["terminated"] != hogs {
		t.Errorf("%d hogs, outcomes %v, error %q", hogs, got, a.Error)
	}
	must(t, connect(t, s.URL(login("worker", "next"))), "SELECT 1")
}
