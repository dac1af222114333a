package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"spillway/internal/config/fault"
	"spillway/internal/config/ini"
)

// Note is something of a pgbouncer.ini that the YAML does not say, or says a
// little differently.
type Note struct {
	File    string
	Line    int
	Setting string
	Why     string
}

func (n Note) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", n.File, n.Line, n.Setting, n.Why)
}

// Import turns PgBouncer's configuration into spillway.yaml. name is the file's
// name in messages; %include starts at baseDir, which is also where relative
// files named by the YAML are expected: write it there. Passwords of
// connection strings are in the YAML as they were in the ini. notes list, in
// the file's order, what has no counterpart. The error is Problems.
func Import(name string, in io.Reader, baseDir string) (yaml []byte, notes []Note, err error) {
	lines, err := ini.Parse(name, in, ini.FromDir(baseDir))
	if err != nil {
		return nil, nil, err
	}
	m := newImporter(lines)
	m.sections()
	m.global()
	m.databases()
	m.users()
	m.peers()
	if len(m.problems) > 0 {
		m.problems.Sort()
		return nil, nil, m.problems[:min(len(m.problems), maxProblems)]
	}
	slices.SortStableFunc(m.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	head := "# Made from " + commentText(filepath.Base(name)) + " by spillway import.\n"
	text := head + m.out.yaml()
	if misfits := misfits(name, text); len(misfits) > 0 {
		return nil, nil, misfits
	}
	return []byte(text), m.notes, nil
}

// misfits are the errors Load would find in the YAML, its files aside: what
// PgBouncer lets pass and Spillway does not.
func misfits(name, text string) Problems {
	_, problems := parseAll(input{name: "spillway.yaml", text: text, env: func(string) (string, bool) { return "", false }, blind: true})
	errors, _ := problems.Split()
	for i := range errors {
		errors[i] = fault.Problem{File: name, What: "as spillway.yaml: " + errors[i].What, Why: errors[i].Why, Mend: errors[i].Mend}
	}
	return errors
}

// commentText keeps a name from ending its comment.
func commentText(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xFEFF {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
}

// importer holds an ini between reading and writing.
type importer struct {
	lines    []ini.Line
	settings map[string]*ini.Line // of [pgbouncer], the last of each
	order    []string             // their names as they came
	entries  map[string][]*ini.Line
	out      *draft
	notes    []Note
	said     map[Note]bool
	problems fault.List
	servers  map[string]string // host list and port → server name
	rows     map[string]*key   // the table outside named sections, by path
	homes    map[string]string // PgBouncer's setting → path in rows
	again    map[string]int    // server name → how often it was wanted
}

func newImporter(lines []ini.Line) *importer {
	m := &importer{
		lines:    lines,
		settings: map[string]*ini.Line{},
		entries:  map[string][]*ini.Line{},
		out:      newDraft(),
		servers:  map[string]string{},
		said:     map[Note]bool{},
		again:    map[string]int{},
		rows:     map[string]*key{},
		homes:    map[string]string{},
	}
	walk(table(), "", func(path string, k *key) {
		if k.kind == kindSection || k.kind == kindNamed || strings.Contains(path, ".NAME.") {
			return
		}
		m.rows[path] = k
		for _, peer := range strings.Split(k.peer, ", ") {
			if _, ok := m.homes[peer]; !ok && peer != "" {
				m.homes[peer] = path
			}
		}
	})
	return m
}

func (m *importer) note(l *ini.Line, why string) {
	setting := l.Key
	if l.Header {
		setting = "[" + l.Section + "]"
	} else if l.Section != "pgbouncer" {
		setting = l.Section + " " + quoteKey(l.Key)
	}
	m.addNote(Note{File: l.Source.Name, Line: l.KeyAt.Line, Setting: setting, Why: why})
}

// addNote leaves out what was said already: some settings are met at every server.
func (m *importer) addNote(n Note) {
	if !m.said[n] {
		m.said[n] = true
		m.notes = append(m.notes, n)
	}
}

func (m *importer) fail(l *ini.Line, err error) { m.failAt(l.Problem(""), err) }

func (m *importer) failAt(p fault.Problem, err error) {
	p.What = err.Error()
	var c *complaint
	if errors.As(err, &c) {
		p.Why, p.Mend = c.why, c.mend
	}
	m.problems = append(m.problems, p)
}

// sections sorts lines by section. Later keys replace earlier ones, and a
// second [pgbouncer] begins again from the defaults, as in PgBouncer.
func (m *importer) sections() {
	position := map[string]int{}
	for i := range m.lines {
		l := &m.lines[i]
		switch {
		case l.Header && l.Section == "pgbouncer":
			if len(m.settings) > 0 {
				m.note(l, "a second [pgbouncer] sets everything above it back to the defaults, as PgBouncer does")
			}
			clear(m.settings)
			m.order = m.order[:0]
		case l.Header:
			m.checkSection(l)
		case l.Section == "pgbouncer":
			if m.settings[l.Key] == nil {
				m.order = append(m.order, l.Key)
			}
			m.settings[l.Key] = l
		default:
			id := l.Section + "\x00" + l.Key
			if at, ok := position[id]; ok {
				m.entries[l.Section][at] = l
				continue
			}
			position[id] = len(m.entries[l.Section])
			m.entries[l.Section] = append(m.entries[l.Section], l)
		}
	}
}

func (m *importer) checkSection(l *ini.Line) {
	known := []string{"databases", "users", "peers", "pgbouncer"}
	for _, k := range known {
		if l.Section == k {
			return
		}
	}
	c := &complaint{what: fmt.Sprintf("unknown section [%s]", l.Section), mend: "sections are [databases], [users], [peers] and [pgbouncer]"}
	if near := fault.Nearest(l.Section, known); near != "" {
		c.mend = "did you mean [" + near + "]?"
	}
	m.fail(l, c)
}

// setting is the value of a setting of [pgbouncer], fallback when not given.
func (m *importer) setting(name, fallback string) string {
	if l := m.settings[name]; l != nil {
		return l.Value
	}
	return fallback
}

// put writes a text to a key of the table outside named sections.
func (m *importer) put(path string, texts ...string) {
	m.out.put(path, m.rows[path], texts...)
}

func (m *importer) peers() {
	for _, l := range m.entries["peers"] {
		m.note(l, "peers forward cancel requests; Spillway's loops share one table, and other nodes are not asked yet")
	}
}
