package rig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"spillway/internal/machine"
)

// Guard says how Spillway is put before a server.
type Guard struct {
	Binary    string       // the program
	Roles     []string     // clients that may log in
	Operators []string     // those that always get in, and rule the console
	Fragment  string       // the drill's part of spillway.yaml: workloads and more
	Lines     func(string) // told every line of its log (JSON)
}

// Spillway is `spillway serve` as a process of its own.
type Spillway struct {
	Port   int
	Socket string // where its API is
	Config string // the file
	Text   string // what the file says; it names secrets' files, no secrets
	Binary string

	proc *Process
}

// probeRole is who Spillway itself is on the server.
const probeRole = "spillway"

// ProbeRole is the role of Spillway's own connections; a drill's Setup.Roles
// must make it.
func ProbeRole() (name, options string) { return probeRole, "IN ROLE pg_monitor, pg_signal_backend" }

// Guard starts Spillway before p and waits until it serves.
func (r *Rig) Guard(ctx context.Context, p *Postgres, g Guard) (*Spillway, error) {
	s, err := r.newSpillway(p, g)
	if err != nil {
		return nil, err
	}
	s.proc, err = r.start(Command{Path: s.Binary, Args: []string{"serve", "-c", s.Config}, Lines: g.Lines})
	if err != nil {
		return nil, err
	}
	r.atEnd(s.Close)
	return s, s.ready(ctx)
}

func (r *Rig) newSpillway(p *Postgres, g Guard) (*Spillway, error) {
	port, err := machine.FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := r.subfolder(false)
	if err != nil {
		return nil, err
	}
	s := &Spillway{Port: port, Socket: filepath.Join(dir, "state", "admin.sock"), Config: filepath.Join(dir, "spillway.yaml"), Binary: g.Binary}
	s.Text = configText(p, s, g, filepath.Join(dir, "state"))
	var users strings.Builder
	for _, role := range g.Roles {
		kept, err := r.verifier(role)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&users, "\"%s\" \"%s\"\n", role, kept)
	}
	for _, role := range g.Operators { // their connections are open before they come
		fmt.Fprintf(&users, "\"%s\" \"%s\"\n", role, r.secret(role))
	}
	files := map[string]string{s.Config: s.Text, filepath.Join(dir, "userlist.txt"): users.String(), filepath.Join(dir, "spillway.secret"): r.secret(probeRole)}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(path, []byte(files[path]), 0o600); err != nil {
			return nil, fmt.Errorf("write Spillway's files: %w", err)
		}
	}
	return s, nil
}

func configText(p *Postgres, s *Spillway, g Guard, state string) string {
	operators := strings.Join(g.Operators, ", ")
	return fmt.Sprintf(`region: drill
listen: ["127.0.0.1:%d"]
admin: ""
data_dir: %s
servers:
  main: {url: "postgres://%s@127.0.0.1:%d/%s?sslmode=disable", password_file: spillway.secret}
databases:
  %s: {server: main, pool_mode: transaction, pool_size: 1000}
auth: {type: scram-sha-256, file: userlist.txt, admins: [%s]}
operators: [%s]
timeouts: {shutdown: 1s}
log: {format: json, connections: false, disconnections: false, pooler_errors: false}
%s`, s.Port, state, probeRole, p.Port, Database, Database, operators, operators, g.Fragment)
}

// ready polls until clients and the API are served.
func (s *Spillway) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if accepts("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))) && accepts("unix", s.Socket) {
			return nil
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("start spillway: it ended:\n%s", s.proc.Tail())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start spillway: not ready: %w; its log:\n%s", ctx.Err(), s.proc.Tail()), s.Close())
		case <-tick.C:
		}
	}
}

func accepts(network, address string) bool {
	conn, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// stopLimit is timeouts.shutdown of the config and some more.
const stopLimit = 10 * time.Second

// Close stops it in order.
func (s *Spillway) Close() error { return s.proc.Stop(syscall.SIGTERM, stopLimit) }

// Alive tells whether it still runs.
func (s *Spillway) Alive() bool { return s.proc.alive() }

// Tail is the end of its log.
func (s *Spillway) Tail() string { return s.proc.Tail() }

// Login is how clients reach one side: the server itself, or Spillway.
type Login struct {
	rig  *Rig
	Port int
}

// Login makes the logins of clients of the side that listens on port.
func (r *Rig) Login(port int) Login { return Login{r, port} }

// URL is the address for a role with its password; keep it out of arguments
// and logs.
func (l Login) URL(role string) string { return address(l.Port, role, l.rig.secret(role), Database) }

// Env is the same as the environment of programs that use libpq.
func (l Login) Env(role, application string) []string {
	return []string{
		"PGHOST=127.0.0.1", "PGPORT=" + strconv.Itoa(l.Port), "PGDATABASE=" + Database, "PGUSER=" + role,
		"PGPASSWORD=" + l.rig.secret(role), "PGAPPNAME=" + application, "PGSSLMODE=disable", "PGCONNECT_TIMEOUT=3",
	}
}
