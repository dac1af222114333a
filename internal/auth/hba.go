package auth

import (
	"net/netip"
	"regexp"
)

// ConnType is the first word of an HBA rule.
type ConnType uint8

// The connection types.
const (
	TypeLocal     ConnType = iota // unix socket
	TypeHost                      // TCP, with TLS or without
	TypeHostSSL                   // TCP with TLS
	TypeHostNoSSL                 // TCP without TLS
)

// Conn is what HBA rules look at.
type Conn struct {
	TLS   bool
	Local bool       // unix socket
	Addr  netip.Addr // of the client; unused if Local
	User  string
	// Database is the one asked for; empty only for physical replication.
	Database string
	// Replication says physical replication (replication=true). Logical replication
	// (replication=database) counts as an ordinary connection to its database.
	Replication bool
}

// Rule is one line of an HBA file. The zero value refuses.
type Rule struct {
	Line   int // in the file, from 1
	Type   ConnType
	Method Method
	// Map names the ident map of cert and peer; empty means that names must be equal.
	Map string

	databases []nameMatch
	users     []nameMatch
	address   addressMatch
}

// HBA is a parsed pg_hba.conf. It is immutable and safe to share.
type HBA struct {
	rules []Rule
	host  []netip.Prefix
}

// Match returns the first rule for the connection. Without one, ok is false and the
// client must be refused.
func (h *HBA) Match(c Conn) (r Rule, ok bool) {
	if h == nil {
		return Rule{}, false
	}
	c.Addr = c.Addr.Unmap().WithZone("")
	for i := range h.rules {
		if h.rules[i].matches(&c, h.host) {
			return h.rules[i], true
		}
	}
	return Rule{}, false
}

// Len returns how many rules there are.
func (h *HBA) Len() int { return len(h.rules) }

// NeedsHost reports whether a rule says samehost or samenet, so that WithHost is
// needed; without it they match nothing.
func (h *HBA) NeedsHost() bool {
	for i := range h.rules {
		if k := h.rules[i].address.kind; k == addrSameHost || k == addrSameNet {
			return true
		}
	}
	return false
}

// WithHost returns a copy that knows this machine's own addresses with their
// networks, as samehost and samenet ask.
func (h *HBA) WithHost(own []netip.Prefix) *HBA {
	host := make([]netip.Prefix, 0, len(own))
	for _, p := range own {
		a := p.Addr()
		bits := p.Bits()
		if a.Is4In6() && bits >= 96 {
			bits -= 96
		}
		host = append(host, netip.PrefixFrom(a.Unmap().WithZone(""), bits))
	}
	return &HBA{rules: h.rules, host: host}
}

func (r *Rule) matches(c *Conn, host []netip.Prefix) bool {
	return r.matchesType(c) && (c.Local || r.address.matches(c.Addr, host)) &&
		anyMatches(r.databases, c, c.Database) && anyMatches(r.users, c, c.User)
}

func (r *Rule) matchesType(c *Conn) bool {
	switch r.Type {
	case TypeLocal:
		return c.Local
	case TypeHost:
		return !c.Local
	case TypeHostSSL:
		return !c.Local && c.TLS
	case TypeHostNoSSL:
		return !c.Local && !c.TLS
	}
	return false
}

// matchKind is how a word in a list of databases or users matches.
type matchKind uint8

const (
	matchName matchKind = iota
	matchAll
	matchSameUser
	matchReplication
	matchRegexp
)

// nameMatch is one word in a list of databases or users.
type nameMatch struct {
	kind matchKind
	name string
	re   *regexp.Regexp // of matchRegexp
	user bool           // stands in the list of users
}

func anyMatches(list []nameMatch, c *Conn, name string) bool {
	for i := range list {
		if list[i].matches(c, name) {
			return true
		}
	}
	return false
}

func (m *nameMatch) matches(c *Conn, name string) bool {
	if c.Replication && !m.user {
		return m.kind == matchReplication // physical replication has no database
	}
	switch m.kind {
	case matchName:
		return m.name == name
	case matchAll:
		return true
	case matchSameUser:
		return c.User == name
	case matchRegexp:
		return m.re.MatchString(name)
	case matchReplication:
	}
	return false
}

// addressKind is how the address of a rule matches.
type addressKind uint8

const (
	addrPrefix addressKind = iota
	addrAll
	addrSameHost
	addrSameNet
)

// addressMatch is the address of a host rule.
type addressMatch struct {
	kind   addressKind
	prefix netip.Prefix // of addrPrefix
}

func (m *addressMatch) matches(a netip.Addr, host []netip.Prefix) bool {
	if !a.IsValid() {
		return false
	}
	switch m.kind {
	case addrPrefix:
		return m.prefix.Contains(a)
	case addrAll:
		return true
	case addrSameHost, addrSameNet:
		for _, p := range host {
			if p.Addr() == a || m.kind == addrSameNet && p.Contains(a) {
				return true
			}
		}
	}
	return false
}
