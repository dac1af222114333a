package fault

import (
	"fmt"
	"sort"
	"strings"
)

// Place is a span of one line. Lines and columns count from 1, columns and
// width in characters. The zero Place is the file as a whole.
type Place struct {
	Line, Column, Width int
}

// Problem is one thing wrong with a file.
type Problem struct {
	File string
	Place
	Source  string // the line, secrets masked; "" when there is none
	What    string // one lower-case clause: what is wrong
	Why     string // what depends on it; may be ""
	Mend    string // what to write instead; may be ""
	Warning bool   // works, but probably not as meant
}

// Error is the problem on one line: file:line:column: what; mend.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.location())
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.What)
	if p.Mend != "" {
		b.WriteString("; ")
		b.WriteString(p.Mend)
	}
	return b.String()
}

// Text is the problem over several lines, with the source line and a caret.
// It ends with a line break.
func (p Problem) Text() string {
	var b strings.Builder
	b.WriteString(p.location())
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.What)
	b.WriteByte('\n')
	p.writeSource(&b)
	if p.Why != "" {
		fmt.Fprintf(&b, "      why: %s\n", p.Why)
	}
	if p.Mend != "" {
		fmt.Fprintf(&b, "     mend: %s\n", p.Mend)
	}
	return b.String()
}

func (p Problem) location() string {
	if p.Line == 0 {
		return p.File + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
}

// Widest line and caret shown; longer ones are cut.
const (
	maxShown = 160
	maxCaret = 60
)

func (p Problem) writeSource(b *strings.Builder) {
	if p.Line == 0 || p.Source == "" {
		return
	}
	line := []rune(p.Source)
	start := min(max(p.Column-1, 0), len(line))
	cut := 0
	if start > maxShown-maxCaret {
		cut = start - maxShown/2
	}
	end := min(len(line), cut+maxShown)
	fmt.Fprintf(b, "%5d | %s\n", p.Line, string(line[cut:end]))
	b.WriteString("      | ")
	for _, r := range line[cut:start] {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	width := min(max(p.Width, 1), maxCaret, max(end-start, 1))
	b.WriteString(strings.Repeat("^", width))
	b.WriteByte('\n')
}

// List is several problems; as an error it is their short forms, one a line.
type List []Problem

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Text is the long form of every problem, an empty line between them.
func (l List) Text() string {
	parts := make([]string, len(l))
	for i, p := range l {
		parts[i] = p.Text()
	}
	return strings.Join(parts, "\n")
}

// Sort orders by file, then position; equal positions keep their order.
func (l List) Sort() {
	sort.SliceStable(l, func(i, j int) bool {
		a, b := l[i], l[j]
		switch {
		case a.File != b.File:
			return a.File < b.File
		case a.Line != b.Line:
			return a.Line < b.Line
		default:
			return a.Column < b.Column
		}
	})
}

// Split parts the errors from the warnings, each in the list's order.
func (l List) Split() (errors, warnings List) {
	for _, p := range l {
		if p.Warning {
			warnings = append(warnings, p)
		} else {
			errors = append(errors, p)
		}
	}
	return errors, warnings
}

// longestClause is what is shown of a clause; names in it may have any length.
const longestClause = 400

// Shorten cuts clauses that are too long to read, in place, and returns l.
func (l List) Shorten() List {
	for i := range l {
		for _, clause := range []*string{&l[i].What, &l[i].Why, &l[i].Mend} {
			if len(*clause) <= longestClause {
				continue
			}
			text := []rune(*clause)
			if len(text) > longestClause {
				*clause = string(text[:longestClause]) + "…"
			}
		}
	}
	return l
}
