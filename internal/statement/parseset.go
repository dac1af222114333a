package statement

// Setting is the parts of SET and RESET.
type Setting struct {
	// Name is the parameter, in lower case; "all" after RESET ALL. TIME ZONE is
	// timezone, NAMES client_encoding, SCHEMA search_path, XML OPTION
	// xmloption, ROLE role, SESSION AUTHORIZATION session_authorization.
	Name  string
	Value Span // what it is set to, as written; empty with Reset
	Local bool // until the end of the transaction
	// Reset says that the parameter goes back to its default: RESET, or SET …
	// TO DEFAULT.
	Reset bool
	// FromCurrent says that the value is the one it has.
	FromCurrent bool
}

// ParseSet reads a text that is one SET or RESET of a parameter. SET
// TRANSACTION, SET CONSTRAINTS and SET SESSION CHARACTERISTICS set no parameter
// by name and are refused.
func ParseSet(text []byte, standardConformingStrings bool) (Setting, bool) {
	var d Setting
	p := newParser(text, standardConformingStrings)
	if p.takeWord("reset") {
		d.Reset = true
		return d, p.resetName(&d) && p.atEnd()
	}
	if !p.takeWord("set") {
		return d, false
	}
	if p.isWord("local") && !p.assignsNext() {
		d.Local = true
		p.advance()
	} else if p.isWord("session") && !p.assignsNext() && !p.ahead("authorization", "characteristics") {
		p.advance()
	}
	if (p.isWord("transaction") || p.isWord("constraints")) && !p.assignsNext() {
		return d, false
	}
	return d, p.setName(&d) && p.setValue(&d)
}

// assignsNext says whether the token after the current one shows that the
// current one is (the beginning of) a parameter's name.
func (p *parser) assignsNext() bool {
	l := p.lexer
	t := l.next()
	if t.kind == lexSign {
		return p.text[t.Start] == '.' || p.text[t.Start] == '='
	}
	return t.kind == lexWord && foldedEqual(t.Of(p.text), "to")
}

// setName reads the parameter's name and the '=' or TO after it, which the
// special forms lack.
func (p *parser) setName(d *Setting) bool {
	if !p.assignsNext() && p.now.kind == lexWord {
		switch {
		case p.isWord("time") && p.ahead("zone"):
			p.advance()
			d.Name = "timezone"
		case p.isWord("names"):
			d.Name = "client_encoding"
		case p.isWord("schema"):
			d.Name = "search_path"
		case p.isWord("role"):
			d.Name = "role"
		case p.isWord("session") && p.ahead("authorization"):
			p.advance()
			d.Name = "session_authorization"
		case p.isWord("xml") && p.ahead("option"):
			p.advance()
			d.Name = "xmloption"
		}
		if d.Name != "" {
			p.advance()
			return true
		}
	}
	if !p.parameter(d) {
		return false
	}
	if p.isWord("from") && p.ahead("current") {
		p.advance()
		p.advance()
		d.FromCurrent = true
		return true
	}
	return p.takeSign('=') || p.takeWord("to")
}

// parameter reads a name that may have dots.
func (p *parser) parameter(d *Setting) bool {
	for {
		name, _, ok := p.takeName()
		if !ok {
			return false
		}
		d.Name += foldName(name)
		if !p.takeSign('.') {
			return true
		}
		d.Name += "."
	}
}

// foldName lowers the ASCII letters of a name: parameters are found that way
// even when they are quoted.
func foldName(name string) string {
	b := []byte(name)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

func (p *parser) setValue(d *Setting) bool {
	if d.FromCurrent {
		return p.atEnd()
	}
	if p.isWord("default") || d.Name == "timezone" && p.isWord("local") {
		l := p.lexer
		if t := l.next(); t.kind == lexEnd || t.kind == lexSign && p.text[t.Start] == ';' {
			p.advance()
			d.Reset = true
			return p.atEnd()
		}
	}
	var ok bool
	d.Value, ok = p.rest()
	if d.Name == "client_encoding" && d.Value.Empty() { // SET NAMES alone
		d.Reset = true
		return ok
	}
	return ok && !d.Value.Empty()
}

func (p *parser) resetName(d *Setting) bool {
	switch {
	case p.isWord("time") && p.ahead("zone"):
		p.advance()
		d.Name = "timezone"
	case p.isWord("session") && p.ahead("authorization"):
		p.advance()
		d.Name = "session_authorization"
	case p.isWord("transaction") && p.ahead("isolation"):
		return false
	default:
		return p.parameter(d)
	}
	p.advance()
	return true
}
