package pgtest_test

import (
	"context"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"spillway/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerRestartsOnItsPortAndKeepsItsRows(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "85"}})
	if got := s.Value(t, "SHOW max_connections"); got != "85" {
		t.Fatalf("max_connections = %s, want 85", got)
	}
	s.Exec(t, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
	restarts := map[string]func() error{
		"restart": s.Restart,
		"kill -9": func() error {
			if err := s.Kill9(); err != nil {
				return err
			}
			return s.Resume()
		},
		"crash": func() error {
			if err := s.Stop(pgtest.Immediate); err != nil {
				return err
			}
			return s.Resume()
		},
	}
	for name, restart := range restarts {
		if err := restart(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := s.Value(t, "SELECT n FROM kept"); got != "7" {
			t.Fatalf("after %s: n = %s, want 7", name, got)
		}
	}
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	var port int
	if err := conn.QueryRow(t.Context(), "SELECT inet_server_port()").Scan(&port); err != nil || port != s.Port {
		t.Fatalf("over TCP: port = %d, %v; want %d", port, err, s.Port)
	}
}

func TestReplicaFollowsAndPromotes(t *testing.T) {
	primary := pgtest.Start(t, pgtest.Options{})
	primary.Exec(t, "CREATE TABLE t AS SELECT 42 AS n")
	replica := primary.Replica(t)
	if got := replica.Value(t, "SELECT pg_is_in_recovery()"); got != "t" {
		t.Fatalf("in recovery = %s, want t", got)
	}
	if err := replica.CatchUp(primary); err != nil {
		t.Fatal(err)
	}
	if got := replica.Value(t, "SELECT n FROM t"); got != "42" {
		t.Fatalf("on the replica: n = %s, want 42", got)
	}
	if err := primary.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := replica.Promote(); err != nil {
		t.Fatal(err)
	}
	replica.Exec(t, "INSERT INTO t VALUES (43)")
}

func TestServerWithCertificates(t *testing.T) {
	certs := pgtest.TestCerts(t)
	client, err := certs.Issue("alice", x509.ExtKeyUsageClientAuth)
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t, pgtest.Options{Certs: certs, HBA: []string{"hostssl all all 127.0.0.1/32 cert"}})
	s.Exec(t, "CREATE ROLE alice LOGIN")
	login := pgtest.Login{User: "alice", Params: map[string]string{
		"sslmode": "verify-full", "sslrootcert": certs.CA, "sslcert": client.Cert, "sslkey": client.Key,
	}}
	conn := pgtest.Connect(t, s.URL(login))
	var user string
	if err := conn.QueryRow(t.Context(), "SELECT current_user").Scan(&user); err != nil || user != "alice" {
		t.Fatalf("user = %q, %v; want alice", user, err)
	}
	delete(login.Params, "sslcert")
	delete(login.Params, "sslkey")
	if c, err := pgx.Connect(t.Context(), s.URL(login)); err == nil {
		_ = c.Close(context.Background())
		t.Fatal("login without a client certificate succeeded")
	}
}

func TestPgBouncerServes(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	p, err := pgtest.StartPooler(pgtest.PgBouncerTransaction, pgtest.PoolerConfig{Server: s, Users: map[string]string{"postgres": ""}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Connect(t.Context(), p.URL(pgtest.Login{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT 1").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMissingProgramNamesItsPackage(t *testing.T) {
	_, err := pgtest.Program("no-such-program", "some-package")
	if err == nil || !strings.Contains(err.Error(), "apt-get install -y some-package") {
		t.Fatalf("error = %v, want the package's name", err)
	}
}

func TestCloseRemovesTheFolder(t *testing.T) {
	s, err := pgtest.Launch(t.Logf, pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.DataDir); !os.IsNotExist(err) {
		t.Fatalf("stat %s = %v, want not exist", s.DataDir, err)
	}
}

func TestKindsReadBack(t *testing.T) {
	kinds := []pgtest.Kind{pgtest.Direct, pgtest.PgBouncerSession, pgtest.PgBouncerTransaction,
		pgtest.SpillwayKind("uring", "session"), pgtest.SpillwayKind("", "transaction")}
	for _, k := range kinds {
		got, err := pgtest.ParseKind(k.String())
		if err != nil || got != k {
			t.Errorf("ParseKind(%q) = %v, %v", k, got, err)
		}
	}
	if _, err := pgtest.ParseKind("odyssey"); err == nil {
		t.Error("ParseKind(odyssey) succeeded")
	}
}

func TestSpillwayConfigMerges(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	cfg := pgtest.PoolerConfig{
		Server: s, Users: map[string]string{"postgres": "secret"},
		Set:     map[string]any{"timeouts.query": "5s"},
		Overlay: []byte("timeouts: {queue: 1s}\nerror_style: pgbouncer\n"),
	}
	text, err := cfg.Spillway(pgtest.SpillwayKind("uring", "session"), &pgtest.Pooler{Host: "127.0.0.1", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"query": "5s"`, `"queue": "1s"`, `"driver": "io_uring"`, `"error_style": "pgbouncer"`, `"type": "scram-sha-256"`} {
		if !strings.Contains(text, want) {
			t.Errorf("config lacks %s:\n%s", want, text)
		}
	}
}
