package statement

import (
	"strings"
	"unicode/utf8"
)

// identifier gives the name that a token spells: folded to lower case unless it
// is quoted, cut to 63 bytes. U&"…" names are refused.
func identifier(t lexeme, text []byte) (string, bool) {
	w := t.Of(text)
	switch {
	case t.kind == lexWord:
		folded := make([]byte, len(w))
		for i, c := range w {
			folded[i] = lower(c)
		}
		return cutName(string(folded)), true
	case t.kind == lexQuoted && w[0] == '"' && len(w) > 2:
		return cutName(strings.ReplaceAll(string(w[1:len(w)-1]), `""`, `"`)), true
	}
	return "", false
}

// cutName cuts a name as PostgreSQL does, between characters of UTF-8.
func cutName(name string) string {
	if len(name) <= maxName {
		return name
	}
	n := maxName
	for n > maxName-utf8.UTFMax && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// QuoteName appends name as a quoted identifier.
func QuoteName(dst []byte, name string) []byte {
	dst = append(dst, '"')
	for i := range len(name) {
		if name[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '"')
}

// Lexable says whether texts in the client's encoding can be read by this
// package: every byte below 0x80 stands for itself in it. The name is compared
// as PostgreSQL does, ignoring case, '-' and '_'.
func Lexable(encoding []byte) bool {
	plain := make([]byte, 0, 32)
	for _, c := range encoding {
		if c != '-' && c != '_' && c != ' ' && len(plain) < cap(plain) {
			plain = append(plain, lower(c))
		}
	}
	for _, name := range []string{"sjis", "shiftjis", "mskanji", "win932", "windows932", "big5", "win950", "windows950", "gbk", "win936", "windows936", "gb18030",
		"uhc", "win949", "windows949", "johab", "shiftjis2004"} {
		if string(plain) == name {
			return false
		}
	}
	return true
}
