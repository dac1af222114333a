package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"spillway/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type result struct{ Status, Area, Check, Found, Mend string }

type report struct {
	OK, Warn, Fail int
	Results        []result
}

// of finds the look whose area and check begin so.
func (r report) of(area, check string) result {
	for _, one := range r.Results {
		if strings.HasPrefix(one.Area, area) && strings.HasPrefix(one.Check, check) {
			return one
		}
	}
	return result{Status: "none", Found: fmt.Sprintf("no look at %s, %s", area, check)}
}

// ward is a folder with a config.
type ward struct{ dir string }

func (w ward) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// examine runs doctor and returns its report, exit code and output.
func (w ward) examine(t *testing.T, yaml string, args ...string) (report, int, string) {
	t.Helper()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	yaml = strings.ReplaceAll(yaml, "{dir}", w.dir)
	w.write(t, "spillway.yaml", yaml, 0o640)
	var out, complaints bytes.Buffer
	command := exec.Command(binary, append([]string{"doctor", "-c", filepath.Join(w.dir, "spillway.yaml")}, args...)...)
	command.Stdout, command.Stderr = &out, &complaints
	code := 0
	var exit *exec.ExitError
	if err := command.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	var r report
	if len(args) > 0 && args[0] == "-o" {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s%s", err, out.String(), complaints.String())
		}
	}
	return r, code, out.String() + complaints.String()
}

// expect holds looks against their status and a word of what they found.
func (r report) expect(t *testing.T, looks ...[4]string) {
	t.Helper()
	for _, l := range looks {
		one := r.of(l[0], l[1])
		if one.Status != l[2] || !strings.Contains(one.Found, l[3]) {
			t.Errorf("%s, %s: %s %q, want %s with %q", l[0], l[1], one.Status, one.Found, l[2], l[3])
		}
		if one.Status == "fail" && one.Mend == "" {
			t.Errorf("%s, %s: does not say how to mend it", l[0], l[1])
		}
	}
}

const goodYAML = `
data_dir: "{dir}/data"
listen: ["127.0.0.1:%d", "unix:{dir}"]
admin: "127.0.0.1:%d"
servers:
  main: {url: "postgres://spillway@127.0.0.1:%d/app", password_file: spillway.password, max_connections: 60, sslmode: verify-full, sslrootcert: "%s", target_session_attrs: read-write}
databases:
  app: {server: main, pool_size: 20}
  fixed: {server: main, dbname: app, user: fixed, password: fixedword, pool_size: 5}
auth: {type: scram-sha-256, file: userlist.txt, user: lookup, database: app, query: "SELECT usename, passwd FROM public.lookup($1)"}
sweeps: {old: {table: public.old, where: "false"}}
notify:
  chat: {type: webhook, url: "%s/hook", key: 0123456789abcdef}
`

