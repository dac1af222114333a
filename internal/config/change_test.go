package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiff(t *testing.T) {
	dir := write(t, map[string]string{"users": "\"a\" \"x\"\n"})
	text := "servers: {main: {url: postgres://h}}\nauth: {file: users, password: secret, user: a}\ndatabases: {a: {}, b: {pool_size: 3}}\n"
	before := parseIn(t, dir, text)
	if changed, restart := Diff(before, parseIn(t, dir, text)); len(changed)+len(restart) > 0 {
		t.Fatalf("the same differs in %v", changed)
	}
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte("\"a\" \"y\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := parseIn(t, dir, "servers: {main: {url: postgres://h2}}\nlisten: \"h:1\"\nloops: 3\nauth: {file: users, password: other, user: a}\ndatabases: {b: {pool_size: 4}, c: {}}\ntimeouts: {queue: 1m}\n")
	changed, restart := Diff(before, after)
	want := []string{"auth.file", "auth.password", "databases.a", "databases.b.pool_size", "databases.c", "listen", "loops", "servers.main.url", "timeouts.queue"}
	if !slices.Equal(changed, want) {
		t.Errorf("changed %v\nwant    %v", changed, want)
	}
	if !slices.Equal(restart, []string{"listen", "loops"}) {
		t.Errorf("restart %v", restart)
	}
}

func settingsOf(c *Config) map[string]Setting {
	m := map[string]Setting{}
	for _, s := range c.Settings() {
		m[s.Key] = s
	}
	return m
}

func TestSettings(t *testing.T) {
	c := everythingConfig(t)
	got := settingsOf(c)
	for _, want := range []Setting{
		{"max_client_conn", "10000", "10000", true}, {"max_user_connections", "5", "0", true}, {"query_wait_timeout", "120", "120", true},
		{"listen_addr", "*,::1", "127.0.0.1", false}, {"listen_port", "6000", "6432", false}, {"unix_socket_dir", "/run/s", "", false},
		{"pool_mode", "transaction", "transaction", true}, {"server_round_robin", "1", "0", true}, {"log_connections", "1", "1", true},
		{"server_tls_sslmode", "require", "prefer", true}, {"auth.password", "(hidden)", "", true}, {"loops", "2", "auto", false},
		{"limits.client_memory", "1MiB", "1MiB", true}, {"tcp_keepalive", "1", "1", true}, {"admin_users", "adm", "", true},
	} {
		if got[want.Key] != want {
			t.Errorf("%s: got %+v, want %+v", want.Key, got[want.Key], want)
		}
	}
	keys := c.Settings()
	if !slices.IsSortedFunc(keys, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) }) {
		t.Error("settings are not sorted")
	}
	for i := 1; i < len(keys); i++ {
		if keys[i].Key == keys[i-1].Key {
			t.Errorf("%s stands twice", keys[i].Key)
		}
	}
	for _, s := range keys {
		for _, secret := range []string{"pw", "fpw", "lpw", "apw", "upw"} {
			if s.Value == secret || strings.Contains(s.Value, ":"+secret) {
				t.Errorf("%s shows a secret", s.Key)
			}
		}
	}
}

// TestSettingsNameTheReference: every setting of the reference that has a
// counterpart is a row under PgBouncer's name.
func TestSettingsNameTheReference(t *testing.T) {
	got := settingsOf(parseIn(t, t.TempDir(), server))
	for _, name := range strings.Fields(`listen_addr listen_port unix_socket_dir pool_mode max_client_conn default_pool_size min_pool_size
		reserve_pool_size reserve_pool_timeout max_db_connections max_user_connections max_db_client_connections max_user_client_connections
		server_round_robin max_prepared_statements server_reset_query server_reset_query_always server_check_delay server_check_query
		server_lifetime server_idle_timeout server_connect_timeout server_login_retry server_fast_close client_login_timeout query_wait_timeout
		query_wait_notify cancel_wait_timeout query_timeout client_idle_timeout idle_transaction_timeout transaction_timeout autodb_idle_timeout
		dns_max_ttl track_extra_parameters ignore_startup_parameters application_name_add_host auth_type auth_file auth_user auth_query
		auth_dbname auth_hba_file admin_users stats_users stats_period client_tls_sslmode server_tls_sslmode so_reuseport tcp_keepalive conffile`) {
		if _, ok := got[name]; !ok {
			t.Errorf("no row %s", name)
		}
	}
}

func TestWith(t *testing.T) {
	dir := write(t, map[string]string{"users": "\"a\" \"x\"\n"})
	c := parseIn(t, dir, "servers: {main: {url: postgres://h}}\nauth: {file: users}\ntimeouts: {queue: 3m}\n")
	for _, s := range []struct {
		name, value string
		check       func(*Config) bool
	}{
		{"query_wait_timeout", "7", func(c *Config) bool { return c.Timeouts.Queue == 7*time.Second }},
		{"query_wait_timeout", "0.5", func(c *Config) bool { return c.Timeouts.Queue == 500*time.Millisecond }},
		{"timeouts.queue", "9s", func(c *Config) bool { return c.Timeouts.Queue == 9*time.Second }},
		{"pool_mode", "session", func(c *Config) bool { return c.Pool.Mode == "session" }},
		{"log_connections", "0", func(c *Config) bool { return !c.Log.Connections }},
		{"max_client_conn", "5", func(c *Config) bool { return c.Limits.MaxClients == 5 }},
		{"max_packet_size", "1048576", func(c *Config) bool { return c.Limits.MaxMessage == 1<<20 }},
		{"admin_users", "a, b", func(c *Config) bool { return reflect.DeepEqual(c.Auth.Admins, []string{"a", "b"}) }},
		{"error_style", "pgbouncer", func(c *Config) bool { return c.ErrorStyle == "pgbouncer" }},
	} {
		next, err := c.With(s.name, s.value)
		if err != nil || !s.check(next) {
			t.Errorf("With(%s, %s): %v", s.name, s.value, err)
		}
	}
	if c.Timeouts.Queue != 3*time.Minute {
		t.Error("With changed its receiver")
	}
	for _, s := range [][2]string{{"pool_mode", "x"}, {"query_wait_timeout", "soon"}, {"listen_port", "1"}, {"nonsense", "1"}, {"servers.NAME.url", "x"}, {"pool", "x"},
		{"auth_type", "hba"}, {"default_pool_size", "0"}, {"timeouts.queue", "5"}, {"", ""}, {"tcp_keepalive", "1"}} {
		if next, err := c.With(s[0], s[1]); err == nil || next != nil {
			t.Errorf("With(%s, %s) is taken", s[0], s[1])
		}
	}
}

// TestWithTwice: a second setting keeps the first.
func TestWithTwice(t *testing.T) {
	c := parseIn(t, t.TempDir(), server)
	c, err := c.With("query_timeout", "1")
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.With("client_idle_timeout", "2"); err != nil || c.Timeouts.Query != time.Second || c.Timeouts.ClientIdle != 2*time.Second {
		t.Errorf("after two settings: %v", err)
	}
}

func TestCheckReport(t *testing.T) {
	dir := write(t, map[string]string{
		"good.yaml": "servers: {main: {url: \"postgres://u:hunter2@db\", max_connections: 100}}\ndatabases: {app: {pool_size: 60}, web: {pool_size: 50, max_servers: 55}}\nauth: {type: trust}\n",
		"bad.yaml":  "servers: {main: {url: postgres://h}}\nreigon: x\ntimeouts: {queue: 1s}\n",
	})
	good := Check(filepath.Join(dir, "good.yaml"))
	want := `DIR/good.yaml: ok
  listen        127.0.0.1:6432
  admin         127.0.0.1:6433
  server main   db:5432, sslmode prefer
  database app  app on main, transaction, a pool of 60 for each user
  database web  web on main, transaction, a pool of 50 for each user, 55 over all
  users         trust, 0 known here
  tls           disable
  budget main   100 − 3 operator slots = 97; one pool of each named database could ask for 110, so they share
`
	if got := strings.ReplaceAll(good.Text(), dir, "DIR"); !good.OK() || got != want {
		t.Errorf("report:\n%s", got)
	}
	bad := Check(filepath.Join(dir, "bad.yaml"))
	if text := bad.Text(); bad.OK() || !strings.Contains(text, "did you mean region?") || !strings.HasSuffix(text, "bad.yaml: 1 error, 2 warnings\n") {
		t.Errorf("report:\n%s", text)
	}
	if none := Check(filepath.Join(dir, "none.yaml")); none.OK() || !strings.Contains(none.Text(), "no such file") {
		t.Errorf("report:\n%s", none.Text())
	}
}
