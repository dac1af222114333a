package rig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/machine"
)

// startLimit bounds a start, with crash recovery on a busy machine.
const startLimit = 60 * time.Second

// Database is the one every drill plays in; Superuser runs its set-up.
const (
	Database  = "app"
	Superuser = "postgres"
)

// Setup is what a drill's PostgreSQL holds before the load begins.
type Setup struct {
	Settings map[string]string // lines of postgresql.conf; win over the rig's
	Roles    map[string]string // name to what follows LOGIN in CREATE ROLE
	SQL      []string          // run as superuser in Database, in order
}

// Postgres is one server. A server that is stopped keeps its port and files.
type Postgres struct {
	Port int

	rig   *Rig
	dir   string
	lines func(string)

	mu   sync.Mutex
	proc *Process // guarded by mu; nil when stopped
}

// Base makes a server's files by initdb and the set-up; both sides of a drill
// begin with a copy of them.
func (r *Rig) Base(ctx context.Context, s Setup) (*Postgres, error) {
	initdb, err := machine.Postgres("initdb")
	if err != nil {
		return nil, err
	}
	p, err := r.newPostgres()
	if err != nil {
		return nil, err
	}
	r.atEnd(p.remove)
	password := filepath.Join(filepath.Dir(p.dir), "superuser")
	if err := r.as.WriteFile(password, []byte(r.secret(Superuser)), 0o600); err != nil {
		return nil, fmt.Errorf("write password: %w", err)
	}
	if err := r.run(Command{Path: initdb, as: r.as, Args: []string{
		"-D", p.dir, "-U", Superuser, "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
	}}); err != nil {
		return nil, err
	}
	if err := p.configure(s.Settings); err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	if err := p.fill(ctx, s); err != nil {
		return nil, err
	}
	return p, p.Stop()
}

func (r *Rig) newPostgres() (*Postgres, error) {
	port, err := machine.FreePort()
	if err != nil {
		return nil, err
	}
	place, err := r.subfolder(true)
	if err != nil {
		return nil, err
	}
	return &Postgres{Port: port, rig: r, dir: filepath.Join(place, "data")}, nil
}

// Copy starts a server with a copy of base's files. lines is told every line
// of its log; may be nil.
func (r *Rig) Copy(base *Postgres, lines func(string)) (*Postgres, error) {
	p, err := r.newPostgres()
	if err != nil {
		return nil, err
	}
	p.lines = lines
	if err := r.run(Command{Path: "/bin/cp", as: r.as, Args: []string{"-a", "--reflink=auto", base.dir, p.dir}}); err != nil {
		return nil, err
	}
	if err := p.configure(nil); err != nil {
		return nil, err
	}
	r.atEnd(p.remove)
	return p, p.Start()
}

// remove ends the server and gives its room back.
func (p *Postgres) remove() error {
	return errors.Join(p.end(syscall.SIGQUIT), os.RemoveAll(filepath.Dir(p.dir)))
}

// run runs a program to its end.
func (r *Rig) run(c Command) error {
	p, err := r.start(c)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(startLimit)
	defer timeout.Stop()
	select {
	case <-p.Done():
	case <-timeout.C:
		return errors.Join(fmt.Errorf("run %s: still running after %v", p.name, startLimit), p.Stop(syscall.SIGKILL, clientLimit))
	}
	if p.Err() != nil {
		return fmt.Errorf("run %s: %w:\n%s", p.name, p.Err(), p.Tail())
	}
	return nil
}

// configure appends to postgresql.conf (the last line of a name wins, so that
// a copy gets a port of its own). Files reach the kernel, not the disk: the
// drill's data outlives a PostgreSQL that is killed, not the machine.
func (p *Postgres) configure(more map[string]string) error {
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(p.Port), "unix_socket_directories": "",
		"fsync": "off", "full_page_writes": "off", "lc_messages": "C", "log_timezone": "UTC", "logging_collector": "off",
	}
	maps.Copy(settings, more)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	conf, err := os.OpenFile(filepath.Join(p.dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open postgresql.conf: %w", err)
	}
	_, err = conf.WriteString(b.String())
	if err := errors.Join(err, conf.Close()); err != nil {
		return fmt.Errorf("write postgresql.conf: %w", err)
	}
	return nil
}

