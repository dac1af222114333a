package node

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"spillway/internal/proxy"
)

func TestPidfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spillway.pid")
	if err := os.WriteFile(path, []byte("999999\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writePidfile(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(content)) != strconv.Itoa(os.Getpid()) {
		t.Fatalf("pidfile holds %q, %v", content, err)
	}
	if err := removePidfile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pidfile is still there: %v", err)
	}
	if err := removePidfile(path); err != nil {
		t.Errorf("remove twice: %v", err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := removePidfile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another process's pidfile was removed: %v", err)
	}
	if err := writePidfile(filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("a pidfile in no folder is accepted")
	}
}

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "4000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	system, err := newSupervisor()
	if err != nil {
		t.Fatal(err)
	}
	if system.watchdog.Seconds() != 4 {
		t.Errorf("watchdog is %v", system.watchdog)
	}
	if err := system.Status("one\nREADY=1\rline"); err != nil {
		t.Fatal(err)
	}
	if err := system.Reloading(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil || string(buf[:n]) != "STATUS=one READY=1 line" {
		t.Errorf("systemd read %q, %v", buf[:n], err)
	}
	n, err = conn.Read(buf)
	fields := strings.Split(string(buf[:n]), "\n")
	if err != nil || len(fields) != 2 || fields[0] != "RELOADING=1" {
		t.Fatalf("systemd read %q, %v", buf[:n], err)
	}
	micros, err := strconv.ParseInt(strings.TrimPrefix(fields[1], "MONOTONIC_USEC="), 10, 64)
	if err != nil || micros <= 0 {
		t.Errorf("monotonic time %q: %v", fields[1], err)
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := newSupervisor(); err == nil {
		t.Error("a watchdog of \"soon\" is accepted")
	}
}

func TestInheritedListeners(t *testing.T) {
	dir := t.TempDir()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unixPath := filepath.Join(dir, ".s.PGSQL.6432")
	local, err := net.Listen("unix", unixPath)
	if err != nil {
		t.Fatal(err)
	}
	var in inherited
	for _, listener := range []net.Listener{tcp, local} {
		file, err := listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		listen, err := takeListener(os.NewFile(dup(t, file), "clients"))
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, listen)
		if err := errors.Join(file.Close(), listener.Close()); err != nil {
			t.Fatal(err)
		}
	}
	got := in.listen([]proxy.Listen{{Network: "tcp", Address: "configured"}})
	if len(got) != 2 || got[0].Address != tcp.Addr().String() || got[0].Network != "tcp" ||
		got[1].Address != unixPath || got[1].Network != "unix" || got[0].FD < 3 || got[1].FD < 3 {
		t.Errorf("listeners %+v", got)
	}
	for _, l := range got {
		if err := unix.Close(l.FD); err != nil {
			t.Error(err)
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	if _, err := takeListener(read); err == nil {
		t.Error("a pipe is taken for a listener")
	}
}

func dup(t *testing.T, file *os.File) uintptr {
	t.Helper()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return uintptr(fd)
}

func TestNoInheritedListeners(t *testing.T) {
	in, err := inheritListeners()
	if err != nil || in != nil {
		t.Fatalf("inherited %+v, %v", in, err)
	}
	configured := []proxy.Listen{{Network: "tcp", Address: "x"}}
	if got := in.listen(configured); len(got) != 1 || got[0] != configured[0] {
		t.Errorf("listeners %+v", got)
	}
}

func TestRaiseFiles(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil && !errors.Is(err, unix.EPERM) {
			t.Error(err)
		}
	})
	got, err := raiseFiles(64)
	if err != nil || got < before.Max {
		t.Errorf("raised to %d, %v; the hard limit was %d", got, err, before.Max)
	}
}
