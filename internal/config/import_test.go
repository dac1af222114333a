package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spillway/internal/proxy"
)

const imports = "testdata/import"

// golden is what Import made of an ini: the YAML, then the notes as comments.
func golden(yaml []byte, notes []Note) []byte {
	var b bytes.Buffer
	b.Write(yaml)
	if len(notes) > 0 {
		b.WriteString("\n# Notes:\n")
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	return b.Bytes()
}

// TestImportGolden: each ini gives the YAML beside it, which loads.
func TestImportGolden(t *testing.T) {
	inis, err := filepath.Glob(filepath.Join(imports, "*.ini"))
	if err != nil || len(inis) == 0 {
		t.Fatal(inis, err)
	}
	for _, path := range inis {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			yaml, notes, err := Import(filepath.Base(path), bytes.NewReader(text), imports)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.TrimSuffix(path, ".ini") + ".yaml"
			if *update {
				if err := os.WriteFile(want, golden(yaml, notes), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got := golden(yaml, notes); !bytes.Equal(got, before) {
				t.Errorf("import differs from %s; got:\n%s", want, got)
			}
			loadImported(t, yaml)
		})
	}
}

// loadImported loads a YAML beside the files it may name.
func loadImported(t *testing.T, yaml []byte) *Config {
	t.Helper()
	dir := certificates(t)
	for name, text := range map[string]string{
		"spillway.yaml": string(yaml),
		"userlist.txt":  "\"lookup\" \"secret\"\n\"pooler\" \"md500000000000000000000000000000000\"\n",
		"hba.conf":      "local all all peer map=m\nhostssl all all 0.0.0.0/0 scram-sha-256\n",
		"ident.conf":    "m root postgres\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "spillway.yaml"))
	if err != nil {
		t.Fatalf("imported YAML does not load:\n%v\n%s", err, yaml)
	}
	return c
}

// TestImportMeans: what the YAML of full.ini makes is what PgBouncer would do.
func TestImportMeans(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(imports, "full.ini"))
	if err != nil {
		t.Fatal(err)
	}
	yaml, _, err := Import("full.ini", bytes.NewReader(text), imports)
	if err != nil {
		t.Fatal(err)
	}
	p := loadImported(t, yaml).Proxy()
	for what, ok := range map[string]bool{
		"listen":     len(p.Listen) == 4 && p.Listen[3].Address == "/run/pgbouncer/.s.PGSQL.6543" && p.Listen[3].Mode == 0o770,
		"reuse port": p.ReusePort && p.Backlog == 256,
		"app":        p.Policy.Databases["app"].PoolSize == 50 && p.Policy.Databases["app"].ReservePool == 10 && p.Policy.Databases["app"].Mode == proxy.ModeTransaction,
		"query":      p.Policy.Databases["app"].ConnectQuery == "SET search_path TO 'app', public",
		"replicas":   len(p.Policy.Upstreams[p.Policy.Databases["replicas"].Upstream].Hosts) == 3 && p.Policy.Upstreams[p.Policy.Databases["replicas"].Upstream].LoadBalance,
		"in order":   !p.Policy.Upstreams[p.Policy.Databases["replica-first"].Upstream].LoadBalance,
		"one server": p.Policy.Databases["app"].Upstream == p.Policy.Databases["forced"].Upstream,
		"case":       p.Policy.Databases["my database"].Upstream == p.Policy.AnyDatabase.Upstream,
		"password":   p.Policy.Databases["forced"].ForcedPassword == "p'w ${x}" && p.Policy.Databases["forced"].ForcedUser == "app",
		"socket":     p.Policy.Upstreams[p.Policy.Databases["local"].Upstream].Hosts[0].Host == "/run/pgbouncer",
		"user":       p.Policy.Users["report"].TransactionTimeout == 5*time.Minute && p.Policy.Users["report"].MaxServers == 10,
		"errors":     p.Policy.ErrorStyle == proxy.ErrorsPgBouncer,
		"pool":       p.Policy.Defaults.Mode == proxy.ModeStatement && p.Policy.Defaults.ReserveAfter == 3500*time.Millisecond && p.Policy.Defaults.ResetAlways,
		"timeouts":   p.Policy.Timeouts.Queue == 15*time.Second && p.Policy.Timeouts.ServerLoginRetry == 1500*time.Millisecond && p.Policy.Timeouts.Shutdown == 0,
		"tls":        p.Policy.ClientTLS.Mode == proxy.TLSVerifyFull && p.Policy.Upstreams["db-10-0-0-1"].TLSMode == proxy.TLSVerifyCA,
		"auth":       p.Policy.Auth.Method == "hba" && p.Policy.Auth.HBA != nil && p.Policy.Auth.QueryUser == "lookup",
		"budget":     p.Policy.Upstreams["db-10-0-0-1"].MaxConnections == 0 && p.Policy.Upstreams["db-10-0-0-1"].OperatorSlots == 0,
	} {
		if !ok {
			t.Errorf("%s is not as in the ini:\n%s", what, yaml)
		}
	}
}

// TestImportCoversTheReference: each setting of PgBouncer is written, left out
// with a reason, or written where it belongs; none is unknown.
func TestImportCoversTheReference(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(imports, "full.ini"))
	if err != nil {
		t.Fatal(err)
	}
	_, notes, err := Import("full.ini", bytes.NewReader(text), imports)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		if strings.Contains(n.Why, "not a setting") {
			t.Error(n)
		}
	}
	for _, name := range peerSettings() {
		if !strings.Contains(string(text), "\n"+name+" = ") && !strings.Contains(string(text), "\n"+name+" =\n") {
			t.Errorf("full.ini lacks %s", name)
		}
	}
}

