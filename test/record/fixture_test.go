package record

import (
	"context"
	"encoding/json"
	osexec "os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// limit bounds one step of a client or a command.
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

func server(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "85"}, HBA: []string{
		"local all broken scram-sha-256", "host all broken all scram-sha-256", "host all all all trust", "local all all trust"}})
	s.Exec(t, "CREATE ROLE api LOGIN; CREATE ROLE worker LOGIN; CREATE ROLE broken LOGIN PASSWORD 'right'")
	s.Exec(t, "CREATE TABLE item (id int PRIMARY KEY, n int DEFAULT 0); INSERT INTO item SELECT generate_series(1, 1000); GRANT ALL ON item TO PUBLIC")
	return s
}

func serve(t *testing.T, s *pgtest.Server) *pgtest.Pooler {
	t.Helper()
	users := map[string]string{"postgres": "", "api": "", "worker": "", "broken": "wrong"}
	return pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, PoolSize: 60, MaxClients: 500, Users: users, Overlay: []byte(workloads)})
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

// command runs spillway with these words and the pooler's config.
func command(t *testing.T, p *pgtest.Pooler, words ...string) (string, error) {
	t.Helper()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := osexec.CommandContext(ctx, binary, append(words, "-c", p.Config)...).CombinedOutput()
	return string(out), err
}

// must is a command that succeeds.
func must(t *testing.T, p *pgtest.Pooler, words ...string) string {
	t.Helper()
	out, err := command(t, p, words...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return out
}

type incident struct {
	ID, Title, Status string
	Severity          int
	Holding           int `json:"findings_holding"`
}

// incidents are all of the node.
func incidents(t *testing.T, p *pgtest.Pooler) []incident {
	t.Helper()
	var answer struct{ Items []incident }
	if err := json.Unmarshal([]byte(must(t, p, "incident", "list", "--all", "-o", "json")), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Items
}

// one waits until there is one incident with that status; more are a failure.
func one(t *testing.T, p *pgtest.Pooler, status string, within time.Duration) incident {
	t.Helper()
	var last []incident
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		last = incidents(t, p)
		if len(last) > 1 {
			t.Fatalf("more than one incident: %+v", last)
		}
		if len(last) == 1 && last[0].Status == status {
			return last[0]
		}
	}
	t.Fatalf("no incident is %s within %v: %+v", status, within, last)
	return incident{}
}
