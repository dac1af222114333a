package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/internal/config/fault"
)

const server = "servers: {main: {url: postgres://h}}\nauth: {type: trust}\n"

// problemsOf decodes a text; files are read from an empty folder.
func problemsOf(t *testing.T, text string) fault.List {
	t.Helper()
	_, problems := parseAll(input{name: filepath.Join(t.TempDir(), "spillway.yaml"), text: text, env: noEnv})
	return problems
}

// TestProblems: each text has exactly the problems listed, at these places.
// Lines count from 1; server takes the first two.
func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // "line:column what", and after " | " the mend's beginning
	}{
		"unknown key":        {server + "reigon: x", []string{"3:1 unknown key reigon in spillway.yaml | did you mean region?"}},
		"unknown, no near":   {server + "pool: {xyzzy: 1}", []string{"3:8 unknown key xyzzy in pool | keys here are mode, size"}},
		"pgbouncer's name":   {server + "default_pool_size: 3", []string{"3:1 unknown key default_pool_size in spillway.yaml | that is pool.size"}},
		"key elsewhere":      {server + "max_prepared_statements: 3", []string{"3:1 unknown key max_prepared_statements in spillway.yaml | that is session.max_prepared_statements"}},
		"twice":              {server + "region: a\nregion: b", []string{"4:1 key region is given twice | keep one"}},
		"bare seconds":       {server + "timeouts: {queue: 60}", []string{"3:19 timeouts.queue: duration 60 has no unit | write 60s"}},
		"zero is fine":       {server + "timeouts: {queue: 0, queue_notice: 0}", nil},
		"bad duration":       {server + "timeouts: {queue: soon}", []string{"3:19 timeouts.queue: \"soon\" is not a duration | write a number"}},
		"negative":           {server + "timeouts: {queue: -1s}", []string{"3:19 timeouts.queue: duration -1s is negative"}},
		"size":               {server + "limits: {client_memory: 16MB}", []string{"3:25 limits.client_memory: \"16MB\" is not a size | write a whole"}},
		"size without unit":  {server + "limits: {client_memory: 65536}", []string{"3:25 limits.client_memory: size 65536 has no unit | write 65536B"}},
		"small size":         {server + "limits: {client_memory: 1B}", []string{"3:25 limits.client_memory is 1B, less than 16KiB"}},
		"not a number":       {server + "pool: {size: ten}", []string{"3:14 pool.size: \"ten\" is not a whole number"}},
		"zero pool":          {server + "pool: {size: 0}", []string{"3:14 pool.size: 0 is less than 1"}},
		"hex":                {server + "pool: {size: 0x10}", []string{"3:14 pool.size: \"0x10\" is not a whole number"}},
		"flag":               {server + "log: {connections: yes}", []string{"3:20 log.connections: \"yes\" is neither true nor false | write true"}},
		"word":               {server + "pool: {mode: transactions}", []string{"3:14 pool.mode: cannot be \"transactions\" | did you mean transaction?"}},
		"empty value":        {server + "region:", []string{"3:1 region has no value | write a value, or leave the key out for local"}},
		"list for value":     {server + "region: [a]", []string{"3:9 region holds a list, not a single value"}},
		"value for section":  {server + "pool: 5", []string{"3:7 pool holds a value, not keys"}},
		"map in list":        {server + "listen: [{a: b}, \"h:1\"]", []string{"3:11 listen holds keys among its values"}},
		"empty section":      {server + "pool:\nlog: {}", nil},
		"empty name":         {server + "users: {\"\": {}}", []string{"3:9 a name under users is empty or longer than 256 bytes"}},
		"unset variable":     {server + "region: \"${NOWHERE}\"", []string{"3:9 environment variable NOWHERE is not set | set NOWHERE"}},
		"bad variable":       {server + "region: \"${A-B}\"", []string{"3:9 a reference to the environment is not written ${NAME}"}},
		"escaped variable":   {server + "region: \"$${A}\"", nil},
		"no servers":         {"region: x\nauth: {type: trust}", []string{"0:0 no server is named | servers: {main:"}},
		"no url":             {"servers: {main: {}}\nauth: {type: trust}", []string{"1:11 server main has no url | url: postgres://"}},
		"two documents":      {server + "---\nregion: x", []string{"4:7 a second document starts here"}},
		"tab":                {"servers:\n\tmain: {}", []string{"2:1 a tab cannot indent YAML | use spaces"}},
		"tag":                {server + "region: !!str x", []string{"3:9 !!str has no meaning here"}},
		"alias of nothing":   {server + "region: *x", []string{"3:9 alias stands for nothing"}},
		"unclosed":           {"servers: {main: [", []string{"1:17 sequence end token ']' not found"}},
		"not keys":           {"- a", []string{"1:1 file holds a list, not keys"}},
		"empty":              {"", []string{"0:0 file is empty"}},
		"not text":           {"region: \xff", []string{"1:9 character is not UTF-8 text"}},
		"lone return":        {"a: b\rc: d", []string{"1:5 character is not UTF-8 text"}},
		"unknown server":     {server + "databases: {app: {server: mian}}", []string{"3:27 server mian is not under servers | did you mean main?"}},
		"which server":       {"servers: {a: {url: postgres://h}, b: {url: postgres://i}}\nauth: {type: trust}\ndatabases: {app: {}}", []string{"3:13 databases.app does not say which server | server: a or b"}},
		"console's name":     {server + "databases: {pgbouncer: {}}", []string{"3:13 database pgbouncer is the admin console"}},
		"min above size":     {server + "databases: {app: {pool_size: 5, min_pool_size: 9}}", []string{"3:48 databases.app keeps 9 servers and its pool has 5 | min_pool_size: 5"}},
		"min above default":  {server + "pool: {size: 5, min: 9}", []string{"3:22 databases.\"*\" keeps 9 servers and its pool has 5"}},
		"password alone":     {server + "databases: {app: {password: x}}", []string{"3:29 password is given without user"}},
		"two passwords":      {"servers: {main: {url: \"postgres://u:p@h\", password: q}}\nauth: {type: trust}", []string{"1:53 a password is given here and in the url"}},
		"missing file":       {server + "users: {u: {password_file: nope}}", []string{"3:28 read DIR/nope: no such file or directory | create it"}},
		"a folder":           {server + "users: {u: {password_file: .}}", []string{"3:28 read DIR: not a regular file"}},
		"url scheme":         {"servers: {main: {url: http://h}}\nauth: {type: trust}", []string{"1:23 url does not begin with postgres://"}},
		"url port":           {"servers: {main: {url: postgres://h:x}}\nauth: {type: trust}", []string{"1:23 port is not a number from 1 to 65535"}},
		"url no host":        {"servers: {main: {url: postgres:///db}}\nauth: {type: trust}", []string{"1:23 url names no host"}},
		"url parameter":      {"servers: {main: {url: postgres://h?sslmod=require}}\nauth: {type: trust}", []string{"1:23 url has a parameter sslmod that is not understood | did you mean sslmode?"}},
		"url and key":        {"servers: {main: {url: postgres://h?sslmode=require, sslmode: disable}}\nauth: {type: trust}", []string{"1:62 sslmode is given here and in the url"}},
		"url value":          {"servers: {main: {url: postgres://h?sslmode=reqire}}\nauth: {type: trust}", []string{"1:23 url: sslmode cannot be \"reqire\" | did you mean require?"}},
		"operator slots":     {"servers: {main: {url: postgres://h, max_connections: 3}}\nauth: {type: trust}", []string{"1:11 operator_slots 3 leave nothing of max_connections 3"}},
		"pool over budget":   {"servers: {main: {url: postgres://h, max_connections: 20}}\nauth: {type: trust}\ndatabases: {app: {pool_size: 15, reserve_pool: 5}}", []string{"3:30 databases.app wants a pool of 15 + 5 reserve = 20 and server main has 20 − 3 operator slots = 17 | pool_size: 12 or less"}},
		"minimums":           {"servers:\n  main:\n    url: postgres://h\n    max_connections: 20\n    operator_slots: 0\nauth: {type: trust}\ndatabases:\n  a: {pool_size: 15, min_pool_size: 12}\n  b: {pool_size: 15, min_pool_size: 12}\n", []string{"4:22 minimum pool sizes add up to 24 = 12 (a) + 12 (b), and server main has 20 | lower min_pool_size"}},
		"listen":             {server + "listen: [nowhere]", []string{"3:9 listen address \"nowhere\" is not host:port"}},
		"listen twice":       {server + "listen: [\"h:1\", \"h:1\"]", []string{"3:9 listen names \"h:1\" twice"}},
		"listen empty":       {server + "listen: []", []string{"3:9 listen is empty"}},
		"listen relative":    {server + "listen: [\"unix:run\"]", []string{"3:9 listen address \"unix:run\" is not a folder from the root"}},
		"listen long":        {server + "listen: [\"unix:/" + strings.Repeat("x", 100) + "\"]", []string{"3:9 socket /" + strings.Repeat("x", 100) + "/.s.PGSQL.6432 is longer than 107 bytes"}},
		"socket mode":        {server + "unix_socket_mode: 0999", []string{"3:19 unix_socket_mode is not octal"}},
		"hba without file":   {"servers: {main: {url: postgres://h}}\nauth: {type: hba}", []string{"2:14 type hba has no hba_file"}},
		"any without user":   {"servers: {main: {url: postgres://h}}\nauth: {type: any}\ndatabases: {a: {user: u}, b: {}}", []string{"3:27 type is any and database b has no user"}},
		"cert without tls":   {"servers: {main: {url: postgres://h}}\nauth: {type: cert}", []string{"2:14 type is cert and tls.mode is disable"}},
		"query without $1":   {"servers: {main: {url: postgres://h}}\nauth: {type: trust, query: SELECT 1}", []string{"2:28 query does not ask for $1"}},
		"nobody":             {"servers: {main: {url: postgres://h}}", []string{"0:0 warning: type is scram-sha-256 and no user's secret is known"}},
		"operators twice":    {"servers: {main: {url: postgres://h}}\noperators: [a]\nauth: {type: trust, operators: [b]}", []string{"3:32 operators are named here and at the top"}},
		"bad secret":         {server + "users: {u: {password: SCRAM-SHA-256$x}}", []string{"3:23 parse secret: starts like a SCRAM verifier but is none"}},
		"tls without cert":   {server + "tls: {mode: require}", []string{"3:13 tls.mode is require and there is no certificate"}},
		"tls verify no ca":   {server + "tls: {mode: verify-ca, protocols: [TLSv1.3]}", []string{"3:13 tls.mode is verify-ca and there is no certificate", "3:13 tls.mode is verify-ca and there is no tls.ca"}},
		"tls gap":            {server + "tls: {mode: require, protocols: [TLSv1, TLSv1.3], cert: c, key: k}", []string{"3:33 tls.protocols leaves out a version", "3:57 read DIR/c: no such file", "3:65 read DIR/k: no such file"}},
		"tls cipher":         {server + "tls: {mode: require, ciphers: [RC4], cert: c, key: k}", []string{"3:31 cipher suite \"RC4\" is not known", "3:44 read DIR/c: no such file", "3:52 read DIR/k: no such file"}},
		"tls unused":         {server + "tls: {cert: c}", []string{"3:1 warning: certificates are given and tls.mode is disable"}},
		"verify-ca no root":  {"servers: {main: {url: postgres://h, sslmode: verify-ca}}\nauth: {type: trust}", []string{"1:46 sslmode is verify-ca and there is no sslrootcert"}},
		"system root":        {"servers: {main: {url: postgres://h, sslrootcert: system}}\nauth: {type: trust}", []string{"1:50 sslrootcert is system and sslmode is prefer | sslmode: verify-full"}},
		"direct":             {"servers: {main: {url: postgres://h, sslnegotiation: direct}}\nauth: {type: trust}", []string{"1:53 sslnegotiation is direct and sslmode is prefer"}},
		"binding":            {"servers: {main: {url: postgres://h, channel_binding: require}}\nauth: {type: trust}", []string{"1:54 channel_binding is require and sslmode is prefer"}},
		"versions":           {"servers: {main: {url: postgres://h, ssl_max_protocol_version: TLSv1.1}}\nauth: {type: trust}", []string{"1:11 ssl_min_protocol_version TLSv1.2 is above ssl_max_protocol_version TLSv1.1"}},
		"one of cert, key":   {"servers: {main: {url: postgres://h, sslmode: require, sslcert: c}}\nauth: {type: trust}", []string{"1:11 servers.main: one of sslcert and sslkey is given"}},
		"share above limit":  {server + "workloads: {a: {match: {user: x}, share: 5, limit: 3}}", []string{"3:42 share 5 is above limit 3"}},
		"no match":           {server + "workloads: {a: {share: 5}}", []string{"3:13 workload a can never match: it has no match"}},
		"wider user":         {server + "workloads: {a: {match: {user: 'a*'}}, b: {match: {user: [ab, 'a*c'], database: x}}}", []string{"3:43 workload b can never match: a before it takes all that it would"}},
		"wider network":      {server + "workloads: {a: {match: {address: [unix, 10.0.0.0/8]}}, b: {match: {address: 10.1.0.0/16}}}", []string{"3:60 workload b can never match"}},
		"wider tag":          {server + "workloads: {a: {match: {tag: 'job=*'}}, b: {match: {tag: job=nightly, user: x}}}", []string{"3:45 workload b can never match"}},
		"not wider":          {server + "workloads: {a: {match: {user: 'a*', tag: job=x}}, b: {match: {user: ab}}, c: {match: {user: [ab, x]}}, d: {match: {address: 10.1.0.0/16}}, e: {match: {address: 10.0.0.0/8}}, f: {match: {user: '*c'}}, g: {match: {user: 'd?c'}}, h: {match: {tag: 'k=x*'}}, i: {match: {tag: 'j=xy'}}}", nil},
		"same match":         {server + "workloads: {a: {match: {user: x}}, b: {match: {user: x}}}", []string{"3:40 workload b can never match: a before it takes all that it would | put b first, or tell them apart"}},
		"no such database":   {server + "databases: {app: {}}\nworkloads: {a: {match: {database: web}}}", []string{"4:35 no database fits web"}},
		"default with match": {server + "workloads: {default: {match: {user: x}}}", []string{"3:23 default has a match"}},
		"bad match":          {server + "workloads: {a: {match: {user: \"[\", address: x, tag: y}}}", []string{"3:31 user pattern \"[\" is not a glob", "3:45 address \"x\" is neither an address nor a network", "3:53 tag \"y\" is not key=value"}},
		"leak":               {server + "workloads: {a: {match: {user: x}, on_leak: cap}}", []string{"3:44 on_leak is cap and leak_after is 0"}},
		"percent":            {server + "workloads: {a: {match: {user: x}, lendable: 130%}}", []string{"3:45 lendable 130% is more than everything"}},
		"shares": {"servers: {main: {url: postgres://h, max_connections: 85}}\nauth: {type: trust}\nworkloads:\n  a: {match: {user: a}, share: 60, limit: 90}\n  b: {match: {user: b}, share: 30}\n",
			[]string{"3:1 shares add up to 60 (a) + 30 (b) = 90, and server main has 85 − 3 operator slots = 82 | lower shares by 8", "4:43 limit 90 of workload a is above what server main has: 85 − 3 operator slots = 82 | limit: 82 or less"}},
		"queue notice": {server + "timeouts: {queue: 3s}", []string{"3:19 warning: queue_notice 5s is not before queue 3s"}},
		"stats period": {server + "stats_period: 0", []string{"3:15 stats_period is 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := problemsOf(t, c.text)
			if len(problems) != len(c.want) {
				t.Fatalf("%d problems, want %d:\n%s", len(problems), len(c.want), problems.Text())
			}
			for i, want := range c.want {
				checkProblem(t, problems[i], want)
			}
		})
	}
}

