package ini

import (
	"strings"
	"unicode/utf8"

	"spillway/internal/config/fault"
)

// Pair is one key=value of a connection string.
type Pair struct {
	Key, Value string
	Line       *Line
	At         fault.Place // of the value
}

// Problem starts a problem at the pair.
func (p *Pair) Problem(what string) fault.Problem { return p.Line.Source.Problem(p.At, what) }

// Pairs reads a line's value as a connection string: key=value divided by
// spaces, values in single quotes with two for one quote. As in PgBouncer an
// empty value is an error.
func (l *Line) Pairs() ([]Pair, *fault.Problem) {
	var pairs []Pair
	text := l.Value
	pos := 0
	for {
		pos = skipSpace(text, pos)
		if pos == len(text) {
			return pairs, nil
		}
		start := pos
		for pos < len(text) && text[pos] != '=' && text[pos] != ' ' {
			pos++
		}
		key := text[start:pos]
		pos = skipSpace(text, pos)
		if pos == len(text) || text[pos] != '=' || key == "" {
			return nil, l.failAt(start, pos, "expected key=value in the connection string", "host=db-1 port=5432 dbname=app")
		}
		pos = skipSpace(text, pos+1)
		from := pos
		value, next, ok := connValue(text, pos)
		if !ok {
			return nil, l.failAt(from, len(text), "value of "+key+" has no closing quote", "close it with ', and write a quote inside it twice: ''")
		}
		if value == "" {
			return nil, l.failAt(start, next, "value of "+key+" is empty", "leave the key out")
		}
		pos = next
		pairs = append(pairs, Pair{Key: key, Value: value, Line: l, At: l.placeAt(from, next)})
	}
}

func skipSpace(text string, pos int) int {
	for pos < len(text) && strings.IndexByte(" \t\r\v\f", text[pos]) >= 0 {
		pos++
	}
	return pos
}

// connValue reads a bare or quoted value; next is the byte after it.
func connValue(text string, pos int) (value string, next int, ok bool) {
	if pos == len(text) || text[pos] != '\'' {
		end := pos
		for end < len(text) && text[end] != ' ' {
			end++
		}
		return text[pos:end], end, true
	}
	var b strings.Builder
	for i := pos + 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", pos, false
}

func (l *Line) placeAt(from, to int) fault.Place {
	return fault.Place{
		Line:   l.ValueAt.Line,
		Column: l.ValueAt.Column + utf8.RuneCountInString(l.Value[:from]),
		Width:  max(utf8.RuneCountInString(l.Value[from:to]), 1),
	}
}

func (l *Line) failAt(from, to int, what, mend string) *fault.Problem {
	p := l.Source.Problem(l.placeAt(from, to), what)
	p.Mend = mend
	return &p
}