// fill makes roles, the database and what the drill wants in it.
func (p *Postgres) fill(ctx context.Context, s Setup) error {
	var roles []string
	for _, role := range slices.Sorted(maps.Keys(s.Roles)) {
		kept, err := p.rig.verifier(role)
		if err != nil {
			return err
		}
		roles = append(roles, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' %s", pgx.Identifier{role}.Sanitize(), kept, s.Roles[role]))
	}
	if err := p.Exec(ctx, "postgres", append(roles, "CREATE DATABASE "+Database)...); err != nil {
		return err
	}
	return p.Exec(ctx, Database, s.SQL...)
}

// Exec runs statements as superuser over one new connection.
func (p *Postgres) Exec(ctx context.Context, database string, statements ...string) error {
	conn, err := p.login(ctx, database)
	if err != nil {
		return fmt.Errorf("connect for the set-up: %w", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set up with %q: %w", sql, err)
		}
	}
	return nil
}

// Value asks for one value as superuser, over one new connection.
func (p *Postgres) Value(ctx context.Context, sql string, into any) error {
	conn, err := p.login(ctx, Database)
	if err != nil {
		return fmt.Errorf("connect as superuser: %w", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(ctx, sql).Scan(into); err != nil {
		return fmt.Errorf("ask %q: %w", sql, err)
	}
	return nil
}

// patience is how long the superuser tries to get in where every slot is taken:
// the reserved ones too are held for moments by logins that end in a refusal.
const patience = 15 * time.Second

// login connects as superuser.
func (p *Postgres) login(ctx context.Context, database string) (*pgx.Conn, error) {
	for end := time.Now().Add(patience); ; {
		conn, err := pgx.Connect(ctx, p.superURL(database))
		var told *pgconn.PgError
		if err == nil || !errors.As(err, &told) || told.Code != "53300" || time.Now().After(end) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *Postgres) superURL(database string) string {
	return address(p.Port, Superuser, p.rig.secret(Superuser), database)
}

// address is the URL of a login.
func address(port int, role, secret, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, secret), Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Start starts a stopped server on its port and waits until it is ready.
func (p *Postgres) Start() error {
	path, err := machine.Postgres("postgres")
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	var once sync.Once
	proc, err := p.rig.start(Command{Path: path, Args: []string{"-D", p.dir}, as: p.rig.as, Death: syscall.SIGQUIT, Lines: func(line string) {
		if strings.Contains(line, "ready to accept connections") {
			once.Do(func() { close(ready) })
		}
		if p.lines != nil {
			p.lines(line)
		}
	}})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.proc = proc
	p.mu.Unlock()
	timeout := time.NewTimer(startLimit)
	defer timeout.Stop()
	select {
	case <-ready:
		return nil
	case <-proc.Done():
		return fmt.Errorf("start PostgreSQL: it ended: %w:\n%s", proc.Err(), proc.Tail())
	case <-timeout.C:
		return errors.Join(fmt.Errorf("start PostgreSQL: not ready within %v:\n%s", startLimit, proc.Tail()), p.end(syscall.SIGQUIT))
	}
}

// Stop ends all sessions and stops the server in order.
func (p *Postgres) Stop() error { return p.end(syscall.SIGINT) }

func (p *Postgres) end(sig syscall.Signal) error {
	p.mu.Lock()
	proc := p.proc
	p.proc = nil
	p.mu.Unlock()
	if proc == nil {
		return nil
	}
	return proc.Stop(sig, startLimit)
}

// PID is the postmaster's process id, 0 when stopped.
func (p *Postgres) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return 0
	}
	return p.proc.PID()
}

// Version is what `postgres --version` says.
func (r *Rig) Version() (string, error) {
	path, err := machine.Postgres("postgres")
	if err != nil {
		return "", err
	}
	p, err := start(Command{Path: path, Args: []string{"--version"}})
	if err != nil {
		return "", err
	}
	<-p.Done()
	return strings.TrimPrefix(p.Tail(), "postgres (PostgreSQL) "), p.Err()
}
