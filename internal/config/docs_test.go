package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden files in docs")

const docs = "../../docs"

// TestDocs holds the files in docs to the table. Run with -update after a
// change of the table, and review them like code.
func TestDocs(t *testing.T) {
	for name, want := range map[string][]byte{
		"spillway.schema.json":  Schema(),
		"configuration.md":      Reference(),
		"spillway.example.yaml": Example(),
	} {
		path := filepath.Join(docs, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table says: go test ./internal/config -run TestDocs -update", name)
		}
	}
}

func example(t *testing.T, text string, env func(string) (string, bool)) *Config {
	t.Helper()
	dir := write(t, map[string]string{"userlist.txt": "\"api\" \"x\"\n"})
	c, err := Parse(filepath.Join(dir, "spillway.yaml"), []byte(text), env)
	if err != nil {
		t.Fatalf("example does not parse:\n%v", err)
	}
	return c
}

// TestExampleIsDefaults: the example says that it holds defaults unless a
// comment says otherwise.
func TestExampleIsDefaults(t *testing.T) {
	c := example(t, string(Example()), noEnv)
	plain, _ := Parse("x.yaml", []byte("servers: {main: {url: postgres://spillway@127.0.0.1:5432/postgres}}\nauth: {type: trust}\n"), noEnv)
	changed, _ := Diff(plain, c)
	var unexpected []string
	for _, path := range changed {
		section, _, _ := strings.Cut(path, ".")
		switch {
		case path == "region", path == "auth.file", path == "auth.type":
		case section == "databases", section == "users", section == "workloads", section == "sweeps", section == "jobs",
			section == "tokens", section == "peers", section == "runbook", section == "automatic", section == "targets", section == "slo",
			section == "notify", section == "alarms",
			section == "smoke_checks":
		default:
			unexpected = append(unexpected, path)
		}
	}
	if len(unexpected) > 0 {
		t.Errorf("the example differs from the defaults in %v", unexpected)
	}
	api := c.Workloads["api"]
	if api.Class != "normal" || api.QueueTimeout != unset || api.Lendable != 50 {
		t.Errorf("workload api is not default: %+v", api)
	}
}

// TestExampleNamesEveryKey: each key is there, given or to be uncommented.
func TestExampleNamesEveryKey(t *testing.T) {
	text := string(Example())
	walk(table(), "", func(path string, k *key) {
		if !strings.Contains(text, k.name+":") {
			t.Errorf("example lacks %s", path)
		}
	})
}

// TestExampleUncommented: every line that is offered decodes.
func TestExampleUncommented(t *testing.T) {
	text := strings.ReplaceAll(string(Example()), "\n#:", "\n")
	in := input{name: "x/spillway.yaml", text: text, env: func(string) (string, bool) { return "v", true }}
	_, problems := parseAll(in)
	for _, p := range problems {
		if strings.Contains(p.What, "unknown key") || strings.Contains(p.What, ": cannot be") || strings.Contains(p.What, "is not a") && !strings.Contains(p.What, "read ") {
			t.Errorf("uncommented example: %v", p)
		}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("spillway.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("spillway.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is YAML as a schema validator sees it.
func instance(t *testing.T, text string) any {
	t.Helper()
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(js))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaTakesExamples(t *testing.T) {
	s := compiled(t)
	uncommented := strings.ReplaceAll(string(Example()), "\n#:", "\n")
	for name, text := range map[string]string{
		"example": string(Example()), "uncommented": uncommented, "product": productExample,
		"least": "servers: {main: {url: postgres://h}}", "zero": "servers: {main: {url: postgres://h}}\ntimeouts: {queue: 0}\nlimits: {client_memory: 0}",
		"single": "servers: {main: {url: postgres://h}}\nlisten: 127.0.0.1:1",
	} {
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	const head = "servers: {main: {url: postgres://h}}\n"
	for name, text := range map[string]string{
		"no servers":       "region: x",
		"server no url":    "servers: {main: {}}",
		"unknown key":      head + "reigon: x",
		"unknown deep":     head + "databases: {app: {pool_sise: 3}}",
		"bare seconds":     head + "timeouts: {queue: 60}",
		"word of a list":   head + "pool: {mode: transactional}",
		"size":             head + "limits: {client_memory: 16MB}",
		"percent":          head + "workloads: {a: {lendable: 130%}}",
		"negative":         head + "pool: {size: -1}",
		"zero pool":        head + "pool: {size: 0}",
		"flag":             head + "log: {connections: \"yes\"}",
		"section a list":   head + "pool: [a]",
		"max_connections":  "servers: {main: {url: postgres://h, max_connections: most}}",
		"match not a list": head + "workloads: {a: {match: {user: {x: y}}}}",
	} {
		if err := s.Validate(instance(t, text)); err == nil {
			t.Errorf("%s: the schema takes %q", name, text)
		}
		if _, err := Parse("x.yaml", []byte(text), noEnv); err == nil {
			t.Errorf("%s: Parse takes %q", name, text)
		}
	}
}

func TestSchemaIsJSON(t *testing.T) {
	var v map[string]any
	if err := json.Unmarshal(Schema(), &v); err != nil {
		t.Fatal(err)
	}
}

// TestTable holds the table to itself: defaults parse, names are one per
// section, every key has a meaning.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	walk(table(), "", func(path string, k *key) {
		if seen[path] {
			t.Errorf("%s stands twice", path)
		}
		seen[path] = true
		if k.doc == "" || !strings.HasSuffix(strings.TrimRight(k.doc, "*/"), ".") && !strings.HasSuffix(k.doc, "nightly.") {
			t.Errorf("%s: doc %q is not a sentence", path, k.doc)
		}
		if k.def == "" || k.kind == kindSection || k.kind == kindNamed {
			return
		}
		if k.inherits != "" {
			t.Errorf("%s has a default and inherits", path)
		}
	})
	for _, sections := range [][]key{topKeys(), serverKeys(), databaseKeys(), userKeys(), authKeys(), tlsKeys(), poolKeys(), sessionKeys(), timeoutKeys(), limitKeys(), logKeys(), workloadKeys(), matchKeys()} {
		for i := range sections {
			checkDefault(t, &sections[i])
		}
	}
}

func checkDefault(t *testing.T, k *key) {
	t.Helper()
	if k.def == "" || k.at == nil || k.kind == kindSection {
		return
	}
	for _, owner := range []any{&Config{}, &Server{}, &Database{}, &User{}, &Auth{}, &TLS{}, &Pool{}, &Session{}, &Timeouts{}, &Limits{}, &Log{}, &Workload{}, &Match{}} {
		if !owns(k, owner) {
			continue
		}
		texts := []string{k.def}
		if k.kind == kindList {
			texts = splitDefault(k.def)
		}
		if err := k.set(owner, texts...); err != nil {
			t.Errorf("%s: default %s: %v", k.name, k.def, err)
		}
		return
	}
	t.Errorf("%s: nobody owns it", k.name)
}

// owns tries the key's field on an owner of some type.
func owns(k *key, owner any) (ok bool) {
	defer func() { ok = recover() == nil }()
	k.at(owner)
	return true
}
