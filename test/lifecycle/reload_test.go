package lifecycle

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"spillway/internal/pgtest"
)

// eachDriver runs a test on Spillway in transaction mode under every driver.
func eachDriver(t *testing.T, test func(t *testing.T, k pgtest.Kind)) {
	t.Helper()
	for _, k := range pgtest.Kinds(t, "transaction") {
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) { test(t, k) })
	}
}

func everyone() map[string]string { return map[string]string{"postgres": ""} }

// hup publishes a config and waits for the log to say how the reload went.
func hup(t *testing.T, p *pgtest.Pooler, yaml, says string) {
	t.Helper()
	mark := p.Log.Mark()
	if err := p.WriteConfig(yaml); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := p.Log.WaitFrom(mark, clientLimit, says); err != nil {
		t.Fatal(err)
	}
}

func poolSize(t *testing.T, p *pgtest.Pooler) string {
	t.Helper()
	rows, err := pgtest.Console(p, "SHOW DATABASES")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row["name"] == "postgres" {
			return row["pool_size"]
		}
	}
	t.Fatalf("no database postgres in %v", rows)
	return ""
}

// TestReload: a good file changes what can change, a bad one nothing, and the
// clients at work notice neither.
func TestReload(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		s := pgtest.Start(t, pgtest.Options{})
		o := pgtest.PoolerConfig{Server: s, PoolSize: 5, Users: everyone()}
		p := pgtest.Serve(t, k, o)
		c := gather(4, visit(p.URL(pgtest.Login{})))
		c.await(t, 20)
		if got := poolSize(t, p); got != "5" {
			t.Fatalf("pool_size is %s", got)
		}
		before, err := os.ReadFile(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		hup(t, p, string(before)+"\nnonsense: [", "config not reloaded")
		hup(t, p, strings.Replace(string(before), `"pool_size": 5`, `"pool_sice": 7`, 1), "config not reloaded")
		if got := poolSize(t, p); got != "5" {
			t.Errorf("after bad files pool_size is %s", got)
		}
		hup(t, p, strings.Replace(string(before), `"pool_size": 5`, `"pool_size": 7`, 1), "config reloaded")
		if got := poolSize(t, p); got != "7" {
			t.Errorf("after a good file pool_size is %s", got)
		}
		hup(t, p, strings.Replace(string(before), `"admin": "`, `"backlog": 77, "admin": "`, 1), "some changes need a restart")
		c.await(t, 20)
		c.leave(t)
	})
}

// shown is the certificate a client is shown.
func shown(t *testing.T, addr string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, clientLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 80877103) // SSLRequest
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := conn.Read(answer); err != nil || answer[0] != 'S' {
		t.Fatalf("SSLRequest is answered %q, %v", answer, err)
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // it is only looked at
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return string(secure.ConnectionState().PeerCertificates[0].Raw)
}

// TestCertificatesAreRenewedWithoutARestart: sessions under the old one go on.
func TestCertificatesAreRenewedWithoutARestart(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	certs := pgtest.TestCerts(t)
	k := pgtest.Kinds(t, "transaction")[0]
	p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, Users: everyone(), Certs: certs})
	url := p.URL(pgtest.Login{Params: map[string]string{"sslmode": "require"}})
	held := pgtest.Connect(t, url)
	old := shown(t, p.Addr())
	again, err := pgtest.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(again.ServerCert, certs.ServerCert), os.Rename(again.ServerKey, certs.ServerKey)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	hup(t, p, string(text), "config reloaded")
	if now := shown(t, p.Addr()); now == old {
		t.Error("the old certificate is still shown")
	}
	if err := ask(t.Context(), held); err != nil {
		t.Errorf("a session under the old certificate: %v", err)
	}
	// A key that does not fit is refused, and what was there stays.
	if err := os.WriteFile(certs.ServerKey, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := shown(t, p.Addr())
	hup(t, p, string(text), "config not reloaded")
	if shown(t, p.Addr()) != now {
		t.Error("a broken key changed the certificate")
	}
}
