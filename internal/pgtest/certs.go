package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spillway/internal/machine"
)

// Certs are the paths of PEM files of one small authority: its certificate, a
// server's pair for 127.0.0.1, ::1 and localhost, and more on request.
type Certs struct {
	Dir                   string
	CA, CAKey             string
	ServerCert, ServerKey string
	authority             *x509.Certificate
	authorityKey          *ecdsa.PrivateKey
	serial                int64
}

// Pair is a certificate and its key, as paths of PEM files.
type Pair struct{ Cert, Key string }

// NewCerts makes an authority and a server certificate in the folder.
func NewCerts(dir string) (*Certs, error) {
	c := &Certs{Dir: dir, CA: filepath.Join(dir, "ca.crt"), CAKey: filepath.Join(dir, "ca.key")}
	tmpl := c.blank("spillway test authority")
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	var err error
	c.authorityKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority key: %w", err)
	}
	c.authority = tmpl
	if err := c.write(tmpl, c.authorityKey, Pair{c.CA, c.CAKey}); err != nil {
		return nil, err
	}
	server, err := c.Issue("localhost", x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	c.ServerCert, c.ServerKey = server.Cert, server.Key
	return c, nil
}

// TestCerts is NewCerts in a folder of the test that everyone may read.
func TestCerts(t testing.TB) *Certs {
	t.Helper()
	as, err := machine.ServerOwner()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := tempDir(as, "spc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := NewCerts(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Issue makes a certificate whose common name (a user's, for a client) and
// DNS name is cn, for the usage. Issuing a name again writes new files over
// the old ones, as a renewal does.
func (c *Certs) Issue(cn string, usage x509.ExtKeyUsage) (Pair, error) {
	pair := Pair{filepath.Join(c.Dir, cn+".crt"), filepath.Join(c.Dir, cn+".key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make key of %s: %w", cn, err)
	}
	tmpl := c.blank(cn)
	tmpl.DNSNames = []string{cn}
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	if err := c.write(tmpl, key, pair); err != nil {
		return Pair{}, err
	}
	if usage == x509.ExtKeyUsageClientAuth {
		return pair, nil // stays ours: libpq wants the key to be its own user's
	}
	as, err := machine.ServerOwner()
	if err != nil {
		return Pair{}, err
	}
	return pair, as.Give(pair.Key)
}

func (c *Certs) blank(cn string) *x509.Certificate {
	c.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(c.serial),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(48 * time.Hour),
	}
}

func (c *Certs) write(tmpl *x509.Certificate, key *ecdsa.PrivateKey, to Pair) error {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.authority, &key.PublicKey, c.authorityKey)
	if err != nil {
		return fmt.Errorf("sign certificate of %s: %w", tmpl.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key of %s: %w", tmpl.Subject.CommonName, err)
	}
	if err := os.WriteFile(to.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return os.WriteFile(to.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}