func checkProblem(t *testing.T, p fault.Problem, want string) {
	t.Helper()
	want, mend, _ := strings.Cut(want, " | ")
	got := place(p) + " "
	if p.Warning {
		got += "warning: "
	}
	got += strings.ReplaceAll(p.What, filepath.Dir(p.File), "DIR")
	if !strings.HasPrefix(got, want) {
		t.Errorf("problem\n got %s\nwant %s", got, want)
	}
	if !strings.HasPrefix(p.Mend, mend) {
		t.Errorf("mend %q, want %q", p.Mend, mend)
	}
	if !p.Warning && p.Mend == "" {
		t.Errorf("no mend: %s", p.What)
	}
}

func place(p fault.Problem) string {
	s := p.Error()
	s = strings.TrimPrefix(s, p.File+":")
	if p.Line == 0 {
		return "0:0"
	}
	parts := strings.SplitN(s, ":", 3)
	return parts[0] + ":" + parts[1]
}

// TestAllAtOnce: mistakes are listed together, by position, with carets.
func TestAllAtOnce(t *testing.T) {
	text := "timeouts: {queue: 5}\nservers:\n  main:\n    url: postgres://u:hunter2@db\n    max_conections: 10\n"
	problems := problemsOf(t, text)
	_, err := Parse("spillway.yaml", []byte(text), noEnv)
	var list Problems
	if !errors.As(err, &list) || len(list) != 2 || len(problems) != 3 {
		t.Fatalf("Parse: %v", err)
	}
	got := list.Text()
	want := `spillway.yaml:1:19: timeouts.queue: duration 5 has no unit
    1 | timeouts: {queue: 5}
      |                   ^
     mend: write 5s for seconds or 5ms for milliseconds

spillway.yaml:5:5: unknown key max_conections in servers.main
    5 |     max_conections: 10
      |     ^^^^^^^^^^^^^^
      why: a key that is not understood would be silently without effect
     mend: did you mean max_connections?
`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
}

