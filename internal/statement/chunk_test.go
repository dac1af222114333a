package statement

import (
	"bytes"
	"testing"
)

// lexTexts are texts that are hard to cut into tokens. Each hides or shows a
// LISTEN.
var lexTexts = []struct {
	text      string
	backslash bool // standard_conforming_strings is off
	want      Effect
}{
	{"SELECT 'a''b'; LISTEN x", false, Multi | Listen},
	{"SELECT 'a\\'; LISTEN x; --'", false, Multi | Listen},
	{"SELECT 'a\\'; LISTEN x; --'", true, Read},
	{"SELECT E'a\\'; LISTEN x; --'", false, Read},
	{"SELECT e'a''\\'; LISTEN x; --'", false, Read},
	{"SELECT e'a'\n'\\'; LISTEN x; --'", false, Read},
	{"SELECT e'a' \t -- it's\n -- '\n '\\'; LISTEN x; --'", false, Read},
	{"SELECT e'a' -- it's\r'\\'; LISTEN x; --'", false, Read},
	{"SELECT e'a' - '\\'; LISTEN x; --'", false, Multi | Listen},
	{"SELECT e'a' /* \n */ '\\'; LISTEN x; --'", false, Multi | Listen},
	{"SELECT 'a'\n'\\'; LISTEN x; --'", false, Multi | Listen},
	{"SELECT fe'a\\'; LISTEN x; --'", false, Multi | Listen},
	{"SELECT n'a\\'; LISTEN x; --'", true, Read},
	{"SELECT b'01', x'ff', n'x'; LISTEN x", false, Multi | Listen},
	{"SELECT U&'d\\0061t'; LISTEN x", false, Multi | Listen},
	{"SELECT U&\"d\\0061t\"\"; LISTEN x; \"", false, Read},
	{"SELECT \"a;\"\"; LISTEN x\"", false, Read},
	{"SELECT 1 -- ; LISTEN x\n; LISTEN y", false, Multi | Listen},
	{"SELECT 1 -- ; LISTEN x\r; LISTEN y", false, Multi | Listen},
	{"SELECT 1 - - 2; LISTEN x", false, Multi | Listen},
	{"SELECT 1 /* /* ; */ ; LISTEN x; */", false, Read},
	{"SELECT 1 /*/ ; LISTEN x; */", false, Read},
	{"SELECT 1 /**/; LISTEN x", false, Multi | Listen},
	{"SELECT 1 /***/; LISTEN x", false, Multi | Listen},
	{"SELECT 1 /*//**/; LISTEN x; */ */", false, Read},
	{"SELECT 2 */* ; LISTEN x; */ 3", false, Read},
	{"SELECT 2 / 3; LISTEN x", false, Multi | Listen},
	{"SELECT $$ ' ; LISTEN x $$", false, Read},
	{"SELECT $$ ' $ $a$ $$; LISTEN x", false, Multi | Listen},
	{"SELECT $a$ $$ $b$ ' $a; LISTEN x $a$", false, Read},
	{"SELECT $a$ $a $a$; LISTEN x", false, Multi | Listen},
	{"SELECT $a$ $$a$; LISTEN x", false, Multi | Listen},
	{"SELECT $ab$ $ab $ab$; LISTEN x", false, Multi | Listen},
	{"SELECT $é_1$ ; LISTEN x $é_1$", false, Read},
	{"SELECT a$b$, c$b$; LISTEN x", false, Multi | Listen},
	{"SELECT 1$b$ ; LISTEN x $b$", false, Read},
	{"SELECT $1$b$ ; LISTEN x $b$", false, Read},
	{"SELECT $1, $2; LISTEN x", false, Multi | Listen},
	{"SELECT 1.5e10, .5, 1., 0x1F, 1_000; LISTEN x", false, Multi | Listen},
	{"SELECT 1\x00; LISTEN x", false, Read},
	{"SELECT 'a\x00'; LISTEN x", false, Opaque},
	{"SELECT 1 -- a\x00\n; LISTEN x", false, Read},
	{"SELECT e'a'\x00\n; LISTEN x", false, Read},
	{"SELECT /* \x00 */; LISTEN x", false, Opaque},
	{"SELECT \"", false, Opaque},
	{"SELECT \"a\x00", false, Opaque},
	{"SELECT 'a", false, Opaque},
	{"SELECT E'a\\", false, Opaque},
	{"SELECT $a$ $a", false, Opaque},
	{"SELECT $a", false, Opaque},
	{"SELECT /* /* */", false, Opaque},
	{"SELECT $a\x00", false, Opaque},
	{"SELECT a.E'\\'; LISTEN x; --'", false, Read},
	{"SELECT é'\\'; LISTEN x; --'", false, Multi | Listen},
}

