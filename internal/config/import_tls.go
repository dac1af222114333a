package config

import (
	"slices"
	"strings"
)

// tlsWord checks a mode and gives it back, fallback when it is not set.
func (m *importer) tlsWord(name, fallback string) string {
	l := m.settings[name]
	if l == nil {
		return fallback
	}
	if !slices.Contains(sslModes(), l.Value) {
		m.fail(l, (&key{oneOf: sslModes()}).allowed(l.Value))
		return fallback
	}
	return l.Value
}

// clientTLS writes client_tls_*. Below verify-ca PgBouncer does not check
// client certificates, so the CA is left out there: ours would check.
func (m *importer) clientTLS() {
	mode := m.tlsWord("client_tls_sslmode", "disable")
	if mode == "disable" {
		return
	}
	m.put("tls.mode", mode)
	for setting, path := range map[string]string{"client_tls_cert_file": "tls.cert", "client_tls_key_file": "tls.key"} {
		if v := m.setting(setting, ""); v != "" {
			m.put(path, v)
			continue
		}
		m.fail(m.settings["client_tls_sslmode"], &complaint{what: "client_tls_sslmode is " + mode + " and there is no " + setting, mend: "give it, or client_tls_sslmode = disable"})
	}
	ca, checks := m.setting("client_tls_ca_file", ""), strings.HasPrefix(mode, "verify-")
	switch {
	case ca != "" && checks:
		m.put("tls.ca", ca)
	case ca != "":
		m.note(m.settings["client_tls_ca_file"], "left out: PgBouncer does not check client certificates with sslmode "+mode+"; use verify-ca to have them checked")
	case checks:
		m.put("tls.ca", "system")
	}
	if words := m.protocols("client_tls_protocols"); words != nil {
		m.put("tls.protocols", words...)
	}
	m.ciphers("client_tls_ciphers")
}

// protocols reads PgBouncer's words for TLS versions; nil is our default.
func (m *importer) protocols(name string) []string {
	l := m.settings[name]
	if l == nil {
		return nil
	}
	named := map[string]string{"tlsv1.0": "TLSv1", "tlsv1.1": "TLSv1.1", "tlsv1.2": "TLSv1.2", "tlsv1.3": "TLSv1.3"}
	var found []string
	for _, word := range strings.FieldsFunc(l.Value, func(r rune) bool { return strings.ContainsRune(":, \t", r) }) {
		switch v := named[strings.ToLower(word)]; {
		case v != "":
			found = append(found, v)
		case word == "secure" || word == "default":
			found = append(found, "TLSv1.2", "TLSv1.3")
		case word == "all" || word == "legacy":
			found = append(found, tlsVersions()...)
		default:
			m.fail(l, (&key{oneOf: append([]string{"secure", "all"}, sortedKeys(named)...)}).allowed(word))
			return nil
		}
	}
	if len(found) == 0 {
		return nil
	}
	all := tlsVersions()
	slices.SortFunc(found, func(a, b string) int { return slices.Index(all, a) - slices.Index(all, b) })
	found = slices.Compact(found)
	first, last := slices.Index(all, found[0]), slices.Index(all, found[len(found)-1])
	if last-first+1 != len(found) {
		m.note(l, "a gap between versions cannot be had: "+all[first]+" to "+all[last])
		found = all[first : last+1]
	}
	return found
}

func (m *importer) ciphers(name string) {
	l := m.settings[name]
	if l == nil {
		return
	}
	switch l.Value {
	case "", "default", "secure", "fast", "normal":
	default:
		m.note(l, "OpenSSL's cipher lists are not read; Go's choice holds, or name suites in tls.ciphers")
	}
}

// serverTLS writes server_tls_* to one server. A unix socket has no TLS.
func (m *importer) serverTLS(path string, socket bool) {
	mode := m.tlsWord("server_tls_sslmode", "prefer")
	if socket {
		m.putServer(path, "sslmode", "disable")
		return
	}
	ca := m.setting("server_tls_ca_file", "")
	switch {
	case ca != "" && strings.HasPrefix(mode, "verify-"):
		m.putServer(path, "sslrootcert", ca)
	case mode == "verify-ca":
		mode = "verify-full"
		m.noteSetting("server_tls_sslmode", "verify-ca without server_tls_ca_file would take any public certificate: made verify-full")
		m.putServer(path, "sslrootcert", "system")
	case mode == "verify-full":
		m.putServer(path, "sslrootcert", "system")
	case ca != "":
		m.noteSetting("server_tls_ca_file", "left out: PgBouncer does not check the server with sslmode "+mode+"; use verify-ca or verify-full to have it checked")
	}
	m.putServer(path, "sslmode", mode)
	if mode == "disable" {
		return
	}
	cert, key := m.setting("server_tls_cert_file", ""), m.setting("server_tls_key_file", "")
	if cert != "" && key != "" {
		m.putServer(path, "sslcert", cert)
		m.putServer(path, "sslkey", key)
	}
	if words := m.protocols("server_tls_protocols"); words != nil {
		m.putServer(path, "ssl_min_protocol_version", words[0])
		m.putServer(path, "ssl_max_protocol_version", words[len(words)-1])
	}
	m.ciphers("server_tls_ciphers")
}

// noteSetting notes something about a setting, if it is given.
func (m *importer) noteSetting(name, why string) {
	if l := m.settings[name]; l != nil {
		m.note(l, why)
	}
}

func (m *importer) putServer(path, name string, texts ...string) {
	m.out.put(join(path, name), find(serverKeys(), name), texts...)
}