// hospital is a PostgreSQL with roles as they should be.
func hospital(t *testing.T, certs *pgtest.Certs) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Certs: certs, HBA: []string{"local all all trust", "hostssl all all all scram-sha-256", "host all postgres all trust"}})
	s.Exec(t, "CREATE DATABASE app")
	for _, sql := range []string{
		"CREATE ROLE spillway LOGIN PASSWORD 'spillword' IN ROLE pg_monitor, pg_signal_backend",
		"GRANT CREATE ON DATABASE app TO spillway",
		"CREATE ROLE api LOGIN PASSWORD 'apiword'", "CREATE ROLE fixed LOGIN PASSWORD 'fixedword'", "CREATE ROLE lookup LOGIN PASSWORD 'lookword'",
		"CREATE FUNCTION lookup(name, OUT usename name, OUT passwd text) RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'",
	} {
		if _, err := s.QueryIn("app", sql); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestAllIsWell(t *testing.T) {
	certs := pgtest.TestCerts(t)
	s := hospital(t, certs)
	var hooked atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			hooked.Add(1)
		}
	}))
	defer hook.Close()
	w := ward{t.TempDir()}
	w.write(t, "spillway.password", "spillword\n", 0o600)
	w.write(t, "userlist.txt", "\"api\" \"apiword\"\n\"lookup\" \"lookword\"\n", 0o640)
	if err := os.Mkdir(filepath.Join(w.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf(goodYAML, freePort(t), freePort(t), s.Port, certs.CA, hook.URL)
	r, code, out := w.examine(t, yaml, "-o", "json")
	if code != 0 || r.Fail != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	r.expect(t,
		[4]string{"machine", "data_dir", "ok", "kept safe"},
		[4]string{"files", "auth.file", "ok", ""},
		[4]string{"files", "servers.main.sslrootcert", "ok", "mode"},
		[4]string{"addresses", "listen", "ok", "can be opened"},
		[4]string{"server main", "login", "ok", "TLS"},
		[4]string{"server main", "certificate", "warn", "ends in 1 days"},
		[4]string{"server main", "role ", "ok", "primary"},
		[4]string{"server main", "clock", "ok", ""},
		[4]string{"server main", "pg_monitor", "ok", ""},
		[4]string{"server main", "pg_signal_backend", "ok", ""},
		[4]string{"server main", "max_connections", "ok", "60 of 100 − 3 reserved = 97"},
		[4]string{"server main", "users", "ok", "all 2"},
		[4]string{"server main", "database app", "ok", "app is there"},
		[4]string{"database fixed", "login as fixed", "ok", ""},
		[4]string{"database app", "auth_query", "ok", "knows lookup"},
		[4]string{"alarms", "chat", "ok", "--send"},
	)
	if hooked.Load() != 0 {
		t.Error("a test was sent without --send")
	}
	_, code, out = w.examine(t, yaml, "--send")
	if code != 0 || hooked.Load() != 1 || !strings.Contains(out, "took the test") || !strings.Contains(out, " 0 fail") {
		t.Errorf("with --send: exit %d, %d hooks: %s", code, hooked.Load(), out)
	}
	for _, secret := range []string{"spillword", "lookword", "apiword", "fixedword", "0123456789abcdef", "SCRAM-SHA"} {
		if strings.Contains(out, secret) {
			t.Errorf("the output holds %s", secret)
		}
	}
	if left, err := filepath.Glob(filepath.Join(w.dir, "data", "*")); err != nil || len(left) != 0 {
		t.Errorf("left in data_dir: %v, %v", left, err)
	}
}

// TestAllIsIll: each thing that is wrong is found, with a way to mend it.
func TestAllIsIll(t *testing.T) {
	certs := pgtest.TestCerts(t)
	s := hospital(t, certs)
	for _, sql := range []string{
		"CREATE ROLE bare LOGIN PASSWORD 'bareword' CONNECTION LIMIT 2", "ALTER DATABASE app CONNECTION LIMIT 15",
		"ALTER SYSTEM SET idle_session_timeout = '1min'", "ALTER SYSTEM SET track_activities = off", "ALTER SYSTEM SET password_encryption = 'md5'", "SELECT pg_reload_conf()",
	} {
		if _, err := s.QueryIn("postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	taken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer taken.Close()
	w := ward{t.TempDir()}
	w.write(t, "userlist.txt", "\"api\" \"apiword\"\n\"ghost\" \"ghostword\"\n", 0o644)
	w.write(t, "not-a-folder", "", 0o600)
	yaml := fmt.Sprintf(`
data_dir: "{dir}/not-a-folder"
listen: [%q, "192.0.2.77:6432", "unix:/nowhere"]
admin: ""
servers:
  bad: {url: "postgres://bare:bareword@127.0.0.1:%d/app", max_connections: 200, operator_slots: 5, sslrootcert: %q, sslmode: require, target_session_attrs: standby}
  wrong: {url: "postgres://spillway:wrongword@127.0.0.1:%d/app"}
  missing: {url: "postgres://spillway:spillword@127.0.0.1:%d/none"}
  away: {url: "postgres://spillway@127.0.0.1:1/app"}
databases:
  app: {server: bad, pool_size: 30}
  none: {server: bad, pool_size: 100}
  other: {server: bad, pool_size: 120}
  fixed: {server: bad, dbname: app, user: api, password: notitsword}
auth: {type: scram-sha-256, file: userlist.txt, user: api, database: app}
workloads: {batch: {match: {user: x}, limit: 150}}
jobs: {cleanup: {server: bad, every: 1m}}
notify:
  chat: {type: slack, url: "%s/services/T0/B0/verysecret"}
  gone: {type: slack, url: "http://127.0.0.1:1/services/T0/B0/verysecret"}
alarms: {hook: {type: webhook, token: 0123456789abcdef}}
`, strings.TrimPrefix(taken.URL, "http://"), s.Port, certs.CA, s.Port, s.Port, taken.URL)
	yaml += "tls: {mode: prefer, cert: expired.crt, key: expired.key}\n"
	writeExpired(t, w)
	r, code, out := w.examine(t, yaml, "-o", "json", "--send")
	if code != 1 {
		t.Errorf("exit %d: %s", code, out)
	}
	r.expect(t,
		[4]string{"machine", "data_dir", "fail", "not a folder"},
		[4]string{"files", "auth.file", "fail", "every user"},
		[4]string{"files", "end of tls.cert", "fail", "out of date"},
		[4]string{"addresses", "listen", "fail", "another process"},
		[4]string{"server bad", "login", "ok", "TLS"},
		[4]string{"server bad", "target_session_attrs", "fail", "standby"},
		[4]string{"server bad", "pg_monitor", "warn", "lacks it"},
		[4]string{"server bad", "pg_signal_backend", "warn", "lacks it"},
		[4]string{"server bad", "right to keep tables", "warn", "may not create"},
		[4]string{"server bad", "role's connections", "fail", "may have 2"},
		[4]string{"server bad", "max_connections", "fail", "200 are promised, the server has 100 − 3 reserved = 97"},
		[4]string{"server bad", "pool of other", "fail", "may want 120, and all pools share 92"},
		[4]string{"server bad", "workload batch", "warn", "limits nothing"},
		[4]string{"server bad", "database app", "fail", "takes 15"},
		[4]string{"server bad", "database none", "fail", "not there"},
		[4]string{"server bad", "idle_session_timeout", "warn", "1min"},
		[4]string{"server bad", "track_activities", "warn", "off"},
		[4]string{"server bad", "password_encryption", "warn", "md5"},
		[4]string{"server bad", "pg_stat_statements", "warn", "not there"},
		[4]string{"server bad", "users", "warn", "ghost"},
		[4]string{"server wrong", "login", "fail", "password is not taken"},
		[4]string{"server missing", "login", "fail", "no such database"},
		[4]string{"server away", "login", "fail", "no connection"},
		[4]string{"database fixed", "login as api", "fail", "password is not taken"},
		[4]string{"database app", "auth_query", "fail", "42501"},
		[4]string{"alarms", "chat", "fail", "answered 403"},
		[4]string{"alarms", "gone", "fail", "refused"},
		[4]string{"alarms", "alarms.hook", "warn", "this machine alone"},
	)
	for i, one := range r.Results {
		if one.Area == "addresses" && i > 0 && one.Status == "ok" {
			t.Errorf("address %+v", one)
		}
	}
	for _, secret := range []string{"bareword", "wrongword", "spillword", "notitsword", "verysecret", "0123456789abcdef"} {
		if strings.Contains(out, secret) {
			t.Errorf("the output holds %s", secret)
		}
	}
	_, code, out = w.examine(t, yaml)
	if code != 1 || !strings.Contains(out, "FAIL") || !strings.Contains(out, "mend: ") {
		t.Errorf("as text: exit %d: %s", code, out)
	}
}

// TestBesideARunningNode: doctor does not take the node's addresses for others'.
func TestBesideARunningNode(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	dir, listen, admin := t.TempDir(), pgtest.FreeAddr(t), pgtest.FreeAddr(t)
	yaml := fmt.Sprintf("data_dir: %s\nlisten: [%q]\nadmin: %q\nservers: {main: {url: \"postgres://postgres@127.0.0.1:%d/postgres\"}}\nauth: {type: trust}\n", dir, listen, admin, s.Port)
	pgtest.Spillway(t, yaml, pgtest.SpillwayOptions{Admin: admin})
	r, code, out := ward{t.TempDir()}.examine(t, yaml, "-o", "json")
	if code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	r.expect(t,
		[4]string{"addresses", "listen", "ok", "the node of this config runs"},
		[4]string{"addresses", "admin", "ok", "the node of this config runs"},
		[4]string{"server main", "rights", "warn", "superuser"},
		[4]string{"server main", "max_connections", "ok", "auto: 100 − 3 reserved = 97"},
		[4]string{"alarms", "notify", "warn", "nobody is told"},
	)
}

func TestWrongConfigAndUsage(t *testing.T) {
	w := ward{t.TempDir()}
	if _, code, out := w.examine(t, "servers: {}\n"); code != 1 || !strings.Contains(out, "no server is named") {
		t.Errorf("exit %d: %s", code, out)
	}
	if _, code, _ := w.examine(t, "servers: {}\n", "--nonsense"); code != 2 {
		t.Errorf("exit %d", code)
	}
}