func TestScanCutsTokens(t *testing.T) {
	for _, test := range lexTexts {
		got := Scan([]byte(test.text), !test.backslash)
		if got != test.want {
			t.Errorf("Scan(%q, backslash %v) = %v, want %v", test.text, test.backslash, got, test.want)
		}
	}
}

// scanParts scans a text in parts of the given length, after a first part.
func scanParts(text []byte, first, part int, conforming bool) Effect {
	var s Scanner
	s.Reset(conforming)
	for rest := text; ; {
		n := min(first, len(rest))
		s.Feed(bytes.Clone(rest[:n])) // a chunk must not be looked at later
		rest = rest[n:]
		if len(rest) == 0 {
			return s.Finish()
		}
		first = part
	}
}

func checkParts(t *testing.T, text []byte, conforming bool) {
	t.Helper()
	want := Scan(text, conforming)
	for i := range len(text) + 1 {
		if got := scanParts(text, i, len(text), conforming); got != want {
			t.Fatalf("Scan(%q) = %v, but %v when cut at %d", text, want, got, i)
		}
	}
	for part := 1; part < 4; part++ {
		if got := scanParts(text, part, part, conforming); got != want {
			t.Fatalf("Scan(%q) = %v, but %v in parts of %d", text, want, got, part)
		}
	}
}

func TestChunksMakeNoDifference(t *testing.T) {
	for _, text := range allTexts() {
		checkParts(t, []byte(text), true)
		checkParts(t, []byte(text), false)
	}
}

// allTexts gives the texts of all tables.
func allTexts() []string {
	var texts []string
	for _, test := range scanTexts {
		texts = append(texts, test.text)
	}
	for _, test := range lexTexts {
		texts = append(texts, test.text)
	}
	for _, bench := range benchTexts {
		texts = append(texts, bench.text)
	}
	return texts
}

// countStatements counts by the other lexer; ok is false for broken texts.
func countStatements(text []byte, conforming bool) (n int, ok bool) {
	l := newLexer(text, conforming)
	depth, inside := 0, false
	for {
		switch t := l.next(); {
		case t.kind == lexBroken:
			return 0, false
		case t.kind == lexEnd:
			return n, true
		case t.kind == lexSign && l.text[t.Start] == ';' && depth == 0:
			inside = false
		case t.kind == lexSign && l.text[t.Start] == '(':
			depth++
		case t.kind == lexSign && l.text[t.Start] == ')':
			depth = max(0, depth-1)
		case !inside:
			inside = true
			n++
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range allTexts() {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, conforming bool) {
		if len(text) > 4096 {
			return
		}
		checkParts(t, text, conforming)
		effect := Scan(text, conforming)
		if bytes.Contains(bytes.ToLower(text), []byte("atomic")) || effect.Any(Opaque) {
			return
		}
		n, ok := countStatements(text, conforming)
		if !ok || n > 1 != effect.Any(Multi) {
			t.Fatalf("Scan(%q) = %v, but the lexer reads %d statements, %v", text, effect, n, ok)
		}
	})
}
