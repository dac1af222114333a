package config

import (
	"crypto/tls"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"spillway/internal/auth"
	"spillway/internal/proxy"
)

// everything sets each key to something that is not zero in the policy.
const everything = `
listen: ["*:6000", "unix:/run/s", "[::1]:6001"]
unix_socket_mode: 0770
reuse_port: true
backlog: 100
driver: epoll
loops: 2
error_style: pgbouncer
application_name_add_host: true
operators: [op]
servers:
  main:
    url: postgres://probe:pw@h1:1,[::1]:2/maint?target_session_attrs=primary
    hosts: [h3, /run/pg]
    max_connections: 100
    load_balance_hosts: round-robin
    sslmode: require
    sslnegotiation: direct
databases:
  app:
    server: main
    dbname: real
    pool_mode: session
    pool_size: 7
    min_pool_size: 2
    reserve_pool: 3
    max_servers: 30
    max_clients: 40
    user: forced
    password: fpw
    connect_query: SELECT 1
    auth_user: look
    auth_query: SELECT $1
    auth_database: auth
    server_lifetime: 3s
    query_timeout: 4s
    queue_timeout: 5s
    disabled: true
  "*": {}
users:
  u:
    pool_mode: statement
    pool_size: 1
    reserve_pool: 2
    max_servers: 3
    max_clients: 4
    query_timeout: 5s
    transaction_timeout: 6s
    idle_in_transaction: 7s
    client_idle: 8s
    queue_timeout: 9s
    password: upw
auth:
  type: hba
  file: users
  hba_file: hba
  ident_file: ident
  cert_map: m
  user: look
  password: lpw
  query: SELECT $1
  database: authdb
  query_ttl: 2s
  admins: [adm]
  stats: [st]
tls: {mode: require, cert: server.pem, key: server.key, ca: ca.pem}
pool: {min: 1, reserve: 2, round_robin: true, check_query: SELECT 2, reset_always: true, fast_close: true}
workloads:
  w:
    match: {user: u, database: d, application_name: a, address: 10.0.0.0/8, tag: k=v}
    class: critical
    mode: warn
    share: 1
    limit: 2
    lendable: 3%
    borrow: 4%
    queue_timeout: 5s
    queue_max: 6
    statement_timeout: 7s
    transaction_timeout: 8s
    idle_in_transaction_timeout: 9s
    leak_after: 10s
    on_leak: reclaim
    leak_exempt: {user: u, database: d, application_name: b, address: unix, tag: k=w}
session: {on_state: refuse, track_parameters: [a], ignore_startup_parameters: [b], trust_functions: true}
timeouts: {client_idle: 1s, query: 2s, transaction: 3s, idle_in_transaction: 4s, shutdown: 5s}
limits:
  max_clients_per_user: 1
  max_clients_per_database: 2
  max_clients_per_address: 3
  logins_per_address: 4.5
  max_servers_per_user: 5
  max_servers_per_database: 60
`

func everythingConfig(t *testing.T) *Config {
	t.Helper()
	dir := certificates(t)
	for name, text := range map[string]string{"users": "\"a\" \"apw\"\n", "hba": "host all all all scram-sha-256\n", "ident": "m x y\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return parseIn(t, dir, everything)
}

// TestPolicyIsWhole: with every key set no field of the policy is left zero,
// so that a field added to the contract is not forgotten here.
func TestPolicyIsWhole(t *testing.T) {
	c := everythingConfig(t)
	p := c.Proxy()
	notOurs := map[string]bool{"Config.Console": true, "Config.Log": true, "Config.Listen.FD": true,
		// What is paused at run time is no part of the file.
		"Config.Policy.Workloads[0].Pause": true, "Config.Policy.Workloads[0].Note": true, "Config.Policy.Bans": true}
	zeros(t, "Config", reflect.ValueOf(p), notOurs)
}

func zeros(t *testing.T, path string, v reflect.Value, skip map[string]bool) {
	t.Helper()
	if skip[path] {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			t.Errorf("%s is nil", path)
			return
		}
		if v.Type() == reflect.TypeFor[*tls.Config]() || !strings.HasPrefix(v.Elem().Type().PkgPath(), "spillway/internal/proxy") {
			return
		}
		zeros(t, path, v.Elem(), skip)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				zeros(t, path+"."+v.Type().Field(i).Name, v.Field(i), skip)
			}
		}
	case reflect.Map:
		if v.Len() == 0 {
			t.Errorf("%s is empty", path)
		}
		for _, k := range v.MapKeys() {
			zeros(t, path, v.MapIndex(k), skip)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is empty", path)
			return
		}
		if v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem().Name() == "Listen" {
			zeros(t, path, v.Index(1), skip) // the unix socket: TCP has no mode
		}
	default:
		if v.IsZero() && !strings.HasPrefix(path, "Config.Policy.AnyDatabase.") {
			t.Errorf("%s is zero", path)
		}
	}
}

