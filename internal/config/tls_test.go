package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificates makes a folder with ca.pem, and server.pem with server.key for
// the name db.test, signed by it.
func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	caKey, caDER := certificate(t, nil, nil, true)
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	key, der := certificate(t, ca, caKey, false)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem":     {Type: "CERTIFICATE", Bytes: caDER},
		"server.pem": {Type: "CERTIFICATE", Bytes: der},
		"server.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func certificate(t *testing.T, parent *x509.Certificate, signer *ecdsa.PrivateKey, ca bool) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "db.test"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"db.test"}, IsCA: ca, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		template.Subject.CommonName = "test CA"
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// handshake runs a TLS handshake over a loopback connection and gives both
// ends' errors.
func handshake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error, state tls.ConnectionState) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		b, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer b.Close()
		s := tls.Server(b, server)
		if err = s.Handshake(); err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(a, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1)) // TLS 1.3: the server's refusal comes now
	}
	state = c.ConnectionState()
	a.Close()
	return clientErr, <-done, state
}

// serverAt is a TLS server with the folder's certificate, as PostgreSQL is.
func serverAt(t *testing.T, dir string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"postgresql"}}
}

func parseIn(t *testing.T, dir, text string) *Config {
	t.Helper()
	c, err := Parse(filepath.Join(dir, "spillway.yaml"), []byte(text), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestServerTLS: each sslmode takes the certificates libpq takes with it.
func TestServerTLS(t *testing.T) {
	mine, other := certificates(t), certificates(t)
	for _, c := range []struct {
		keys, folder, name string
		fails              bool
	}{
		{"sslmode: require", other, "wrong.test", false},
		{"sslmode: prefer", other, "wrong.test", false},
		{"sslmode: require, sslrootcert: ca.pem", mine, "wrong.test", false},
		{"sslmode: require, sslrootcert: ca.pem", other, "db.test", true},
		{"sslmode: verify-ca, sslrootcert: ca.pem", mine, "wrong.test", false},
		{"sslmode: verify-ca, sslrootcert: ca.pem", other, "db.test", true},
		{"sslmode: verify-full, sslrootcert: ca.pem", mine, "db.test", false},
		{"sslmode: verify-full, sslrootcert: ca.pem", mine, "wrong.test", true},
		{"sslmode: verify-full, sslrootcert: ca.pem", other, "db.test", true},
		{"sslmode: verify-full", mine, "db.test", true},
		{"sslmode: require, ssl_max_protocol_version: TLSv1.2", mine, "db.test", false},
	} {
		p := parseIn(t, mine, "servers: {main: {url: postgres://h, "+c.keys+"}}\nauth: {type: trust}").Policy()
		cfg := p.Upstreams["main"].TLS.Clone()
		cfg.ServerName = c.name
		clientErr, _, state := handshake(t, cfg, serverAt(t, c.folder))
		if (clientErr != nil) != c.fails {
			t.Errorf("%s against %s: %v", c.keys, c.name, clientErr)
		}
		if clientErr == nil && state.NegotiatedProtocol != "postgresql" {
			t.Errorf("%s: protocol %q", c.keys, state.NegotiatedProtocol)
		}
	}
	p := parseIn(t, mine, "servers: {main: {url: postgres://h, sslmode: disable}}\nauth: {type: trust}").Policy()
	if p.Upstreams["main"].TLS != nil {
		t.Error("disable has a TLS config")
	}
}

// TestClientTLS: certificates of clients are asked for and checked by mode.
func TestClientTLS(t *testing.T) {
	mine, other := certificates(t), certificates(t)
	pair := func(dir string) []tls.Certificate { return serverAt(t, dir).Certificates }
	for _, c := range []struct {
		mode, ca string
		shown    []tls.Certificate
		fails    bool
	}{
		{"allow", "", nil, false}, {"require", "", nil, false}, {"require", "", pair(other), false},
		{"require", ", ca: ca.pem", nil, false}, {"require", ", ca: ca.pem", pair(mine), false}, {"require", ", ca: ca.pem", pair(other), true},
		{"verify-ca", ", ca: ca.pem", nil, true}, {"verify-ca", ", ca: ca.pem", pair(mine), false}, {"verify-full", ", ca: ca.pem", pair(other), true},
	} {
		conf := parseIn(t, mine, server+"tls: {mode: "+c.mode+", cert: server.pem, key: server.key"+c.ca+"}")
		_, serverErr, _ := handshake(t, &tls.Config{InsecureSkipVerify: true, Certificates: c.shown, NextProtos: []string{"postgresql"}}, conf.Policy().ClientTLS.Config)
		if (serverErr != nil) != c.fails {
			t.Errorf("mode %s%s with %d certificates: %v", c.mode, c.ca, len(c.shown), serverErr)
		}
	}
	if _, err := Parse(filepath.Join(mine, "x"), []byte(server+"tls: {mode: require, cert: server.pem, key: ca.pem}"), noEnv); err == nil {
		t.Error("a certificate is taken for a key")
	}
	if _, err := Parse(filepath.Join(mine, "x"), []byte(server+"tls: {mode: verify-ca, cert: server.pem, key: server.key, ca: server.key}"), noEnv); err == nil {
		t.Error("a key is taken for a CA")
	}
}

// TestReloadedCertificate: the same YAML gives a new certificate after the
// file changed, and Diff says so.
func TestReloadedCertificate(t *testing.T) {
	dir, other := certificates(t), certificates(t)
	text := server + "tls: {mode: require, cert: server.pem, key: server.key}"
	before := parseIn(t, dir, text)
	for _, name := range []string{"server.pem", "server.key"} {
		content, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after := parseIn(t, dir, text)
	changed, restart := Diff(before, after)
	if strings.Join(changed, " ") != "tls.cert tls.key" || len(restart) > 0 {
		t.Errorf("changed %v, restart %v", changed, restart)
	}
	a, b := before.Policy().ClientTLS.Config.Certificates[0], after.Policy().ClientTLS.Config.Certificates[0]
	if bytes.Equal(a.Certificate[0], b.Certificate[0]) {
		t.Error("the certificate is still the old one")
	}
}
