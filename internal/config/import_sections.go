package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"spillway/internal/config/fault"
	"spillway/internal/config/ini"
)

// connection is one line of [databases] before it is written.
type connection struct {
	line  *ini.Line
	pairs []ini.Pair
	hosts []string
	port  string
	turns bool // hosts in turn, PgBouncer's default
}

// databases writes [databases], and a server for every place they name.
func (m *importer) databases() {
	m.out.names["servers"], m.out.names["databases"] = nil, nil
	var all []*connection
	places := map[string]bool{}
	for _, l := range m.entries["databases"] {
		if c := m.connection(l); c != nil {
			all = append(all, c)
			places[c.place()] = true
		}
	}
	if len(m.entries["databases"]) == 0 {
		m.noDatabase()
		return
	}
	for _, c := range all {
		m.database(c, m.server(c, len(places) == 1))
	}
}

// noDatabase keeps what is left of a set-up without databases: the console.
func (m *importer) noDatabase() {
	c := &connection{hosts: []string{m.socketDir()}, port: strconv.Itoa(defaultPort)}
	m.server(c, true)
	m.addNote(Note{File: m.anyFile(), Line: 1, Setting: "databases", Why: `none is named, so every client is refused as before; databases: {"*": {server: main}} lets them in`})
}

// connection reads a line's place; the rest waits for database.
func (m *importer) connection(l *ini.Line) *connection {
	pairs, bad := l.Pairs()
	if bad != nil {
		m.problems = append(m.problems, *bad)
		return nil
	}
	c := &connection{line: l, pairs: pairs, port: strconv.Itoa(defaultPort), turns: true}
	for i := range pairs {
		p := &pairs[i]
		switch p.Key {
		case "host":
			c.hosts = m.hosts(p)
		case "port":
			if _, bad := parsePort(p.Value); bad != nil {
				m.failAt(p.Problem(""), bad)
			}
			c.port = p.Value
		case "load_balance_hosts":
			words := []string{"disable", "round-robin"}
			if err := (&key{oneOf: words}).allowed(p.Value); err != nil {
				m.failAt(p.Problem(""), err)
			}
			c.turns = p.Value != "disable"
		}
	}
	if len(c.hosts) == 0 {
		c.hosts = []string{m.socketDir()}
	}
	return c
}

// socketDir is where PgBouncer looks for servers without a host.
func (m *importer) socketDir() string {
	if dir := m.setting("unix_socket_dir", "/tmp"); strings.HasPrefix(dir, "/") {
		return dir
	}
	return "/tmp"
}

func (m *importer) hosts(p *ini.Pair) []string {
	hosts := splitCommas(p.Value)
	for _, h := range hosts {
		if strings.HasPrefix(h, "@") {
			m.failAt(p.Problem(""), &complaint{what: "sockets in the abstract namespace are not connected to", mend: "host=/run/postgresql, or an address"})
			continue
		}
		if _, bad := parseHost(h, defaultPort); bad != nil || strings.Contains(h, ":") && net.ParseIP(h) == nil {
			m.failAt(p.Problem(""), &complaint{what: "host is not a name, an address or a folder", mend: "host=db-1 port=5432"})
		}
	}
	return hosts
}

func (c *connection) place() string {
	hosts := fmt.Sprintf("%q", c.hosts)
	if !c.sockets() {
		hosts = strings.ToLower(hosts)
	}
	return hosts + fmt.Sprintf(" %s %v", c.port, c.turns && len(c.hosts) > 1)
}

// server is the name of the connection's server, written when new.
func (m *importer) server(c *connection, only bool) string {
	if name, ok := m.servers[c.place()]; ok {
		return name
	}
	name := "main"
	if !only {
		name = m.freeName(serverName(c.hosts[0]), c.port)
	}
	m.servers[c.place()] = name
	path := m.out.name("servers", name)
	m.putServer(path, "url", c.url())
	// PgBouncer opens none of its own, and has no cap for a whole server.
	m.putServer(path, "operator_slots", "0")
	if len(c.hosts) > 1 && c.turns {
		m.putServer(path, "load_balance_hosts", "round-robin")
	}
	m.serverTLS(path, c.sockets())
	if l := m.settings["dns_max_ttl"]; l != nil {
		d, err := peerSeconds(l.Value)
		if err != nil {
			m.fail(l, err)
		}
		m.putServer(path, "dns_max_ttl", formatDuration(d))
	}
	return name
}

func (c *connection) sockets() bool {
	return !slices.ContainsFunc(c.hosts, func(h string) bool { return !strings.HasPrefix(h, "/") })
}

// serverName makes a short name of a host.
func serverName(host string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_", r) {
			return r
		}
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return '-'
	}, host)
	name = strings.Trim(name, "-")
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "db-" + name // an address
	}
	if name == "" || len(name) > 64 {
		name = "server"
	}
	return name
}

