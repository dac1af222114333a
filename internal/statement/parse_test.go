package statement

import (
	"strings"
	"testing"
)

func TestParsePrepare(t *testing.T) {
	long := strings.Repeat("a", 62) + "é"
	tests := []struct{ text, name, span, types, body string }{
		{"PREPARE p AS SELECT 1", "p", "p", "", "SELECT 1"},
		{" ; prepare /* x */ P1 (int, numeric(10, 2)) as\nSELECT $1 ; ", "p1", "P1", "int, numeric(10, 2)", "SELECT $1"},
		{`PREPARE "P ""x"""() AS SELECT 1 -- end`, `P "x"`, `"P ""x"""`, "", "SELECT 1"},
		{"PREPARE transaction AS SELECT ';'", "transaction", "transaction", "", "SELECT ';'"},
		{"PREPARE " + long + " AS SELECT 1", strings.Repeat("a", 62), long, "", "SELECT 1"},
		{"PREPARE É AS SELECT 1", "É", "É", "", "SELECT 1"},
		{"PREPARE p AS INSERT INTO t VALUES (1, ';') RETURNING a;;", "p", "p", "", "INSERT INTO t VALUES (1, ';') RETURNING a"},
	}
	for _, test := range tests {
		text := []byte(test.text)
		got, ok := ParsePrepare(text, true)
		if !ok || got.Name != test.name || string(got.NameSpan.Of(text)) != test.span || string(got.Types.Of(text)) != test.types || string(got.Body.Of(text)) != test.body {
			t.Errorf("ParsePrepare(%q) = %+v, %v", test.text, got, ok)
		}
	}
	for _, text := range []string{"", "PREPARE", "PREPARE p", "PREPARE p AS", "PREPARE p AS;", "PREPARE TRANSACTION 'x'", "PREPARE p (int AS SELECT 1", "PREPARE p AS SELECT 1; SELECT 2", "PREPARE p AS SELECT 1); SELECT 2",
		"PREPARE p AS SELECT 'x", "PREPARE 'p' AS SELECT 1", `PREPARE U&"p" AS SELECT 1`, `PREPARE "" AS SELECT 1`, "PREPARE p SELECT 1", "EXECUTE p", "PREPARE\x00 p AS SELECT 1"} {
		if got, ok := ParsePrepare([]byte(text), true); ok {
			t.Errorf("ParsePrepare(%q) = %+v", text, got)
		}
	}
}

func TestParseExecute(t *testing.T) {
	tests := []struct {
		text, name, span, arguments string
		inside                      bool
	}{
		{"EXECUTE p", "p", "p", "", false},
		{"execute P ( 1, f(')'), $$)$$ );", "p", "P", "1, f(')'), $$)$$", false},
		{`EXECUTE "P"()`, "P", `"P"`, "", false},
		{"EXPLAIN EXECUTE p(1)", "p", "p", "1", true},
		{"EXPLAIN (ANALYZE, FORMAT json) EXECUTE p", "p", "p", "", true},
		{"EXPLAIN ANALYZE VERBOSE EXECUTE p", "p", "p", "", true},
		{"CREATE TEMP TABLE x (a) AS EXECUTE p(1) WITH NO DATA", "p", "p", "1", true},
		{"EXPLAIN CREATE TABLE x AS EXECUTE p", "p", "p", "", true},
		{"CREATE TABLE x.as AS EXECUTE p", "p", "p", "", true},
	}
	for _, test := range tests {
		text := []byte(test.text)
		got, ok := ParseExecute(text, true)
		if !ok || got.Name != test.name || string(got.NameSpan.Of(text)) != test.span || string(got.Arguments.Of(text)) != test.arguments || got.Inside != test.inside {
			t.Errorf("ParseExecute(%q) = %+v, %v", test.text, got, ok)
		}
	}
	for _, text := range []string{"", "EXECUTE", "EXECUTE p(", "EXECUTE p(1) x", "EXECUTE p; EXECUTE q", "EXECUTE 1", "EXPLAIN SELECT 1", "CREATE TABLE x AS SELECT 1", "CREATE TABLE x (a int)", "CREATE AS EXECUTE p", "SELECT 1"} {
		if got, ok := ParseExecute([]byte(text), true); ok {
			t.Errorf("ParseExecute(%q) = %+v", text, got)
		}
	}
}

