package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func noEnv(string) (string, bool) { return "", false }

// write puts files into a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const productExample = `region: us-east-1
listen: ["127.0.0.1:6432"]          # clients; also unix:/run/spillway
admin: "127.0.0.1:6433"             # API, page, /metrics, /livez, /readyz
data_dir: /var/lib/spillway
servers:
  main:
    url: postgres://spillway@db-1:5432/postgres   # the probing and maintenance role
    max_connections: auto           # asked of the server, less its reserved slots and foreign connections
    operator_slots: 3
databases:
  app: {server: main, dbname: app, pool_mode: transaction}
  "*": {server: main}
auth: {type: scram-sha-256, file: userlist.txt}
workloads:
  api:       {match: {user: api},                      class: critical, share: 50, limit: 70, queue_timeout: 2s}
  data-sync: {match: {application_name: "celery*"},    class: batch,    share: 5,  limit: 8,  leak_after: 30s, on_leak: reclaim}
  default:   {class: normal, share: 10, limit: 20}
`

func TestProductExample(t *testing.T) {
	dir := write(t, map[string]string{"spillway.yaml": productExample, "userlist.txt": "\"api\" \"secret\"\n"})
	c, err := Load(filepath.Join(dir, "spillway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p := c.Policy()
	if got := p.Upstreams["main"].Hosts[0].Host; got != "db-1" {
		t.Errorf("host = %q", got)
	}
	if p.AnyDatabase == nil || p.Databases["app"] == nil || p.Auth.Secrets["api"] != "secret" {
		t.Errorf("policy lacks databases or secrets: %+v", p.Auth.Method)
	}
	if got := strings.Join(c.Ordered(), " "); got != "api data-sync default" {
		t.Errorf("workloads in order %q", got)
	}
}
