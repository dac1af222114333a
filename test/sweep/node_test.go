package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

const doomed = "expires_at < now()"

func seed(t *testing.T, s *pgtest.Server, rows int) {
	t.Helper()
	s.Exec(t, fmt.Sprintf(`DROP TABLE IF EXISTS sessions;
		CREATE TABLE sessions (id bigint PRIMARY KEY, expires_at timestamptz NOT NULL, token text);
		INSERT INTO sessions SELECT i, now() + CASE WHEN i %% 25 = 0 THEN interval '1 day' ELSE - interval '1 min' END, md5(i::text) FROM generate_series(1, %d) i;
		CREATE INDEX ON sessions (expires_at); ANALYZE sessions`, rows))
}

// rig is PostgreSQL with a Spillway before it.
type rig struct {
	*testing.T
	server *pgtest.Server
	pooler *pgtest.Pooler
	binary string
	socket string
}

func newRig(t *testing.T, set map[string]any) *rig {
	t.Helper()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t, pgtest.Options{})
	pooler := pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, Users: map[string]string{"postgres": ""}, Set: set})
	return &rig{t, s, pooler, binary, filepath.Join(pooler.Dir, "state", "admin.sock")}
}

// run runs a sweep command against the node and returns what it printed.
func (r *rig) run(args ...string) (stdout, stderr string, err error) {
	r.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.Command(r.binary, append(append([]string{"sweep"}, args...), "--socket", r.socket)...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

func (r *rig) must(args ...string) string {
	r.Helper()
	out, complaints, err := r.run(args...)
	if err != nil {
		r.Fatalf("sweep %v: %v\n%s%s", args, err, out, complaints)
	}
	return out
}

// sweep is what list -o json says of one.
type sweep struct {
	ID                          int64
	Server, Phase, Holder, Name string
	Alive                       bool
	Deleted                     int64
	Reason                      string
}

func (r *rig) list() []sweep {
	r.Helper()
	var list struct{ Items []sweep }
	if err := json.Unmarshal([]byte(r.must("list", "-o", "json")), &list); err != nil {
		r.Fatal(err)
	}
	return list.Items
}

func (r *rig) until(what string, is func(sweep) bool) sweep {
	r.Helper()
	var last []sweep
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last = r.list(); len(last) > 0 && is(last[0]) {
			return last[0]
		}
	}
	r.Fatalf("%s: not within 3 min: %+v", what, last)
	return sweep{}
}

// TestNode: plan, run, pause, resume and list through a running node, and a
// restart in between, after which the sweep goes on by itself.
func TestNode(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	seed(t, r.server, 60_000)
	plan := r.must("plan", "sessions", "--where", doomed)
	if !strings.Contains(plan, "* tid") || !strings.Contains(plan, "doomed: 57.6k rows, 96.0 %") {
		t.Errorf("plan:\n%s", plan)
	}
	if out, complaints, err := r.run("run", "nothing", "--where", doomed, "--yes"); err == nil || !strings.Contains(complaints, "there is no table nothing") {
		t.Errorf("no such table: %s%s%v", out, complaints, err)
	}
	if _, complaints, err := r.run("run", "sessions", "--where", doomed); err == nil || !strings.Contains(complaints, "give --yes") {
		t.Errorf("nobody to ask: %s%v", complaints, err)
	}
	if dry := r.must("run", "sessions", "--where", doomed, "--dry-run"); !strings.Contains(dry, "chosen: tid") {
		t.Errorf("dry run:\n%s", dry)
	}
	if n := r.server.Value(t, "SELECT count(*) || '/' || (to_regnamespace('spillway') IS NULL) FROM sessions"); n != "60000/true" {
		t.Fatalf("planning changed something: %s", n)
	}
	r.must("run", "sessions", "--where", doomed, "--yes", "--detach", "--rate", "6000")
	r.until("rows go", func(s sweep) bool { return s.Deleted > 0 && s.Alive })
	r.metrics("spillway_sweep_deleted_rows_total")
	r.must("pause", "sessions")
	paused := r.until("paused", func(s sweep) bool { return s.Phase == "paused" })
	r.must("resume", fmt.Sprint(paused.ID), "--detach")
	r.until("goes on", func(s sweep) bool { return s.Deleted > paused.Deleted })
	// The node dies; the one that comes after it takes the sweep up.
	if err := r.pooler.Kill9(); err != nil {
		t.Fatal(err)
	}
	again := r.relaunch()
	t.Cleanup(func() {
		if err := again.CloseSpillway(); err != nil {
			t.Error(err)
		}
	})
	r.pooler = &pgtest.Pooler{Kind: r.pooler.Kind, Host: r.pooler.Host, Port: r.pooler.Port, Admin: r.pooler.Admin, Proxy: again}
	end := r.until("done", func(s sweep) bool { return s.Phase == "done" })
	if end.Deleted != 57_600 || end.Holder == paused.Holder {
		t.Errorf("%+v", end)
	}
	if left := r.server.Value(t, "SELECT count(*) || '/' || min(id % 25) || max(id % 25) FROM sessions"); left != "2400/00" {
		t.Errorf("left: %s", left)
	}
	if out, complaints, err := r.run("pause", "sessions"); err == nil || !strings.Contains(complaints, "no such sweep") {
		t.Errorf("pause of nothing: %s%s", out, complaints)
	}
}

// TestOtherNode: a sweep that one node runs is paused and resumed from another.
func TestOtherNode(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	seed(t, r.server, 60_000)
	pooler := pgtest.Serve(t, r.pooler.Kind, pgtest.PoolerConfig{Server: r.server, Users: map[string]string{"postgres": ""}})
	other := &rig{t, r.server, pooler, r.binary, filepath.Join(pooler.Dir, "state", "admin.sock")}
	r.must("run", "sessions", "--where", doomed, "--yes", "--detach", "--rate", "10000")
	begun := other.until("rows go", func(s sweep) bool { return s.Deleted > 0 && s.Alive })
	if _, complaints, err := other.run("run", "sessions", "--where", doomed, "--yes"); err == nil || !strings.Contains(complaints, "is running") {
		t.Errorf("a second sweep from another node: %s%v", complaints, err)
	}
	other.must("pause", "public.sessions")
	paused := r.until("paused", func(s sweep) bool { return s.Phase == "paused" })
	other.must("resume", "sessions", "--detach")
	if there := r.until("goes on", func(s sweep) bool { return s.Deleted > paused.Deleted }); there.Holder == begun.Holder {
		t.Errorf("it goes on at %s", there.Holder)
	}
	if end := r.until("done", func(s sweep) bool { return s.Phase == "done" }); end.Deleted != 57_600 {
		t.Errorf("%+v", end)
	}
}

// TestRefusedCommand: one line that says what is wrong, exit code 1, and nothing
// changed, over the node and without it.
func TestRefusedCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	seed(t, r.server, 1000)
	r.server.Exec(t, `CREATE VIEW seen AS SELECT * FROM sessions; CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (parent int REFERENCES parent ON DELETE CASCADE);
		CREATE ROLE guest LOGIN; CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing; CREATE FOREIGN TABLE far (id int) SERVER elsewhere`)
	relations := func() string {
		return r.server.Value(t, "SELECT (SELECT count(*) FROM sessions) || '/' || (SELECT count(*) FROM pg_class)")
	}
	before := relations()
	tests := []struct{ user, table, where, want string }{
		{"", "nothing", doomed, "there is no table nothing"}, {"", "sessions", "expires_at <", "does not take the condition"},
		{"", "sessions", "random() < 0.5", "VOLATILE"}, {"", "seen", doomed, "is a view"}, {"", "far", "true", "is a foreign table"},
		{"", "parent", "true", "CREATE INDEX CONCURRENTLY"}, {"guest", "sessions", doomed, "GRANT SELECT, DELETE"},
	}
	for _, test := range tests {
		out, complaints, err := r.run("run", test.table, "--where", test.where, "--yes", "--url", r.server.URL(pgtest.Login{User: test.user}))
		ways := []string{complaints}
		if test.user == "" {
			_, complaints, failed := r.run("run", test.table, "--where", test.where, "--yes")
			ways = append(ways, complaints)
			err = errors.Join(err, failed)
		}
		for _, complaints := range ways {
			if !strings.Contains(complaints, test.want) || strings.Count(strings.TrimSpace(complaints), "\n") > 1 || out != "" {
				t.Errorf("%s where %s: %q, want %q", test.table, test.where, complaints, test.want)
			}
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s where %s: %v", test.table, test.where, err)
		}
	}
	if after := relations(); after != before {
		t.Errorf("rows/relations %s, %s before", after, before)
	}
}

