package contain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/pgtest"
)

// limit bounds one step of any client.
const limit = 3 * time.Minute

const workloads = `
workloads:
  api:     {match: {user: api}, class: critical, share: 30, limit: 60}
  batch:   {match: {user: worker}, class: batch, share: 210, limit: 230}
  default: {class: normal, share: 10, limit: 40}
operators: [oncall]
`

func server(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "350"}})
	s.Exec(t, "CREATE ROLE api LOGIN; CREATE ROLE worker LOGIN; CREATE ROLE other LOGIN; CREATE ROLE oncall LOGIN")
	s.Exec(t, "CREATE TABLE item (id int PRIMARY KEY, n int DEFAULT 0); INSERT INTO item SELECT generate_series(1, 1000); GRANT ALL ON item TO PUBLIC")
	return s
}

func serve(t *testing.T, s *pgtest.Server, overlay string) *pgtest.Pooler {
	t.Helper()
	users := map[string]string{"postgres": "", "api": "", "worker": "", "other": "", "oncall": ""}
	return pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"),
		pgtest.PoolerConfig{Server: s, PoolSize: 300, Users: users, Overlay: []byte(overlay)})
}

func login(user, application string) pgtest.Login {
	return pgtest.Login{User: user, Params: map[string]string{"application_name": application, "default_query_exec_mode": "simple_protocol"}}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	return pgtest.Connect(t, url)
}

// ask runs a statement within the limit.
func ask(t *testing.T, c *pgx.Conn, sql string) error {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	_, err := c.Exec(ctx, sql)
	return err
}

func must(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	if err := ask(t, c, sql); err != nil {
		t.Fatalf("%s: %s", sql, text(err))
	}
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
	return fmt.Sprint(err)
}

// wantError wants the SQLSTATE with all of the words.
func wantError(t *testing.T, err error, sqlstate string, words ...string) {
	t.Helper()
	if code(err) != sqlstate {
		t.Fatalf("got %s, want SQLSTATE %s", text(err), sqlstate)
	}
	for _, word := range words {
		if !strings.Contains(text(err), word) {
			t.Errorf("the client was told %q, which does not say %q", text(err), word)
		}
	}
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

// command runs the built binary against the node and returns what it printed.
func command(t *testing.T, p *pgtest.Pooler, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(t.Context(), 10*time.Minute)
	defer end()
	cmd := exec.CommandContext(ctx, binary, append([]string{args[0], "--socket", socket(p)}, args[1:]...)...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

func socket(p *pgtest.Pooler) string { return filepath.Join(p.Dir, "state", "admin.sock") }

// action is what the tests read of an action's JSON.
type action struct {
	ID       string
	State    string
	Who      string
	Targets  int
	Guarded  int
	Error    string
	Output   string
	Notes    []string
	Observed map[string]any
	Until    time.Time
	Hits     []struct {
		PID         int
		User        string
		Application string
		SQL         string
		Outcome     string
	}
}

func (a *action) outcomes() map[string]int {
	counts := map[string]int{}
	for _, h := range a.Hits {
		counts[h.Outcome]++
	}
	return counts
}

// order runs a containment command that must work.
func order(t *testing.T, p *pgtest.Pooler, args ...string) action {
	t.Helper()
	stdout, stderr, err := command(t, p, append(args, "-o", "json")...)
	if err != nil {
		t.Fatalf("spillway %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	var a action
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatalf("spillway %s: %v\n%s", strings.Join(args, " "), err, stdout)
	}
	return a
}

// refused runs a command that must fail and say the word.
func refused(t *testing.T, p *pgtest.Pooler, word string, args ...string) {
	t.Helper()
	stdout, stderr, err := command(t, p, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stderr, word) {
		t.Errorf("spillway %s: %v, want exit code 1 and %q\n%s%s", strings.Join(args, " "), err, word, stdout, stderr)
	}
}

// held is a statement that runs until it is let go.
func held(t *testing.T, s *pgtest.Server) (sql string, letGo func()) {
	t.Helper()
	lock := connect(t, s.URL(pgtest.Login{Params: map[string]string{"application_name": "lock"}}))
	must(t, lock, "SELECT pg_advisory_lock(4711)")
	return "SELECT pg_advisory_xact_lock(4711)", func() { must(t, lock, "SELECT pg_advisory_unlock(4711)") }
}

// backends counts what the condition selects of pg_stat_activity.
func backends(t *testing.T, s *pgtest.Server, where string) string {
	t.Helper()
	return s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "+where)
}
