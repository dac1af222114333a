package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"spillway/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is PostgreSQL with Spillway before it, whose config holds jobs.
type site struct {
	t      *testing.T
	server *pgtest.Server
	pooler *pgtest.Pooler
}

func serve(t *testing.T, overlay string) *site {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{})
	p := pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, Users: map[string]string{"postgres": ""}, Overlay: []byte(overlay)})
	return &site{t, s, p}
}

// spillway runs the command and returns what it printed and its exit code.
func (s *site) spillway(args ...string) (out, errs string, code int) {
	s.t.Helper()
	path, err := pgtest.SpillwayBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func (s *site) config() string { return s.pooler.Proxy.Config }

// metrics are the node's lines about jobs.
func (s *site) metrics() []string {
	s.t.Helper()
	client := http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://" + s.pooler.Admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "spillway_job") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// wants polls until the metrics hold a line, or hold it no more.
func (s *site) wants(line string, there bool) {
	s.t.Helper()
	var lines []string
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if lines = s.metrics(); slices.Contains(lines, line) == there {
			return
		}
	}
	s.t.Fatalf("want %q %v, got\n%s", line, there, strings.Join(lines, "\n"))
}

type listed struct {
	Items []struct {
		Name     string
		Database string
		Runs     []struct {
			How  string
			Exit int
			Rows *int64
		}
		Facts []struct{ Kind, Text string }
	}
}

func (s *site) list() (l listed) {
	s.t.Helper()
	out, errs, code := s.spillway("jobs", "-c", s.config(), "-o", "json")
	if code != 0 {
		s.t.Fatalf("spillway jobs: %d, %s", code, errs)
	}
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// TestWatched: the node finds a job that never ran and one that fails three
// times in a row, tells when it is over, and counts what ended.
func TestWatched(t *testing.T) {
	t.Parallel()
	s := serve(t, `
jobs:
  never: {every: 1s}
  fails: {every: 1h, deadline: 30s, database: postgres}
`)
	s.wants(`spillway_job_wrong{database="",job="never",kind="late",server="main"} 1`, true)
	for range 3 {
		if _, errs, code := s.spillway("job", "run", "-c", s.config(), "--name", "fails", "--", "sh", "-c", "exit 3"); code != 3 || errs != "" {
			t.Fatalf("exit code %d, %s", code, errs)
		}
	}
	s.wants(`spillway_job_wrong{database="",job="fails",kind="failing",server="main"} 1`, true)
	s.wants(`spillway_job_runs_total{database="",how="failed",job="fails",server="main"} 3`, true)
	if l := s.list(); len(l.Items) != 2 || l.Items[0].Name != "fails" || len(l.Items[0].Runs) != 3 || l.Items[0].Runs[0].Exit != 3 || l.Items[0].Facts[0].Kind != "failing" {
		t.Errorf("got %+v", l)
	}
	table, _, code := s.spillway("jobs", "-c", s.config())
	if code != 0 || !strings.Contains(table, "job fails failed 3 times in a row") || !strings.Contains(table, "job never never ran") {
		t.Errorf("exit code %d, table\n%s", code, table)
	}
	if _, errs, code := s.spillway("job", "run", "-c", s.config(), "--name", "fails", "--", "sh", "-c", "echo 42 >$SPILLWAY_JOB_REPORT"); code != 0 {
		t.Fatalf("exit code %d, %s", code, errs)
	}
	s.wants(`spillway_job_wrong{database="",job="fails",kind="failing",server="main"} 1`, false)
	s.wants(`spillway_job_last_rows{database="",job="fails",server="main"} 42`, true)
	if _, errs, code := s.spillway("job", "forget", "-c", s.config(), "fails"); code != 0 {
		t.Errorf("forget: %d, %s", code, errs)
	}
}

// TestWrong: wrong input is one clear error, and runs nothing.
func TestWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, "jobs: {known: {every: 1h}}\n")
	mark := filepath.Join(t.TempDir(), "ran")
	command := []string{"--", "sh", "-c", ": >" + mark}
	url := s.server.URL(pgtest.Login{})
	closed := "postgres://postgres@127.0.0.1:1/postgres"
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no name":         {[]string{"job", "run"}, 2, "no name given"},
		"a bad name":      {[]string{"job", "run", "--name", "a b"}, 2, "is not 1 to 40 letters"},
		"an overlap":      {[]string{"job", "run", "--name", "a", "--overlap", "both"}, 2, "not skip, queue or replace"},
		"limit alone":     {[]string{"job", "run", "--name", "a", "--limit", "3"}, 2, "--limit goes with --overlap queue"},
		"a bad duration":  {[]string{"job", "run", "--name", "a", "--deadline", "soon"}, 2, "soon"},
		"below 0":         {[]string{"job", "run", "--name", "a", "--deadline", "-1s"}, 2, "below 0"},
		"both places":     {[]string{"job", "run", "--name", "a", "--url", url, "--server", "main"}, 2, "not both"},
		"no config":       {[]string{"job", "run", "--name", "a", "-c", "/no/such/file"}, 1, "or give it with --url"},
		"no such server":  {[]string{"job", "run", "--name", "a", "-c", s.config(), "--server", "other"}, 1, `no server "other"`},
		"a url":           {[]string{"job", "run", "--name", "a", "--url", "postgres://u:secret@/%zz"}, 1, "read url"},
		"nobody there":    {[]string{"job", "run", "--name", "a", "--url", closed, "--patience", "100ms"}, 1, "connect to PostgreSQL"},
		"no database":     {[]string{"job", "run", "--name", "a", "--url", s.server.URL(pgtest.Login{Database: "nope"})}, 1, `"nope" does not exist`},
		"an unknown flag": {[]string{"job", "run", "--nmae", "a"}, 2, "nmae"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs, code := s.spillway(append(test.args, command...)...)
			if code != test.code || !strings.Contains(errs, test.want) || strings.Contains(errs, "secret") {
				t.Errorf("exit code %d, want %d; it said %q, want %q", code, test.code, errs, test.want)
			}
			if n := strings.Count(strings.TrimSpace(errs), "\n"); n > 1 {
				t.Errorf("%d lines: %s", n+1, errs)
			}
		})
	}
	if found, err := filepath.Glob(mark); err != nil || len(found) > 0 {
		t.Errorf("the command ran: %v", err)
	}
}
