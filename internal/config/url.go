package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"spillway/internal/config/fault"
	"spillway/internal/proxy"
)

const defaultPort = 5432

// readTarget reads a server's URL and hosts, and moves the URL's parameters to
// the keys they are. Complaints never quote the URL: it may hold a password.
func (k *checker) readTarget(name string, s *Server) {
	path := join("servers", name)
	if k.broken(join(path, "url")) || k.c.Servers[name] != s {
		return
	}
	if s.URL == "" {
		k.fail(path, complaint{
			what: fmt.Sprintf("server %s has no url", quoteKey(name)),
			why:  "the url is the one key without a default",
			mend: "url: postgres://role@host:5432/postgres",
		})
		return
	}
	u, c := parseURL(s.URL)
	if c != nil {
		k.fail(join(path, "url"), *c)
		return
	}
	s.target = u.target
	k.takeParameters(path, s, u.parameters)
	for _, h := range s.Hosts {
		a, c := parseHost(h, defaultPort)
		if c != nil {
			k.fail(join(path, "hosts"), *c)
			continue
		}
		s.target.hosts = append(s.target.hosts, a)
	}
	if len(s.target.hosts) == 0 {
		k.fail(join(path, "url"), complaint{what: "url names no host", mend: "postgres://role@host:5432/postgres, or postgres:///postgres?host=/run/postgresql for a unix socket"})
	}
}

// parsedURL is what a connection URL says.
type parsedURL struct {
	target     target
	parameters []parameter // in the URL's order, less host and port
}

type parameter struct{ name, value string }

// parseURL reads postgres://user:password@host1:port1,host2/database?k=v.
func parseURL(text string) (parsedURL, *complaint) {
	var p parsedURL
	rest, ok := strings.CutPrefix(text, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "postgresql://")
	}
	if !ok {
		return p, &complaint{what: "url does not begin with postgres://", mend: "postgres://role@host:5432/postgres"}
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		hosts = authority[at+1:]
		user, password, _ := strings.Cut(authority[:at], ":")
		if !unescape(&p.target.user, user) || !unescape(&p.target.password, password) {
			return p, escapeComplaint()
		}
	}
	if !unescape(&p.target.database, database) {
		return p, escapeComplaint()
	}
	return p, p.addHosts(hosts, query)
}

func escapeComplaint() *complaint {
	return &complaint{what: "url holds a % that begins no escape", mend: "write %25 for a percent sign, %40 for @, %2F for /"}
}

func unescape(into *string, text string) bool {
	s, err := url.PathUnescape(text)
	*into = s
	return err == nil && !strings.Contains(s, "\x00")
}

// addHosts reads the hosts before the path, or those of the host parameter.
func (p *parsedURL) addHosts(hosts, query string) *complaint {
	var list, ports []string
	if hosts != "" {
		list = strings.Split(hosts, ",")
	}
	for _, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if !unescape(&value, value) || !unescape(&name, name) {
			return escapeComplaint()
		}
		switch name {
		case "host":
			list = append(list, strings.Split(value, ",")...)
		case "port":
			ports = strings.Split(value, ",")
		default:
			p.parameters = append(p.parameters, parameter{name, value})
		}
	}
	for i, h := range list {
		if !unescape(&h, h) {
			return escapeComplaint()
		}
		port, c := portFor(ports, i)
		if c != nil {
			return c
		}
		a, c := parseHost(h, port)
		if c != nil {
			return c
		}
		p.target.hosts = append(p.target.hosts, a)
	}
	return nil
}

// portFor is the port of host i as libpq reads it: one for all, or one each.
func portFor(ports []string, i int) (uint16, *complaint) {
	if len(ports) == 0 {
		return defaultPort, nil
	}
	text := ports[0]
	if len(ports) > 1 {
		if i >= len(ports) {
			return 0, &complaint{what: "url has fewer ports than hosts", mend: "give one port, or one for each host"}
		}
		text = ports[i]
	}
	return parsePort(text)
}

func parsePort(text string) (uint16, *complaint) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || !isDigits(text) {
		return 0, &complaint{what: "port is not a number from 1 to 65535", mend: "host:5432"}
	}
	return uint16(n), nil
}

// parseHost reads host, host:port, [v6], [v6]:port, or a socket's folder.
func parseHost(text string, port uint16) (proxy.Address, *complaint) {
	bad := &complaint{what: "host is not a name, an address or a folder", mend: "host, host:5432, [::1]:5432 or /run/postgresql"}
	host := text
	switch {
	case strings.HasPrefix(text, "/"):
		return proxy.Address{Host: text, Port: port}, nil
	case strings.HasPrefix(text, "["):
		inner, after, ok := strings.Cut(text[1:], "]")
		if !ok || inner == "" {
			return proxy.Address{}, bad
		}
		host, text = inner, after
	case strings.Count(text, ":") > 1: // a bare IPv6 address
		text = ""
	default:
		host, _, _ = strings.Cut(text, ":")
		text = strings.TrimPrefix(text, host)
	}
	if text != "" {
		digits, ok := strings.CutPrefix(text, ":")
		if !ok {
			return proxy.Address{}, bad
		}
		p, c := parsePort(digits)
		if c != nil {
			return proxy.Address{}, c
		}
		port = p
	}
	if host == "" || len(host) > 255 || strings.ContainsAny(host, " \t\r\n\x00@") {
		return proxy.Address{}, bad
	}
	return proxy.Address{Host: host, Port: port}, nil
}

// takeParameters moves the URL's parameters to the server's keys.
func (k *checker) takeParameters(path string, s *Server, parameters []parameter) {
	table := serverKeys()
	for _, p := range parameters {
		at := join(path, "url")
		row := find(table, p.name)
		if row == nil || !slices.Contains(urlParameters(), p.name) {
			mend := "parameters are host, port, " + strings.Join(urlParameters(), ", ")
			if near := fault.Nearest(p.name, urlParameters()); near != "" {
				mend = "did you mean " + near + "?"
			}
			k.fail(at, complaint{what: fmt.Sprintf("url has a parameter %s that is not understood", quoteKey(p.name)), mend: mend})
			continue
		}
		if _, both := k.c.origin.spans[join(path, p.name)]; both {
			k.fail(join(path, p.name), complaint{what: p.name + " is given here and in the url", mend: "keep one of them"})
			continue
		}
		if err := row.set(s, p.value); err != nil {
			k.fail(at, complaint{what: "url: " + p.name + " " + err.Error(), mend: mendOf(err)})
		}
	}
}

// urlParameters are the keys of a server that its URL may hold too.
func urlParameters() []string {
	return []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "ssl_min_protocol_version",
		"ssl_max_protocol_version", "channel_binding", "target_session_attrs", "load_balance_hosts"}
}

func mendOf(err error) string {
	var c *complaint
	if errors.As(err, &c) {
		return c.mend
	}
	return ""
}
