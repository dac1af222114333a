package console

import (
	"strings"
)

// Bounds on what one message may ask.
const (
	maxQuery      = 64 << 10 // bytes of text
	maxStatements = 64       // in one simple query
)

// tokenKind says what a token was written as.
type tokenKind uint8

const (
	tokenWord   tokenKind = iota // bare: letters, digits, _ $ and inside - . @ %
	tokenName                    // "quoted"
	tokenString                  // 'quoted'
	tokenSymbol                  // any other single character
)

// token is one piece of a command. text is unquoted; start and end are where
// it stands in the query.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// is reports whether t is the bare word, in any case.
func (t token) is(word string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, word)
}

// statementText is one statement of a query, without its semicolon.
type statementText struct {
	tokens []token
	source string // as written, without the blanks and comments around it
}

// split cuts a query into statements. Empty ones are dropped: a query of
// nothing but blanks, comments and semicolons gives none.
func split(query string) ([]statementText, error) {
	if len(query) > maxQuery {
		return nil, errTooLong
	}
	var (
		list   []statementText
		tokens []token
	)
	cut := func() {
		if len(tokens) == 0 {
			return
		}
		source := query[tokens[0].start:tokens[len(tokens)-1].end]
		list = append(list, statementText{tokens: tokens, source: source})
		tokens = nil
	}
	for at := 0; ; {
		t, ok, err := next(query, at)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		at = t.end
		if t.kind == tokenSymbol && t.text == ";" {
			cut()
			continue
		}
		if len(list) == maxStatements {
			return nil, errTooMany
		}
		tokens = append(tokens, t)
	}
	cut()
	return list, nil
}

// next reads the token at or after at; ok is false at the end of the query.
func next(query string, at int) (t token, ok bool, err error) {
	at, err = skipBlank(query, at)
	if err != nil || at == len(query) {
		return token{}, false, err
	}
	switch c := query[at]; {
	case c == '\'' || c == '"':
		t, err = quoted(query, at)
		return t, err == nil, err
	case isWord(c):
		end := wordEnd(query, at)
		return token{kind: tokenWord, text: query[at:end], start: at, end: end}, true, nil
	}
	return token{kind: tokenSymbol, text: query[at : at+1], start: at, end: at + 1}, true, nil
}

// skipBlank passes blanks, -- comments and nested /* */ comments.
func skipBlank(query string, at int) (int, error) {
	for at < len(query) {
		rest := query[at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			at++
		case strings.HasPrefix(rest, "--"):
			line := strings.IndexByte(rest, '\n')
			if line < 0 {
				return len(query), nil
			}
			at += line + 1
		case strings.HasPrefix(rest, "/*"):
			length := commentLength(rest)
			if length == 0 {
				return 0, errComment
			}
			at += length
		default:
			return at, nil
		}
	}
	return at, nil
}

// commentLength is the length of the comment s begins with; 0 when it has no end.
func commentLength(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// quoted reads a string or a quoted name; a doubled quote stands for one.
func quoted(query string, at int) (token, error) {
	var (
		quote = query[at]
		text  strings.Builder
	)
	for i := at + 1; i < len(query); i++ {
		if query[i] != quote {
			text.WriteByte(query[i])
			continue
		}
		if i+1 < len(query) && query[i+1] == quote {
			text.WriteByte(quote)
			i++
			continue
		}
		kind := tokenString
		if quote == '"' {
			kind = tokenName
		}
		return token{kind: kind, text: text.String(), start: at, end: i + 1}, nil
	}
	return token{}, errQuote
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 ||
		c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// wordEnd is where the bare word at at ends. Inside a word - . @ % count as
// letters, so that database names need no quotes; two dashes begin a comment.
func wordEnd(query string, at int) int {
	for at < len(query) {
		c := query[at]
		inner := c == '.' || c == '@' || c == '%' || c == '-' && !strings.HasPrefix(query[at:], "--")
		if !isWord(c) && !inner {
			break
		}
		at++
	}
	return at
}
