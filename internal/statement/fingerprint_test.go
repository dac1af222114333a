package statement

import (
	"bytes"
	"strings"
	"testing"
)

func TestFingerprint(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{" ; ; ", ""},
		{"SELECT 1", "select ?"},
		{"select\n\t-- a comment\n 'x' /* 'y' */ ;", "select ?"},
		{"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", "select abalance from pgbench_accounts where aid = ?"},
		{"UPDATE t SET a = a + -4321 WHERE b=-1 AND c=-$1", "update t set a = a + ? where b = ? and c = ?"},
		{"SELECT a-1, a - -1, (-1), 1-1", "select a - ?, a - - ?, (?), ? - ?"},
		{"SELECT * FROM t WHERE a IN (1, 2,3) AND b = ANY(ARRAY[1,2])", "select * from t where a in (?) and b = any (array [?])"},
		{"INSERT INTO t(a, b) VALUES (1,'a'), (2, NULL), ($1,true)", "insert into t(a, b) values (?)"},
		{"INSERT INTO t VALUES (1, now()), (2, now())", "insert into t values (?, now()), (?, now())"},
		{"SELECT COUNT(*), \"Users\".\"id\", \"user\" FROM \"Users\"", "select count(*), \"Users\".id, \"user\" from \"Users\""},
		{"SELECT a::text, '1'::int, a IS NULL, a IS NOT NULL, x = NULL", "select a::text, ?::int, a is null, a is not null, x = ?"},
		{"SELECT a->>'b', a @> '{}', a ?| b, a ? 'x', a>=1", "select a ->> ?, a @> ?, a ?| b, a ? ?, a >= ?"},
		{"SELECT E'it\\'s', $a$ $b$ $a$, U&'x', b'01', 1e-5, 0xFF, .5, 1_000", "select ?"},
		{"SELECT a[1:2], t.*, x.\"y\" FROM f (1) AS t(a int)", "select a[?:?], t.*, x.y from f(?) as t(a int)"},
		{"SELECT 'secret", "select ?"},
		{"SELECT /* secret", "select ?"},
		{"SELECT \"secret", "select ?"},
		{"SELECT $a$ secret", "select ?"},
		{"BEGIN; SELECT 1;", "begin; select ?"},
	}
	for _, test := range tests {
		id, got := Fingerprint(nil, []byte(test.text), true)
		if string(got) != test.want {
			t.Errorf("Fingerprint(%q) reads %q, want %q", test.text, got, test.want)
		}
		if again, text := Fingerprint(nil, got, true); again != id {
			t.Errorf("Fingerprint(%q) differs: it reads %q", got, text)
		}
	}
	// A figure that must not change, because people keep fingerprints.
	if id, _ := Fingerprint(nil, []byte("SELECT 1"), true); id != 0x2fb7a5a1a5a9a58 {
		t.Errorf("Fingerprint(SELECT 1) = %#x", id)
	}
}

func TestRedact(t *testing.T) {
	text := []byte("SELECT 'secret', é FROM t")
	tests := []struct {
		limit int
		want  string
	}{
		{0, ""}, {2, ""}, {3, "…"}, {10, "select …"}, {11, "select ?…"}, {14, "select ?, …"}, {15, "select ?, é…"}, {16, "select ?, é …"}, {17, "select ?, é f…"},
		{18, "select ?, é fr…"}, {19, "select ?, é from t"}, {99, "select ?, é from t"},
	}
	for _, test := range tests {
		got := string(Redact([]byte("x"), text, true, test.limit))
		if len(got)-1 > test.limit || !strings.HasPrefix(got, "x") {
			t.Errorf("Redact in %d bytes = %q", test.limit, got)
		}
		if got[1:] != test.want {
			t.Errorf("Redact in %d bytes = %q, want %q", test.limit, got[1:], test.want)
		}
	}
	if got := Redact(nil, bytes.Repeat([]byte("a"), 1<<20), true, 10); len(got) > 10 || cap(got) > 64 {
		t.Errorf("Redact of a long word has %d bytes of %d", len(got), cap(got))
	}
}

func FuzzFingerprint(f *testing.F) {
	for _, text := range allTexts() {
		f.Add([]byte(text), true)
	}
	f.Add([]byte("SELECT ?, ?-5, (- -5), \"e\"'x', \"u\"&\"X\", a ?-- x\n1"), false)
	f.Fuzz(func(t *testing.T, text []byte, conforming bool) {
		id, normal := Fingerprint(nil, text, conforming)
		again, twice := Fingerprint(nil, normal, conforming)
		if again != id {
			t.Fatalf("Fingerprint(%q) reads %q, which reads %q", text, normal, twice)
		}
		if short := Redact(nil, text, conforming, 20); len(short) > 20 {
			t.Fatalf("Redact(%q) = %q", text, short)
		}
	})
}

func TestRedactLeaksNoLiteral(t *testing.T) {
	literals := []string{"'secret'", "E'se\\'cret'", "$$secret$$", "$s$secret$s$", "U&'secret'", "'a''secret'", "'a'\n'secret'", "N'secret'", "x'secret'", "'secret"}
	for _, literal := range literals {
		for _, frame := range []string{"%", "SELECT %", "SELECT a FROM t WHERE b=% AND c", "SET x TO %", "f(%)"} {
			text := strings.ReplaceAll(frame, "%", literal)
			if got := Redact(nil, []byte(text), true, 1000); bytes.Contains(got, []byte("secret")) {
				t.Errorf("Redact(%q) = %q", text, got)
			}
		}
	}
}
