package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Times before the end of a certificate: an authority that renews by itself
// does so 30 days ahead.
const (
	certFail = 24 * time.Hour
	certWarn = 21 * 24 * time.Hour
)

// largestCertificate bounds what is read of a certificate's file, in bytes.
const largestCertificate = 4 << 20

func (p *Plan) files() *chart {
	c := &chart{area: "files"}
	for _, f := range p.Files {
		f.examine(c)
	}
	for _, one := range p.Certificates {
		one.examine(c)
	}
	return c
}

// examine looks at who may read and write a file.
func (f File) examine(c *chart) {
	st, err := os.Stat(f.Path)
	if err == nil {
		err = unix.Access(f.Path, unix.R_OK)
	}
	switch {
	case err != nil:
		c.add(Fail, f.Key, "let the user Spillway runs as read it", "%s cannot be read: %v", f.Path, err)
	case st.Mode().Perm()&0o022 != 0:
		c.add(Fail, f.Key, "chmod go-w "+f.Path, "%s has mode %v: others may change it", f.Path, st.Mode().Perm())
	case f.Secret && st.Mode().Perm()&0o004 != 0:
		c.add(Fail, f.Key, "chmod o-r "+f.Path, "%s has mode %v: every user of this machine may read its secrets", f.Path, st.Mode().Perm())
	default:
		c.add(OK, f.Key, "", "%s, mode %v", f.Path, st.Mode().Perm())
	}
}

func (k Certificate) examine(c *chart) {
	check := "end of " + k.Key
	cert, err := firstCertificate(k.Path)
	if err != nil {
		c.add(Fail, check, "a PEM file with -----BEGIN CERTIFICATE-----", "%s: %v", k.Path, err)
		return
	}
	lifetime(c, check, cert)
}

func firstCertificate(path string) (*x509.Certificate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestCertificate))
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("it holds no certificate")
}

// lifetime says until when a certificate serves.
func lifetime(c *chart, check string, cert *x509.Certificate) {
	now := time.Now()
	left := cert.NotAfter.Sub(now)
	name := cert.Subject.CommonName
	if name == "" && len(cert.DNSNames) > 0 {
		name = cert.DNSNames[0]
	}
	until := cert.NotAfter.UTC().Format(time.DateTime + " MST")
	switch {
	case now.Before(cert.NotBefore):
		c.add(Fail, check, "look at the clock of this machine, and at the certificate", "%s is not valid before %s", name, cert.NotBefore.UTC().Format(time.DateTime+" MST"))
	case left < 0:
		c.add(Fail, check, "renew it", "%s has been out of date since %s", name, until)
	case left < certFail:
		c.add(Fail, check, "renew it now", "%s ends in %s, at %s", name, left.Round(time.Minute), until)
	case left < certWarn:
		c.add(Warn, check, "renew it", "%s ends in %d days, at %s", name, int(left.Hours()/24), until)
	default:
		c.add(OK, check, "", "%s is valid for %s, until %s", name, fmt.Sprintf("%d days", int(left.Hours()/24)), until)
	}
}
