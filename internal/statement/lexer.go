package statement

import "bytes"

// Span is a part of a text: bytes Start up to, not including, End.
type Span struct{ Start, End int }

// Of gives the bytes of the span, which belong to text.
func (s Span) Of(text []byte) []byte { return text[s.Start:s.End] }

// Empty says whether there is nothing in the span.
func (s Span) Empty() bool { return s.Start >= s.End }

type lexemeKind uint8

const (
	lexEnd       lexemeKind = iota // the text is over
	lexWord                        // a word, unquoted
	lexQuoted                      // a quoted name
	lexString                      // a string of any kind
	lexNumber                      // a number
	lexParameter                   // $1
	lexSign                        // one byte of an operator, or punctuation
	lexBroken                      // a token without an end; nothing follows
)

// lexeme is a token of a whole text.
type lexeme struct {
	kind lexemeKind
	Span
}

// lexer cuts a whole text into tokens. It agrees with Scanner, which reads
// chunks.
type lexer struct {
	text      []byte
	at        int
	backslash bool // plain strings have backslash escapes
}

// newLexer reads text up to its first zero byte.
func newLexer(text []byte, standardConformingStrings bool) lexer {
	if n := bytes.IndexByte(text, 0); n >= 0 {
		text = text[:n]
	}
	return lexer{text: text, backslash: !standardConformingStrings}
}

// next gives the next token; after the last one always lexEnd.
func (l *lexer) next() lexeme {
	if !l.skipSpace() {
		return l.broken(l.at)
	}
	start := l.at
	if start == len(l.text) {
		return lexeme{lexEnd, Span{start, start}}
	}
	switch c := l.text[start]; classOf[c] {
	case classWord:
		return l.word()
	case classDigit:
		return l.number()
	case classQuote:
		return l.quoted(start, l.backslash)
	case classIdent:
		return l.ident(start)
	case classDollar:
		return l.dollar()
	case classDot:
		if start+1 < len(l.text) && classOf[l.text[start+1]] == classDigit {
			return l.number()
		}
	}
	l.at++
	return lexeme{lexSign, Span{start, l.at}}
}

func (l *lexer) broken(start int) lexeme {
	l.at = len(l.text)
	return lexeme{lexBroken, Span{start, l.at}}
}

// skipSpace skips white space and comments; false means a comment without end.
func (l *lexer) skipSpace() bool {
	for l.at < len(l.text) {
		c := l.text[l.at]
		switch {
		case classOf[c] == classSpace:
			l.at++
		case c == '-' && l.peek(1) == '-':
			n := bytes.IndexAny(l.text[l.at:], "\r\n")
			if n < 0 {
				n = len(l.text) - l.at
			}
			l.at += n
		case c == '/' && l.peek(1) == '*':
			if !l.skipBlock() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.text) {
		return l.text[l.at+n]
	}
	return 0
}

func (l *lexer) skipBlock() bool {
	level := 0
	for i := l.at; i+1 < len(l.text); i++ {
		switch {
		case l.text[i] == '/' && l.text[i+1] == '*':
			level++
			i++
		case l.text[i] == '*' && l.text[i+1] == '/':
			level--
			i++
			if level == 0 {
				l.at = i + 1
				return true
			}
		}
	}
	return false
}

func (l *lexer) word() lexeme {
	start := l.at
	for l.at < len(l.text) && classOf[l.text[l.at]] <= classDollar {
		l.at++
	}
	w := l.text[start:l.at]
	switch c := l.peek(0); {
	case c == '\'' && len(w) == 1 && bytes.IndexByte([]byte("eEbBxXnN"), w[0]) >= 0:
		escapes := lower(w[0]) == 'e' || lower(w[0]) == 'n' && l.backslash
		return l.quoted(start, escapes)
	case c == '&' && len(w) == 1 && lower(w[0]) == 'u' && l.peek(1) == '\'':
		l.at++
		return l.quoted(start, l.backslash)
	case c == '&' && len(w) == 1 && lower(w[0]) == 'u' && l.peek(1) == '"':
		l.at++
		return l.ident(start)
	}
	return lexeme{lexWord, Span{start, l.at}}
}

func (l *lexer) number() lexeme {
	start := l.at
	if l.text[start] == '0' && (lower(l.peek(1)) == 'x' || lower(l.peek(1)) == 'o' || lower(l.peek(1)) == 'b') && isHex(l.peek(2)) {
		for l.at += 2; isHex(l.peek(0)) || l.peek(0) == '_'; {
			l.at++
		}
		return lexeme{lexNumber, Span{start, l.at}}
	}
	l.digits()
	if lower(l.peek(0)) == 'e' {
		sign := 0
		if c := l.peek(1); c == '+' || c == '-' {
			sign = 1
		}
		if classOf[l.peek(1+sign)] == classDigit {
			l.at += 1 + sign
			l.digits()
		}
	}
	return lexeme{lexNumber, Span{start, l.at}}
}

func (l *lexer) digits() {
	for {
		switch c := l.peek(0); {
		case classOf[c] == classDigit, c == '.', c == '_' && classOf[l.peek(1)] == classDigit:
			l.at++
		default:
			return
		}
	}
}

// quoted reads a string whose opening quote is at l.at, and its continuations.
func (l *lexer) quoted(start int, escapes bool) lexeme {
	for i := l.at + 1; i < len(l.text); i++ {
		switch c := l.text[i]; {
		case c == '\\' && escapes:
			i++
		case c == '\'':
			l.at = i + 1
			next, ok := l.continued()
			if !ok {
				return lexeme{lexString, Span{start, l.at}}
			}
			i = next
		}
	}
	return l.broken(start)
}

// continued says where a string that has just been closed is opened again: at
// once, by doubling the quote, or after white space with a newline.
func (l *lexer) continued() (int, bool) {
	i := l.at
	if l.peek(0) == '\'' {
		return i, true
	}
	newline := false
	for i < len(l.text) {
		switch c := l.text[i]; {
		case c == '\'':
			return i, newline
		case c == '-' && i+1 < len(l.text) && l.text[i+1] == '-':
			for i < len(l.text) && l.text[i] != '\n' && l.text[i] != '\r' {
				i++
			}
			continue
		case c == '\n' || c == '\r':
			newline = true
		case classOf[c] != classSpace:
			return 0, false
		}
		i++
	}
	return 0, false
}

// ident reads a quoted name whose opening quote is at l.at.
func (l *lexer) ident(start int) lexeme {
	for i := l.at + 1; i < len(l.text); i++ {
		if l.text[i] != '"' {
			continue
		}
		if i+1 < len(l.text) && l.text[i+1] == '"' {
			i++
			continue
		}
		l.at = i + 1
		return lexeme{lexQuoted, Span{start, l.at}}
	}
	return l.broken(start)
}

// dollar reads $1 or a dollar-quoted string.
func (l *lexer) dollar() lexeme {
	start, i := l.at, l.at+1
	if i < len(l.text) && classOf[l.text[i]] == classDigit {
		for i < len(l.text) && classOf[l.text[i]] == classDigit {
			i++
		}
		l.at = i
		return lexeme{lexParameter, Span{start, i}}
	}
	for i < len(l.text) && classOf[l.text[i]] <= classDigit {
		i++
	}
	if i == len(l.text) || l.text[i] != '$' {
		l.at++
		return lexeme{lexSign, Span{start, l.at}}
	}
	tag := l.text[start : i+1]
	n := bytes.Index(l.text[i+1:], tag)
	if n < 0 {
		return l.broken(start)
	}
	l.at = i + 1 + n + len(tag)
	return lexeme{lexString, Span{start, l.at}}
}