func TestParseDeallocate(t *testing.T) {
	tests := []struct {
		text, name, span string
		all              bool
	}{
		{"DEALLOCATE p", "p", "p", false},
		{"deallocate prepare P;", "p", "P", false},
		{"DEALLOCATE PREPARE", "prepare", "PREPARE", false},
		{"DEALLOCATE ALL", "", "", true},
		{"DEALLOCATE PREPARE ALL ; ", "", "", true},
		{`DEALLOCATE "ALL"`, "ALL", `"ALL"`, false},
		{`DEALLOCATE PREPARE "all"`, "all", `"all"`, false},
	}
	for _, test := range tests {
		text := []byte(test.text)
		got, ok := ParseDeallocate(text, true)
		if !ok || got.Name != test.name || string(got.NameSpan.Of(text)) != test.span || got.All != test.all {
			t.Errorf("ParseDeallocate(%q) = %+v, %v", test.text, got, ok)
		}
	}
	for _, text := range []string{"", "DEALLOCATE", "DEALLOCATE p q", "DEALLOCATE 'p'", "DEALLOCATE p; DEALLOCATE q", "DEALLOCATE ALL p"} {
		if got, ok := ParseDeallocate([]byte(text), true); ok {
			t.Errorf("ParseDeallocate(%q) = %+v", text, got)
		}
	}
}

func TestParseSet(t *testing.T) {
	tests := []struct {
		text  string
		want  Setting
		value string
	}{
		{"SET x = 1", Setting{Name: "x"}, "1"},
		{"SET x=1", Setting{Name: "x"}, "1"},
		{"set SESSION Work_Mem to '1MB' ;", Setting{Name: "work_mem"}, "'1MB'"},
		{"SET LOCAL a.B = on", Setting{Name: "a.b", Local: true}, "on"},
		{"SET search_path TO a, \"B\", 'c'", Setting{Name: "search_path"}, "a, \"B\", 'c'"},
		{"SET x TO DEFAULT", Setting{Name: "x", Reset: true}, ""},
		{"SET LOCAL x = DEFAULT;", Setting{Name: "x", Local: true, Reset: true}, ""},
		{"SET x FROM CURRENT", Setting{Name: "x", FromCurrent: true}, ""},
		{"SET TIME ZONE 'UTC'", Setting{Name: "timezone"}, "'UTC'"},
		{"SET TIME ZONE LOCAL", Setting{Name: "timezone", Reset: true}, ""},
		{"SET SESSION TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", Setting{Name: "timezone"}, "INTERVAL '-08:00' HOUR TO MINUTE"},
		{"SET timezone = 'UTC'", Setting{Name: "timezone"}, "'UTC'"},
		{"SET NAMES 'utf8'", Setting{Name: "client_encoding"}, "'utf8'"},
		{"SET NAMES", Setting{Name: "client_encoding", Reset: true}, ""},
		{"SET SCHEMA 'x'", Setting{Name: "search_path"}, "'x'"},
		{"SET ROLE x", Setting{Name: "role"}, "x"},
		{"SET role = 'x'", Setting{Name: "role"}, "'x'"},
		{"SET \"ROLE\" = 'x'", Setting{Name: "role"}, "'x'"},
		{"SET SESSION AUTHORIZATION DEFAULT", Setting{Name: "session_authorization", Reset: true}, ""},
		{"SET LOCAL SESSION AUTHORIZATION 'x'", Setting{Name: "session_authorization", Local: true}, "'x'"},
		{"SET SESSION SESSION AUTHORIZATION x", Setting{Name: "session_authorization"}, "x"},
		{"SET LOCAL.x = 1", Setting{Name: "local.x"}, "1"},
		{"SET session.x TO 1", Setting{Name: "session.x"}, "1"},
		{"SET transaction.x = 1", Setting{Name: "transaction.x"}, "1"},
		{"SET XML OPTION CONTENT", Setting{Name: "xmloption"}, "CONTENT"},
		{"RESET ALL", Setting{Name: "all", Reset: true}, ""},
		{"RESET a.b;", Setting{Name: "a.b", Reset: true}, ""},
		{"RESET TIME ZONE", Setting{Name: "timezone", Reset: true}, ""},
		{"RESET SESSION AUTHORIZATION", Setting{Name: "session_authorization", Reset: true}, ""},
		{"RESET role", Setting{Name: "role", Reset: true}, ""},
	}
	for _, test := range tests {
		got, ok := ParseSet([]byte(test.text), true)
		value := string(got.Value.Of([]byte(test.text)))
		got.Value = Span{}
		if !ok || got != test.want || value != test.value {
			t.Errorf("ParseSet(%q) = %+v with %q, %v", test.text, got, value, ok)
		}
	}
	for _, text := range []string{"", "SET", "SET x", "SET x =", "SET x = 1; SET y = 2", "SET TRANSACTION READ ONLY", "SET LOCAL TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET x = 'a", "RESET", "RESET x y", "RESET TRANSACTION ISOLATION LEVEL", "SELECT 1", "SET x. = 1", "SET U&\"x\" = 1"} {
		if got, ok := ParseSet([]byte(text), true); ok {
			t.Errorf("ParseSet(%q) = %+v", text, got)
		}
	}
}

