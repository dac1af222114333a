package contain

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// mixWorkloads: victims and bystanders are one user, so they share a pool and its
// servers: a cancel that comes late would hit whoever has the server next.
const mixWorkloads = `
workloads:
  victims: {match: {application_name: "victim*"}, class: batch, share: 20, limit: 40}
  default: {class: normal, share: 40, limit: 80}
databases:
  whole: {server: main, dbname: postgres, pool_mode: session}
`

// mixSpan is how long the mix plays.
func mixSpan(t *testing.T) time.Duration {
	t.Helper()
	switch text := os.Getenv("SPILLWAY_CONTAIN"); text {
	case "":
		return 8 * time.Second
	case "long":
		return time.Hour
	default:
		span, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("SPILLWAY_CONTAIN: %v", err)
		}
		return span
	}
}

// program runs a client program over and over until ctx ends; it may never fail.
func program(ctx context.Context, t *testing.T, rounds *int, name string, args ...string) {
	for ctx.Err() == nil {
		var out bytes.Buffer
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "PGCONNECT_TIMEOUT=180")
		cmd.Stdout, cmd.Stderr = nil, &out
		err := cmd.Run()
		if err != nil || strings.Contains(out.String(), "ERROR") || strings.Contains(out.String(), "FATAL") || strings.Contains(out.String(), "aborted") {
			t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
			return
		}
		*rounds++
	}
}

// victim works in short and long statements, in and out of transactions, and
// comes back whatever is done to it.
func victim(ctx context.Context, url string, n int) (hits int) {
	works := []string{"SELECT pg_sleep(0.002)", "SELECT pg_sleep(30)", "BEGIN; SELECT 1", "BEGIN", "SELECT pg_sleep(0.02)", "SELECT count(*) FROM generate_series(1, 20000)"}
	var c *pgx.Conn
	defer func() {
		if c != nil {
			_ = c.Close(context.Background())
		}
	}()
	for round := n; ctx.Err() == nil; round++ {
		if c == nil || c.IsClosed() {
			var err error
			if c, err = pgx.Connect(ctx, url); err != nil {
				c = nil
				continue
			}
		}
		for _, sql := range []string{works[round%len(works)], "SELECT 1", "ROLLBACK"} {
			if _, err := c.Exec(ctx, sql); err != nil && ctx.Err() == nil {
				hits++
			}
			pace := 5 * time.Millisecond // not a wait
			if strings.HasPrefix(sql, "BEGIN") {
				pace = 200 * time.Millisecond // idle in its transaction
			}
			time.Sleep(pace)
		}
	}
	return hits
}

// TestNoWrongKill plays TPC-B, pg_dump and CREATE INDEX CONCURRENTLY beside kills
// that select something else, all of it as one user through one pool and beside it.
func TestNoWrongKill(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "150", "log_line_prefix": "%m [%p] <%a> "}})
	s.Exec(t, "CREATE ROLE worker LOGIN SUPERUSER")
	p := pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"),
		pgtest.PoolerConfig{Server: s, PoolSize: 60, Users: map[string]string{"postgres": "", "worker": ""}, Overlay: []byte(mixWorkloads)})
	port, direct := fmt.Sprint(p.Port), fmt.Sprint(s.Port)
	setUp := exec.Command("pgbench", "-q", "-i", "-s", "2", "-h", s.Host(), "-p", direct, "-U", "worker", "postgres")
	if out, err := setUp.CombinedOutput(); err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var bystanders, victims sync.WaitGroup
	rounds := make([]int, 6)
	for i, one := range [][]string{
		{"pgbench", "-n", "-c", "6", "-T", "3", "-h", p.Host, "-p", port, "-U", "worker", "postgres"},
		{"pgbench", "-n", "-c", "2", "-T", "3", "-h", s.Host(), "-p", direct, "-U", "worker", "postgres"},
		{"pg_dump", "-h", p.Host, "-p", port, "-U", "worker", "-f", "/dev/null", "whole"},
		{"pg_dump", "-h", s.Host(), "-p", direct, "-U", "worker", "-f", "/dev/null", "postgres"},
		{"psql", "-q", "-h", p.Host, "-p", port, "-U", "worker", "-v", "ON_ERROR_STOP=1", "-c", "CREATE INDEX CONCURRENTLY mixed ON pgbench_accounts (abalance)", "-c", "DROP INDEX CONCURRENTLY mixed", "whole"},
	} {
		bystanders.Go(func() { program(ctx, t, &rounds[i], one[0], one[1:]...) })
	}
	steady := atWork(t, p.URL(login("worker", "app")), 4, transferBranch)
	hits := make([]int, 10)
	for i := range hits {
		url := p.URL(login("worker", "victim"))
		if i >= 8 {
			url = s.URL(login("worker", "cron"))
		}
		victims.Go(func() { hits[i] = victim(ctx, url, i) })
	}
	struck := kills(t, p)
	stop()
	bystanders.Wait()
	victims.Wait()
	steady.unharmed(t, "clients of the victims' own pool")
	total := 0
	for _, n := range hits {
		total += n
	}
	t.Logf("%v: rounds of bystanders %v, statements of the steady %d, kills by outcome %v, errors of victims %d",
		mixSpan(t), rounds[:5], steady.served, struck, total)
	if struck["cancelled"] == 0 || struck["rolled back"] == 0 || total == 0 {
		t.Errorf("nobody was hit: %v", struck)
	}
	innocent(t, s)
}

