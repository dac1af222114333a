package pgtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"spillway/internal/machine"
)

// startLimit bounds a start; crash recovery after Kill9 on a busy two-core
// machine takes the longest.
const startLimit = 3 * time.Minute

// Options say how a PostgreSQL server is set up. The zero value is a server
// for tests: no fsync, 100 connections, trust for everyone on loopback.
type Options struct {
	Settings map[string]string // lines of postgresql.conf, such as wal_level; win over the defaults
	HBA      []string          // lines of pg_hba.conf; none: trust for all. The superuser always gets in over the socket
	Certs    *Certs            // turns ssl on, with these certificates
	Durable  bool              // fsync and full_page_writes as in production
}

// Server is one PostgreSQL server. Its superuser is postgres, without a
// password. Methods are safe for concurrent use, but a server being restarted
// is of course away for a while.
type Server struct {
	Port      int
	SocketDir string // unix_socket_directories; short
	DataDir   string
	Log       *Log // over all restarts

	logf Logf
	as   machine.Owner
	opts Options
	root string // removed by Close

	mu   sync.Mutex
	proc *Process // guarded by mu; nil when stopped on purpose
}

// Start starts a PostgreSQL server that ends with the test. On failure the
// end of its log is printed.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Launch(t.Logf, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.closeWith(t) })
	return s
}

func (s *Server) closeWith(t testing.TB) {
	if t.Failed() {
		t.Logf("PostgreSQL on port %d, end of log:\n%s", s.Port, s.Log.Tail(40))
	}
	if err := s.Close(); err != nil {
		t.Errorf("close PostgreSQL: %v", err)
	}
}

// Launch is Start outside tests; the caller must Close.
func Launch(logf Logf, o Options) (*Server, error) {
	s, err := newServer(logf, o)
	if err != nil {
		return nil, err
	}
	if err := s.create(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.Resume(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// newServer makes the folder and picks the port, and starts nothing.
func newServer(logf Logf, o Options) (*Server, error) {
	as, err := machine.ServerOwner()
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	root, err := tempDir(as, "spg")
	if err != nil {
		return nil, err
	}
	return &Server{
		Port: port, SocketDir: root, DataDir: filepath.Join(root, "d"), Log: newLog(),
		logf: logf, as: as, opts: o, root: root,
	}, nil
}

// create fills the data folder from the template.
func (s *Server) create() error {
	from, err := template(s.as)
	if err != nil {
		return err
	}
	if _, err := run(command{path: "/bin/cp", args: []string{"-a", "--reflink=auto", from, s.DataDir}, as: s.as}); err != nil {
		return fmt.Errorf("copy template: %w", err)
	}
	return s.configure()
}

// Resume starts a stopped or killed server on its old port and waits until it
// accepts connections.
func (s *Server) Resume() error {
	path, err := Binary("postgres")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && s.proc.Alive() {
		return fmt.Errorf("start PostgreSQL on port %d: runs already", s.Port)
	}
	mark := s.Log.Mark()
	proc, err := start(command{path: path, args: []string{"-D", s.DataDir}, as: s.as, death: syscall.SIGQUIT, log: s.Log})
	if err != nil {
		return err
	}
	s.proc = proc
	return proc.waitLog(mark, startLimit, "ready to accept connections", "ready to accept read-only connections")
}

// StopMode is how PostgreSQL is told to stop.
type StopMode int

// Smart waits for clients, Fast ends them in order, Immediate is a crash
// that recovery mends.
const (
	Smart StopMode = iota
	Fast
	Immediate
)

func (m StopMode) signal() syscall.Signal {
	switch m {
	case Smart:
		return syscall.SIGTERM
	case Fast:
		return syscall.SIGINT
	case Immediate:
		return syscall.SIGQUIT
	}
	return syscall.SIGQUIT
}

// Stop stops the server and keeps its files; Resume brings it back. A server
// that is stopped already stays so.
func (s *Server) Stop(mode StopMode) error {
	proc := s.take()
	if proc == nil || !proc.Alive() {
		return nil
	}
	if err := proc.Signal(mode.signal()); err != nil {
		return err
	}
	if err := proc.Wait(startLimit); err != nil && proc.Alive() {
		return errors.Join(err, proc.Kill9())
	}
	return nil
}

// Kill9 kills the postmaster without warning; its children notice and end.
func (s *Server) Kill9() error {
	proc := s.take()
	if proc == nil {
		return nil
	}
	return proc.Kill9()
}

// Restart stops the server fast and starts it again.
func (s *Server) Restart() error {
	if err := s.Stop(Fast); err != nil {
		return err
	}
	return s.Resume()
}

// PID returns the postmaster's process id, 0 when stopped.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.PID()
}

func (s *Server) take() *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	proc := s.proc
	s.proc = nil
	return proc
}

// Close stops the server as a crash would and removes its files.
func (s *Server) Close() error {
	return errors.Join(s.Stop(Immediate), os.RemoveAll(s.root))
}

// Host is the TCP address without the port.
func (s *Server) Host() string { return "127.0.0.1" }

// Addr is the TCP address, host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host(), strconv.Itoa(s.Port)) }

// SocketPath is the unix socket's full path.
func (s *Server) SocketPath() string {
	return filepath.Join(s.SocketDir, ".s.PGSQL."+strconv.Itoa(s.Port))
}
