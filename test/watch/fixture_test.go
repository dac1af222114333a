package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	osexec "os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// finding and verdict are what the API answers.
type finding struct {
	Key, Detector, Level, Upstream, Workload, Summary, Runbook string
	Evidence                                                   []string
	Since, At                                                  time.Time
}

type verdict struct {
	Level, Sentence string
	Healthy         bool
	Findings        []finding
	RuledOut        []string `json:"ruled_out"`
	Unknown         []string
}

// limit bounds one step of a client, and what another process takes for one.
const limit = 2 * time.Minute

const workloads = `
region: us-east-1
auth: {type: trust}
watch: {clear_after: 3s}
record: {revenue_per_minute: 195.65, slow: 200ms, sev1: 50%, sev2: 5%}
smoke_checks:
  nothing: {url: "tcp://127.0.0.1:1"}
workloads:
  api:       {match: {user: api}, class: critical, share: 20}
  data-sync: {match: {application_name: "celery*"}, class: batch, share: 5, owner: "@data"}
  default:   {class: normal, share: 10}
`

func guarded(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "85"}, HBA: []string{
		"local all broken scram-sha-256", "host all broken all scram-sha-256", "host all all all trust", "local all all trust"}})
	s.Exec(t, "CREATE ROLE api LOGIN; CREATE ROLE worker LOGIN; CREATE ROLE broken LOGIN PASSWORD 'right'")
	s.Exec(t, "CREATE TABLE item (id int PRIMARY KEY, n int DEFAULT 0); INSERT INTO item SELECT generate_series(1, 1000); GRANT ALL ON item TO PUBLIC")
	return s
}

// serve starts a node; overlay goes on from the section workloads.
func serve(t *testing.T, s *pgtest.Server, overlay string) *pgtest.Pooler {
	t.Helper()
	return pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), config(s, overlay))
}

func config(s *pgtest.Server, overlay string) pgtest.PoolerConfig {
	users := map[string]string{"postgres": "", "api": "", "worker": "", "broken": "wrong"}
	return pgtest.PoolerConfig{Server: s, PoolSize: 60, MaxClients: 500, Users: users, Overlay: []byte(workloads + overlay)}
}

func connect(t *testing.T, p *pgtest.Pooler, user, application string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: user, Params: map[string]string{"application_name": application, "default_query_exec_mode": "simple_protocol"}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func exec(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := c.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func get(t *testing.T, p *pgtest.Pooler, path string) []byte {
	t.Helper()
	client := http.Client{Timeout: limit}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://" + p.Admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v: %s", path, answer.Status, err, body)
	}
	return body
}

func judge(t *testing.T, p *pgtest.Pooler) verdict {
	t.Helper()
	var v verdict
	if err := json.Unmarshal(get(t, p, "/api/v1/verdict"), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// eventually polls for what another process does.
func eventually(t *testing.T, what string, within time.Duration, is func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			t.Fatalf("%s: not within %v", what, within)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(began)
}

// healthy waits until nothing is found.
func healthy(t *testing.T, p *pgtest.Pooler) {
	t.Helper()
	var last verdict
	eventually(t, "healthy", limit, func() bool {
		last = judge(t, p)
		return last.Healthy
	})
	t.Logf("afterwards: %s", last.Sentence)
}

// named waits until the verdict names all words, and then sees to it that for a
// while no other finding stands beside the one with this key. It returns the
// verdict and how long it took since began.
func named(t *testing.T, p *pgtest.Pooler, key string, within time.Duration, words ...string) verdict {
	t.Helper()
	var v verdict
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last verdict: %s%s", v.Sentence, summaries(v))
		}
	})
	took := eventually(t, "the verdict names "+strings.Join(words, ", "), within, func() bool {
		v = judge(t, p)
		for _, word := range words {
			if !strings.Contains(v.Sentence, word) {
				return false
			}
		}
		return len(v.Findings) > 0
	})
	t.Logf("after %v: %s", took.Round(time.Millisecond), v.Sentence)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		v = judge(t, p)
		if len(v.Findings) != 1 || v.Findings[0].Key != key {
			t.Fatalf("want the one finding %s, have %s", key, summaries(v))
		}
	}
	one(t, p, "open")
	if f := v.Findings[0]; len(f.Evidence) == 0 || f.Runbook == "" || v.Healthy {
		t.Errorf("not complete: %+v", v)
	}
	return v
}

func summaries(v verdict) string {
	var b strings.Builder
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "\n%s %s: %s %q", f.Level, f.Key, f.Summary, f.Evidence)
	}
	return b.String()
}

// stormPrint is the fingerprint of the storm's statement; it does not change
// between runs.
const stormPrint = "2fe6f8b108e90155"

// incident is one in the API's list.
type incident struct {
	ID, Title, Status string
	Findings          int
}

// incidents are all that the record has.
func incidents(t *testing.T, p *pgtest.Pooler) []incident {
	t.Helper()
	var answer struct{ Items []incident }
	if err := json.Unmarshal(get(t, p, "/api/v1/incidents"), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Items
}

// one waits until there is one incident with that status; more are a failure.
func one(t *testing.T, p *pgtest.Pooler, status string) incident {
	t.Helper()
	var list []incident
	eventually(t, "one incident is "+status, limit, func() bool {
		if list = incidents(t, p); len(list) > 1 {
			t.Fatalf("more than one incident: %+v", list)
		}
		return len(list) == 1 && list[0].Status == status
	})
	return list[0]
}

// closed waits until nothing is found and the incident is over.
func closed(t *testing.T, p *pgtest.Pooler, about string) {
	t.Helper()
	healthy(t, p)
	if i := one(t, p, "restored"); !strings.Contains(i.Title, about) {
		t.Errorf("the incident that closed is %+v", i)
	}
}

// command runs spillway with these words and the node's config.
func command(t *testing.T, p *pgtest.Pooler, words ...string) (out string, code int) {
	t.Helper()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	run := osexec.CommandContext(ctx, binary, append(words, "-c", p.Config)...)
	text, _ := run.CombinedOutput() // the code says how it ended
	return string(text), run.ProcessState.ExitCode()
}

// must is a command that succeeds.
func must(t *testing.T, p *pgtest.Pooler, words ...string) string {
	t.Helper()
	out, code := command(t, p, words...)
	if code != 0 {
		t.Fatalf("%v: exit code %d\n%s", words, code, out)
	}
	return out
}
