package ini

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"spillway/internal/config/fault"
)

// Bounds on what is read, far above real files.
const (
	maxFile  = 4 << 20
	maxDepth = 10 // of includes, as in PgBouncer
	maxFiles = 100
)

// Line is a section's header (Key is "") or a key with its value.
type Line struct {
	Section, Key, Value string
	// Header tells a header from a key: [a] from a = .
	Header bool

	Source  *fault.Source
	KeyAt   fault.Place
	ValueAt fault.Place
}

// Problem starts a problem at the line's value.
func (l *Line) Problem(what string) fault.Problem { return l.Source.Problem(l.ValueAt, what) }

// Open reads an included file. The name is as written after %include.
type Open func(name string) (io.ReadCloser, error)

// FromDir opens regular files, relative names from dir.
func FromDir(dir string) Open {
	return func(name string) (io.ReadCloser, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		st, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !st.Mode().IsRegular() {
			return nil, errors.New("not a regular file")
		}
		return os.Open(name)
	}
}

// parser walks files; the section goes on through includes, as in PgBouncer.
type parser struct {
	open    Open
	files   int
	section string
	named   bool // a section was begun
	lines   []Line
}

// Parse reads the file called name and what it includes, in order. The error
// is a fault.List of one problem: what follows a mistake may mean anything.
func Parse(name string, in io.Reader, open Open) ([]Line, error) {
	p := &parser{open: open}
	if problem := p.file(name, in, 0); problem != nil {
		return nil, fault.List{*problem}
	}
	return p.lines, nil
}

func (p *parser) file(name string, in io.Reader, depth int) *fault.Problem {
	content, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	if err != nil {
		return &fault.Problem{File: name, What: fmt.Sprintf("read file: %v", err)}
	}
	text := strings.TrimPrefix(string(content), "\uFEFF")
	src := fault.NewSource(name, text)
	for i, line := range strings.Split(text, "\n") {
		s := &scanner{src: src, line: i + 1, text: line}
		if problem := p.statements(s, depth); problem != nil {
			return problem
		}
	}
	return nil
}

// statements reads one line: any number of headers, then at most one key,
// include or comment.
func (p *parser) statements(s *scanner, depth int) *fault.Problem {
	if at, bad := invalid(s.text); bad {
		s.pos = at
		return s.fail(1, "line is not UTF-8 text, or holds a zero byte", "save the file as UTF-8")
	}
	for {
		s.space()
		switch rest := s.rest(); {
		case rest == "", rest[0] == '#', rest[0] == ';':
			return nil
		case strings.HasPrefix(rest, "%include ") || strings.HasPrefix(rest, "%include\t"):
			return p.include(s, depth)
		case rest[0] == '[':
			if problem := p.header(s); problem != nil {
				return problem
			}
		default:
			return p.pair(s)
		}
	}
}

func invalid(text string) (int, bool) {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return i, true
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i, true
			}
		}
	}
	return 0, false
}

func (p *parser) header(s *scanner) *fault.Problem {
	rest := s.rest()
	end := strings.IndexByte(rest, ']')
	if end < 0 {
		return s.fail(len(rest), "section has no ]", "[databases], [users], [peers] or [pgbouncer]")
	}
	p.section, p.named = rest[1:end], true
	at := s.place(end + 1)
	p.lines = append(p.lines, Line{Section: p.section, Header: true, Source: s.src, KeyAt: at, ValueAt: at})
	s.pos += end + 1
	return nil
}

func (p *parser) include(s *scanner, depth int) *fault.Problem {
	s.pos += len("%include")
	s.space()
	name := strings.TrimRight(s.rest(), spaces)
	if depth >= maxDepth || p.files >= maxFiles {
		return s.fail(len(name), fmt.Sprintf("files include each other more than %d deep, or are more than %d", maxDepth, maxFiles), "remove the circle")
	}
	p.files++
	if name == "" || p.open == nil {
		return s.fail(1, "%include names no file that can be read", "%include /etc/pgbouncer/more.ini")
	}
	f, err := p.open(name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return s.fail(len(name), fmt.Sprintf("include file: %v", err), "correct the name; relative ones start where PgBouncer was started")
	}
	defer f.Close() //nolint:errcheck // only read from
	return p.file(name, f, depth+1)
}

func (p *parser) pair(s *scanner) *fault.Problem {
	start := s.pos
	key, problem := s.key()
	if problem != nil {
		return problem
	}
	at := s.placeOf(start, s.pos)
	s.blank()
	if !strings.HasPrefix(s.rest(), "=") {
		return s.fail(1, "expected = after the key", "key = value, or ; before a comment")
	}
	s.pos++
	s.blank()
	value := strings.TrimRight(s.rest(), spaces)
	if !p.named {
		s.pos = start
		return s.fail(len(key), fmt.Sprintf("key %q stands before any section", key), "begin with [databases] or [pgbouncer]")
	}
	p.lines = append(p.lines, Line{Section: p.section, Key: key, Value: value, Source: s.src, KeyAt: at, ValueAt: s.place(len(value))})
	return nil
}

const spaces = " \t\r\v\f"

// scanner walks one line.
type scanner struct {
	src  *fault.Source
	line int
	text string
	pos  int // in bytes
}

func (s *scanner) rest() string { return s.text[s.pos:] }

func (s *scanner) space() { s.skip(spaces) }
func (s *scanner) blank() { s.skip(" \t") }

func (s *scanner) skip(set string) {
	s.pos = len(s.text) - len(strings.TrimLeft(s.rest(), set))
}

// key reads a bare or quoted name and stands after it.
func (s *scanner) key() (string, *fault.Problem) {
	rest := s.rest()
	quote := rest[0]
	if quote != '\'' && quote != '"' {
		end := 0
		for end < len(rest) && isKeyByte(rest[end]) {
			end++
		}
		if end == 0 {
			return "", s.fail(1, fmt.Sprintf("a key cannot begin with %q", firstRune(rest)), "letters, digits and _ . - *, or the name in quotes")
		}
		s.pos += end
		return rest[:end], nil
	}
	var key strings.Builder
	for i := 1; i < len(rest); i++ {
		if rest[i] != quote {
			key.WriteByte(rest[i])
			continue
		}
		if quote == '"' && strings.HasPrefix(rest[i+1:], `"`) {
			key.WriteByte('"')
			i++
			continue
		}
		if key.Len() == 0 {
			return "", s.fail(2, "key is empty", "give it a name")
		}
		s.pos += i + 1
		return key.String(), nil
	}
	return "", s.fail(len(rest), "key has no closing quote", "close it on the same line")
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func isKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-*", c) >= 0
}

// place is the span of n bytes from here.
func (s *scanner) place(n int) fault.Place { return s.placeOf(s.pos, s.pos+n) }

func (s *scanner) placeOf(from, to int) fault.Place {
	return fault.Place{
		Line:   s.line,
		Column: utf8.RuneCountInString(s.text[:from]) + 1,
		Width:  max(utf8.RuneCountInString(s.text[from:to]), 1),
	}
}

func (s *scanner) fail(width int, what, mend string) *fault.Problem {
	width = min(width, len(s.rest()))
	p := s.src.Problem(s.place(width), what)
	p.Mend = mend
	return &p
}
