package fault

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNearest(t *testing.T) {
	keys := []string{"pool_size", "min_pool_size", "pool_mode", "queue", "query", "user", "users", "max_clients"}
	for word, want := range map[string]string{
		"pool_sise": "pool_size", "poolsize": "pool_size", "pool-size": "pool_size", "POOL_SIZE": "pool_size", "pool_mdoe": "pool_mode", "qurey": "query",
		"use": "user", "max_client": "max_clients", "xyzzy": "", "": "", "q": "", strings.Repeat("a", 1000): "",
	} {
		if got := Nearest(word, keys); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}

func TestMask(t *testing.T) {
	for line, want := range map[string]string{
		`password: hunter2 # x`:                      `password: ******* # x`,
		`{user: a, password: "hun,ter", x: y}`:       `{user: a, password: *********, x: y}`,
		`password_file: /run/secrets/pw`:             `password_file: /run/secrets/pw`,
		`pasword: x`:                                 `pasword: *`,
		`forced = host=h user=a password=foo port=1`: `forced = host=h user=a password=*** port=1`,
		`f = password='it''s' x=y`:                   `f = password=******* x=y`,
		`url: postgres://u:p@h/d`:                    `url: postgres://u:*@h/d`,
		`url: postgres://u@h:5/d`:                    `url: postgres://u@h:5/d`,
		`password: ${PW}`:                            `password: ${PW}`,
		`"u" "SCRAM-SHA-256$4096:a$b:c"`:             `"u" "` + strings.Repeat("*", 24) + `"`,
		`"u" "md50123456789abcdef0123456789abcdef"`:  `"u" "` + strings.Repeat("*", 35) + `"`,
		`region: x`:                                  `region: x`,
	} {
		got := Mask(line)
		if got != want {
			t.Errorf("Mask(%s) = %s", line, got)
		}
		if utf8.RuneCountInString(got) != utf8.RuneCountInString(line) {
			t.Errorf("Mask(%s) changed the width", line)
		}
	}
}

func TestText(t *testing.T) {
	src := NewSource("f.yaml", "a: b\r\n\té: "+strings.Repeat("x", 300)+" end\n")
	for _, c := range []struct {
		at   Place
		want string
	}{
		{Place{1, 4, 1}, "    1 | a: b\n      |    ^\n"},
		{Place{1, 4, 99}, "    1 | a: b\n      |    ^\n"},
		{Place{1, 99, 1}, "    1 | a: b\n      |     ^\n"},
		{Place{2, 2, 1}, "    2 | \té: " + strings.Repeat("x", 156) + "\n      | \t^\n"},
		{Place{2, 305, 3}, "    2 | " + strings.Repeat("x", 80) + " end\n      | " + strings.Repeat(" ", 80) + "^^^\n"},
		{Place{9, 1, 1}, ""},
		{Place{}, ""},
	} {
		p := src.Problem(c.at, "it is wrong")
		_, shown, _ := strings.Cut(p.Text(), "\n")
		if shown != c.want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.at, shown, c.want)
		}
	}
}

func TestListOrder(t *testing.T) {
	l := List{{File: "b", What: "3"}, {File: "a", Place: Place{Line: 2, Column: 1}, What: "2", Warning: true}, {File: "a", Place: Place{Line: 1, Column: 9}, What: "1"}}
	l.Sort()
	if got := l.Error(); got != "a:1:9: 1\na:2:1: warning: 2\nb: 3" {
		t.Errorf("got %s", got)
	}
	errors, warnings := l.Split()
	if len(errors) != 2 || len(warnings) != 1 {
		t.Errorf("split into %d and %d", len(errors), len(warnings))
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "password: x", "://u:p@h", "password=\"", "pwd='a\\'", "SCRAM-SHA-256$", "password: password: x", "\xff", "é password: é"} {
		f.Add(s, 1, 1)
	}
	f.Fuzz(func(t *testing.T, line string, column, width int) {
		src := NewSource("x", line)
		p := src.Problem(Place{Line: 1, Column: column, Width: width}, "w")
		if p.Text() == "" {
			t.Fatal("no text")
		}
		if valid := strings.ToValidUTF8(line, "\uFFFD"); utf8.RuneCountInString(Mask(valid)) != utf8.RuneCountInString(valid) {
			t.Fatalf("width of %q changed", line)
		}
		MaskSpan(line, p.Place)
	})
}
