package record

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// TestLeakIsOneIncident is report 001: a worker opens a transaction per item and
// ends none.
func TestLeakIsOneIncident(t *testing.T) {
	t.Parallel()
	p := serve(t, server(t))
	var open []*pgx.Conn
	for range 12 {
		c := connect(t, p, "worker", "celery-sync")
		exec(t, c, "BEGIN")
		exec(t, c, "SELECT n FROM item WHERE id = 7")
		open = append(open, c)
	}
	i := one(t, p, "open", limit)
	if !strings.Contains(i.Title, "celery-sync") {
		t.Errorf("incident is %+v", i)
	}
	for _, c := range open {
		c.Close(context.Background())
	}
	one(t, p, "restored", limit)
}

// TestBlockedTableIsOneIncident: a migration holds a table. The incident is
// taken, noted, closed by itself, resolved for a reason, and reported.
func TestBlockedTableIsOneIncident(t *testing.T) {
	t.Parallel()
	p := serve(t, server(t))
	blocker := connect(t, p, "worker", "celery-migrate")
	exec(t, blocker, "BEGIN")
	exec(t, blocker, "LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
	var waiting sync.WaitGroup
	for range 6 {
		c := connect(t, p, "api", "web")
		waiting.Go(func() {
			if _, err := c.Exec(context.Background(), "UPDATE item SET n = n + 1 WHERE id = 9"); err != nil {
				t.Error(err)
			}
		})
	}
	i := one(t, p, "open", limit)
	must(t, p, "incident", "ack", i.ID, "--by", "alice")
	must(t, p, "incident", "note", "last", "the migration was started by hand", "--clock", "cause-known", "--by", "alice")
	must(t, p, "incident", "commander", "last", "bob")
	if out, err := command(t, p, "incident", "resolve", "last"); err == nil || !strings.Contains(out, "smoke checks fail: nothing") {
		t.Errorf("resolved although its smoke check fails: %s", out)
	}
	// The verdict comes on its timeline by itself.
	eventually(t, "the verdict is on the timeline", func() bool { return strings.Contains(must(t, p, "incident", "show", "last"), "verdict: ") })
	eventually(t, "its impact is measured", func() bool {
		text := must(t, p, "incident", "report", "last", "--out", "-")
		return strings.Contains(text, "transactions valid (A)") && strings.Contains(text, "-queue.svg)")
	})
	exec(t, blocker, "COMMIT")
	waiting.Wait()
	one(t, p, "restored", limit)
	must(t, p, "incident", "resolve", "last", "--reason", "nothing listens there in this test")
	must(t, p, "incident", "item", "last", "set lock_timeout for migrations", "--owner", "carol", "--due", "2026-12-01", "--type", "prevent")
	if out := must(t, p, "incident", "items"); !strings.Contains(out, "carol") {
		t.Errorf("items are\n%s", out)
	}
	reported(t, p, i.ID)
	if out := must(t, p, "incident", "verify"); !strings.Contains(out, "the chain holds") {
		t.Error(out)
	}
}

// reported writes the report and looks for what must be in it.
func reported(t *testing.T, p *pgtest.Pooler, id string) {
	t.Helper()
	folder := t.TempDir()
	out := must(t, p, "incident", "report", id, "--out", folder)
	text, err := os.ReadFile(filepath.Join(folder, "incident-"+id+".md"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if charts, _ := filepath.Glob(filepath.Join(folder, "*.svg")); len(charts) != 4 {
		t.Errorf("charts are %v", charts)
	}
	for _, want := range []string{"celery-migrate", "alice (uid", "| alice", "bob is the commander", "TTR", "revenue lost (E)", "carol", "the migration was started by hand", "## Timeline (A)"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
}

// TestFailingLoginIsOneIncident: the secret Spillway has for one user is wrong.
func TestFailingLoginIsOneIncident(t *testing.T) {
	t.Parallel()
	s := server(t)
	p := serve(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() {
		for ctx.Err() == nil {
			if c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "broken", Password: "wrong"})); err == nil {
				_, _ = c.Exec(ctx, "SELECT 1")
				c.Close(context.Background())
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	i := one(t, p, "open", limit)
	if !strings.Contains(i.Title, "broken") {
		t.Errorf("incident is %+v", i)
	}
	stop()
	clients.Wait()
	s.Exec(t, "ALTER ROLE broken PASSWORD 'wrong'")
	eventually(t, "the login works again", func() bool {
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
	if again := one(t, p, "restored", limit); again.ID != i.ID {
		t.Errorf("incident %s is %s now", i.ID, again.ID)
	}
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}
