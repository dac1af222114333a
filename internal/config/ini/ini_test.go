package ini

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/internal/config/fault"
)

func none(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }

func show(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		if l.Header {
			fmt.Fprintf(&b, "[%s] ", l.Section)
			continue
		}
		fmt.Fprintf(&b, "%s.%s=%q@%d:%d ", l.Section, l.Key, l.Value, l.ValueAt.Line, l.ValueAt.Column)
	}
	return strings.TrimSpace(b.String())
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"; c\n# d\n\n  \t\n":                  "",
		"[a]\nk = v":                          `[a] a.k="v"@2:5`,
		"[a]\r\n  k=v w ; not a comment \r\n": `[a] a.k="v w ; not a comment"@2:5`,
		"[a] k = v":                           `[a] a.k="v"@1:9`,
		"[a][b]\nk =":                         `[a] [b] b.k=""@2:4`,
		"[a]\n* = host=h\nx.y-z_1 = 2":        `[a] a.*="host=h"@2:5 a.x.y-z_1="2"@3:11`,
		"[a]\n'my db' = x\n\"q\"\"r\" = y":    `[a] a.my db="x"@2:11 a.q"r="y"@3:10`,
		"[a]\nké = v":                         "error 2:2 expected = after the key",
		"\uFEFF[a]\nk = é v":                  `[a] a.k="é v"@2:5`,
		"[a]\nk = a=b":                        `[a] a.k="a=b"@2:5`,
		"k = v":                               `error 1:1 key "k" stands before any section`,
		"[a":                                  "error 1:1 section has no ]",
		"[a]\nk":                              "error 2:2 expected = after the key",
		"[a]\n=v":                             "error 2:1 a key cannot begin with '='",
		"[a]\n'k = v":                         "error 2:1 key has no closing quote",
		"[a]\n'' = v":                         "error 2:1 key is empty",
		"[a]\nk = \xff":                       "error 2:5 line is not UTF-8 text, or holds a zero byte",
		"[a]\nk = a\x00":                      "error 2:6 line is not UTF-8 text, or holds a zero byte",
		"%include nowhere":                    "error 1:10 include file: file does not exist",
		"[a]\n%includes = x":                  "error 2:1 a key cannot begin with '%'",
	} {
		lines, err := Parse("x.ini", strings.NewReader(text), none)
		got := show(lines)
		var list fault.List
		if errors.As(err, &list) {
			got = fmt.Sprintf("error %d:%d %s", list[0].Line, list[0].Column, list[0].What)
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"one.ini":    "[a]\nx = 1\n%include two.ini\ny = 2\n",
		"two.ini":    "z = 3\n[b]\n",
		"circle.ini": "%include circle.ini\n",
		"many.ini":   strings.Repeat("%include two.ini\n", 200),
		"bad.ini":    "[a]\n%include worse.ini\n",
		"worse.ini":  "x\n",
		"folder.ini": "%include .\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"one.ini":    `[a] a.x="1"@2:5 a.z="3"@1:5 [b] b.y="2"@4:5`,
		"circle.ini": "error circle.ini:1 files include each other more than 10 deep",
		"many.ini":   "error two.ini:1 key \"z\" stands before any section",
		"bad.ini":    "error worse.ini:1 expected = after the key",
		"folder.ini": "error folder.ini:1 include file: not a regular file",
	} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := Parse(name, f, FromDir(dir))
		f.Close()
		got := show(lines)
		var list fault.List
		if errors.As(err, &list) {
			got = fmt.Sprintf("error %s:%d %s", list[0].File, list[0].Line, list[0].What)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestPairs(t *testing.T) {
	for value, want := range map[string]string{
		"":                      "",
		"host=h port=5":         "host=h@1:6 port=5@1:13",
		"  host = h   port= 5 ": "host=h@1:10 port=5@1:20",
		"q='SELECT ''1''' x=y":  "q=SELECT '1'@1:3 x=y@1:20",
		"q='a b'x=y":            "q=a b@1:3 x=y@1:10",
		"host":                  "error 1:1 expected key=value in the connection string",
		"host h=1":              "error 1:1 expected key=value in the connection string",
		"=x":                    "error 1:1 expected key=value in the connection string",
		"host=":                 "error 1:1 value of host is empty",
		"host= port=1":          "host=port=1@1:7",
		"q=''":                  "error 1:1 value of q is empty",
		"q='x":                  "error 1:3 value of q has no closing quote",
		"password=a'b host='h'": "password=a'b@1:10 host=h@1:19",
		"é=ü":                   "é=ü@1:3",
	} {
		l := &Line{Section: "databases", Key: "d", Value: value, Source: fault.NewSource("x", value), ValueAt: fault.Place{Line: 1, Column: 1}}
		pairs, bad := l.Pairs()
		var parts []string
		for _, p := range pairs {
			parts = append(parts, fmt.Sprintf("%s=%s@%d:%d", p.Key, p.Value, p.At.Line, p.At.Column))
		}
		got := strings.Join(parts, " ")
		if bad != nil {
			got = fmt.Sprintf("error %d:%d %s", bad.Line, bad.Column, bad.What)
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", value, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "[a]\nk = host=h port=5", "[a", "'", "\"\"", "%include x", "[a]\nk='''", "\x00", "\xff", "[a]\n" + strings.Repeat("k=v\n", 50), "[d]\nx = a='", "[d]\nx = a= b ='c'd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := Parse("x", strings.NewReader(text), func(string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		})
		if err != nil {
			if len(lines) > 0 {
				t.Fatal("lines and an error")
			}
			return
		}
		for i := range lines {
			l := &lines[i]
			if l.KeyAt.Line < 1 || l.KeyAt.Column < 1 || !l.Header && l.Key == "" {
				t.Fatalf("line %+v", l)
			}
			pairs, _ := l.Pairs()
			for _, p := range pairs {
				if p.Key == "" || p.Value == "" || p.At.Column < l.ValueAt.Column {
					t.Fatalf("pair %+v", p)
				}
			}
		}
	})
}
