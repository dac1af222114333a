package statement

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated tables")

// heeded and naming list the words with these flags.
const (
	heeded = "select with insert update delete merge values into temp temporary for share key no as execute on operator distinct " +
		"current_role current_user current_schema session_user system_user user search cycle by case pg_settings"
	naming = "as into with recursive execute references"
)

// wordIDs maps the spelling of a word to its number, in the order of the
// constants.
func wordIDs(t *testing.T) map[string]keyword {
	t.Helper()
	source, err := os.ReadFile("words.go")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]keyword{}
	next := keyword(0)
	for line := range strings.Lines(string(source)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "kw")
		if !ok || strings.ContainsAny(name, "()") {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		var snake strings.Builder
		for i, c := range name {
			if c >= 'A' && c <= 'Z' && i > 0 {
				snake.WriteByte('_')
			}
			snake.WriteRune(c)
		}
		ids[strings.ToLower(snake.String())] = next
		next++
	}
	for _, name := range []string{"none", "other", "ends"} {
		delete(ids, name)
	}
	if next-1 != kwEnds {
		t.Fatalf("read %d key words from words.go, want %d", next-1, kwEnds)
	}
	return ids
}

// rows reads a list of lines "name letter".
func rows(t *testing.T, file string) [][2]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(f) != 2 {
			t.Fatalf("%s: bad line %q", file, line)
		}
		all = append(all, [2]string{f[0], f[1]})
	}
	return all
}

func has(list, word string) bool {
	for _, w := range strings.Fields(list) {
		if w == word {
			return true
		}
	}
	return false
}

// slots fills an open-addressed table; entry i gets the number i+1.
func slots(t *testing.T, size uint, names []string) []int {
	t.Helper()
	table := make([]int, 1<<size)
	for i, name := range names {
		head, tail := wordKey([]byte(name))
		h := wordHash(head, tail, len(name), size)
		for table[h] != 0 {
			h = (h + 1) & (1<<size - 1)
		}
		table[h] = i + 1
	}
	return table
}

func printSlots(b *bytes.Buffer, name string, table []int) {
	fmt.Fprintf(b, "var %s = [%d]uint16{", name, len(table))
	for i, v := range table {
		if i%32 == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%d,", v)
	}
	b.WriteString("\n}\n\n")
}

func printWords(t *testing.T, b *bytes.Buffer) {
	ids := wordIDs(t)
	seen := map[string]bool{}
	var names []string
	var entries, spelled strings.Builder
	for _, row := range rows(t, "words.txt") {
		id, ok := ids[row[0]]
		if !ok {
			id = kwOther
		}
		seen[row[0]] = true
		flags := 0
		if row[1] == "R" || row[1] == "C" {
			flags |= wordSyntax
		}
		if has(heeded, row[0]) {
			flags |= wordHeeded
		}
		if has(naming, row[0]) {
			flags |= wordLabels
		}
		head, tail := wordKey([]byte(row[0]))
		fmt.Fprintf(&entries, "{%#x,%#x,%d,%#x}, // %s\n", head, tail, len(row[0]), tokenName|token(id)<<8|token(flags)<<16, row[0])
		if len(row[0]) > 16 {
			fmt.Fprintf(&spelled, "%d: %q,\n", len(names)+1, row[0])
		}
		names = append(names, row[0])
	}
	for name := range ids {
		if !seen[name] {
			t.Errorf("words.txt lacks %q", name)
		}
	}
	const size = 11
	fmt.Fprintf(b, "const wordBits = %d\n\n", size)
	printSlots(b, "wordSlots", slots(t, size, names))
	fmt.Fprintf(b, "var wordEntries = [...]wordEntry{\n{},\n%s}\n\n", entries.String())
	fmt.Fprintf(b, "// wordNames spells the words that a key does not cover.\nvar wordNames = [%d]string{\n%s}\n\n", len(names)+1, spelled.String())
}

func printFunctions(t *testing.T, b *bytes.Buffer) {
	classes := map[string]functionClass{"-": functionPlain, "v": functionVolatile, "w": functionWrite, "s": functionSession, "a": functionAdvisory,
		"k": functionSticky, "n": functionNotify, "u": functionRunsSQL, "c": functionSetConfig}
	var names []string
	var entries, text strings.Builder
	for _, row := range rows(t, "functions.txt") {
		class, ok := classes[row[1]]
		if !ok {
			t.Fatalf("functions.txt: bad class %q", row[1])
		}
		fmt.Fprintf(&entries, "{%d,%d,%d},", text.Len(), len(row[0]), class)
		if len(names)%8 == 7 {
			entries.WriteByte('\n')
		}
		text.WriteString(row[0])
		names = append(names, row[0])
	}
	if text.Len() > 1<<16-1 {
		t.Fatal("the names of functions need wider offsets")
	}
	const size = 13
	fmt.Fprintf(b, "const functionBits = %d\n\n", size)
	printSlots(b, "functionSlots", slots(t, size, names))
	fmt.Fprintf(b, "var functionEntries = [...]functionEntry{\n{},\n%s\n}\n\nconst functionNames = \"\" +\n", entries.String())
	for s := text.String(); s != ""; {
		n := min(len(s), 120)
		end := " +"
		if n == len(s) {
			end = ""
		}
		fmt.Fprintf(b, "%q%s\n", s[:n], end)
		s = s[n:]
	}
}

func printClasses(b *bytes.Buffer) {
	b.WriteString("// classOf is the lexical class of each byte.\nvar classOf = [256]uint8{")
	for c := range 256 {
		if c%32 == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%d,", classify(byte(c)))
	}
	b.WriteString("\n}\n\n")
}

func classify(c byte) uint8 {
	switch {
	case c == ' ' || c >= '\t' && c <= '\r':
		return classSpace
	case c == '_' || c >= 0x80 || lower(c) >= 'a' && lower(c) <= 'z':
		return classWord
	case c >= '0' && c <= '9':
		return classDigit
	case c == 0:
		return classNul
	}
	switch c {
	case '\'':
		return classQuote
	case '"':
		return classIdent
	case '$':
		return classDollar
	case '-':
		return classDash
	case '/':
		return classSlash
	case '(':
		return classOpen
	case ')':
		return classClose
	case ']':
		return classOperand
	case ',':
		return classComma
	case ';':
		return classEnd
	case '.':
		return classDot
	case ':':
		return classColon
	}
	return classOther
}

// TestTables compares the generated tables with the lists they come from;
// -update rewrites them.
func TestTables(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("// Code generated by go test -run TestTables -update; DO NOT EDIT.\n\npackage statement\n\n")
	printClasses(&b)
	printWords(t, &b)
	printFunctions(t, &b)
	want, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("tables.go", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("tables.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("tables.go is out of date: run go generate")
	}
}
