package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"spillway/internal/config/fault"
	"spillway/internal/config/ini"
)

// global writes [pgbouncer]: what differs from our defaults even when the ini
// does not say it, then every setting given.
func (m *importer) global() {
	m.put("error_style", "pgbouncer")
	m.put("pool.mode", "session")
	m.put("auth.type", "md5")
	m.put("limits.max_clients", "100")
	m.put("timeouts.shutdown", "0s")
	m.listen()
	custom, left := m.customSettings(), leftOut()
	for _, name := range m.order {
		l := m.settings[name]
		if write, ok := custom[name]; ok {
			write(l)
			continue
		}
		if why, ok := left[name]; ok {
			m.leave(l, why)
			continue
		}
		m.fromTable(l)
	}
	m.clientTLS()
}

// fromTable writes a setting that the table has a counterpart of.
func (m *importer) fromTable(l *ini.Line) {
	path := m.homes[l.Key]
	k := m.rows[path]
	if k == nil {
		m.unknown(l)
		return
	}
	texts, err := fromPeer(k, l.Value)
	if err == nil {
		err = tryValue(k, texts)
	}
	if err != nil {
		m.fail(l, err)
		return
	}
	if k.kind == kindText && l.Value == "" && k.def == "" {
		return
	}
	m.out.put(path, k, texts...)
}

// tryValue tells whether a key takes texts, without a Config to put them in.
func tryValue(k *key, texts []string) error {
	if len(k.oneOf) > 0 {
		return k.allowed(texts...)
	}
	if k.kind == kindCount {
		_, err := k.parseCount(texts[0])
		return err
	}
	return nil
}

func (m *importer) unknown(l *ini.Line) {
	why := "not a setting of PgBouncer; left out"
	if near := fault.Nearest(l.Key, append(sortedKeys(m.homes), sortedKeys(leftOut())...)); near != "" {
		why += "; did you mean " + near + "?"
	}
	m.note(l, why)
}

// leave notes a setting without counterpart, unless it asks for nothing.
func (m *importer) leave(l *ini.Line, why string) {
	switch l.Value {
	case "", "0", "auto", "default", "<empty>":
		return
	}
	m.note(l, why)
}

// leftOut are PgBouncer's settings without counterpart, and why.
func leftOut() map[string]string {
	const (
		sizes   = "buffers size themselves here"
		service = "the service manager does it: see the systemd unit"
		resolve = "names are resolved by Go's resolver, as the machine is set up"
		cipher  = "Go chooses the key exchange and the suites of TLS 1.3"
	)
	return map[string]string{
		"logfile": "lines go to standard error; the service manager keeps them", "syslog": "lines go to standard error; the service manager keeps them",
		"syslog_facility": "lines go to standard error; the service manager keeps them", "syslog_ident": "lines go to standard error; the service manager keeps them",
		"pidfile": service, "user": service, "unix_socket_group": "use unix_socket_mode, and the group of the folder",
		"service_name": service, "job_name": service, "conffile": "the file is the one of spillway serve -c",
		"log_stats": "figures are at /metrics, not in the log", "disable_pqexec": "simple queries cannot be switched off",
		"peer_id": "peers forward cancel requests; Spillway's loops share one table, and other nodes are not asked yet",
		"pkt_buf": sizes, "sbuf_loopcnt": sizes, "tcp_socket_buffer": sizes,
		"tcp_defer_accept": "connections are accepted as they come", "tcp_keepcnt": "the machine's setting holds", "tcp_keepintvl": "the machine's setting holds",
		"tcp_user_timeout": "use timeouts of queries and transactions", "suspend_timeout": "SUSPEND waits as long as its caller does",
		"dns_nxdomain_ttl": resolve, "dns_zone_check_period": resolve, "resolv_conf": resolve,
		"scram_iterations": "the iterations of each stored verifier hold", "login_notify_message": "no welcome message is sent",
		"pool_idle_timeout": "empty pools go with their database", "auth_ldap_options": "LDAP is not spoken",
		"client_tls13_ciphers": cipher, "server_tls13_ciphers": cipher, "client_tls_ecdhcurve": cipher, "client_tls_dheparams": cipher,
	}
}

// customSettings are those that one line of the table cannot say.
func (m *importer) customSettings() map[string]func(*ini.Line) {
	elsewhere := func(*ini.Line) {} // written where it belongs
	custom := map[string]func(*ini.Line){
		"auth_type":              m.authType,
		"max_packet_size":        m.maxPacket,
		"server_lifetime":        m.serverLifetime,
		"server_check_delay":     m.neverZero("timeouts.server_check_delay"),
		"server_check_query":     m.checkQuery,
		"stats_period":           m.neverZero("stats_period"),
		"tcp_keepalive":          m.keepalive,
		"tcp_keepidle":           m.keepidle,
		"track_extra_parameters": m.trackParameters,
		"unix_socket_mode":       m.socketMode,
		"verbose":                m.verbose,
		"client_tls_sslmode":     elsewhere,
		"listen_addr":            elsewhere,
		"listen_port":            elsewhere,
		"unix_socket_dir":        elsewhere,
		"dns_max_ttl":            elsewhere,
	}
	for _, name := range []string{"ca_file", "cert_file", "key_file", "protocols", "ciphers"} {
		custom["client_tls_"+name], custom["server_tls_"+name] = elsewhere, elsewhere
	}
	custom["server_tls_sslmode"] = elsewhere
	return custom
}

