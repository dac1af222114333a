package contain

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

const runbook = workloads + `
runbook:
  show:  {command: [printenv, SPILLWAY_REASON], timeout: 2m}
  words: {command: [printf, "%s|", "$HOME; id", "*", "a b"], dry_run: [echo, would print], timeout: 2m}
  hang:  {command: [sh, -c, "sleep 60047 & echo begun; wait"], timeout: 5s}
  fails: {command: [ls, /nowhere/at/all], timeout: 2m}
  flood: {command: [head, -c, "1000000", /dev/zero], timeout: 2m}
  gone:  {command: [/nowhere/at/all], timeout: 2m}
  ours:  {command: [printenv], timeout: 2m, role: admin}
`

// TestRunbook: no shell, a timeout that ends all that it started, a dry run,
// bounded output that is recorded.
func TestRunbook(t *testing.T) {
	s := server(t)
	t.Setenv("SPILLWAY_SECRET_OF_OURS", "hunter2")
	p := serve(t, s, runbook)
	if a := order(t, p, "run", "show", "--reason", "$(id) `id`"); strings.TrimSpace(a.Output) != "$(id) `id`" {
		t.Errorf("got %q", a.Output)
	}
	if a := order(t, p, "run", "words"); a.Output != "$HOME; id|*|a b|" || a.State != "done" {
		t.Errorf("a shell read %q", a.Output)
	}
	if a := order(t, p, "run", "words", "--dry-run"); a.Output != "would print\n" || a.State != "preview" {
		t.Errorf("the dry run is %+v", a)
	}
	if a := order(t, p, "run", "show", "--dry-run"); a.Output != "" || !strings.Contains(strings.Join(a.Notes, ""), "runs printenv SPILLWAY_REASON") {
		t.Errorf("the dry run is %+v", a)
	}
	if a := order(t, p, "run", "ours"); strings.Contains(a.Output, "hunter2") || !strings.Contains(a.Output, "SPILLWAY_WHO=uid") {
		t.Errorf("its environment is %s", a.Output)
	}
	if a := order(t, p, "run", "flood"); len(a.Output) > 70_000 || !strings.Contains(a.Output, "bytes more") {
		t.Errorf("its output is %d bytes", len(a.Output))
	}
	began := time.Now()
	out, _, err := command(t, p, "run", "hang", "--reason", "to see it end")
	if err == nil || !strings.Contains(out, "ended after 5s") || !strings.Contains(out, "begun") {
		t.Errorf("a command that hangs: %v\n%s", err, out)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it was ended after %v", took)
	}
	eventually(t, "what it had started ends", limit, func() bool { return sleeping(t) == "" })
	for _, name := range []string{"fails", "gone"} {
		if out, _, err := command(t, p, "run", name); err == nil || !strings.Contains(out, "error: ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	list, _, err := command(t, p, "actions")
	if err != nil || !strings.Contains(list, "failed") || !strings.Contains(list, "to see it end") {
		t.Errorf("spillway actions: %v\n%s", err, list)
	}
}

// sleeping is the process of the runbook's that should have ended, "" for none.
func sleeping(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		if text, err := os.ReadFile(file); err == nil && string(text) == "sleep\x0060047\x00" {
			return file
		}
	}
	return ""
}

// TestRestart: what stands outlives the process, from the first client on.
func TestRestart(t *testing.T) {
	s := server(t)
	state := t.TempDir()
	overlay := workloads + "data_dir: " + state + "\n"
	first := serve(t, s, overlay)
	a := orderAt(t, filepath.Join(state, "admin.sock"), "pause", "batch", "--for", "10m", "--reason", "held")
	if err := first.Kill9(); err != nil {
		t.Fatal(err)
	}
	second := serve(t, s, overlay)
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	_, err := pgx.Connect(ctx, second.URL(login("worker", "job"))) // its first client needs a server to log in
	wantError(t, err, "53300", "held")
	orderAt(t, filepath.Join(state, "admin.sock"), "undo", a.ID)
	must(t, connect(t, second.URL(login("worker", "job"))), "SELECT 1")
}

// orderAt is order at a socket of its own.
func orderAt(t *testing.T, socket string, args ...string) action {
	t.Helper()
	p := &pgtest.Pooler{Proxy: &pgtest.Proxy{Dir: filepath.Dir(socket)}}
	return order(t, p, append(args, "--socket", socket)...)
}