// relaunch starts the node that was killed again. The kernel may still be busy
// closing what the killed one had open.
func (r *rig) relaunch() *pgtest.Proxy {
	r.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var again *pgtest.Proxy
		again, err = pgtest.LaunchSpillway(r.config(), pgtest.SpillwayOptions{Listen: r.pooler.Addr(), Admin: r.pooler.Admin, Files: map[string]string{"userlist.txt": "\"postgres\" \"\"\n"}})
		if err == nil {
			return again
		}
	}
	r.Fatal(err)
	return nil
}

// config is the config of the running node; {dir} is filled in already.
func (r *rig) config() string {
	r.Helper()
	text, err := os.ReadFile(r.pooler.Config)
	if err != nil {
		r.Fatal(err)
	}
	return string(text)
}

func (r *rig) metrics(name string) {
	r.Helper()
	resp, err := http.Get("http://" + r.pooler.Admin + "/metrics")
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), name) {
		r.Errorf("metrics lack %s: %v", name, err)
	}
}

// TestByName: a sweep of the config runs when somebody asks, with the options
// given there.
func TestByName(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"sweeps": map[string]any{"old-sessions": map[string]any{"table": "public.sessions", "where": doomed, "strategy": "pk", "schedule": "0 0 1 1 *"}}})
	seed(t, r.server, 20_000)
	out := r.must("run", "--name", "old-sessions", "--yes")
	if !strings.Contains(out, "done: 19200 rows deleted") {
		t.Errorf("run: %s", out)
	}
	if s := r.list()[0]; s.Name != "old-sessions" {
		t.Errorf("%+v", s)
	}
}

// TestInterrupted: Ctrl-C pauses a sweep without a node, and it can be resumed.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 30_000)
	var out, progress bytes.Buffer
	cmd := exec.Command(binary, "sweep", "run", "sessions", "--where", doomed, "--yes", "--rate", "5000", "--url", s.URL(pgtest.Login{}))
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if rows, err := s.Query("SELECT 1 FROM spillway.sweep WHERE deleted > 0"); err == nil && len(rows) == 1 {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "paused") || !strings.Contains(out.String(), "spillway sweep resume 1") {
		t.Errorf("%v: %s%s", err, &out, &progress)
	}
	more, err := exec.Command(binary, "sweep", "resume", "1", "--url", s.URL(pgtest.Login{})).Output()
	if err != nil || !strings.Contains(string(more), "done: 28800 rows deleted") {
		t.Errorf("%v: %s", err, more)
	}
}
