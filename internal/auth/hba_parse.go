package auth

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// ParseHBA reads the syntax of PostgreSQL's pg_hba.conf as far as a pooler can hold
// to it. What it cannot (groups, file inclusion, host names, other methods) is an
// error, never a rule that matches less or more than written. Errors are *ParseError.
func ParseHBA(src []byte) (*HBA, error) {
	s, err := newScanner(src, maxRuleFile, true)
	if err != nil {
		return nil, err
	}
	h := &HBA{}
	for {
		fields, err := s.line()
		if err != nil {
			return nil, err
		}
		if fields == nil {
			return h, nil
		}
		r, err := parseRule(fields)
		if err != nil {
			return nil, err
		}
		h.rules = append(h.rules, r)
	}
}

// ruleParser takes a line's fields one by one.
type ruleParser struct {
	rest []field
	last place // of the last token taken
	rule Rule
}

func parseRule(fields []field) (Rule, error) {
	p := &ruleParser{rest: fields, last: fields[0][0].at}
	p.rule.Line = p.last.line
	steps := []func() error{p.takeType, p.takeDatabases, p.takeUsers, p.takeAddress, p.takeMethod, p.takeOptions, p.check}
	for _, step := range steps {
		if err := step(); err != nil {
			return Rule{}, err
		}
	}
	return p.rule, nil
}

// list takes the next field.
func (p *ruleParser) list(what string) (field, error) {
	if len(p.rest) == 0 {
		return nil, p.last.fail("the line ends before the "+what, "write: type database user [address] method [options]")
	}
	f := p.rest[0]
	p.rest, p.last = p.rest[1:], f[len(f)-1].at
	return f, nil
}

// word takes the next field, which must be a single token.
func (p *ruleParser) word(what string) (token, error) {
	f, err := p.list(what)
	if err != nil {
		return token{}, err
	}
	if len(f) > 1 {
		return token{}, f[1].at.fail("several values where the "+what+" stands", "write one, and a rule for each")
	}
	return f[0], nil
}

func (p *ruleParser) takeType() error {
	t, err := p.word("connection type")
	if err != nil {
		return err
	}
	switch t.text {
	case "local":
		p.rule.Type = TypeLocal
	case "host":
		p.rule.Type = TypeHost
	case "hostssl":
		p.rule.Type = TypeHostSSL
	case "hostnossl":
		p.rule.Type = TypeHostNoSSL
	case "hostgssenc", "hostnogssenc":
		return t.at.fail("GSSAPI encryption is not supported", "write host, hostssl or hostnossl")
	case "include", "include_if_exists", "include_dir":
		return t.at.fail("file inclusion is not supported", "put the rules into this file")
	default:
		return t.at.fail(fmt.Sprintf("unknown connection type %.64q", t.text), "write local, host, hostssl or hostnossl")
	}
	return nil
}

func (p *ruleParser) takeDatabases() error {
	f, err := p.list("databases")
	if err != nil {
		return err
	}
	for _, t := range f {
		m, err := databaseMatch(t)
		if err != nil {
			return err
		}
		p.rule.databases = append(p.rule.databases, m)
	}
	return nil
}

func databaseMatch(t token) (nameMatch, error) {
	switch {
	case t.is("sameuser"):
		return nameMatch{kind: matchSameUser}, nil
	case t.is("replication"):
		return nameMatch{kind: matchReplication}, nil
	case t.is("samerole"), t.is("samegroup"):
		return nameMatch{}, t.at.fail("samerole needs role memberships, which Spillway does not know", "name the databases and users")
	}
	return plainMatch(t)
}

func (p *ruleParser) takeUsers() error {
	f, err := p.list("users")
	if err != nil {
		return err
	}
	for _, t := range f {
		if t.starts('+') {
			return t.at.fail(fmt.Sprintf("group %.128q needs role memberships, which Spillway does not know", t.text), "name its users")
		}
		m, err := plainMatch(t)
		if err != nil {
			return err
		}
		m.user = true
		p.rule.users = append(p.rule.users, m)
	}
	return nil
}

// plainMatch reads what databases and users have in common.
func plainMatch(t token) (nameMatch, error) {
	switch {
	case t.is("all"):
		return nameMatch{kind: matchAll}, nil
	case t.starts('@'):
		return nameMatch{}, t.at.fail("file inclusion is not supported", "write the names into this line, or quote a name that starts with @")
	case strings.HasPrefix(t.text, "/"): // quoted or not, as PostgreSQL 16
		re, err := compileRule(t)
		return nameMatch{kind: matchRegexp, re: re}, err
	case t.text == "":
		return nameMatch{}, t.at.fail("empty name", "write a name, or all")
	case len(t.text) > MaxName:
		return nameMatch{}, t.at.fail(fmt.Sprintf("the name is longer than %d bytes", MaxName), "no such user or database can exist")
	}
	return nameMatch{kind: matchName, name: t.text}, nil
}