// freeName is name, with the port or a number after it when it is taken.
func (m *importer) freeName(name, port string) string {
	taken := func(n string) bool { return m.out.taken[join("servers", n)] }
	if !taken(name) {
		return name
	}
	name += "-" + port
	if !taken(name) {
		return name
	}
	for {
		m.again[name]++
		if n := fmt.Sprintf("%s-%d", name, m.again[name]+1); !taken(n) {
			return n
		}
	}
}

func (c *connection) url() string {
	var hosts []string
	for _, h := range c.hosts {
		if strings.HasPrefix(h, "/") {
			return c.socketURL()
		}
		hosts = append(hosts, net.JoinHostPort(h, c.port))
	}
	return "postgres://" + strings.Join(hosts, ",") + "/postgres"
}

func (c *connection) socketURL() string {
	escaped := make([]string, len(c.hosts))
	for i, h := range c.hosts {
		escaped[i] = strings.NewReplacer("%2F", "/", "&", "%26", "=", "%3D").Replace(url.PathEscape(h))
	}
	u := "postgres:///postgres?host=" + strings.Join(escaped, ",")
	if c.port != strconv.Itoa(defaultPort) {
		u += "&port=" + c.port
	}
	return u
}

func (m *importer) database(c *connection, server string) {
	l := c.line
	if l.Key == "pgbouncer" || l.Key == "spillway" {
		m.failAt(l.Source.Problem(l.KeyAt, ""), &complaint{what: fmt.Sprintf("database %s is the admin console", l.Key), mend: "give it another name, and its own as dbname="})
		return
	}
	path := m.out.name("databases", l.Key)
	m.out.put(join(path, "server"), find(databaseKeys(), "server"), server)
	for i := range c.pairs {
		m.databasePair(path, &c.pairs[i])
	}
	m.clampMinimum(path, c)
}

func (m *importer) databasePair(path string, p *ini.Pair) {
	switch p.Key {
	case "host", "port", "load_balance_hosts":
	case "client_encoding", "datestyle", "timezone", "application_name":
		m.note(p.Line, p.Key+" is not asked of the server; ALTER DATABASE or ALTER ROLE … SET does it for good")
	case "auth_file", "auth_hba_file":
		m.note(p.Line, p.Key+" is one for all databases here")
	default:
		m.pair(path, databaseKeys(), p)
	}
}

// pair writes one parameter of a database or user by the table. -1 is unset,
// and so is 0 where PgBouncer takes it so.
func (m *importer) pair(path string, keys []key, p *ini.Pair) {
	name := p.Key
	if name == "reserve_pool" {
		name = "reserve_pool_size"
	}
	var row *key
	for i := range keys {
		if isPeer(&keys[i], name) && keys[i].name != "server" {
			row = &keys[i]
		}
	}
	if row == nil {
		m.unknownPair(p, keys)
		return
	}
	if row.secret {
		m.note(p.Line, "its password stands in the YAML as it stood in the ini; better in a file (password_file) or the environment (${NAME})")
		m.out.put(join(path, row.name), row, p.Value)
		return
	}
	if p.Value == "-1" || p.Value == "0" && row.kind == kindDuration && name != "query_wait_timeout" {
		return
	}
	texts, err := fromPeer(row, p.Value)
	if err == nil {
		err = tryValue(row, texts)
	}
	if err != nil {
		m.failAt(p.Problem(""), err)
		return
	}
	m.out.put(join(path, row.name), row, texts...)
}

func (m *importer) unknownPair(p *ini.Pair, keys []key) {
	names := []string{"host", "port"}
	for i := range keys {
		names = append(names, strings.Split(keys[i].peer, ", ")...)
	}
	c := &complaint{what: fmt.Sprintf("unknown parameter %s", quoteKey(p.Key)), mend: "PgBouncer refuses it too; remove it"}
	if near := fault.Nearest(p.Key, names); near != "" {
		c.mend = "did you mean " + near + "?"
	}
	m.failAt(p.Line.Problem(""), c)
}

// clampMinimum lowers a minimum that its pool could never hold.
func (m *importer) clampMinimum(path string, c *connection) {
	size, low := m.count("default_pool_size", 20), m.count("min_pool_size", 0)
	for i := range c.pairs {
		n, err := strconv.Atoi(c.pairs[i].Value)
		switch {
		case err != nil || n < 0:
		case c.pairs[i].Key == "pool_size":
			size = n
		case c.pairs[i].Key == "min_pool_size":
			low = n
		}
	}
	if low > size {
		m.note(c.line, fmt.Sprintf("min_pool_size %d is above the pool's size: made %d", low, size))
		m.out.put(join(path, "min_pool_size"), find(databaseKeys(), "min_pool_size"), strconv.Itoa(size))
	}
}

func (m *importer) count(setting string, fallback int) int {
	if n, err := strconv.Atoi(m.setting(setting, "")); err == nil {
		return n
	}
	return fallback
}

func (m *importer) users() {
	for _, l := range m.entries["users"] {
		pairs, bad := l.Pairs()
		if bad != nil {
			m.problems = append(m.problems, *bad)
			continue
		}
		path := m.out.name("users", l.Key)
		for i := range pairs {
			m.pair(path, userKeys(), &pairs[i])
		}
	}
}
