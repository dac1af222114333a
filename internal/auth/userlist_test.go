package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseUserlist(t *testing.T) {
	u, err := ParseUserlist([]byte("\xEF\xBB\xBF; a comment\n# another\n\n" +
		`"alice" "plain"` + "\r\n" +
		`  "bo""b"	"md50123456789abcdef0123456789abcdef" ; trailing` + "\n" +
		`"carol" "` + rfcVerifier + `" "" # old format` + "\n" +
		`"dave" ""` + "\n" + `"e v" "pa""ss;#word"`))
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]Kind{"alice": KindPlain, `bo"b`: KindMD5, "carol": KindSCRAM, "dave": KindNone, "e v": KindPlain} {
		s, ok := u.Secret(user)
		if !ok || s.Kind() != want {
			t.Errorf("%s: %v, %v", user, s, ok)
		}
	}
	if s, _ := u.Secret("e v"); !VerifyPassword(s, "e v", `pa"ss;#word`) {
		t.Error("escapes inside the secret are not undone")
	}
	if _, ok := u.Secret("bob"); ok || u.Len() != 5 || len(u.Notes()) != 0 {
		t.Errorf("%d users, notes %q", u.Len(), u.Notes())
	}
	n := 0
	u.Users(func(string, Secret) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("Users went on to %d after false", n)
	}
	var none *Userlist
	if _, ok := none.Secret("alice"); ok {
		t.Error("no userlist has users")
	}
}

func TestUserlistLastEntryCounts(t *testing.T) {
	u, err := ParseUserlist([]byte("\"a\" \"one\"\n\"a\" \"two\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := u.Secret("a"); !VerifyPassword(s, "a", "two") {
		t.Error("the first entry counts")
	}
	if len(u.Notes()) != 1 || strings.Contains(u.Notes()[0], "one") {
		t.Errorf("notes %q", u.Notes())
	}
}

var brokenUserlists = []struct {
	in           string
	line, column int
}{
	{`alice "secret"`, 1, 1},
	{"\n  alice", 2, 3},
	{`"alice`, 1, 1},
	{`"alice"`, 1, 8},
	{`"alice" secret`, 1, 9},
	{`"alice" "secret`, 1, 9},
	{"\"alice\" \"sec\nret\"", 1, 9},
	{"\"alice\"\n\"secret\"", 1, 8},
	{`"" "secret"`, 1, 1},
	{`"älice" "SCRAM-SHA-256$secret"`, 1, 9},
	{`"alice" "secret" secret`, 1, 18},
	{`"alice" "secret" "secret`, 1, 18},
	{`"alice" "secret"secret"`, 1, 17},
	{"\"alice\" \"secret\x00\"", 1, 16},
	{`"` + strings.Repeat("a", MaxName+1) + `" "secret"`, 1, 1},
	{`"alice" "` + strings.Repeat("secret", 1000) + `"`, 1, 9},
	{`"` + strings.Repeat(`""`, MaxName+1) + `" "secret"`, 1, 1},
}

func TestUserlistErrors(t *testing.T) {
	for _, c := range brokenUserlists {
		_, err := ParseUserlist([]byte(c.in))
		var p *ParseError
		if !errors.As(err, &p) {
			t.Errorf("%.40q: got %v", c.in, err)
			continue
		}
		if p.Line != c.line || p.Column != c.column || p.Mend == "" {
			t.Errorf("%.40q: %v, want line %d, column %d and a mend", c.in, p, c.line, c.column)
		}
		if strings.Contains(strings.ReplaceAll(p.Error(), `"secret"`, ""), "secretsecret") {
			t.Errorf("%.40q: the error shows the secret: %v", c.in, p)
		}
	}
	if _, err := ParseUserlist(make([]byte, maxUserlist+1)); err == nil {
		t.Error("a huge file was accepted")
	}
}

func FuzzParseUserlist(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\"alice\" \"secret\"\n;x\n\"b\"\"b\" \"" + rfcVerifier + "\" \"\"\n"))
	f.Add([]byte("\"a\" \"md50123456789abcdef0123456789abcdef\" # x\r\n"))
	for _, c := range brokenUserlists {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		// A marker in every secret's place must not come back in an error.
		u, err := ParseUserlist(src)
		if err != nil {
			var p *ParseError
			if !errors.As(err, &p) || p.Line < 1 || p.Column < 1 || u != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		var out strings.Builder
		u.Users(func(user string, s Secret) bool {
			if text, ok := s.Plain(); ok {
				fmt.Fprintf(&out, "\"%s\" \"%s\"\n", strings.ReplaceAll(user, `"`, `""`), strings.ReplaceAll(text, `"`, `""`))
			}
			return true
		})
		again, err := ParseUserlist([]byte(out.String()))
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
		again.Users(func(user string, s Secret) bool {
			if was, ok := u.Secret(user); !ok || !was.Equal(s) {
				t.Fatalf("user %q changed", user)
			}
			return true
		})
	})
}
