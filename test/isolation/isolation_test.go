package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

const (
	poolSize = 4
	atOnce   = 24 // clients, far more than servers
)

var users = []string{"alice", "bob"}

// duration is that of the suite; each kind of pooler gets its part.
func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SPILLWAY_ISOLATION")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SPILLWAY_ISOLATION: %v", err)
	}
	return d
}

func TestNobodySeesAnothersState(t *testing.T) {
	kinds := pgtest.Kinds(t, "session", "transaction")
	several := pgtest.Kinds(t, "transaction")
	each := duration(t) / time.Duration(len(kinds)+len(several))
	for _, k := range kinds {
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) { isolate(t, k, 1, each) })
	}
	// With several loops servers move between them, which drivers take part in.
	for _, k := range several {
		t.Run(strings.ReplaceAll(k.String(), "/", " ")+" three loops", func(t *testing.T) { isolate(t, k, 3, each) })
	}
}

func isolate(t *testing.T, k pgtest.Kind, loops int, each time.Duration) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "80", "TimeZone": "UTC"}})
	prepareServer(t, s)
	p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, PoolSize: poolSize, Users: map[string]string{"postgres": "", "alice": "", "bob": ""},
		Set: map[string]any{"loops": loops}})
	seed := rand.Uint64()
	t.Logf("seed %d, %v", seed, each)
	books := crowd(t, p, seed, each)
	t.Logf("%d lives, %d rows committed", books.lives.Load(), len(books.kept))
	audit(t, s, p, books)
}

func prepareServer(t *testing.T, s *pgtest.Server) {
	t.Helper()
	s.Exec(t, "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE role_a; CREATE ROLE role_b; GRANT role_a, role_b TO alice, bob")
	s.Exec(t, "CREATE DATABASE iso")
	_, err := s.QueryIn("iso", "CREATE TABLE ledger (row int); GRANT ALL ON ledger TO PUBLIC; GRANT TEMP ON DATABASE iso TO PUBLIC; GRANT ALL ON SCHEMA public TO PUBLIC")
	if err != nil {
		t.Fatal(err)
	}
}

// ledger is what the clients say they have committed.
type ledger struct {
	mu          sync.Mutex
	kept, maybe []int // guarded by mu
	lives       atomic.Int64
}

// crowd keeps clients living and dying until the time is over or one fails.
func crowd(t *testing.T, p *pgtest.Pooler, seed uint64, each time.Duration) *ledger {
	t.Helper()
	books := &ledger{}
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	end := time.Now().Add(each)
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				if err := books.live(ctx, p, seed); err != nil && ctx.Err() == nil {
					stop(fmt.Errorf("slot %d: %w", i, err))
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		t.Error(err)
	}
	return books
}

// live is one client from login to death.
func (l *ledger) live(ctx context.Context, p *pgtest.Pooler, seed uint64) error {
	number := int(l.lives.Add(1))
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	c, err := open(ctx, p, users[number%len(users)], number, r)
	if err != nil {
		return err
	}
	err = c.run(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept, l.maybe = append(l.kept, c.kept...), append(l.maybe, c.maybe...)
	return err
}

// audit balances the books when everyone has gone.
func audit(t *testing.T, s *pgtest.Server, p *pgtest.Pooler, books *ledger) {
	t.Helper()
	waitQuiet(t, s)
	rows, err := s.QueryIn("iso", "SELECT row FROM ledger")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, r := range rows {
		n, err := strconv.Atoi(r[0])
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, n)
	}
	compareRows(t, found, books)
	compareServers(t, s, p)
	useEveryServer(t, p)
}

// waitQuiet waits until no server is in a transaction or holds a lock: what
// the dead left is cleared within seconds.
func waitQuiet(t *testing.T, s *pgtest.Server) {
	t.Helper()
	const busy = `SELECT pid, usename, state, left(query, 60), (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory') AS locks
		FROM pg_stat_activity a WHERE datname = 'iso' AND pid <> pg_backend_pid()
		AND (state <> 'idle' OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory'))`
	deadline := time.Now().Add(patience)
	for {
		rows := s.Exec(t, busy)
		if len(rows) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v after the last client went, servers are still busy: %v", patience, rows)
		}
		time.Sleep(50 * time.Millisecond) // another process's state: there is no event to wait for
	}
}

// compareRows finds rows that were never committed, and commits that are gone.
func compareRows(t *testing.T, found []int, books *ledger) {
	t.Helper()
	left := slices.Clone(found)
	for _, row := range books.kept {
		i := slices.Index(left, row)
		if i < 0 {
			t.Errorf("row %d was committed and is not there", row)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, row := range left {
		if !slices.Contains(books.maybe, row) {
			t.Errorf("row %d is there and nobody committed it", row)
		}
	}
}

// compareServers asks the console and PostgreSQL for the number of servers.
func compareServers(t *testing.T, s *pgtest.Server, p *pgtest.Pooler) {
	t.Helper()
	if p.Proxy == nil {
		return
	}
	// Both move while servers are closed or probed: they must agree at some moment.
	deadline := time.Now().Add(patience)
	for {
		console, err := consoleServers(p)
		if err != nil {
			t.Error(err)
			return
		}
		real := s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'iso' AND backend_type = 'client backend' AND pid <> pg_backend_pid()")
		if strconv.Itoa(console) == real {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the pooler counts %d servers, PostgreSQL %s", console, real)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// useEveryServer opens as many transactions at once as the pool has servers:
// a lost one would leave the last waiting.
func useEveryServer(t *testing.T, p *pgtest.Pooler) {
	t.Helper()
	for _, user := range users {
		for i := range poolSize {
			conn := pgtest.Connect(t, p.URL(pgtest.Login{User: user, Database: "iso"}))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
				t.Errorf("%s's transaction %d of %d at once: %v", user, i+1, poolSize, err)
			}
			cancel()
		}
	}
}

var errNoColumn = errors.New("SHOW SERVERS has no column database")

// consoleServers counts the rows of SHOW SERVERS for our database.
func consoleServers(p *pgtest.Pooler) (int, error) {
	rows, err := pgtest.Console(p, "SHOW SERVERS")
	if err != nil {
		return 0, err
	}
	n := 0
	for _, row := range rows {
		database, ok := row["database"]
		if !ok {
			return 0, errNoColumn
		}
		if database == "iso" {
			n++
		}
	}
	return n, nil
}
