package pgtest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Kind is what stands before PostgreSQL, written as direct,
// pgbouncer/transaction or spillway-epoll/session. It is comparable.
type Kind struct {
	Program string // direct, pgbouncer, spillway
	Driver  string // spillway only: epoll, uring, goroutine; empty: its own choice
	Mode    string // session, transaction, statement; empty for direct
}

// The kinds that suites name most.
var (
	Direct               = Kind{Program: "direct"}
	PgBouncerSession     = Kind{Program: "pgbouncer", Mode: "session"}
	PgBouncerTransaction = Kind{Program: "pgbouncer", Mode: "transaction"}
)

// SpillwayKind names one driver and mode of Spillway.
func SpillwayKind(driver, mode string) Kind {
	return Kind{Program: "spillway", Driver: driver, Mode: mode}
}

func (k Kind) String() string {
	s := k.Program
	if k.Driver != "" {
		s += "-" + k.Driver
	}
	if k.Mode != "" {
		s += "/" + k.Mode
	}
	return s
}

// ParseKind reads what String writes; the mode defaults to transaction.
func ParseKind(s string) (Kind, error) {
	name, mode, _ := strings.Cut(s, "/")
	program, driver, _ := strings.Cut(name, "-")
	k := Kind{Program: program, Driver: driver, Mode: orElse(mode, "transaction")}
	switch {
	case program == "direct":
		return Direct, nil
	case program == "pgbouncer" && driver == "",
		program == "spillway" && slices.Contains([]string{"", "epoll", "uring", "goroutine"}, driver):
		return k, nil
	}
	return Kind{}, fmt.Errorf("parse pooler %q: want direct, pgbouncer, spillway, spillway-epoll, spillway-uring or spillway-goroutine, and /session or /transaction", s)
}

// PoolerConfig is the set-up that every kind understands.
type PoolerConfig struct {
	Server     *Server
	Users      map[string]string // name → plain password; empty password: trust
	PoolSize   int               // servers per (database, user); 0 is 20
	MaxClients int               // 0 is 2000
	Certs      *Certs            // offers TLS to clients
	UnixServer bool              // reach PostgreSQL over its unix socket
	// Set changes keys of spillway.yaml, by dotted path: "timeouts.query": "5s".
	Set map[string]any
	// Overlay is YAML laid over the rest, key by key; for Spillway.
	Overlay []byte
	// INI holds lines for PgBouncer's [pgbouncer].
	INI string
	// Binary is the spillway to run; empty: SpillwayBinary's.
	Binary string
}

// Pooler is a running one of some kind. For direct there is no process.
type Pooler struct {
	Kind  Kind
	Host  string
	Port  int
	Admin string // Spillway's API address; empty for others
	*Proxy
}

// StartPooler starts the kind before cfg.Server; the caller must Close.
func StartPooler(k Kind, cfg PoolerConfig) (*Pooler, error) {
	if cfg.PoolSize == 0 {
		cfg.PoolSize = 20
	}
	if cfg.MaxClients == 0 {
		cfg.MaxClients = 2000
	}
	if k.Program == "direct" {
		return &Pooler{Kind: k, Host: cfg.Server.Host(), Port: cfg.Server.Port}, nil
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	p := &Pooler{Kind: k, Host: "127.0.0.1", Port: port}
	if k.Program == "pgbouncer" {
		if p.Proxy, err = LaunchPgBouncer(cfg.pgbouncer(k, port)); err != nil {
			return nil, err
		}
		return p, nil
	}
	adminPort, err := FreePort()
	if err != nil {
		return nil, err
	}
	p.Admin = net.JoinHostPort(p.Host, strconv.Itoa(adminPort))
	yaml, err := cfg.Spillway(k, p)
	if err != nil {
		return nil, err
	}
	o := SpillwayOptions{Binary: cfg.Binary, Listen: p.Addr(), Admin: p.Admin, Files: map[string]string{"userlist.txt": cfg.userlist()}}
	if p.Proxy, err = LaunchSpillway(yaml, o); err != nil {
		return nil, err
	}
	return p, nil
}

// Serve is StartPooler for a test.
func Serve(t testing.TB, k Kind, cfg PoolerConfig) *Pooler {
	t.Helper()
	p, err := StartPooler(k, cfg)
	if err != nil {
		t.Fatalf("start %s: %v", k, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", k, err)
		}
		if t.Failed() && p.Proxy != nil {
			t.Logf("%s, end of log:\n%s", k, p.Log.Tail(60))
		}
	})
	return p
}

// Addr is host:port for clients.
func (p *Pooler) Addr() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// URL is where clients connect.
func (p *Pooler) URL(l Login) string { return URL(p.Host, p.Port, l) }

// Close ends the pooler, not the server behind it. What a Spillway printed is
// checked as CloseSpillway says.
func (p *Pooler) Close() error {
	switch {
	case p.Proxy == nil:
		return nil
	case p.Kind.Program == "spillway":
		return p.CloseSpillway()
	}
	return p.Proxy.Close()
}

// userlist is PgBouncer's format, which Spillway reads too.
func (c PoolerConfig) userlist() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.Users)) {
		fmt.Fprintf(&b, "%q %q\n", name, c.Users[name])
	}
	return b.String()
}

// trusting is true where no user has a password.
func (c PoolerConfig) trusting() bool {
	for _, password := range c.Users {
		if password != "" {
			return false
		}
	}
	return true
}

func (c PoolerConfig) serverHost() string {
	if c.UnixServer {
		return c.Server.SocketDir
	}
	return c.Server.Host()
}
