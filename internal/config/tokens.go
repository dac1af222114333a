package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"spillway/internal/config/fault"
)

// tokensFit refuses what would make the parser recurse or work without bound,
// and syntax a config file has no use for.
func (r *reader) tokensFit(tokens token.Tokens) bool {
	depth, line, entries, items, keys, anchors := 0, 0, 0, 0, 0, 0
	for _, t := range tokens {
		at := placeOf(t)
		if at.Line != line {
			line, entries = at.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth = max(depth-1, 0)
		case token.SequenceEntryType:
			entries++
			items++
		case token.MappingValueType:
			keys++
		case token.AnchorType:
			anchors++
		case token.TagType, token.MappingKeyType, token.DirectiveType:
			r.report(at, fmt.Sprintf("%s has no meaning here", strings.TrimSpace(t.Value)), "", "write plain keys and values")
			return false
		default:
		}
		if depth > maxDepth || entries > maxDepth || anchors > maxAnchors {
			r.report(at, "values are nested too deeply", "", "no key needs it: compare with docs/spillway.example.yaml")
			return false
		}
	}
	if items > maxItems || keys > maxKeys {
		r.report(fault.Place{}, fmt.Sprintf("file holds more than %d keys, or %d values in lists", maxKeys, maxItems), "", "split users into auth.file, and let \"*\" stand for databases")
		return false
	}
	return true
}

// longLine is the first line too long for the YAML library, whose cost grows
// with the square of some.
func longLine(text string) (int, bool) {
	for number := 1; ; number++ {
		line, rest, more := strings.Cut(text, "\n")
		if len(line) > maxLine {
			return number, true
		}
		if !more {
			return 0, false
		}
		text = rest
	}
}

// invalidText is the first character that YAML does not take as it stands: no
// UTF-8, a control character, or a carriage return that ends no line.
func invalidText(text string) (fault.Place, bool) {
	line, column := 1, 1
	for len(text) > 0 {
		c, size := utf8.DecodeRuneInString(text)
		loneReturn := c == '\r' && !strings.HasPrefix(text, "\r\n")
		control := c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f
		switch {
		case c == utf8.RuneError && size == 1, control, loneReturn:
			return fault.Place{Line: line, Column: column, Width: 1}, true
		case c == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		text = text[size:]
	}
	return fault.Place{}, false
}

// syntax reports what the YAML library says, in one line and at its place.
func (r *reader) syntax(err error) {
	var at fault.Place
	var message string
	var s interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &s) {
		message = s.GetMessage()
		if t := s.GetToken(); t != nil {
			at = placeOf(t)
		}
	} else {
		message = err.Error()
	}
	message, _, _ = strings.Cut(fault.Mask(message), "\n")
	mend := "compare the line with docs/spillway.example.yaml"
	switch {
	case strings.Contains(message, "\\t"), strings.Contains(message, "\t"):
		message, mend = "a tab cannot indent YAML", "use spaces"
	case strings.Contains(message, "mapping value is not allowed"):
		mend = "put a value that holds \": \" in quotes, or break the line after the first key"
	case strings.Contains(message, "reserved character"):
		mend = "put the value in quotes"
	}
	r.report(at, message, "", mend)
}
