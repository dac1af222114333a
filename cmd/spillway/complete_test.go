package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// TestCompletionsAreThere holds that each command of the table is one, and takes
// an argument.
func TestCompletionsAreThere(t *testing.T) {
	root := newRoot()
	for path := range completions() {
		cmd, rest, err := root.Find(strings.Fields(path))
		if err != nil || len(rest) > 0 || cmd.ValidArgsFunction == nil {
			t.Errorf("%s: %v, %v", path, rest, err)
		}
	}
}

// TestTab completes workloads from a running node; without one, and for a
// second argument, there is nothing, and no error.
func TestTab(t *testing.T) {
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	node := pgtest.Spillway(t, fmt.Sprintf(`
listen: [%q]
admin: ""
data_dir: "{dir}"
servers: {main: {url: "postgres://nobody@127.0.0.1:1/postgres"}}
auth: {type: trust}
workloads:
  api: {match: {user: api}, share: 5, limit: 10}
  jobs: {match: {application_name: "job:*"}, share: 1, limit: 2}
  default: {share: 1, limit: 2}
`, listen), pgtest.SpillwayOptions{Listen: listen})
	tab := func(args ...string) []string {
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetErr(&bytes.Buffer{})
		root.SetArgs(append([]string{"__complete"}, args...))
		if err := root.Execute(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		lines := strings.Fields(out.String())
		return lines[:len(lines)-1] // the last is how to go on
	}
	// The node accepts clients before its socket answers.
	var got []string
	for deadline := time.Now().Add(30 * time.Second); !slices.Equal(got, []string{"api", "default", "jobs"}); {
		if got = tab("pause", "-c", node.Config, ""); time.Now().After(deadline) {
			t.Fatalf("pause: %v", got)
		}
	}
	if got := tab("limit", "-c", node.Config, "api", ""); len(got) != 0 {
		t.Errorf("a number: %v", got)
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(missing, []byte("servers: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tab("pause", "-c", missing, ""); len(got) != 0 {
		t.Errorf("no node: %v", got)
	}
}