// TestNoSecretShown: whatever is wrong with a line, a secret in it stays hidden.
func TestNoSecretShown(t *testing.T) {
	const secret = "hunter2-and-more"
	dir := write(t, map[string]string{"pw": secret + "\n", "users": "\"a\" \"" + secret + "\"\n\"b\" \"SCRAM-SHA-256$" + secret + "\"\n"})
	env := func(string) (string, bool) { return secret, true }
	for name, text := range map[string]string{
		"url":           "servers: {main: {url: \"postgres://u:" + secret + "@h:x\"}}",
		"url parameter": "servers: {main: {url: \"postgres://u:" + secret + "@h?a=b\"}}",
		"url percent":   "servers: {main: {url: \"postgres://u:" + secret + "%zz@h\"}}",
		"typo":          "servers: {main: {url: postgres://h, pasword: " + secret + "}}",
		"typo 2":        "servers: {main: {url: postgres://h, passwrod: " + secret + "}}",
		"typo 3":        "servers: {main: {url: postgres://h, passord: \"" + secret + "\"}}",
		"same line":     "servers: {main: {url: postgres://h, password: " + secret + ", x: y}}",
		"tab":           "servers:\n  main: {password: " + secret + "\n\t}",
		"environment":   "servers: {main: {url: postgres://h, sslmode: \"${PW}\", target_session_attrs: \"${PW}\"}}\nlisten: \"${PW}\"\nauth: {file: \"${PW}\"}",
		"both":          "servers: {main: {url: \"postgres://u:" + secret + "@h\", password: " + secret + "}}",
		"file":          "servers: {main: {url: \"postgres://u:x@h\", password_file: pw}}",
		"userlist":      "servers: {main: {url: postgres://h}}\nauth: {file: users}",
		"user secret":   "servers: {main: {url: postgres://h}}\nusers: {u: {password: SCRAM-SHA-256$" + secret + "}}",
		"no password":   "servers: {main: {url: postgres://h}}\ndatabases: {a: {password: " + secret + ", pool_size: x}}",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(filepath.Join(dir, "spillway.yaml"), []byte(text), env)
			var list Problems
			if !errors.As(err, &list) {
				t.Fatalf("no problems: %v", err)
			}
			if shown := list.Text() + err.Error(); strings.Contains(shown, secret) {
				t.Errorf("secret shown:\n%s", shown)
			}
		})
	}
}

func TestLoadUnreadable(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "nope.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of nothing: %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("Load takes a folder")
	}
}

// TestAliases: anchors, aliases and merges work; the file's own keys go first.
func TestAliases(t *testing.T) {
	c, err := Parse("x.yaml", []byte(server+"databases:\n  a: &a\n    pool_size: 5\n    dbname: one\n  b:\n    <<: *a\n    dbname: two\n  c: *a\n"), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Databases["b"]; b.PoolSize != 5 || b.DBName != "two" {
		t.Errorf("merged %+v", b)
	}
	if got := c.Databases["c"]; got.DBName != "one" || got == c.Databases["a"] {
		t.Errorf("alias %+v", got)
	}
}

func TestMergeOfNothing(t *testing.T) {
	problems := problemsOf(t, server+"databases: {a: {<<: 5}}")
	if len(problems) != 1 || !strings.Contains(problems[0].What, "<< merges what holds no keys") {
		t.Errorf("problems:\n%s", problems.Text())
	}
}
