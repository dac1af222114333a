package auth

import (
	"encoding/json"
	"os"
	"testing"
)

// The passwords were set in PostgreSQL 15 (CREATE ROLE … PASSWORD), which derived
// the secrets by its own SASLprep.
func TestSASLprepAsPostgreSQL(t *testing.T) {
	raw, err := os.ReadFile("testdata/saslprep.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases [][2]string
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 100 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		s, err := ParseSecret(c[1])
		if err != nil {
			t.Fatal(err)
		}
		if !VerifyPassword(s, "x", c[0]) {
			t.Errorf("password %+q, prepared %+q: PostgreSQL prepared it differently", c[0], SASLprep(c[0]))
		}
	}
}

func TestSASLprep(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"user", "user"},
		{"I\u00adX", "IX"},               // RFC 4013 example 1
		{"\u00aa", "a"},                  // example 4
		{"\u2168", "IX"},                 // example 5
		{"\u0007", "\u0007"},             // example 6: prohibited, yet ASCII passes in PostgreSQL
		{"\u06271", "\u06271"},           // example 7: bad bidi, raw
		{"\u00ad", "\u00ad"},             // nothing left, raw
		{"a\u200bb", "a b"},              // in two tables; space wins
		{"a\xffb\u00aa", "a\xffb\u00aa"}, // invalid UTF-8, raw
		{"\u0221\u00aa", "\u0221\u00aa"}, // unassigned in 3.2, raw
		{"a\u3000b", "a b"},
	} {
		if got := SASLprep(c.in); got != c.want {
			t.Errorf("SASLprep(%+q) = %+q, want %+q", c.in, got, c.want)
		}
	}
}

func FuzzSASLprep(f *testing.F) {
	for _, s := range []string{"", "a", "\u00aa", "\u0627\u0031", "\xff", "\U0010ffff", "e\u0301\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := SASLprep(s)
		if s != "" && once == "" {
			t.Fatalf("SASLprep(%+q) is empty", s)
		}
	})
}
