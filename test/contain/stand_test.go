package contain

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

func TestPauseRefuses(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	worker, api := connect(t, p.URL(login("worker", "job"))), connect(t, p.URL(login("api", "web")))
	must(t, worker, "SELECT 1")

	if a := order(t, p, "pause", "batch", "--dry-run"); a.State != "preview" {
		t.Errorf("a dry run is %+v", a)
	}
	must(t, worker, "SELECT 1")

	inside := connect(t, p.URL(login("worker", "job")))
	must(t, inside, "BEGIN")
	must(t, inside, "UPDATE item SET n = n + 1 WHERE id = 1")
	a := order(t, p, "pause", "batch", "--for", "10m", "--reason", "storm of deletes")
	if a.State != "stands" || !strings.HasPrefix(a.Who, "uid ") || time.Until(a.Until) < 9*time.Minute || a.Observed["pause"] != "refuse" {
		t.Errorf("got %+v", a)
	}
	wantError(t, ask(t, worker, "SELECT 1"), "53300", "workload is paused", "workload batch", "storm of deletes", "uid ")
	must(t, inside, "COMMIT")   // what had begun goes on
	must(t, worker, "ROLLBACK") // as drivers say on giving a connection back
	must(t, worker, "/* pool */ abort work;")
	for _, sql := range []string{"COMMIT", "BEGIN; ROLLBACK", "ROLLBACK PREPARED 'x'", "ROLLBACK AND CHAIN", "ROLLBACK TO a"} {
		wantError(t, ask(t, worker, sql), "53300", "workload is paused")
	}
	wantError(t, ask(t, inside, "SELECT 1"), "53300")
	must(t, api, "SELECT 1")

	order(t, p, "resume", "batch")
	must(t, worker, "SELECT 1")
	must(t, inside, "SELECT 1")
	refused(t, p, "no pause", "resume", "batch")
	refused(t, p, "Workloads are api, batch, default", "pause", "bacth")
}

func TestPauseQueues(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	worker := connect(t, p.URL(login("worker", "job")))
	must(t, worker, "SELECT 1")
	order(t, p, "pause", "batch", "--queue")
	answered := make(chan error, 1)
	go func() { answered <- ask(t, worker, "SELECT 1") }()
	eventually(t, "the client waits", limit, func() bool { return workload(t, p, "batch")["waiting"] == "1" })
	select {
	case err := <-answered:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	order(t, p, "resume", "batch")
	if err := <-answered; err != nil {
		t.Errorf("after the resume: %s", text(err))
	}
}

// TestPauseCancels: what runs is cancelled and rolled back, what is idle rolled
// back, and the sessions go on after the resume.
func TestPauseCancels(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	running, idle := connect(t, p.URL(login("worker", "job"))), connect(t, p.URL(login("worker", "job")))
	must(t, idle, "BEGIN")
	must(t, idle, "UPDATE item SET n = 99 WHERE id = 5")
	told := make(chan error, 1)
	go func() { told <- ask(t, running, "SELECT pg_sleep(300)") }()
	eventually(t, "it runs", limit, func() bool { return backends(t, s, "state = 'active' AND query LIKE '%pg_sleep%'") == "1" })
	a := order(t, p, "pause", "batch", "--cancel", "--reason", "enough")
	if got := a.outcomes(); a.State != "stands" || got["cancelled"] != 1 || got["rolled back"] != 1 {
		t.Errorf("got %+v, outcomes %v", a, got)
	}
	wantError(t, <-told, "57014", "killed by uid", "enough")
	wantError(t, ask(t, idle, "SELECT 1"), "25P03", "enough")
	order(t, p, "resume", "batch")
	must(t, running, "SELECT 1")
	_ = ask(t, idle, "ROLLBACK")
	must(t, idle, "SELECT 1")
	if n := s.Value(t, "SELECT n FROM item WHERE id = 5"); n != "0" {
		t.Errorf("the transaction was not rolled back: n = %s", n)
	}
}

func workload(t *testing.T, p *pgtest.Pooler, name string) map[string]string {
	t.Helper()
	rows, err := pgtest.Console(p, "SHOW WORKLOADS")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row["workload"] == name {
			return row
		}
	}
	t.Fatalf("no workload %s in %v", name, rows)
	return nil
}

func TestLimit(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	a := order(t, p, "limit", "batch", "3", "--reason", "the disk is full")
	var done sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 10 {
		c := connect(t, p.URL(login("worker", "job")))
		done.Go(func() { _, _ = c.Exec(ctx, "SELECT pg_sleep(300)") })
	}
	eventually(t, "three run and seven wait", limit, func() bool {
		w := workload(t, p, "batch")
		return w["in_use"] == "3" && w["waiting"] == "7"
	})
	if n := backends(t, s, "state = 'active' AND usename = 'worker'"); n != "3" {
		t.Errorf("%s backends of the workload are active, want 3", n)
	}
	if a := order(t, p, "undo", a.ID); a.State != "done" {
		t.Errorf("undo is %+v", a)
	}
	eventually(t, "all run", limit, func() bool { return workload(t, p, "batch")["in_use"] == "10" })
	stop()
	done.Wait()
	refused(t, p, "does not stand", "undo", a.ID)
}

