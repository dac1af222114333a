package bounds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/pgtest"
)

// limit bounds one step of any client.
const limit = 3 * time.Minute

func long() bool { return os.Getenv("SPILLWAY_BOUNDS") == "long" }

// bounds is the set-up of the reports: 85 connections, an API, a job that
// synchronises data, and all the rest.
const workloads = `
workloads:
  api:       {match: {user: api}, class: critical, share: 50, limit: 70, queue_timeout: 60s}
  data-sync: {match: {application_name: "celery*"}, class: batch, share: 5, limit: 8, queue_max: 20, queue_timeout: 1s, leak_after: 2s, on_leak: reclaim}
  default:   {class: normal, share: 10, limit: 20}
operators: [oncall]
`

func server(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "85", "log_connections": "on"}})
	s.Exec(t, "CREATE ROLE api LOGIN; CREATE ROLE worker LOGIN; CREATE ROLE one LOGIN; CREATE ROLE two LOGIN; CREATE ROLE oncall LOGIN")
	s.Exec(t, "CREATE TABLE item (id int PRIMARY KEY, n int DEFAULT 0); INSERT INTO item SELECT generate_series(1, 1000); GRANT ALL ON item TO PUBLIC")
	return s
}

func serve(t *testing.T, s *pgtest.Server, overlay string, set map[string]any) *pgtest.Pooler {
	t.Helper()
	users := map[string]string{"postgres": "", "api": "", "worker": "", "one": "", "two": "", "oncall": ""}
	if set == nil {
		set = map[string]any{}
	}
	set["servers.main.connect_rate"] = 20
	return pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, PoolSize: 200, MaxClients: 8000, Users: users, Set: set, Overlay: []byte(overlay)})
}

func connect(ctx context.Context, p *pgtest.Pooler, user, application string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, p.URL(pgtest.Login{User: user, Params: map[string]string{"application_name": application, "default_query_exec_mode": "simple_protocol"}}))
}

// load is clients of one kind at work.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	took   []time.Duration // guarded by mu; of transactions that went well
	errs   map[string]int  // guarded by mu; by SQLSTATE, or the text
	sample string          // guarded by mu
}

// run starts n clients that do the work over and over, with a pause between.
func run(t *testing.T, p *pgtest.Pooler, user, application string, n int, pause time.Duration, work func(context.Context, *pgx.Conn) error) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, errs: map[string]int{}}
	for range n {
		l.done.Go(func() { l.client(ctx, p, user, application, pause, work) })
	}
	t.Cleanup(func() { stop(); l.done.Wait() })
	return l
}

func (l *load) client(ctx context.Context, p *pgtest.Pooler, user, application string, pause time.Duration, work func(context.Context, *pgx.Conn) error) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			conn.Close(context.Background())
		}
	}()
	for ctx.Err() == nil {
		step, end := context.WithTimeout(context.Background(), limit)
		var err error
		if conn == nil || conn.IsClosed() {
			conn, err = connect(step, p, user, application)
		}
		began := time.Now()
		if err == nil {
			err = work(step, conn)
		}
		l.note(time.Since(began), err)
		end()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (l *load) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.took = append(l.took, took)
		return
	}
	l.errs[code(err)]++
	l.sample = text(err)
}

// code is the SQLSTATE of an error, or its text.
func code(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return told.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// text is everything a client was told.
func text(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return fmt.Sprintf("%s: %s; %s; %s", told.Code, told.Message, told.Detail, told.Hint)
	}
	return err.Error()
}

// reap takes the figures since the last reap.
func (l *load) reap() (served int, p99 time.Duration, errs map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.took)
	if n := len(l.took); n > 0 {
		served, p99 = n, l.took[min(n-1, n*99/100)]
	}
	errs, l.took, l.errs = l.errs, nil, map[string]int{}
	return served, p99, errs
}

// figures are those of several stretches of a load.
type figures struct {
	took   []time.Duration
	failed int
}

// add takes what the load has done since the last time.
func (f *figures) add(l *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.took = append(f.took, l.took...)
	for _, n := range l.errs {
		f.failed += n
	}
	l.took, l.errs = nil, map[string]int{}
}

func (f *figures) p99() time.Duration {
	if len(f.took) == 0 {
		return 0
	}
	slices.Sort(f.took)
	return f.took[len(f.took)*99/100]
}

func ask(ctx context.Context, c *pgx.Conn) error {
	var n int
	return c.QueryRow(ctx, "SELECT n FROM item WHERE id = 7").Scan(&n)
}

// show is one row of SHOW WORKLOADS as numbers.
func show(t *testing.T, p *pgtest.Pooler, workload string) map[string]int {
	t.Helper()
	rows, err := pgtest.Console(p, "SHOW WORKLOADS")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row["workload"] == workload {
			figures := map[string]int{}
			for name, value := range row {
				figures[name], _ = strconv.Atoi(value)
			}
			return figures
		}
	}
	t.Fatalf("no workload %s in %v", workload, rows)
	return nil
}

// upstream is the row of SHOW UPSTREAMS.
func upstream(t *testing.T, p *pgtest.Pooler) map[string]string {
	t.Helper()
	rows, err := pgtest.Console(p, "SHOW UPSTREAMS")
	if err != nil || len(rows) != 1 {
		t.Fatalf("SHOW UPSTREAMS: %v, %v", rows, err)
	}
	return rows[0]
}

// eventually polls for what another process does.
func eventually(t *testing.T, what string, within time.Duration, is func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			t.Fatalf("%s: not within %v", what, within)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}