// compileRule compiles a token that starts with a slash.
func compileRule(t token) (*regexp.Regexp, error) {
	re, err := regexp.Compile(t.text[1:])
	if err != nil {
		return nil, t.at.fail(fmt.Sprintf("bad regular expression: %v", err), "write it in RE2 syntax, as Go has it")
	}
	return re, nil
}

func (p *ruleParser) takeAddress() error {
	if p.rule.Type == TypeLocal {
		return nil
	}
	t, err := p.word("address")
	if err != nil {
		return err
	}
	switch {
	case t.is("all"):
		p.rule.address.kind = addrAll
		return nil
	case t.is("samehost"):
		p.rule.address.kind = addrSameHost
		return nil
	case t.is("samenet"):
		p.rule.address.kind = addrSameNet
		return nil
	case strings.Contains(t.text, "/"):
		prefix, err := netip.ParsePrefix(t.text)
		if err != nil {
			return t.at.fail(fmt.Sprintf("%.64q is not an address range", t.text), "write it like 10.0.0.0/8 or fd00::/8")
		}
		return p.setPrefix(t, prefix)
	}
	return p.takeMask(t)
}

// takeMask reads an address without a prefix length, and its mask.
func (p *ruleParser) takeMask(t token) error {
	a, err := netip.ParseAddr(t.text)
	if err != nil || a.Zone() != "" {
		return t.at.fail(fmt.Sprintf("%.64q is not an address", t.text), "write an address range like 10.0.0.0/8, all, samehost or samenet; host names are not supported")
	}
	m, err := p.word("mask or prefix length")
	if err != nil {
		return t.at.fail("the address has no mask", "write it like 10.0.0.1/32")
	}
	mask, err := netip.ParseAddr(m.text)
	if err != nil || mask.BitLen() != a.BitLen() {
		return m.at.fail(fmt.Sprintf("%.64q is not a mask for %s", m.text, a), "write the address like 10.0.0.1/32")
	}
	bits, ok := maskBits(mask.AsSlice())
	if !ok {
		return m.at.fail(fmt.Sprintf("the mask %s has gaps", mask), "write an address range like 10.0.0.0/8")
	}
	return p.setPrefix(t, netip.PrefixFrom(a, bits))
}

// maskBits counts the leading ones of a mask; ok is false if a one follows a zero.
func maskBits(mask []byte) (bits int, ok bool) {
	ended := false
	for _, b := range mask {
		for bit := 7; bit >= 0; bit-- {
			one := b>>bit&1 == 1
			if one && ended {
				return 0, false
			}
			if one {
				bits++
			}
			ended = ended || !one
		}
	}
	return bits, true
}

// setPrefix drops host bits and turns IPv4 inside IPv6 into IPv4.
func (p *ruleParser) setPrefix(t token, prefix netip.Prefix) error {
	if a := prefix.Addr(); a.Is4In6() {
		if prefix.Bits() < 96 {
			return t.at.fail("the range mixes IPv4 and IPv6", "write a range of one of them")
		}
		prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
	}
	p.rule.address = addressMatch{addrPrefix, prefix.Masked()}
	return nil
}

func (p *ruleParser) takeMethod() error {
	t, err := p.word("method")
	if err != nil {
		return err
	}
	p.rule.Method, err = ParseMethod(t.text)
	if err != nil {
		return t.at.fail(err.Error(), "write trust, reject, password, md5, scram-sha-256, cert or peer")
	}
	return nil
}

func (p *ruleParser) takeOptions() error {
	for len(p.rest) > 0 {
		t, err := p.word("option")
		if err != nil {
			return err
		}
		name, value, ok := strings.Cut(t.text, "=")
		switch {
		case !ok:
			return t.at.fail(fmt.Sprintf("%.64q is not an option", t.text), "write name=value")
		case name != "map":
			return t.at.fail(fmt.Sprintf("option %.64q is not supported", name), "remove it; only map=NAME is known")
		case p.rule.Method != MethodCert && p.rule.Method != MethodPeer:
			return t.at.fail("option map is for the methods cert and peer only", "remove it")
		case value == "":
			return t.at.fail("option map names no map", "write map=NAME")
		}
		p.rule.Map = value
	}
	return nil
}

// check refuses combinations that could never let anyone in, as PostgreSQL does.
func (p *ruleParser) check() error {
	switch {
	case p.rule.Method == MethodCert && p.rule.Type != TypeHostSSL:
		return p.last.fail("method cert needs TLS", "write hostssl")
	case p.rule.Method == MethodPeer && p.rule.Type != TypeLocal:
		return p.last.fail("method peer is for unix sockets only", "write local")
	}
	return nil
}