// peerSettings are all of [pgbouncer] in 1.25, less those with a default that
// asks for nothing.
func peerSettings() []string {
	return strings.Fields(`admin_users application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file auth_ldap_options
		auth_query auth_type auth_user autodb_idle_timeout cancel_wait_timeout client_idle_timeout client_login_timeout client_tls13_ciphers
		client_tls_ca_file client_tls_cert_file client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve client_tls_key_file
		client_tls_protocols client_tls_sslmode conffile default_pool_size disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period
		idle_transaction_timeout ignore_startup_parameters job_name listen_addr listen_backlog listen_port log_connections log_disconnections
		log_pooler_errors log_stats logfile login_notify_message max_client_conn max_db_client_connections max_db_connections max_packet_size
		max_prepared_statements max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf pool_mode
		pool_idle_timeout query_timeout query_wait_notify query_wait_timeout reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt
		scram_iterations server_check_delay server_check_query server_connect_timeout server_fast_close server_idle_timeout server_lifetime
		server_login_retry server_reset_query server_reset_query_always server_round_robin server_tls13_ciphers server_tls_ca_file
		server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols server_tls_sslmode service_name so_reuseport
		stats_period stats_users suspend_timeout syslog syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle
		tcp_keepintvl tcp_socket_buffer tcp_user_timeout track_extra_parameters transaction_timeout unix_socket_dir unix_socket_group
		unix_socket_mode user verbose`)
}

// TestImportMistakes: a mistake is shown where it is, without secrets.
func TestImportMistakes(t *testing.T) {
	const head = "[databases]\n* = host=h\n[pgbouncer]\nlisten_addr = *\nauth_type = trust\n"
	for text, want := range map[string]string{
		head + "pool_mode = sesion":                           "6:13 cannot be \"sesion\"; did you mean session?",
		head + "query_timeout = soon":                         "6:17 \"soon\" is not a number of seconds",
		head + "log_connections = maybe":                      "6:19 \"maybe\" is neither 1 nor 0",
		head + "max_client_conn = -1":                         "6:19 -1 is negative",
		head + "default_pool_size = 0":                        "6:21 0 is less than 1",
		head + "listen_port = 99999":                          "6:15 port is not a number from 1 to 65535",
		head + "auth_type = ldap":                             "6:13 auth_type ldap has no counterpart",
		head + "client_tls_sslmode = require":                 "6:22 client_tls_sslmode is require and there is no client_tls_",
		head + "server_tls_sslmode = on":                      "6:22 cannot be \"on\"",
		head + "client_tls_sslmode = x":                       "6:22 cannot be \"x\"",
		head + "unix_socket_mode = 999":                       "6:20 \"999\" is not an octal mode",
		head + "max_packet_size = big":                        "6:19 \"big\" is not a number of bytes",
		"[databses]\nx = \n":                                  "1:1 unknown section [databses]; did you mean [databases]?",
		"[databases]\nx = hots=h":                             "2:5 unknown parameter hots; did you mean host?",
		"[databases]\nx = host=h port=x":                      "2:17 port is not a number",
		"[databases]\nx = host=@abstract":                     "2:10 sockets in the abstract namespace",
		"[databases]\nx = host=a/b pool_mode=t":               "2:24 cannot be \"t\"",
		"[databases]\nx = host=h password='hunter2":           "2:21 value of password has no closing quote",
		"[databases]\nx = host=h password=hunter2 foo":        "2:29 expected key=value",
		"[databases]\nspillway = host=h":                      "2:1 database spillway is the admin console",
		"[users]\nu = pool_size=many":                         "2:15 \"many\" is not a whole number",
		"[users]\nu = pool_size":                              "2:5 expected key=value",
		"[pgbouncer]\nunix_socket_dir =\n":                    "0:0 neither listen_addr nor unix_socket_dir",
		head + "auth_type = hba":                              "0:0 as spillway.yaml: type hba has no hba_file",
		head + "[databases]\ny = host=h load_balance_hosts=x": "7:31 cannot be \"x\"",
	} {
		yaml, _, err := Import("x.ini", strings.NewReader(text), t.TempDir())
		var list Problems
		if !errors.As(err, &list) || yaml != nil {
			t.Errorf("%q is taken:\n%s", text, yaml)
			continue
		}
		got := fmt.Sprintf("%d:%d %s; %s", list[0].Line, list[0].Column, list[0].What, list[0].Mend)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
		if strings.Contains(list.Text(), "hunter2") {
			t.Errorf("secret shown:\n%s", list.Text())
		}
	}
}

// TestImportSecondSection: PgBouncer begins again from the defaults.
func TestImportSecondSection(t *testing.T) {
	yaml, notes, err := Import("x.ini", strings.NewReader("[databases]\n* = host=h\n[pgbouncer]\npool_mode = transaction\nauth_type = trust\n[pgbouncer]\nauth_type = trust\nquery_timeout = 5\n"), ".")
	if err != nil || !strings.Contains(string(yaml), "mode: session") || len(notes) != 2 || notes[0].Setting != "[pgbouncer]" {
		t.Errorf("%v %v\n%s", err, notes, yaml)
	}
}

// TestImportLarge: thousands of databases come through.
func TestImportLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString("[pgbouncer]\nauth_type = trust\n[databases]\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "db%d = host=h%d\n", i, i%50)
	}
	yaml, _, err := Import("x.ini", strings.NewReader(b.String()), ".")
	if err != nil {
		t.Fatal(err)
	}
	c := loadImported(t, yaml)
	if len(c.Databases) != 2000 || len(c.Servers) != 50 {
		t.Errorf("%d databases on %d servers", len(c.Databases), len(c.Servers))
	}
}