// FuzzParse holds the parsers against the scanner: what they accept is one
// statement of that kind, and a name can be replaced where they say it stands.
func FuzzParse(f *testing.F) {
	for _, text := range allTexts() {
		f.Add([]byte(text), true)
	}
	f.Add([]byte("EXPLAIN (ANALYZE) EXECUTE p(1)"), true)
	f.Add([]byte("CREATE TABLE x AS EXECUTE p(1) WITH DATA"), true)
	f.Add([]byte("CREATE TABLE x.as AS EXECUTE p"), true)
	f.Fuzz(func(t *testing.T, text []byte, conforming bool) {
		effect := Scan(text, conforming)
		check := func(what string, want Effect) {
			if !effect.Any(want) || effect.Any(Multi) {
				t.Fatalf("%s accepts %q, which is %v", what, text, effect)
			}
		}
		if d, ok := ParsePrepare(text, conforming); ok {
			check("ParsePrepare", Prepare)
			_, _ = d.Types.Of(text), d.Body.Of(text)
			again, ok := ParsePrepare(replaceName(text, d.NameSpan, d.Name), conforming)
			if !ok || again.Name != d.Name {
				t.Fatalf("ParsePrepare(%q) gives %q, then %q", text, d.Name, again.Name)
			}
		}
		if d, ok := ParseExecute(text, conforming); ok {
			check("ParseExecute", Execute|Opaque)
			_ = d.Arguments.Of(text)
			again, ok := ParseExecute(replaceName(text, d.NameSpan, d.Name), conforming)
			if !ok || again.Name != d.Name {
				t.Fatalf("ParseExecute(%q) gives %q, then %q", text, d.Name, again.Name)
			}
		}
		if d, ok := ParseDeallocate(text, conforming); ok && d.All {
			check("ParseDeallocate", DeallocateAll)
		} else if ok {
			check("ParseDeallocate", Deallocate)
			_ = replaceName(text, d.NameSpan, d.Name)
		}
		if d, ok := ParseSet(text, conforming); ok {
			check("ParseSet", Set|SetLocal|SetRole)
			_ = d.Value.Of(text)
		}
		Tag(nil, text, "job")
	})
}

func replaceName(text []byte, span Span, name string) []byte {
	replaced := append([]byte(nil), text[:span.Start]...)
	replaced = append(QuoteName(append(replaced, ' '), name), ' ')
	return append(replaced, text[span.End:]...)
}

func TestTag(t *testing.T) {
	tests := []struct {
		text, key, want string
		ok              bool
	}{
		{"SELECT 1 /*job='x'*/", "job", "x", true},
		{"SELECT 1 /*job='x'*/ ; ", "job", "x", true},
		{"/*job='x'*/ SELECT 1", "job", "x", true},
		{"/*job='x'*/ SELECT 1 /*job='y'*/", "job", "y", true},
		{"/*job='x'*/ SELECT 1 /*a='y'*/", "job", "x", true},
		{"SELECT 1 /* a='1' , job='x%20y%2F%zz+\\'q',b='2' */", "job", "x y/%zz+'q", true},
		{"SELECT 1 /*ajob='x'*/", "job", "", false},
		{"SELECT 1 /*job='x*/", "job", "", false},
		{"SELECT 1 /*job=x*/", "job", "", false},
		{"SELECT 1 /*job=''*/", "job", "", true},
		{"SELECT 1", "job", "", false},
		{"SELECT '/*job=''x''*/'", "job", "", false},
		{"/*job='x'", "job", "", false},
		{"*/", "job", "", false},
		{"/*/", "job", "", false},
		{"", "job", "", false},
	}
	for _, test := range tests {
		got, ok := Tag([]byte("-"), []byte(test.text), test.key)
		if string(got) != "-"+test.want || ok != test.ok {
			t.Errorf("Tag(%q) = %q, %v", test.text, got, ok)
		}
	}
	buffer := make([]byte, 0, 64)
	text := []byte("SELECT 1 /*a='1',job='x%20y'*/")
	if n := testing.AllocsPerRun(100, func() { Tag(buffer, text, "job") }); n != 0 {
		t.Errorf("Tag allocates %v times", n)
	}
}

func TestLexable(t *testing.T) {
	for name, want := range map[string]bool{"UTF8": true, "utf-8": true, "LATIN1": true, "EUC_JP": true, "": true, "SJIS": false, "Shift_JIS": false, "big5": false,
		"GB18030": false, "gbk": false, "UHC": false, "JOHAB": false, "SHIFT_JIS_2004": false, "windows-936": false} {
		if Lexable([]byte(name)) != want {
			t.Errorf("Lexable(%q) = %v", name, !want)
		}
	}
}