// queryPrint is the fingerprint of what runs and begins with the words.
func queryPrint(t *testing.T, p *pgtest.Pooler, words string) string {
	t.Helper()
	rows, err := pgtest.Console(p, "SHOW QUERIES")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if strings.HasPrefix(row["sql"], words) {
			return row["fingerprint"]
		}
	}
	return ""
}

func TestBan(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	worker, api := connect(t, p.URL(login("worker", "job"))), connect(t, p.URL(login("api", "web")))
	prepared := connect(t, p.URL(pgtest.Login{User: "worker"})) // extended protocol, statements prepared
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	var n int
	if err := prepared.QueryRow(ctx, "select n from item where id = $1", 3).Scan(&n); err != nil {
		t.Fatal(err)
	}
	holder := connect(t, p.URL(login("worker", "job")))
	must(t, holder, "BEGIN")
	must(t, holder, "select n from item where id = 7")
	print := queryPrint(t, p, "select n from item")
	if len(print) != 16 {
		t.Fatalf("no fingerprint: %q", print)
	}
	must(t, holder, "COMMIT")

	order(t, p, "ban", print, "--reason", "it locks everything")
	wantError(t, ask(t, worker, "SELECT n FROM item WHERE id = 12345"), "53000", "banned", print, "it locks everything")
	must(t, worker, "SELECT 1")
	must(t, api, "SELECT count(*) FROM item")
	// In a transaction it fails like any other statement, and the session goes on.
	must(t, worker, "BEGIN")
	wantError(t, ask(t, worker, "SELECT n FROM item WHERE id = 1"), "53000")
	wantError(t, ask(t, worker, "SELECT 1"), "25P02")
	must(t, worker, "ROLLBACK")
	must(t, worker, "SELECT 1")
	bans, _, err := command(t, p, "bans")
	if err != nil || !strings.Contains(bans, print) {
		t.Errorf("spillway bans: %v\n%s", err, bans)
	}
	order(t, p, "unban", print)
	must(t, worker, "SELECT n FROM item WHERE id = 1")
}

// TestBanPrepared: the text differs from the simple one by its parameter only,
// and a statement prepared before the ban is refused when it is bound.
func TestBanPrepared(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	prepared := connect(t, p.URL(pgtest.Login{User: "worker"}))
	const sql = "select n from item where id = $1"
	var n int
	for range 2 {
		if err := prepared.QueryRow(ctx, sql, 3).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := prepared.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(ctx, sql, 3).Scan(&n); err != nil {
		t.Fatal(err)
	}
	print := queryPrint(t, p, "select n from item")
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	order(t, p, "ban", print)
	wantError(t, prepared.QueryRow(ctx, sql, 3).Scan(&n), "53000", "banned")
	late := connect(t, p.URL(pgtest.Login{User: "worker"}))
	wantError(t, late.QueryRow(ctx, sql, 3).Scan(&n), "53000", "banned")
	order(t, p, "unban", print)
	for _, c := range []*pgx.Conn{prepared, late} {
		if err := c.QueryRow(ctx, sql, 3).Scan(&n); err != nil {
			t.Errorf("after the unban: %s", text(err))
		}
	}
	refused(t, p, "begins or ends transactions", "ban", transactionPrint(t, p))
}

// transactionPrint is the fingerprint of BEGIN.
func transactionPrint(t *testing.T, p *pgtest.Pooler) string {
	t.Helper()
	c := connect(t, p.URL(login("worker", "job")))
	must(t, c, "BEGIN")
	defer func() { _ = ask(t, c, "ROLLBACK") }()
	return queryPrint(t, p, "begin")
}

func TestBanCaps(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	first := connect(t, p.URL(login("worker", "job")))
	slow := make(chan error, 8)
	run := func() {
		c := connect(t, p.URL(login("worker", "job")))
		go func() { slow <- ask(t, c, "SELECT pg_sleep(301)") }()
	}
	run()
	eventually(t, "one runs", limit, func() bool { return backends(t, s, "query LIKE '%pg_sleep(301)%' AND state = 'active'") == "1" })
	print := queryPrint(t, p, "select pg_sleep")
	order(t, p, "kill", "--fingerprint", print)
	wantError(t, <-slow, "57014")
	order(t, p, "ban", print, "--max", "2")
	run()
	run()
	eventually(t, "two run", limit, func() bool { return backends(t, s, "query LIKE '%pg_sleep(301)%' AND state = 'active'") == "2" })
	wantError(t, ask(t, first, "SELECT pg_sleep(0)"), "53000", "2 times at once")
	order(t, p, "kill", "--fingerprint", print)
	for range 2 {
		wantError(t, <-slow, "57014")
	}
	must(t, first, "SELECT pg_sleep(0)") // the cap counts what runs, not what ran
}

// TestExpiry: what stands ends by itself, and outlives a restart until then.
func TestExpiry(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	worker := connect(t, p.URL(login("worker", "job")))
	order(t, p, "pause", "batch", "--for", "10s")
	wantError(t, ask(t, worker, "SELECT 1"), "53300")
	eventually(t, "the pause ends", limit, func() bool { return ask(t, worker, "SELECT 1") == nil })
	out, _, err := command(t, p, "actions", "-o", "json")
	var list struct{ Items []action }
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list.Items) == 0 || list.Items[0].State != "expired" {
		t.Errorf("spillway actions: %v\n%s", err, out)
	}
	refused(t, p, "the most is 24h", "pause", "batch", "--for", "25h")
}