func transferBranch(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1; SELECT pg_sleep(0.001)")
	return err
}

// kills selects victims in every way for as long as the mix plays, and on a slow
// machine until each way to be hit was seen.
func kills(t *testing.T, p *pgtest.Pooler) map[string]int {
	t.Helper()
	struck := map[string]int{}
	ways := [][]string{
		{"kill", "--workload", "victims", "--grace", "500ms"},
		{"kill", "--application", "victim*", "--state", "active", "--grace", "100ms"},
		{"kill", "--direct", "--application", "cron", "--grace", "300ms"},
		{"kill", "--user", "worker", "--application", "victim", "--older", "20ms", "--grace", "200ms"},
		{"kill", "--workload", "victims", "--state", "idle-in-transaction"},
		{"pause", "victims", "--cancel", "--for", "1m", "--grace", "200ms"},
		{"resume", "victims"},
	}
	end := time.Now().Add(mixSpan(t))
	seen := func() bool { return struck["cancelled"] > 0 && struck["rolled back"] > 0 }
	for i := 0; time.Now().Before(end) || !seen() && time.Now().Before(end.Add(limit)); i++ {
		a := order(t, p, ways[i%len(ways)]...)
		for outcome, n := range a.outcomes() {
			struck[outcome] += n
		}
	}
	return struck
}

// ended finds what PostgreSQL was told to end, with whose it was.
var ended = regexp.MustCompile(`(?m)^.* <([^>]*)> (?:ERROR|FATAL):  (canceling statement due to user request|terminating connection due to administrator command)`)

// innocent reads PostgreSQL's own log: whoever was cancelled or terminated was a victim.
func innocent(t *testing.T, s *pgtest.Server) {
	t.Helper()
	found := ended.FindAllStringSubmatch(s.Log.String(), -1)
	for _, one := range found {
		if app := one[1]; app != "cron" && !strings.HasPrefix(app, "victim") {
			t.Errorf("wrong kill: %s", one[0])
		}
	}
	if len(found) == 0 {
		t.Error("PostgreSQL's log tells of nobody who was cancelled")
	}
	if n := s.Value(t, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"); n != "0" {
		t.Errorf("%s indexes are left invalid", n)
	}
}

// TestGuards: what selects many leaves dumps and schema changes alone, and says
// so; by its pid each can be hit.
func TestGuards(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	s.Exec(t, "GRANT ALL ON SCHEMA public TO worker; CREATE TABLE one (id int); ALTER TABLE one OWNER TO worker; CREATE TABLE two (id int); ALTER TABLE two OWNER TO worker")
	lock := connect(t, s.URL(pgtest.Login{Params: map[string]string{"application_name": "lock"}}))
	must(t, lock, "BEGIN")
	must(t, lock, "LOCK TABLE one, two IN ACCESS EXCLUSIVE MODE")
	var waiting []<-chan error
	for table, at := range map[string]string{"one": p.URL(login("worker", "migrate")), "two": s.URL(login("worker", "migrate"))} {
		_, told := hang(t, at, "CREATE INDEX CONCURRENTLY ON "+table+" (id)")
		waiting = append(waiting, told)
	}
	for _, at := range []string{p.URL(login("worker", "pg_dump")), s.URL(login("worker", "pg_dump"))} {
		_, told := hang(t, at, "COPY one TO STDOUT")
		waiting = append(waiting, told)
	}
	eventually(t, "all wait for the lock", limit, func() bool { return backends(t, s, "wait_event_type = 'Lock'") == "4" })
	for _, args := range [][]string{{"kill", "--user", "worker"}, {"kill", "--direct", "--user", "worker"}} {
		if a := order(t, p, args...); a.Targets != 0 || a.Guarded != 2 {
			t.Errorf("%v: %d targets, %d guarded: %+v", args, a.Targets, a.Guarded, a.Hits)
		}
	}
	if a := order(t, p, "kill", "--user", "worker", "--application", "pg_dump"); a.Targets != 1 || a.Guarded != 0 {
		t.Errorf("named: %d targets, %d guarded", a.Targets, a.Guarded)
	}
	must(t, lock, "COMMIT")
	for i, told := range waiting {
		err := <-told
		if named := i == 2; named != (err != nil) {
			t.Errorf("client %d: %s", i, text(err))
		}
	}
}
