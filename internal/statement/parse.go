package statement

// parser reads one statement token by token, one token ahead.
type parser struct {
	lexer
	now  lexeme
	last int // the end of the token before now
}

func newParser(text []byte, standardConformingStrings bool) *parser {
	p := &parser{lexer: newLexer(text, standardConformingStrings)}
	p.now = p.next()
	for p.isSign(';') { // empty statements
		p.advance()
	}
	return p
}

func (p *parser) advance() {
	p.last = p.now.End
	p.now = p.next()
}

func (p *parser) isWord(word string) bool {
	return p.now.kind == lexWord && foldedEqual(p.now.Of(p.text), word)
}

func (p *parser) isSign(c byte) bool { return p.now.kind == lexSign && p.text[p.now.Start] == c }

// takeWord steps over the word if it is the current token.
func (p *parser) takeWord(word string) bool {
	if !p.isWord(word) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) takeSign(c byte) bool {
	if !p.isSign(c) {
		return false
	}
	p.advance()
	return true
}

// ahead says whether the token after the current one is the word.
func (p *parser) ahead(words ...string) bool {
	l := p.lexer
	t := l.next()
	for _, word := range words {
		if t.kind == lexWord && foldedEqual(t.Of(p.text), word) {
			return true
		}
	}
	return false
}

// atEnd says whether nothing but semicolons follows.
func (p *parser) atEnd() bool {
	for p.isSign(';') {
		p.advance()
	}
	return p.now.kind == lexEnd
}

// takeName steps over an identifier and gives it as PostgreSQL reads it.
func (p *parser) takeName() (string, Span, bool) {
	span := p.now.Span
	name, ok := identifier(p.now, p.text)
	if ok {
		p.advance()
	}
	return name, span, ok
}

// takeParens steps over '(' … ')' and gives what is between them.
func (p *parser) takeParens() (Span, bool) {
	if !p.takeSign('(') {
		return Span{}, false
	}
	inner := Span{p.now.Start, p.now.Start}
	for depth := 1; ; p.advance() {
		switch {
		case p.now.kind == lexEnd || p.now.kind == lexBroken:
			return Span{}, false
		case p.isSign('('):
			depth++
		case p.isSign(')'):
			if depth--; depth == 0 {
				inner.End = max(p.last, inner.Start)
				if inner.End > p.now.Start {
					inner.End = p.now.Start
				}
				p.advance()
				return inner, true
			}
		}
	}
}

// rest steps over all that follows up to the end of the statement and gives it
// without white space around. It fails if another statement follows.
func (p *parser) rest() (Span, bool) {
	span := Span{p.now.Start, p.now.Start}
	for depth := 0; ; p.advance() {
		switch {
		case p.now.kind == lexBroken:
			return Span{}, false
		case p.now.kind == lexEnd, depth == 0 && p.isSign(';'):
			if p.last > span.Start {
				span.End = p.last
			}
			return span, p.atEnd()
		case p.isSign('('):
			depth++
		case p.isSign(')'):
			depth = max(0, depth-1)
		}
	}
}

// Prepared is the parts of PREPARE name [(types)] AS body.
type Prepared struct {
	Name     string // as PostgreSQL reads it
	NameSpan Span   // where it stands in the text, to be replaced
	Types    Span   // between the parentheses; empty without
	Body     Span   // the statement, without the ';' behind it
}

// ParsePrepare reads a text that is one PREPARE statement.
func ParsePrepare(text []byte, standardConformingStrings bool) (Prepared, bool) {
	var d Prepared
	p := newParser(text, standardConformingStrings)
	if !p.takeWord("prepare") {
		return d, false
	}
	var ok bool
	if d.Name, d.NameSpan, ok = p.takeName(); !ok {
		return d, false
	}
	if p.isSign('(') {
		if d.Types, ok = p.takeParens(); !ok {
			return d, false
		}
	}
	if !p.takeWord("as") {
		return d, false
	}
	d.Body, ok = p.rest()
	return d, ok && !d.Body.Empty()
}

// Executed is the parts of EXECUTE name [(arguments)].
type Executed struct {
	Name      string
	NameSpan  Span
	Arguments Span // between the parentheses; empty without
	// Inside says that the EXECUTE is part of EXPLAIN or CREATE TABLE … AS.
	Inside bool
}

// ParseExecute reads a text that is one EXECUTE statement, or an EXPLAIN or
// CREATE TABLE … AS of one.
func ParseExecute(text []byte, standardConformingStrings bool) (Executed, bool) {
	var d Executed
	p := newParser(text, standardConformingStrings)
	if !p.takeWord("execute") {
		if d.Inside = p.seekExecute(); !d.Inside {
			return d, false
		}
	}
	var ok bool
	if d.Name, d.NameSpan, ok = p.takeName(); !ok {
		return d, false
	}
	if p.isSign('(') {
		if d.Arguments, ok = p.takeParens(); !ok {
			return d, false
		}
	}
	if d.Inside && p.takeWord("with") { // WITH [NO] DATA
		p.takeWord("no")
		if !p.takeWord("data") {
			return d, false
		}
	}
	return d, p.atEnd()
}

// seekExecute steps over EXPLAIN and its options, and CREATE TABLE … AS, and
// the EXECUTE behind them.
func (p *parser) seekExecute() bool {
	if p.takeWord("explain") {
		if p.isSign('(') {
			if _, ok := p.takeParens(); !ok {
				return false
			}
		}
		for p.takeWord("analyze") || p.takeWord("analyse") || p.takeWord("verbose") {
		}
		if p.takeWord("execute") {
			return true
		}
	}
	if !p.takeWord("create") {
		return false
	}
	for p.takeWord("global") || p.takeWord("local") || p.takeWord("temp") || p.takeWord("temporary") || p.takeWord("unlogged") {
	}
	if !p.takeWord("table") {
		return false
	}
	for p.now.kind != lexEnd && p.now.kind != lexBroken && !p.isSign(';') {
		switch {
		case p.isSign('('):
			if _, ok := p.takeParens(); !ok {
				return false
			}
		case p.takeSign('.'):
			if p.now.kind == lexWord {
				p.advance() // a name, also where it is a keyword
			}
		case p.takeWord("as"):
			return p.takeWord("execute")
		default:
			p.advance()
		}
	}
	return false
}

// Deallocated is the parts of DEALLOCATE [PREPARE] name or ALL.
type Deallocated struct {
	Name     string // empty with All
	NameSpan Span
	All      bool
}

// ParseDeallocate reads a text that is one DEALLOCATE statement.
func ParseDeallocate(text []byte, standardConformingStrings bool) (Deallocated, bool) {
	var d Deallocated
	p := newParser(text, standardConformingStrings)
	if !p.takeWord("deallocate") {
		return d, false
	}
	if p.isWord("prepare") {
		l := p.lexer
		if t := l.next(); t.kind == lexWord || t.kind == lexQuoted {
			p.advance()
		}
	}
	if p.takeWord("all") {
		d.All = true
		return d, p.atEnd()
	}
	var ok bool
	if d.Name, d.NameSpan, ok = p.takeName(); !ok {
		return d, false
	}
	return d, p.atEnd()
}
