package auth

import (
	"errors"
	"strings"
	"testing"
)

func TestParseLookup(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	for _, c := range []struct {
		name  string
		asked string
		rows  [][][]byte
		want  Kind
		err   error // nil with KindNone: any error
	}{
		{"found", "alice", [][][]byte{{b("alice"), b(rfcVerifier)}}, KindSCRAM, nil},
		{"plain", "alice", [][][]byte{{b("alice"), b("secret")}}, KindPlain, nil},
		{"unknown", "alice", nil, KindNone, ErrUnknownUser},                        // CVE-2015-6817
		{"expired", "alice", [][][]byte{{b("alice"), nil}}, KindNone, ErrNoSecret}, // CVE-2025-2291
		{"empty", "alice", [][][]byte{{b("alice"), {}}}, KindNone, ErrNoSecret},
		{"another user", "alice", [][][]byte{{b("postgres"), b("secret")}}, KindNone, nil},
		{"another case", "alice", [][][]byte{{b("Alice"), b("secret")}}, KindNone, nil},
		{"user is NULL", "alice", [][][]byte{{nil, b("secret")}}, KindNone, nil},
		{"nobody asked", "", [][][]byte{{{}, b("secret")}}, KindNone, nil},
		{"two rows", "alice", [][][]byte{{b("alice"), b("secret")}, {b("alice"), b("secret")}}, KindNone, nil},
		{"one column", "alice", [][][]byte{{b("alice")}}, KindNone, nil},
		{"three columns", "alice", [][][]byte{{b("alice"), b("secret"), b("x")}}, KindNone, nil},
		{"no column", "alice", [][][]byte{{}}, KindNone, nil},
		{"damaged", "alice", [][][]byte{{b("alice"), b("SCRAM-SHA-256$secret")}}, KindNone, nil},
		{"oversized", "alice", [][][]byte{{b("alice"), b(strings.Repeat("secret", 1000))}}, KindNone, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseLookup(c.asked, c.rows)
			if s.Kind() != c.want || (err == nil) != (c.want != KindNone) || c.err != nil && !errors.Is(err, c.err) {
				t.Fatalf("got %v, %v", s, err)
			}
			if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), "user name, secret", ""), "$secret") {
				t.Fatalf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestLookupQueryIsQualified(t *testing.T) {
	for _, part := range []string{"pg_catalog.pg_authid", "pg_catalog.now()", "rolvaliduntil", "rolcanlogin", "$1"} {
		if !strings.Contains(LookupQuery, part) {
			t.Errorf("%s is missing", part)
		}
	}
	if !strings.HasPrefix(LookupSearchPath, "pg_catalog") || !strings.HasSuffix(LookupSearchPath, "pg_temp") {
		t.Errorf("search path %s", LookupSearchPath)
	}
}
