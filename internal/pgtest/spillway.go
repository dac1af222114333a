package pgtest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"spillway/internal/machine"
)

// SpillwayOptions say how the built binary is run.
type SpillwayOptions struct {
	Listen string            // where clients connect: host:port, or a socket's path
	Admin  string            // host:port of /readyz; empty: ready when Listen accepts
	Files  map[string]string // files beside the config, by name; {dir} in the YAML is their folder
	Args   []string          // more arguments of serve
	Env    []string          // NAME=value, on top of this process's
	Ready  time.Duration     // how long to wait; 0 is 3 min
	Binary string            // what is run; empty: SpillwayBinary's
}

// Spillway runs `spillway serve` with the YAML until the test ends, then stops
// it with TERM. The test fails if it does not stop in order, or if its log
// shows a panic, a data race or a leak.
func Spillway(t testing.TB, yaml string, o SpillwayOptions) *Proxy {
	t.Helper()
	p, err := LaunchSpillway(yaml, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.CloseSpillway(); err != nil {
			t.Errorf("close spillway: %v", err)
		}
		if t.Failed() {
			t.Logf("spillway, end of log:\n%s", p.Log.Tail(60))
		}
	})
	return p
}

// LaunchSpillway is Spillway outside tests; the caller must CloseSpillway.
func LaunchSpillway(yaml string, o SpillwayOptions) (*Proxy, error) {
	path, err := o.Binary, error(nil)
	if path == "" {
		path, err = SpillwayBinary()
	}
	if err != nil {
		return nil, err
	}
	p, err := newProxy("spillway.yaml", yaml, o.Files)
	if err != nil {
		return nil, err
	}
	p.Process, err = start(command{
		path: path, args: append([]string{"serve", "-c", p.Config}, o.Args...),
		env: o.Env, dir: p.Dir, death: syscall.SIGKILL,
	})
	if err == nil {
		err = p.waitReady(o)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// pollEvery is how often readiness of another process is asked for; there is
// no event to wait for.
const pollEvery = 10 * time.Millisecond

func (p *Proxy) waitReady(o SpillwayOptions) error {
	limit := o.Ready
	if limit == 0 {
		limit = startLimit
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if o.ready() {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("start spillway: it ended: %w; its log:\n%s", p.err, p.Log.Tail(40))
		case <-timeout.C:
			return fmt.Errorf("start spillway: not ready within %v; its log:\n%s", limit, p.Log.Tail(40))
		}
	}
}

func (o SpillwayOptions) ready() bool {
	if o.Admin != "" {
		client := http.Client{Timeout: 10 * time.Second}
		defer client.CloseIdleConnections()
		resp, err := client.Get("http://" + o.Admin + "/readyz")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}
	network := "tcp"
	if strings.HasPrefix(o.Listen, "/") {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, o.Listen, 10*time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// badLog is what no run may print: the runtime's own words for a panic, a
// race, a deadlock, and goleak's.
var badLog = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE|runtime: out of memory)|goroutine \d+ \[running\]|found unexpected goroutines`)

// CloseSpillway stops with TERM, checks how it ended and what it printed, and
// removes its files. A process that the test ended itself is fine.
func (p *Proxy) CloseSpillway() error {
	var err error
	if p.Alive() {
		err = p.StopWith(syscall.SIGTERM, stopLimit)
	}
	if bad := badLog.FindString(p.Log.String()); bad != "" {
		err = errors.Join(err, fmt.Errorf("spillway printed %q; its log:\n%s", bad, p.Log.Tail(120)))
	}
	return errors.Join(err, os.RemoveAll(p.Dir))
}

// SpillwayBinary builds the binary once per test binary, with the race
// detector if SPILLWAY_RACE is set, and returns its path. SPILLWAY_BIN names
// one to use instead.
func SpillwayBinary() (string, error) { return builtBinary() }

var builtBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("SPILLWAY_BIN"); path != "" {
		return filepath.Abs(path)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	out := filepath.Join(root, ".run", "test", "spillway")
	args := []string{"build", "-o"}
	if os.Getenv("SPILLWAY_RACE") != "" {
		out += "-race"
		args = append(args, out, "-race")
	} else {
		args = append(args, out)
	}
	goTool, err := exec.LookPath("go") // `go test` puts its own first
	if err != nil {
		return "", fmt.Errorf("find go: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", fmt.Errorf("make build folder: %w", err)
	}
	lock, err := lockFolder(filepath.Dir(out)) // nobody runs what another is just writing
	if err != nil {
		return "", err
	}
	defer lock.Close()
	as := machine.Owner{} // builds as ourselves
	if _, err := run(command{path: goTool, args: append(args, "./cmd/spillway"), dir: root, as: as}); err != nil {
		return "", fmt.Errorf("build spillway: %w", err)
	}
	return out, nil
})

// moduleRoot is the nearest folder above the working one that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find module: no go.mod above the working folder")
		}
		dir = up
	}
}
