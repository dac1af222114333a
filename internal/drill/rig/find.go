package rig

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// serverDirs matches the folders where distributions put PostgreSQL's programs.
const serverDirs = "/usr/lib/postgresql/*/bin"

// Find returns the path of a PostgreSQL program such as postgres or pgbench:
// that of the newest version installed, then that in PATH.
func Find(name string) (string, error) {
	dirs, err := filepath.Glob(serverDirs)
	if err != nil {
		return "", fmt.Errorf("list %s: %w", serverDirs, err)
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s: not installed; a drill needs PostgreSQL on this machine (apt-get install -y postgresql)", name)
	}
	return path, nil
}

// major reads the version from /usr/lib/postgresql/15/bin; 0 if there is none.
func major(binDir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(binDir)))
	if err != nil {
		return 0
	}
	return n
}

// Ports are taken below Linux's ephemeral range (32768 and up): a server that
// restarts must find its port again.
const firstPort, lastPort = 12000, 32000

// freePort returns a loopback TCP port on which nobody listens now.
func freePort() (int, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("close probe of port %d: %w", port, err)
		}
		return port, nil
	}
	return 0, errors.New("find free port: none of 200 tries")
}
