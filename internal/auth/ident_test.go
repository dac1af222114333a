package auth

import (
	"errors"
	"testing"
)

const sampleIdent = `
# MAP  SYSTEM-USER  DATABASE-USER
admins  root            postgres
admins  "my user"       bob
cn      /^(.*)@example\.org$   \1
cn      /^(.*)@ops\.example\.org$   ops_\1_x
cn      /^guest         guest
any     alice           all
any     bob             "all"
pattern carol           /^app_
esc     /^(.*)$         "\1"
`

func TestIdentMap(t *testing.T) {
	m, err := ParseIdent([]byte(sampleIdent))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mapname, system, user string
		want                  bool
	}{
		{"admins", "root", "postgres", true},
		{"admins", "root", "bob", false},
		{"admins", "my user", "bob", true},
		{"admins", "Root", "postgres", false},
		{"cn", "dave@example.org", "dave", true},
		{"cn", "dave@example.org", "root", false},
		{"cn", "dave@example.com", "dave", false},
		{"cn", "eve@ops.example.org", "ops_eve_x", true},
		{"cn", "eve@ops.example.org", "eve", false},
		{"cn", "guest7", "guest", true},
		{"any", "alice", "whoever", true},
		{"any", "bob", "whoever", false},
		{"any", "bob", "all", true},
		{"pattern", "carol", "app_7", true},
		{"pattern", "carol", "xapp_7", false},
		{"esc", "x", "x", true},
		{"cn", "all@example.org", "anyone", false}, // what \1 stands for is no keyword
		{"cn", "/.*@example.org", "anyone", false}, // nor an expression
		{"", "dave", "dave", true},
		{"", "dave", "eve", false},
		{"unknown", "dave", "dave", false},
		{"", "", "", false},
		{"any", "alice", "", false},
	} {
		if got := m.Map(c.mapname, c.system, c.user); got != c.want {
			t.Errorf("Map(%q, %q, %q) = %v", c.mapname, c.system, c.user, got)
		}
	}
	var none *Ident
	if none.Map("cn", "a", "a") || !none.Map("", "a", "a") || none.Has("cn") || !m.Has("cn") || m.Has("x") {
		t.Error("no ident file: only equal names without a map may pass")
	}
}

var brokenIdent = []struct {
	in           string
	line, column int
}{
	{"admins", 1, 1},
	{"admins root", 1, 8},
	{"admins root postgres x", 1, 22},
	{"admins a,b postgres", 1, 10},
	{"\nadmins /( postgres", 2, 8},
	{"admins /abc \\1", 1, 13},
	{"admins root +staff", 1, 13},
	{"admins \"\" postgres", 1, 8},
	{"admins root /(", 1, 13},
	{"include other x", 1, 1},
	{"admins \"root postgres", 1, 8},
}

func TestIdentErrors(t *testing.T) {
	for _, c := range brokenIdent {
		_, err := ParseIdent([]byte(c.in))
		var p *ParseError
		if !errors.As(err, &p) {
			t.Errorf("%q: got %v", c.in, err)
			continue
		}
		if p.Line != c.line || p.Column != c.column || p.Mend == "" {
			t.Errorf("%q: %v, want line %d, column %d", c.in, p, c.line, c.column)
		}
	}
}

func FuzzParseIdent(f *testing.F) {
	f.Add([]byte(sampleIdent), "cn", "dave@example.org", "dave")
	for _, c := range brokenIdent {
		f.Add([]byte(c.in), "admins", "root", "postgres")
	}
	f.Fuzz(func(t *testing.T, src []byte, mapname, system, user string) {
		m, err := ParseIdent(src)
		if err != nil {
			var p *ParseError
			if !errors.As(err, &p) || p.Line < 1 || p.Column < 1 || m != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if m.Map(mapname, system, user) && mapname != "" && !m.Has(mapname) {
			t.Fatal("a map that does not exist lets someone in")
		}
	})
}
