package pgtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"spillway/internal/machine"
)

// portsDir has a file for each port that was given away. Its lock lasts as long
// as the process that asked: between the look at a port and the start of a
// server there, which a slow machine stretches, no other test is given it.
const portsDir = "/tmp/spillway-pgtest-ports"

// FreePort returns a loopback TCP port on which nobody listens now, and which is
// given to nobody else while this process lives.
func FreePort() (int, error) {
	if err := os.MkdirAll(portsDir, 0o777); err != nil {
		return 0, fmt.Errorf("make folder of ports: %w", err)
	}
	_ = os.Chmod(portsDir, 0o777) // whoever owns it has done so already
	for range 200 {
		if port, err := machine.FreePort(); err != nil || reserve(port) {
			return port, err
		}
	}
	return 0, errors.New("find free port: all of 200 are given away")
}

// reserve takes a port among all processes that ask here. The file stays open,
// for it is its lock that counts.
func reserve(port int) bool {
	fd, err := syscall.Open(filepath.Join(portsDir, strconv.Itoa(port)), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return false
	}
	_ = syscall.Fchmod(fd, 0o666) // likewise
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	return true
}

// FreeAddr is FreePort as 127.0.0.1:port, for tests.
func FreeAddr(t testing.TB) string {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// RaiseFiles makes room for n open files here and in children, which inherit
// the limit (Go restores the original soft limit in children unless it was set
// by hand). A hard limit below n that this process may not raise is an error.
func RaiseFiles(n uint64) error {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read limit of open files: %w", err)
	}
	want := syscall.Rlimit{Cur: max(n, lim.Max), Max: max(n, lim.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err == nil {
		return nil
	}
	if lim.Max < n {
		return fmt.Errorf("raise limit of open files to %d: the hard limit is %d (ulimit -Hn)", n, lim.Max)
	}
	want = syscall.Rlimit{Cur: lim.Max, Max: lim.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err != nil {
		return fmt.Errorf("raise limit of open files to %d: %w", want.Cur, err)
	}
	return nil
}
