package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// marker is what the environment answers in fuzzing; it must never be shown.
const marker = "Zq7SECRETqZ"

func markerEnv(name string) (string, bool) { return marker, name != "MISSING" }

func yamlSeeds() []string {
	return []string{
		productExample, string(Example()), "", "#\n", "---\n---\n", "a", "[", "{", "a: [1,", "a: {b: 1\nc: 2\n",
		"servers: {main: {url: \"postgres://u:${PW}@h:1,[::1]:2,/x/db?sslmode=require&host=%2Ftmp&port=1,2\"}}",
		"servers:\n  main: &m\n    url: postgres://h\n  b: *m\n  c: {<<: *m, hosts: [h2]}\n",
		"a: &a [*a]\n", "x: &x {a: &y {b: *x}}\n", "<<: [{a: 1}, *b]\n", "? a\n: b\n", "!!str a: !!int b\n",
		"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\n", strings.Repeat("[", 100), strings.Repeat("- ", 100), strings.Repeat("a: {", 50),
		"timeouts: {queue: 99999999999999999999s}\n", "timeouts: {queue: -1s, query: 1e9h}\n", "limits: {client_memory: 99999999999GiB}\n",
		"servers: {a: {url: postgres://h, max_connections: 5}}\ndatabases: {x: {pool_size: 9, min_pool_size: 20}}\n",
		"workloads: {a: {match: {address: [10.0.0.0/8, unix, x], tag: [a, b=*], user: \"[\"}, share: 5, limit: 3}}\n",
		"auth: {password: \"${MISSING}\", file: \"${PW}\"}\nservers: {m: {url: \"${PW}\", sslmode: \"${PW}\"}}\ndatabases: {d: {server: \"${PW}\"}}\n",
		"listen: [\"${PW}\", unix:x, \"*:0\", \"[::1\"]\nadmin: \"${PW}\"\n", "tls: {mode: require, ciphers: [\"${PW}\"], protocols: [TLSv1, TLSv1.3]}\n",
		"a: |\n  x\n y\n", "a: \"\\x00\"\n", "a: 'b\n", "\xff\xfe", "\x00", "a: \t b\n", "é: ü\n", "a:\r\n  b: c\r\n", "- 1\n- 2\n",
		"users: {\"\": {}, \"*\": {password: \"md5x\"}}\n", "databases:\n  pgbouncer: {}\n  app: {password: x, password_file: y}\n",
	}
}

// FuzzParse: no file makes the decoder panic or show what the environment
// holds, and a Config that is returned can be used.
func FuzzParse(f *testing.F) {
	for _, s := range yamlSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, marker) {
			return
		}
		c, problems := parseAll(input{name: "x/spillway.yaml", text: text, env: markerEnv, blind: true})
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines+1 || p.Column < 0 || p.What == "" {
				t.Fatalf("problem without a place: %+v", p)
			}
		}
		if shown := problems.Text() + problems.Error(); strings.Contains(shown, marker) {
			t.Fatalf("a value of the environment is shown:\n%s", shown)
		}
		if failures, _ := problems.Split(); len(failures) > 0 || c == nil {
			return
		}
		useConfig(t, c)
	})
}

func useConfig(t *testing.T, c *Config) {
	t.Helper()
	if p := c.Proxy(); p.Policy == nil || len(p.Listen) == 0 {
		t.Fatalf("config makes %+v", p)
	}
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, marker) {
			t.Fatalf("%s shows the environment", s.Key)
		}
	}
	if changed, _ := Diff(c, c); len(changed) > 0 {
		t.Fatalf("config differs from itself in %v", changed)
	}
	for _, f := range c.Summary() {
		if f.Name == "" {
			t.Fatal("empty name in the summary")
		}
	}
}

// FuzzImport: no ini makes the importer panic, and what it writes is a
// spillway.yaml without mistakes.
func FuzzImport(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(imports, "*.in[ic]"))
	if err != nil || len(paths) < 5 {
		f.Fatal(paths, err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, s := range []string{
		"", "[", "[]", "[databases", "a=b", "[databases]\n=", "[databases]\n'=x", "[databases]\n'' = x", "[databases]\n* = host='", "[databases]\n\"a\"\"b\" = host=h password='''x'''",
		"[pgbouncer]\n[pgbouncer]\n", "[pgbouncer]\nlisten_port = -1\n", "[pgbouncer]\nauth_type = pam\n", "[pgbouncer]\nquery_timeout = 1e400\n", "[pgbouncer]\nserver_lifetime = -0\n",
		"%include x\n", "%include", "[databases]\na = host=,, port=1\n", "[databases]\na = host=@x\n", "[databases]\na = pool_size=99999999999\n", "[databases]\nx = dbname='${A}' connect_query='\x01\u2028'",
		"[users]\n* = pool_size=-1 query_timeout=0 query_wait_timeout=0\n", "[pgbouncer]\nunix_socket_dir = @abstract\nlisten_addr = ::,*\n", "\uFEFF[pgbouncer]\r\nlisten_addr = *\r\n", "[pgbouncer]\nadmin_users = a,,b , \"c\"\n",
		"[databases]\npgbouncer = \n", "[databases]\nspillway = host=x\n", "[databases]\ny = \nn = \n~ = \n1 = \n- = \n. = host=.\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		yaml, notes, err := Import("x.ini", strings.NewReader(text), "/nonexistent")
		if err != nil {
			if len(yaml) > 0 || err.Error() == "" {
				t.Fatalf("an error and a result, or no text: %v", err)
			}
			return
		}
		_, problems := parseAll(input{name: "x.yaml", text: string(yaml), env: noEnv, blind: true})
		if failures, _ := problems.Split(); len(failures) > 0 {
			t.Fatalf("import wrote what does not load:\n%s\n%s", failures.Text(), yaml)
		}
		for _, n := range notes {
			if n.Setting == "" || n.Why == "" {
				t.Fatalf("empty note %+v", n)
			}
		}
	})
}

// FuzzURL: a URL is read or refused, and what is refused is not quoted.
func FuzzURL(f *testing.F) {
	for _, s := range []string{
		"", "postgres://", "postgres://u:p@h:1/d?sslmode=require", "postgresql:///d?host=/tmp&port=5", "postgres://[::1]:5,h2", "postgres://h:0", "postgres://h:99999",
		"postgres://%zz@h", "postgres://u@h,,h2", "postgres://u:p@h@i:1", "postgres://h?port=1,2,3", "postgres://h?=&=&%", "http://h", "postgres://" + strings.Repeat("h,", 300),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, c := parseURL(text)
		if c == nil {
			for _, h := range u.target.hosts {
				if h.Host == "" || h.Port == 0 {
					t.Fatalf("host %+v", h)
				}
			}
			return
		}
		if c.what == "" || len(u.target.password) > 8 && strings.Contains(c.what+c.mend, u.target.password) {
			t.Fatalf("complaint %+v", c)
		}
	})
}
