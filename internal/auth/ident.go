package auth

import (
	"fmt"
	"regexp"
	"strings"
)

// Ident is a parsed pg_ident.conf: which system users (a socket's user, a
// certificate's name) may be which database users. It is immutable and safe to share.
type Ident struct {
	maps map[string][]identRule
}

// identRule is one line of an ident file.
type identRule struct {
	system string
	re     *regexp.Regexp // instead of system
	user   nameMatch
	// before and after enclose what \1 stands for, if the user has one.
	backref       bool
	before, after string
}

const backref = `\1`

// ParseIdent reads the syntax of PostgreSQL's pg_ident.conf: a map's name, a system
// user or a slash and a regular expression (RE2), and a database user, which may be
// all, a slash and a regular expression, or contain \1. Errors are *ParseError.
func ParseIdent(src []byte) (*Ident, error) {
	s, err := newScanner(src, maxRuleFile, true)
	if err != nil {
		return nil, err
	}
	m := &Ident{maps: make(map[string][]identRule)}
	for {
		fields, err := s.line()
		if err != nil {
			return nil, err
		}
		if fields == nil {
			return m, nil
		}
		if err := m.add(fields); err != nil {
			return nil, err
		}
	}
}

func (m *Ident) add(fields []field) error {
	const mend = "write: map system-user database-user"
	for i, f := range fields {
		if len(f) > 1 {
			return f[1].at.fail("several values joined by a comma", mend+", a line for each")
		}
		if i >= 3 {
			return f[0].at.fail("more than three words", mend)
		}
	}
	last := fields[len(fields)-1][0]
	if len(fields) < 3 {
		return last.at.fail("fewer than three words", mend)
	}
	name, system, user := fields[0][0], fields[1][0], last
	if name.is("include") || name.is("include_if_exists") || name.is("include_dir") {
		return name.at.fail("file inclusion is not supported", "put the lines into this file")
	}
	r, err := parseIdentRule(system, user)
	if err != nil {
		return err
	}
	m.maps[name.text] = append(m.maps[name.text], r)
	return nil
}

func parseIdentRule(system, user token) (r identRule, err error) {
	r.system = system.text
	switch {
	case system.text == "":
		return r, system.at.fail("empty system user", "write a name, or a slash and a regular expression")
	case strings.HasPrefix(system.text, "/"):
		if r.re, err = compileRule(system); err != nil {
			return r, err
		}
	}
	if r.re != nil && !user.starts('+') && !strings.HasPrefix(user.text, "/") {
		r.before, r.after, r.backref = strings.Cut(user.text, backref)
	}
	switch {
	case r.backref && r.re.NumSubexp() == 0:
		return r, user.at.fail(`\1 stands for nothing: the regular expression has no group`, "put a part of it into parentheses")
	case r.backref:
		return r, nil
	case user.starts('+'):
		return r, user.at.fail(fmt.Sprintf("group %.128q needs role memberships, which Spillway does not know", user.text), "name its users")
	}
	r.user, err = plainMatch(user)
	return r, err
}

// Map reports whether the map lets the system user be the database user. An empty
// map name means that the two must be equal; an unknown map lets nobody in.
func (m *Ident) Map(mapname, systemUser, dbUser string) bool {
	if systemUser == "" || dbUser == "" {
		return false
	}
	if mapname == "" {
		return systemUser == dbUser
	}
	if m == nil {
		return false
	}
	for i := range m.maps[mapname] {
		if m.maps[mapname][i].matches(systemUser, dbUser) {
			return true
		}
	}
	return false
}

// Has reports whether the map exists, so that a config can be checked.
func (m *Ident) Has(mapname string) bool {
	return m != nil && len(m.maps[mapname]) > 0
}

func (r *identRule) matches(systemUser, dbUser string) bool {
	if r.re == nil {
		return r.system == systemUser && r.user.matches(&Conn{}, dbUser)
	}
	groups := r.re.FindStringSubmatch(systemUser)
	if groups == nil {
		return false
	}
	if r.backref {
		return r.before+groups[1]+r.after == dbUser
	}
	return r.user.matches(&Conn{}, dbUser)
}
