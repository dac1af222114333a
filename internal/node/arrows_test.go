package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is this module's path; rooms are named below module/internal.
const module = "spillway"

// room says what one package may import of ours, and of others besides the
// standard library.
type room struct {
	ours   []string // rooms
	others []string // module path prefixes
}

// house is the arrows of ARCHITECTURE.md. A package without an entry fails the
// test: whoever adds a room says here where it stands.
func house() map[string]room {
	words := []string{"wire", "auth", "session", "schedule", "statement"}
	hot := append([]string{"uring", "proxy"}, words...)
	return map[string]room{
		// words: no I/O, no clock, the standard library alone
		"wire":      {},
		"auth":      {ours: []string{"wire"}, others: []string{"golang.org/x/text"}},
		"session":   {ours: []string{"wire", "statement"}},
		"schedule":  {},
		"statement": {},
		"sample":    {},
		// hot path
		"uring":   {others: []string{"golang.org/x/sys"}},
		"proxy":   {ours: hot, others: []string{"golang.org/x/sys"}},
		"console": {ours: []string{"proxy", "wire"}},
		// control
		"web":        {ours: []string{"proxy"}, others: []string{"github.com/prometheus/"}},
		"act":        {},
		"notify":     {},
		"doctor":     {others: []string{"github.com/jackc/pgx/", "golang.org/x/sys"}},
		"sweep":      {ours: []string{"sweep/when"}, others: []string{"github.com/jackc/pgx/", "golang.org/x/sys"}},
		"job":        {others: []string{"github.com/jackc/pgx/"}},
		"probe":      {ours: []string{"sample", "statement"}, others: []string{"github.com/jackc/pgx/"}},
		"detect":     {ours: []string{"sample"}},
		"record":     {ours: []string{"record/slo"}, others: []string{"github.com/nats-io/", "golang.org/x/sys"}},
		"record/slo": {},
		"sweep/when": {others: []string{"github.com/adhocore/gronx"}},
		// top
		"config":       {ours: append([]string{"config/fault", "record/slo", "sweep/when"}, hot...), others: []string{"github.com/goccy/go-yaml"}},
		"config/fault": {},
		"node": {
			ours:   append([]string{"config", "config/fault", "console", "record", "record/slo", "act", "doctor", "job", "notify", "sweep", "sweep/when", "web", "detect", "probe", "sample"}, hot...),
			others: []string{"github.com/jackc/pgx/", "github.com/coreos/go-systemd/", "github.com/prometheus/client_golang/prometheus", "github.com/lmittmann/tint", "golang.org/x/sys"},
		},
		"machine":     {},
		"drill":       {ours: []string{"machine", "node/remote"}, others: []string{"github.com/jackc/pgx/"}},
		"node/remote": {},
		// tests only; production importing them fails below, as no entry lists them
		"pgtest": {ours: []string{"wire", "auth", "machine"}, others: []string{"github.com/jackc/pgx/", "github.com/goccy/go-yaml"}},
	}
}

// roomOf returns the entry a package belongs to: its own, or that of the
// nearest folder above it.
func roomOf(name string, rooms map[string]room) (string, bool) {
	for name != "." {
		if _, known := rooms[name]; known {
			return name, true
		}
		name = filepath.Dir(name)
	}
	return "", false
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// listPackages is `go list -deps` over the whole module, tests left out.
func listPackages(t *testing.T) map[string]listed {
	t.Helper()
	var complaints bytes.Buffer
	command := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports", module+"/...")
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.String())
	}
	packages := map[string]listed{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages[one.ImportPath] = one
	}
}

func TestArrows(t *testing.T) {
	packages, rooms := listPackages(t), house()
	seen := 0
	for path, one := range packages {
		inside, ours := strings.CutPrefix(path, module+"/internal/")
		if !ours {
			continue
		}
		seen++
		name, known := roomOf(inside, rooms)
		if !known {
			t.Errorf("%s has no place in the house: add it to house() and to ARCHITECTURE.md", path)
			continue
		}
		for _, imported := range one.Imports {
			if wrong := rooms[name].forbids(name, imported, packages, rooms); wrong != "" {
				t.Errorf("%s imports %s: %s", path, imported, wrong)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d packages seen: is the module path still %q?", seen, module)
	}
}

// forbids says why a package of the room called name may not import path, ""
// when it may.
func (r room) forbids(name, path string, packages map[string]listed, rooms map[string]room) string {
	if packages[path].Standard || path == "C" {
		return ""
	}
	if inside, ours := strings.CutPrefix(path, module+"/internal/"); ours {
		target, known := roomOf(inside, rooms)
		if known && (target == name || slices.Contains(r.ours, target)) {
			return ""
		}
		return "the arrow does not go this way"
	}
	if strings.HasPrefix(path, module) {
		return "rooms do not import commands"
	}
	for _, prefix := range r.others {
		if strings.HasPrefix(path, prefix) {
			return ""
		}
	}
	return "this room does not use that module"
}

// TestDoorKnowsOnlyTheTop: commands reach the rooms through node and config.
func TestDoorKnowsOnlyTheTop(t *testing.T) {
	top := []string{"node", "node/remote", "config", "config/fault", "drill", "drill/show"}
	for path, one := range listPackages(t) {
		if !strings.HasPrefix(path, module+"/cmd/") {
			continue
		}
		for _, imported := range one.Imports {
			if inside, ours := strings.CutPrefix(imported, module+"/internal/"); ours && !slices.Contains(top, inside) {
				t.Errorf("%s imports %s: the door goes through node", path, imported)
			}
		}
	}
}
