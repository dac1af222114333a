package pgtest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// pgbouncer is the set-up as pgbouncer.ini. Idle limits are those of the
// defaults; log lines per connection are off, as they cost.
func (c PoolerConfig) pgbouncer(k Kind, port int) PgBouncerOptions {
	auth := "scram-sha-256"
	if c.trusting() {
		auth = "trust"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[databases]\n* = host=%s port=%d %s\n\n[pgbouncer]\n", c.serverHost(), c.Server.Port, c.DatabaseTop)
	fmt.Fprintf(&b, "listen_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n", port)
	fmt.Fprintf(&b, "auth_type = %s\nauth_file = {dir}/userlist.txt\n", auth)
	fmt.Fprintf(&b, "pool_mode = %s\ndefault_pool_size = %d\nmax_client_conn = %d\n", k.Mode, c.PoolSize, c.MaxClients)
	b.WriteString("log_connections = 0\nlog_disconnections = 0\nlisten_backlog = 4096\nadmin_users = postgres\nstats_users = postgres\n")
	b.WriteString("ignore_startup_parameters = extra_float_digits\n")
	if c.Certs != nil {
		fmt.Fprintf(&b, "client_tls_sslmode = allow\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\nclient_tls_ca_file = %s\n", c.Certs.ServerCert, c.Certs.ServerKey, c.Certs.CA)
	}
	b.WriteString(c.Extra)
	return PgBouncerOptions{INI: b.String(), Userlist: c.userlist()}
}

// spillway is the set-up as YAML.
func (c PoolerConfig) spillway(k Kind, p *Pooler) string {
	auth := "{type: scram-sha-256, file: {dir}/userlist.txt}"
	if c.trusting() {
		auth = "{type: trust, file: {dir}/userlist.txt}"
	}
	url := fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", net.JoinHostPort(c.Server.Host(), strconv.Itoa(c.Server.Port)))
	if c.UnixServer {
		url = c.Server.SocketURL(Login{})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listen: [%q]\nadmin: %q\ndata_dir: {dir}/state\n", p.Addr(), p.Admin)
	if k.Driver != "" {
		fmt.Fprintf(&b, "driver: %s\n", k.Driver)
	}
	fmt.Fprintf(&b, "servers:\n  main:\n    url: %q\n", url)
	top := ""
	if c.DatabaseTop != "" {
		top = ", " + c.DatabaseTop
	}
	fmt.Fprintf(&b, "databases:\n  \"*\": {server: main, pool_mode: %s, pool_size: %d%s}\n", k.Mode, c.PoolSize, top)
	fmt.Fprintf(&b, "auth: %s\n", auth)
	b.WriteString(c.Extra)
	return b.String()
}