func (m *importer) authType(l *ini.Line) {
	k := m.rows["auth.type"]
	switch {
	case l.Value == "pam" || l.Value == "ldap":
		m.fail(l, &complaint{what: "auth_type " + l.Value + " has no counterpart", why: "letting clients in any other way would be a guess", mend: "scram-sha-256 with auth_file or auth_user, cert, or hba"})
		return
	case l.Value == "trust":
		m.note(l, "trust lets in every name here; PgBouncer wants it in auth_file")
	case l.Value == "any":
		m.note(l, "any makes nobody an admin here; name admins in auth.admins")
	}
	if err := k.allowed(l.Value); err != nil {
		m.fail(l, err)
		return
	}
	m.put("auth.type", l.Value)
}

func (m *importer) maxPacket(l *ini.Line) {
	n, err := strconv.ParseUint(l.Value, 10, 32)
	if err != nil {
		m.fail(l, &complaint{what: fmt.Sprintf("%q is not a number of bytes", l.Value), mend: "max_packet_size = 1073741824"})
		return
	}
	switch {
	case n < 64<<10:
		m.note(l, "less than 64KiB is not taken")
		n = 64 << 10
	case n > 1<<30:
		n = 1 << 30 // PostgreSQL sends no longer message
	}
	m.put("limits.max_message", formatBytes(Bytes(n)))
}

// serverLifetime keeps 0, which PgBouncer takes for "use once".
func (m *importer) serverLifetime(l *ini.Line) {
	d, err := peerSeconds(l.Value)
	switch {
	case err != nil:
		m.fail(l, err)
	case d == 0:
		m.note(l, "0 uses a server once; written as 1ms, as 0 is no limit here")
		m.put("timeouts.server_lifetime", "1ms")
	default:
		m.put("timeouts.server_lifetime", formatDuration(d))
	}
}

// neverZero writes a duration whose 0 means at once, not never.
func (m *importer) neverZero(path string) func(*ini.Line) {
	return func(l *ini.Line) {
		d, err := peerSeconds(l.Value)
		if err != nil {
			m.fail(l, err)
			return
		}
		text := formatDuration(d)
		if d == 0 {
			text = "1ms"
		}
		m.put(path, text)
	}
}

func (m *importer) checkQuery(l *ini.Line) {
	switch l.Value {
	case "<empty>":
	case "":
		m.note(l, "the check of idle servers cannot be switched off; it is put off for a day")
		m.put("timeouts.server_check_delay", "24h")
	default:
		m.put("pool.check_query", l.Value)
	}
}

func (m *importer) keepalive(l *ini.Line) {
	on, err := peerFlag(l.Value)
	if err != nil {
		m.fail(l, err)
	} else if !on {
		m.put("tcp_keepalive", "0s")
	}
}

func (m *importer) keepidle(l *ini.Line) {
	d, err := peerSeconds(l.Value)
	if err != nil {
		m.fail(l, err)
		return
	}
	if on, err := peerFlag(m.setting("tcp_keepalive", "1")); err == nil && on && d > 0 {
		m.put("tcp_keepalive", formatDuration(d))
	}
}

// trackParameters leaves out what every server reports by itself.
func (m *importer) trackParameters(l *ini.Line) {
	reported := []string{"intervalstyle", "datestyle", "timezone", "client_encoding", "application_name", "standard_conforming_strings"}
	names := slices.DeleteFunc(splitCommas(l.Value), func(n string) bool { return slices.Contains(reported, strings.ToLower(n)) })
	if len(names) > 0 {
		m.put("session.track_parameters", names...)
	}
}

func (m *importer) socketMode(l *ini.Line) {
	mode, err := socketMode(l.Value)
	if err != nil {
		m.fail(l, &complaint{what: fmt.Sprintf("%q is not an octal mode", l.Value), mend: "unix_socket_mode = 0777"})
		return
	}
	m.put("unix_socket_mode", fmt.Sprintf("%04o", mode))
}

func (m *importer) verbose(l *ini.Line) {
	if n, err := strconv.Atoi(l.Value); err != nil {
		m.fail(l, &complaint{what: fmt.Sprintf("%q is not a number", l.Value), mend: "verbose = 1"})
	} else if n > 0 {
		m.put("log.level", "debug")
	}
}

// listen joins three settings into one list.
func (m *importer) listen() {
	port := m.setting("listen_port", defaultListenPort)
	if _, bad := parsePort(port); bad != nil {
		m.fail(m.settings["listen_port"], bad)
		return
	}
	var addresses []string
	for _, host := range splitCommas(m.setting("listen_addr", "")) {
		address := net.JoinHostPort(strings.Trim(host, "[]"), port)
		if _, bad := readListen(address, port, 0); bad != nil {
			m.fail(m.settings["listen_addr"], bad)
			return
		}
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	if dir := m.setting("unix_socket_dir", "/tmp"); dir != "" {
		addresses = m.listenSocket(addresses, dir, port)
	}
	if len(addresses) == 0 {
		m.problems = append(m.problems, fault.Problem{File: m.anyFile(), What: "neither listen_addr nor unix_socket_dir names an address", Mend: "listen_addr = 127.0.0.1"})
		return
	}
	m.put("listen", addresses...)
}

// listenSocket adds the unix socket. Its folder alone would take the port of
// the first address, so a set-up without any has the socket's path.
func (m *importer) listenSocket(addresses []string, dir, port string) []string {
	l := m.settings["unix_socket_dir"]
	if strings.HasPrefix(dir, "@") {
		m.note(l, "sockets in the abstract namespace are not listened on")
		return addresses
	}
	address := "unix:" + dir
	if len(addresses) == 0 && port != defaultListenPort {
		address += "/.s.PGSQL." + port
	}
	if _, bad := readListen(address, port, 0); bad != nil {
		if l != nil {
			m.fail(l, bad)
		}
		return addresses
	}
	return append(addresses, address)
}

func (m *importer) anyFile() string {
	if len(m.lines) == 0 {
		return "pgbouncer.ini"
	}
	return m.lines[0].Source.Name
}
