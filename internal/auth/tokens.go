package auth

import "fmt"

const (
	maxRuleFile   = 4 << 20 // bytes of an HBA or ident file
	maxToken      = 1024    // bytes of a token; a longer name cannot exist
	maxLineTokens = 4096    // tokens of a line
)

// token is a word of an HBA or ident file. Quoted words are never keywords.
type token struct {
	text   string
	quoted bool
	at     place
}

// is reports whether the token is the keyword.
func (t token) is(keyword string) bool { return !t.quoted && t.text == keyword }

// starts reports whether the token has the special first character.
func (t token) starts(c byte) bool { return !t.quoted && t.text != "" && t.text[0] == c }

// field is a list of tokens that commas join.
type field []token

// line reads the fields of the next line that has any; none means the end.
func (s *scanner) line() ([]field, error) {
	for {
		fields, err := s.fields()
		if err != nil || len(fields) > 0 {
			return fields, err
		}
		if _, ok := s.peek(); !ok {
			return nil, nil
		}
		s.next() // the line end
	}
}

// fields reads up to a line end. A comma at the end of a word continues its field,
// with or without blanks after it.
func (s *scanner) fields() (fields []field, err error) {
	open := false // the last field goes on
	for count := 0; ; count++ {
		s.skipWhile(" \t\r\v\f,")
		c, ok := s.peek()
		if !ok || c == '\n' {
			return fields, nil
		}
		if c == '#' {
			s.skipLine()
			return fields, nil
		}
		if count == maxLineTokens {
			return nil, s.at.fail(fmt.Sprintf("more than %d words in a line", maxLineTokens), "split it into several rules")
		}
		t, err := s.token()
		if err != nil {
			return nil, err
		}
		if open {
			fields[len(fields)-1] = append(fields[len(fields)-1], t)
		} else {
			fields = append(fields, field{t})
		}
		c, ok = s.peek()
		open = ok && c == ','
	}
}

// token reads one word. Quotes may stand anywhere in it; it counts as quoted if it
// starts with one.
func (s *scanner) token() (token, error) {
	c, _ := s.peek()
	t := token{quoted: c == '"', at: s.at}
	var text []byte
	inside := false
	for {
		c, ok := s.peek()
		if !ok || c == '\n' || !inside && isBreak(c) {
			break
		}
		if c == 0 {
			return t, s.at.fail("the line contains a zero byte", "remove it")
		}
		if len(text) == maxToken {
			return t, t.at.fail(fmt.Sprintf("the word is longer than %d bytes", maxToken), "shorten it, or close its quote")
		}
		s.next()
		if c == '"' && !s.literalQuote(inside) {
			inside = !inside
			continue
		}
		text = append(text, c)
	}
	if inside {
		return t, t.at.fail("the word has no closing quote", `close it with ", and write a quote inside it twice: ""`)
	}
	t.text = string(text)
	return t, nil
}

// literalQuote reports whether a quote just read is the first of a doubled one
// inside quotes, and then steps over the second.
func (s *scanner) literalQuote(inside bool) bool {
	c, ok := s.peek()
	if !inside || !ok || c != '"' {
		return false
	}
	s.next()
	return true
}

// isBreak reports whether c ends an unquoted word.
func isBreak(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\v', '\f', ',', '#':
		return true
	}
	return false
}