func TestPolicyValues(t *testing.T) {
	p := everythingConfig(t).Proxy()
	want := []proxy.Listen{{Network: "tcp", Address: ":6000"}, {Network: "unix", Address: "/run/s/.s.PGSQL.6000", Mode: 0o770}, {Network: "tcp", Address: "[::1]:6001"}}
	if !reflect.DeepEqual(p.Listen, want) {
		t.Errorf("listen %+v", p.Listen)
	}
	u := p.Policy.Upstreams["main"]
	if hosts := []proxy.Address{{Host: "h1", Port: 1}, {Host: "::1", Port: 2}, {Host: "h3", Port: 5432}, {Host: "/run/pg", Port: 5432}}; !reflect.DeepEqual(u.Hosts, hosts) {
		t.Errorf("hosts %+v", u.Hosts)
	}
	if u.User != "probe" || u.Password != "pw" || u.Database != "maint" || u.TargetSession != "primary" || u.TLSMode != proxy.TLSRequire || u.ConnectBurst != 10 || u.DNSMaxTTL != 15*time.Second {
		t.Errorf("upstream %+v", u)
	}
	d := p.Policy.Databases["app"]
	if d.Mode != proxy.ModeSession || d.Upstream != "main" || d.MaxServers != 30 || d.QueueTimeout != 5*time.Second {
		t.Errorf("database %+v", d)
	}
	if star := p.Policy.AnyDatabase; star.PoolSize != -1 || star.Mode != proxy.ModeDefault || star.ServerLifetime >= 0 || star.MaxServers != 60 {
		t.Errorf("any database %+v", star)
	}
	if s := p.Policy.Auth.Secrets; !reflect.DeepEqual(s, map[string]string{"a": "apw", "look": "lpw", "u": "upw"}) {
		t.Errorf("secrets of %d users", len(s))
	}
	if p.Policy.Defaults.Mode != proxy.ModeTransaction || p.Policy.Timeouts.Queue != 2*time.Minute || p.Policy.Limits.MaxStartup != 10000 || p.Policy.ErrorStyle != proxy.ErrorsPgBouncer {
		t.Errorf("defaults %+v", p.Policy.Defaults)
	}
}

// TestDefaults: a config of a URL alone has the defaults that issue and
// reference name.
func TestDefaults(t *testing.T) {
	c := parseIn(t, t.TempDir(), server)
	p := c.Proxy()
	if len(p.Listen) != 1 || p.Listen[0].Address != "127.0.0.1:6432" || p.Driver != "auto" || p.Loops != 0 || p.Backlog != 4096 {
		t.Errorf("proxy %+v", p)
	}
	if p.Policy.AnyDatabase == nil || p.Policy.AnyDatabase.Upstream != "main" {
		t.Error("every name does not go to the only server")
	}
	want := proxy.Timeouts{ClientLogin: time.Minute, Queue: 2 * time.Minute, QueueNotice: 5 * time.Second, ServerConnect: 15 * time.Second, ServerLoginRetry: 15 * time.Second,
		ServerIdle: 10 * time.Minute, ServerLifetime: time.Hour, ServerCheckDelay: 30 * time.Second, CancelWait: 10 * time.Second, Shutdown: time.Minute, AutoDBIdle: time.Hour}
	if p.Policy.Timeouts != want {
		t.Errorf("timeouts %+v", p.Policy.Timeouts)
	}
	if d := p.Policy.Defaults; d.PoolSize != 20 || d.ResetQuery != "DISCARD ALL" || d.ReserveAfter != 5*time.Second || d.Mode != proxy.ModeTransaction {
		t.Errorf("pool %+v", d)
	}
	if s := p.Policy.Session; s.MaxPrepared != 200 || s.OnState != proxy.StatePin {
		t.Errorf("session %+v", s)
	}
}

func TestEnvironment(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"HOST": "db-9", "PW": "p@ss", "EMPTY": ""}[name]
		return v, ok
	}
	c, err := Parse("x.yaml", []byte("servers: {main: {url: \"postgres://u@${HOST}:6/db\", password: \"${PW}${EMPTY}\"}}\nregion: \"a$${HOST}b${HOST}\"\nauth: {type: trust, admins: [\"${HOST}\", x]}"), env)
	if err != nil {
		t.Fatal(err)
	}
	u := c.Policy().Upstreams["main"]
	if u.Hosts[0] != (proxy.Address{Host: "db-9", Port: 6}) || u.Password != "p@ss" || c.Region != "a${HOST}bdb-9" {
		t.Errorf("upstream %+v, region %q", u.Hosts, c.Region)
	}
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, "db-9") || strings.Contains(s.Value, "p@ss") {
			t.Errorf("%s shows %q", s.Key, s.Value)
		}
		if s.Key == "admin_users" && s.Value != "${HOST}, x" {
			t.Errorf("admins shown as %q", s.Value)
		}
	}
	for _, f := range c.Summary() {
		if strings.Contains(f.Value, "db-9") {
			t.Errorf("summary shows %q", f.Value)
		}
	}
}

// TestSameHost: rules that name this machine know its addresses.
func TestSameHost(t *testing.T) {
	dir := write(t, map[string]string{"hba": "host all all samehost trust\n"})
	hba := parseIn(t, dir, "servers: {main: {url: postgres://h}}\nauth: {type: hba, hba_file: hba}\n").Policy().Auth.HBA
	if _, ok := hba.Match(auth.Conn{Addr: netip.MustParseAddr("127.0.0.1"), User: "u", Database: "d"}); !ok {
		t.Error("loopback is not this machine")
	}
	if _, ok := hba.Match(auth.Conn{Addr: netip.MustParseAddr("192.0.2.1"), User: "u", Database: "d"}); ok {
		t.Error("a documentation address is this machine")
	}
}
