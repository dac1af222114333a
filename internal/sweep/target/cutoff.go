package target

import (
	"strings"
	"time"
)

// stamp is a timestamptz as SQL takes it, exact to PostgreSQL's microsecond.
func stamp(at time.Time) string {
	return "'" + at.UTC().Format("2006-01-02 15:04:05.999999") + "+00'::timestamp with time zone"
}

// clocks are the words by which PostgreSQL prints the time of a transaction.
// Its reserved words cannot be a column's name without quotes.
func clocks(at time.Time, zone string) map[string]string {
	now := stamp(at)
	local := "(" + now + " AT TIME ZONE '" + strings.ReplaceAll(zone, "'", "''") + "')"
	return map[string]string{
		"now()": now, "transaction_timestamp()": now, "statement_timestamp()": now,
		"CURRENT_TIMESTAMP": now, "LOCALTIMESTAMP": local,
		"CURRENT_DATE": local + "::date", "LOCALTIME": local + "::time without time zone",
	}
}

// precise are the types of the words that take a precision, as in
// CURRENT_TIMESTAMP(0).
func precise(word, digits string) string {
	switch word {
	case "CURRENT_TIMESTAMP":
		return "::timestamp" + digits + " with time zone"
	case "LOCALTIMESTAMP":
		return "::timestamp" + digits + " without time zone"
	case "LOCALTIME":
		return "::time" + digits + " without time zone"
	}
	return ""
}

// freeze replaces the clock's words in an expression that PostgreSQL printed
// with search_path pg_catalog: there a bare now() is PostgreSQL's own.
func freeze(text string, at time.Time, zone string) string {
	var b strings.Builder
	words := clocks(at, zone)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			end := quoted(text, i, i > 0 && (text[i-1] == 'E') && (i < 2 || !wordByte(text[i-2])))
			b.WriteString(text[i:end])
			i = end
		case wordByte(c):
			end := i
			for end < len(text) && wordByte(text[end]) {
				end++
			}
			i += replaceWord(&b, text, i, end, words)
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// replaceWord writes the word at text[from:to], or what stands for it, and
// returns how many bytes of text that took.
func replaceWord(b *strings.Builder, text string, from, to int, words map[string]string) int {
	word := text[from:to]
	if from > 0 && text[from-1] == '.' {
		b.WriteString(word)
		return to - from
	}
	if strings.HasPrefix(text[to:], "()") {
		if constant, ok := words[word+"()"]; ok {
			b.WriteString(constant)
			return to - from + 2
		}
	}
	constant, ok := words[word]
	if !ok {
		b.WriteString(word)
		return to - from
	}
	b.WriteString("(" + constant)
	if strings.HasPrefix(text[to:], "(") {
		if close := strings.IndexByte(text[to:], ')'); close > 0 && close < 4 {
			digits := text[to : to+close+1]
			b.WriteString(precise(word, digits))
			to += len(digits)
		}
	}
	b.WriteByte(')')
	return to - from
}

// quoted returns where the quoted text that begins at i ends.
func quoted(text string, i int, escapes bool) int {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] != quote:
		case i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(text)
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
