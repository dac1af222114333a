package pgtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// pgbouncer is the set-up as pgbouncer.ini. Idle limits are those of the
// defaults; log lines per connection are off, as they cost.
func (c PoolerConfig) pgbouncer(k Kind, port int) PgBouncerOptions {
	auth := "scram-sha-256"
	if c.trusting() {
		auth = "trust"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[databases]\n* = host=%s port=%d\n\n[pgbouncer]\n", c.serverHost(), c.Server.Port)
	fmt.Fprintf(&b, "listen_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n", port)
	fmt.Fprintf(&b, "auth_type = %s\nauth_file = {dir}/userlist.txt\n", auth)
	fmt.Fprintf(&b, "pool_mode = %s\ndefault_pool_size = %d\nmax_client_conn = %d\n", k.Mode, c.PoolSize, c.MaxClients)
	b.WriteString("log_connections = 0\nlog_disconnections = 0\nlisten_backlog = 4096\nadmin_users = postgres\nstats_users = postgres\n")
	b.WriteString("ignore_startup_parameters = extra_float_digits\n")
	if c.Certs != nil {
		fmt.Fprintf(&b, "client_tls_sslmode = allow\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\nclient_tls_ca_file = %s\n", c.Certs.ServerCert, c.Certs.ServerKey, c.Certs.CA)
	}
	b.WriteString(c.INI)
	return PgBouncerOptions{INI: b.String(), Userlist: c.userlist()}
}

// Spillway is the set-up as a config file. It is JSON, which YAML includes.
func (c PoolerConfig) Spillway(k Kind, p *Pooler) (string, error) {
	tree := map[string]any{}
	for path, value := range c.spillwayKeys(k, p) {
		setPath(tree, path, value)
	}
	for path, value := range c.Set {
		setPath(tree, path, value)
	}
	var overlay map[string]any
	if err := yaml.Unmarshal(c.Overlay, &overlay); err != nil {
		return "", fmt.Errorf("parse overlay: %w", err)
	}
	layOver(tree, overlay)
	text, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode config: %w", err)
	}
	return string(text), nil
}

func (c PoolerConfig) spillwayKeys(k Kind, p *Pooler) map[string]any {
	url := c.Server.URL(Login{})
	if c.UnixServer {
		url = c.Server.SocketURL(Login{})
	}
	keys := map[string]any{
		"listen":                []string{p.Addr()},
		"admin":                 p.Admin,
		"data_dir":              "{dir}/state",
		"servers.main.url":      url,
		"databases.*.server":    "main",
		"databases.*.pool_mode": k.Mode,
		"databases.*.pool_size": c.PoolSize,
		"auth.type":             "scram-sha-256",
		"auth.file":             "userlist.txt",
		"auth.admins":           []string{"postgres"},
		"limits.max_clients":    c.MaxClients,
		"log.connections":       false,
		"log.disconnections":    false,
		// Suites open sessions by the hundred; the default paces them.
		"servers.main.connect_rate": 0,
	}
	if c.trusting() {
		keys["auth.type"] = "trust"
	}
	if k.Driver != "" {
		keys["driver"] = strings.ReplaceAll(k.Driver, "uring", "io_uring")
	}
	if c.Certs != nil {
		keys["tls.mode"], keys["tls.cert"], keys["tls.key"], keys["tls.ca"] = "allow", c.Certs.ServerCert, c.Certs.ServerKey, c.Certs.CA
	}
	return keys
}

// setPath puts a value at a dotted path, making the sections on the way.
func setPath(tree map[string]any, path string, value any) {
	section, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		tree[section] = value
		return
	}
	next, ok := tree[section].(map[string]any)
	if !ok {
		next = map[string]any{}
		tree[section] = next
	}
	setPath(next, rest, value)
}

// layOver lays one tree over another: sections merge, all else replaces.
func layOver(tree, overlay map[string]any) {
	for name, value := range overlay {
		over, isSection := value.(map[string]any)
		under, wasSection := tree[name].(map[string]any)
		if isSection && wasSection {
			layOver(under, over)
			continue
		}
		tree[name] = value
	}
}
