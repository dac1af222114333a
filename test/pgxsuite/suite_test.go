package pgxsuite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// suiteLimit bounds one run of the suite.
const suiteLimit = 5 * time.Minute

// part is the packages and tests that run.
type part struct{ packages, run, skip string }

// chosen is the whole suite, or the part of it that suits every day: all of
// pgconn (the protocol itself, pipelines, COPY, cancel) and of pgx what needs no
// long table of types.
func chosen() part {
	if os.Getenv("SPILLWAY_PGX") == "all" {
		return part{packages: ". ./pgconn ./pgxpool ./stdlib", run: "."}
	}
	return part{packages: ". ./pgconn", skip: "Stress|Timeout|Concurren|Large|Fuzz|Cancel.*Sleep",
		run: "TestConn|TestPipeline|TestExec|TestPrepare|TestQuery|TestBatch|TestSendBatch|TestCopy|TestTransaction|TestTx|TestBegin|TestListen|TestStatement|TestCancel|TestFatal|TestCommandTag"}
}

// results are the outcomes of one run: pass, fail or skip by package and test.
type results map[string]string

func (r results) count(outcome string) int {
	n := 0
	for _, o := range r {
		if o == outcome {
			n++
		}
	}
	return n
}

// failed are the tests that failed, those that merely hold a failed subtest left out.
func (r results) failed() []string {
	var list []string
	for name, outcome := range r {
		if outcome != "fail" {
			continue
		}
		inner := false
		for other, o := range r {
			inner = inner || o == "fail" && strings.HasPrefix(other, name+"/")
		}
		if !inner {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// module copies pgx's module to a folder that can be written to.
func module(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5").Output()
	if err != nil {
		t.Fatalf("find pgx's module: %v", err)
	}
	from, to := strings.TrimSpace(string(out)), t.TempDir()
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o644)
	})
	if err != nil {
		t.Fatalf("copy pgx's module: %v", err)
	}
	return to
}

// server is a PostgreSQL as the suite's own setup wants it.
func server(t *testing.T, dir string) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "200"}})
	s.Exec(t, "CREATE DATABASE pgx_test")
	setup, err := os.ReadFile(filepath.Join(dir, "testsetup", "postgresql_setup.sql"))
	if err != nil {
		t.Fatal(err)
	}
	conn := pgtest.Connect(t, s.URL(pgtest.Login{Database: "pgx_test"}))
	for statement := range strings.SplitSeq(withoutComments(setup), ";\n") {
		if strings.Contains(statement, `\gexec`) || strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("set up pgx's database: %s: %v", statement, err)
		}
	}
	return s
}

// withoutComments drops comments and what is for psql alone.
func withoutComments(sql []byte) string {
	var b strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(sql))
	skipping := false
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "--"), strings.HasPrefix(line, `\`):
		case strings.HasPrefix(line, "select format"):
			skipping = true
		case skipping:
			skipping = !strings.Contains(line, `\gexec`)
		default:
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// play runs the suite against what stands at host and port.
func play(t *testing.T, dir string, p *pgtest.Pooler, what part) results {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteLimit)
	defer cancel()
	args := []string{"test", "-json", "-count=1", "-p", "1", "-timeout", suiteLimit.String(), "-run", what.run}
	if what.skip != "" {
		args = append(args, "-skip", what.skip)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, strings.Fields(what.packages)...)...)
	cmd.Dir = dir
	target := fmt.Sprintf("host=%s port=%d user=postgres dbname=pgx_test", p.Host, p.Port)
	cmd.Env = append(os.Environ(), "PGX_TEST_DATABASE="+target, "PGX_TEST_TCP_CONN_STRING="+target, "GOFLAGS=-mod=mod")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, _ := cmd.Output() // it fails when a test does; the events tell which
	all, log := results{}, map[string]string{}
	for line := range bytes.Lines(out) {
		var event struct{ Action, Package, Test, Output string }
		if json.Unmarshal(line, &event) != nil || event.Test == "" {
			continue
		}
		name := strings.TrimPrefix(event.Package, "github.com/jackc/pgx/v5") + "." + event.Test
		switch event.Action {
		case "pass", "fail", "skip":
			all[name] = event.Action
		case "output":
			log[name] += event.Output
		}
	}
	if len(all) == 0 {
		t.Fatalf("pgx's suite did not run: %s\n%s", problems.String(), out)
	}
	t.Logf("%s: %d passed, %d failed, %d skipped", p.Kind, all.count("pass"), all.count("fail"), all.count("skip"))
	for _, name := range all.failed() {
		t.Logf("%s: failed %s\n%s", p.Kind, name, log[name])
	}
	return all
}

func TestSessionModeIsLikeADirectConnection(t *testing.T) {
	dir, what := module(t), chosen()
	s := server(t, dir)
	o := pgtest.PoolerConfig{Server: s, PoolSize: 100, Users: map[string]string{"postgres": ""}}
	direct := play(t, dir, pgtest.Serve(t, pgtest.Direct, o), what)
	through := play(t, dir, pgtest.Serve(t, pgtest.SpillwayKind("", "session"), o), what)
	for _, name := range through.failed() {
		if direct[name] == "pass" {
			t.Errorf("%s passes directly and fails through Spillway in session mode", name)
		}
	}
}

// TestTransactionMode: nothing fails but what cannot hold where a server is
// shared; and of the whole suite, fewer tests than through PgBouncer.
func TestTransactionMode(t *testing.T) {
	dir, what := module(t), chosen()
	s := server(t, dir)
	o := pgtest.PoolerConfig{Server: s, PoolSize: 100, Users: map[string]string{"postgres": ""}}
	ours := play(t, dir, pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), o), what)
	for _, name := range ours.failed() {
		if reason := sharedServer(name); reason != "" {
			t.Logf("%s fails: %s", name, reason)
			continue
		}
		t.Errorf("%s fails through Spillway in transaction mode", name)
	}
	if os.Getenv("SPILLWAY_PGX") != "all" {
		return // PgBouncer leaves some tests waiting for minutes
	}
	theirs := play(t, dir, pgtest.Serve(t, pgtest.PgBouncerTransaction, o), what)
	if len(ours.failed()) > len(theirs.failed()) {
		t.Errorf("%d tests fail through Spillway, %d through PgBouncer", len(ours.failed()), len(theirs.failed()))
	}
}

// sharedServer says why a test cannot pass where clients share servers; "" for
// one that must. docs/compatibility.md has the same list.
func sharedServer(name string) string {
	for reason, names := range map[string][]string{
		"it kills the server process that pg_backend_pid() names, and expects its own connection to die with it; here the client is kept": {
			".TestFatalRxError", ".TestFatalTxError", "/pgconn.TestConnCheckConn", "/pgconn.TestConnPing",
			"/pgxpool.TestPoolAcquireChecksIdleConns", "/stdlib.TestCheckIdleConn"},
		"it counts on 0A000 \"cached plan must not change result type\" to drop its own cache; here the statement is prepared again instead": {
			".TestStmtCacheInvalidation"},
		"it looks into pg_prepared_statements, where the shared server has names of ours": {
			"/stdlib.TestConnMultiplePrepareAndDeallocate", ".TestPrepareHandlesTimeoutBetweenParseAndDescribe",
			".TestPrepareWithDigestedNameHandlesTimeoutBetweenParseAndDescribe"},
		"it expects the short cancel key of a server before 18 under protocol 3.2; ours is 32 bytes whatever the server": {
			"/pgconn.TestConnectProtocolVersion32"},
	} {
		for _, prefix := range names {
			if strings.HasPrefix(name, prefix) {
				return reason
			}
		}
	}
	return ""
}
