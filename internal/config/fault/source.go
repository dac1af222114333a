package fault

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Source is a file's text, to show lines of.
type Source struct {
	Name  string
	lines []string
}

// NewSource keeps the lines of text under the name shown in problems.
func NewSource(name, text string) *Source {
	return &Source{Name: name, lines: strings.Split(text, "\n")}
}

// Problem starts a Problem at a place of the source.
func (s *Source) Problem(at Place, what string) Problem {
	return Problem{File: s.Name, Place: at, Source: s.Line(at.Line), What: what}
}

// Line is line n, masked; "" when there is none.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	line := strings.TrimSuffix(s.lines[n-1], "\r")
	return Mask(strings.ToValidUTF8(line, "\uFFFD"))
}

// What may be a secret: the value after a name that sounds like one, the
// password of a URL, and the verifiers PostgreSQL keeps. Over-masking is cheap.
var (
	namedSecret = regexp.MustCompile(`(?i)(pas+w\w*|pwd|secret\w*|token|api_?key)(["']?\s*[:=]\s*)(\$\{[^}]*\}|"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|[^\s,}\]&]+)`)
	urlSecret   = regexp.MustCompile(`(://[^:@/\s]*:)([^@\s]*)(@)`)
	verifier    = regexp.MustCompile(`SCRAM-SHA-256\$[^\s"']*|md5[0-9a-fA-F]{32}`)
	reference   = regexp.MustCompile(`^["']?\$\{[^}]*\}["']?$`)
)

// Mask replaces what may be a secret in a line by asterisks, keeping its
// width, so that a caret under it still points where it should. References to
// environment variables stay readable.
func Mask(line string) string {
	line = maskGroup(namedSecret, line, 3)
	line = maskGroup(urlSecret, line, 2)
	return maskGroup(verifier, line, 0)
}

func maskGroup(re *regexp.Regexp, line string, group int) string {
	var b strings.Builder
	end := 0
	for _, m := range re.FindAllStringSubmatchIndex(line, -1) {
		from, to := m[2*group], m[2*group+1]
		if from < end || reference.MatchString(line[from:to]) || notSecret(line[m[0]:from]) {
			continue
		}
		b.WriteString(line[end:from])
		b.WriteString(strings.Repeat("*", utf8.RuneCountInString(line[from:to])))
		end = to
	}
	b.WriteString(line[end:])
	return b.String()
}

// MaskSpan replaces the characters at a place of a line by asterisks.
func MaskSpan(line string, at Place) string {
	text := []rune(line)
	for i := at.Column - 1; i >= 0 && i < len(text) && i < at.Column-1+at.Width; i++ {
		text[i] = '*'
	}
	return string(text)
}

// notSecret tells names that only sound like one: password_file holds a path.
func notSecret(prefix string) bool {
	return strings.Contains(strings.ToLower(prefix), "_file")
}
