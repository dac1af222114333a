package watch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"spillway/internal/pgtest"
)

// TestBlockedTable: a migration holds a table, the API's statements wait. The
// incident is taken, noted, closed by itself, resolved for a reason, and reported.
func TestBlockedTable(t *testing.T) {
	t.Parallel()
	p := serve(t, guarded(t), "")
	healthy(t, p)
	release := blockTable(t, p, p)
	v := named(t, p, "blocking/main/data-sync/celery-migrate", limit,
		"blocking: celery-migrate (workload data-sync, owner @data)", "idle in transaction", "others wait", "lock table item")
	if !strings.Contains(strings.Join(v.Findings[0].Evidence, " "), "update item set n = n + ?") {
		t.Errorf("evidence %q", v.Findings[0].Evidence)
	}
	i := one(t, p, "open")
	must(t, p, "incident", "ack", i.ID, "--by", "alice")
	must(t, p, "incident", "note", "last", "the migration was started by hand", "--clock", "cause-known", "--by", "alice")
	must(t, p, "incident", "commander", "last", "bob")
	if out, code := command(t, p, "incident", "resolve", "last"); code != 1 || !strings.Contains(out, "smoke checks fail: nothing") {
		t.Errorf("resolved although its smoke check fails: %s", out)
	}
	// The verdict comes on its timeline by itself.
	eventually(t, "the verdict is on the timeline", limit, func() bool { return strings.Contains(must(t, p, "incident", "show", "last"), "verdict: ") })
	eventually(t, "its impact is measured", limit, func() bool {
		text := must(t, p, "incident", "report", "last", "--out", "-")
		return strings.Contains(text, "transactions valid (A)") && strings.Contains(text, "-queue.svg)")
	})
	release()
	closed(t, p, "celery-migrate")
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

// blockTable lets a migration through one node hold the table for six statements
// through another; release ends it and waits for them.
func blockTable(t *testing.T, by, waits *pgtest.Pooler) (release func()) {
	t.Helper()
	blocker := connect(t, by, "worker", "celery-migrate")
	exec(t, blocker, "BEGIN")
	exec(t, blocker, "LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
	var waiting sync.WaitGroup
	for range 6 {
		c := connect(t, waits, "api", "web")
		waiting.Go(func() {
			if _, err := c.Exec(context.Background(), "UPDATE item SET n = n + 1 WHERE id = 9"); err != nil {
				t.Error(err)
			}
		})
	}
	return func() {
		exec(t, blocker, "COMMIT")
		waiting.Wait()
	}
}
