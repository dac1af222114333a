package auth

import (
	"bytes"
	"fmt"
)

// ParseError says where a userlist, HBA or ident file is wrong and how to mend it.
// It never quotes a secret.
type ParseError struct {
	Line    int // from 1
	Column  int // from 1, in characters
	Problem string
	Mend    string // what to write instead; may be empty
}

// Error returns place, problem and mend on one line.
func (e *ParseError) Error() string {
	s := fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Problem)
	if e.Mend != "" {
		s += "; " + e.Mend
	}
	return s
}

// place is where something stands in a file.
type place struct{ line, column int }

func (p place) fail(problem, mend string) error {
	return &ParseError{p.line, p.column, problem, mend}
}

// scanner walks a file byte by byte and knows where it is.
type scanner struct {
	src    []byte
	pos    int
	at     place
	joined bool // a backslash before a line end joins the lines
}

// newScanner skips a byte order mark and bounds the file.
func newScanner(src []byte, limit int, joined bool) (*scanner, error) {
	s := &scanner{src: bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF")), at: place{1, 1}, joined: joined}
	if len(src) > limit {
		return nil, s.at.fail(fmt.Sprintf("the file is larger than %d bytes", limit), "split it or remove what is not needed")
	}
	return s, nil
}

// peek returns the byte ahead; ok is false at the end. Joined lines are one.
func (s *scanner) peek() (c byte, ok bool) {
	for s.joined && s.pos < len(s.src) && s.src[s.pos] == '\\' {
		rest := s.src[s.pos+1:]
		switch {
		case bytes.HasPrefix(rest, []byte("\n")):
			s.pos++
		case bytes.HasPrefix(rest, []byte("\r\n")):
			s.pos += 2
		default:
			return '\\', true
		}
		s.next()
	}
	if s.pos >= len(s.src) {
		return 0, false
	}
	return s.src[s.pos], true
}

// next steps over the byte ahead.
func (s *scanner) next() {
	c := s.src[s.pos]
	s.pos++
	switch {
	case c == '\n':
		s.at = place{s.at.line + 1, 1}
	case c&0xC0 != 0x80: // continuation bytes of UTF-8 take no column
		s.at.column++
	}
}

// skipLine goes to the line end, not over it.
func (s *scanner) skipLine() {
	for c, ok := s.peek(); ok && c != '\n'; c, ok = s.peek() {
		s.next()
	}
}

// skipWhile steps over the bytes in set.
func (s *scanner) skipWhile(set string) {
	for c, ok := s.peek(); ok && bytes.IndexByte([]byte(set), c) >= 0; c, ok = s.peek() {
		s.next()
	}
}
