package pgtest

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Replica starts a streaming replica of this server that ends with the test.
func (s *Server) Replica(t testing.TB) *Server {
	t.Helper()
	r, err := s.LaunchReplica()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.closeWith(t) })
	return r
}

// LaunchReplica is Replica outside tests; the caller must Close it.
func (s *Server) LaunchReplica() (*Server, error) {
	path, err := Binary("pg_basebackup")
	if err != nil {
		return nil, err
	}
	r, err := newServer(s.logf, s.opts)
	if err != nil {
		return nil, err
	}
	_, err = run(command{path: path, as: r.as, args: []string{
		"-D", r.DataDir, "-d", s.SocketURL(Login{}), "-R", "-X", "stream", "-c", "fast", "--no-sync",
	}})
	if err == nil {
		err = r.configure()
	}
	if err == nil {
		err = r.Resume()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make replica: %w", err), r.Close())
	}
	return r, nil
}

// Promote makes a replica the primary and waits until it accepts writes.
func (s *Server) Promote() error {
	rows, err := s.Query("SELECT pg_promote(true, 60)")
	if err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	if len(rows) != 1 || rows[0][0] != "t" {
		return errors.New("promote: PostgreSQL said no within 60 s")
	}
	return nil
}

// CatchUp waits until this replica has replayed what the primary has written
// by now.
func (s *Server) CatchUp(primary *Server) error {
	rows, err := primary.Query("SELECT pg_current_wal_lsn()")
	if err != nil {
		return fmt.Errorf("read the primary's position: %w", err)
	}
	deadline := time.Now().Add(startLimit)
	for time.Now().Before(deadline) {
		at, err := s.Query("SELECT coalesce(pg_last_wal_replay_lsn() >= '" + rows[0][0] + "', false)")
		if err != nil {
			return fmt.Errorf("read the replica's position: %w", err)
		}
		if at[0][0] == "t" {
			return nil
		}
		time.Sleep(pollEvery)
	}
	return fmt.Errorf("wait for the replica: not at %s within %v", rows[0][0], startLimit)
}
