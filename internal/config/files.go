package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"spillway/internal/auth"
)

// loaded is what the files that a config names hold.
type loaded struct {
	secrets  map[string]string
	hba      *auth.HBA
	ident    *auth.Ident
	tls      builtTLS
	contents map[string][sha256.Size]byte // path of the key → the file's digest
}

// Largest files read: the users' file may be long, the others are not.
const (
	largestUsers  = 64 << 20
	largestOther  = 4 << 20
	largestSecret = 64 << 10
)

// resolve is a file's path, relative ones from the config file's folder.
func (k *checker) resolve(name string) string {
	if filepath.IsAbs(name) || k.dir == "" {
		return name
	}
	return filepath.Join(k.dir, name)
}

// readFile reads the file that the key at path names. ok is false when there is
// none or it was reported.
func (k *checker) readFile(path, name string, limit int64) (content []byte, ok bool) {
	if name == "" || k.broken(path) || k.blind {
		return nil, false
	}
	full := k.resolve(name)
	content, err := readBounded(full, limit)
	if err != nil {
		k.fail(path, fileComplaint(full, err))
		return nil, false
	}
	k.c.loaded.contents[path] = sha256.Sum256(content)
	return content, true
}

func fileComplaint(full string, err error) complaint {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	c := complaint{what: fmt.Sprintf("read %s: %v", full, err), mend: "name a file of the right kind"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.mend = "create it, or correct the path; relative ones start at the config file's folder"
	case errors.Is(err, fs.ErrPermission):
		c.mend = "let the user spillway runs as read it"
	}
	return c
}

// readBounded reads a regular file of at most limit bytes. Devices and pipes
// are refused: they may never end.
func readBounded(name string, limit int64) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("larger than %s", formatBytes(Bytes(limit)))
	}
	return content, err
}

// readSecret settles a password given directly or in a file.
func (k *checker) readSecret(path string, password *string, file string) {
	if file == "" {
		return
	}
	at := join(path, "password_file")
	if *password != "" {
		k.fail(at, complaint{what: "password and password_file are both given", mend: "keep one of them"})
		return
	}
	content, ok := k.readFile(at, file, largestSecret)
	if !ok {
		return
	}
	line, _, _ := strings.Cut(string(content), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" || strings.Contains(line, "\x00") {
		k.fail(at, complaint{what: fmt.Sprintf("first line of %s is no password", k.resolve(file)), mend: "put the password alone on the first line"})
		return
	}
	*password = line
}

func (k *checker) readUsers() {
	a := &k.c.Auth
	k.readSecret("auth", &a.Password, a.PasswordFile)
	k.c.loaded.secrets = map[string]string{}
	if content, ok := k.readFile("auth.file", a.File, largestUsers); ok {
		k.takeUserlist(content)
	}
	if a.User != "" && a.Password != "" {
		k.addSecret("auth.password", a.User, a.Password)
	}
	for name, u := range k.c.Users {
		path := join("users", name)
		k.readSecret(path, &u.Password, u.PasswordFile)
		if u.Password != "" {
			k.addSecret(join(path, "password"), name, u.Password)
		}
	}
}

func (k *checker) takeUserlist(content []byte) {
	list, err := auth.ParseUserlist(content)
	if err != nil {
		k.insideFile("auth.file", k.c.Auth.File, err)
		return
	}
	list.Users(func(user string, s auth.Secret) bool {
		k.c.loaded.secrets[user] = secretText(s)
		return true
	})
	for _, note := range list.Notes() {
		k.warn("auth.file", complaint{what: k.resolve(k.c.Auth.File) + ": " + note})
	}
}

func secretText(s auth.Secret) string {
	if text, ok := s.Plain(); ok {
		return text
	}
	if text, ok := s.MD5(); ok {
		return text
	}
	if v, ok := s.Verifier(); ok {
		return v.Encode()
	}
	return ""
}

func (k *checker) addSecret(path, user, secret string) {
	if _, err := auth.ParseSecret(secret); err != nil {
		k.fail(path, complaint{what: err.Error(), mend: "a password, md5 and 32 hex digits, or SCRAM-SHA-256$… as pg_authid has it"})
		return
	}
	k.c.loaded.secrets[user] = secret
}

// insideFile reports a mistake in a file that the config names, at its own line.
func (k *checker) insideFile(path, name string, err error) {
	c := complaint{what: fmt.Sprintf("%s: %v", k.resolve(name), err)}
	var p *auth.ParseError
	if errors.As(err, &p) {
		c.what = fmt.Sprintf("%s:%d:%d: %s", k.resolve(name), p.Line, p.Column, p.Problem)
		c.mend = p.Mend
	}
	k.fail(path, c)
}

func (k *checker) readRules() {
	a := &k.c.Auth
	if content, ok := k.readFile("auth.hba_file", a.HBAFile, largestOther); ok {
		hba, err := auth.ParseHBA(content)
		if err != nil {
			k.insideFile("auth.hba_file", a.HBAFile, err)
		}
		k.c.loaded.hba = k.knowHost(hba)
	}
	if content, ok := k.readFile("auth.ident_file", a.IdentFile, largestOther); ok {
		ident, err := auth.ParseIdent(bytes.Clone(content))
		if err != nil {
			k.insideFile("auth.ident_file", a.IdentFile, err)
		}
		k.c.loaded.ident = ident
	}
}

// knowHost tells rules with samehost or samenet this machine's addresses, as
// they are now: a reload reads them again.
func (k *checker) knowHost(hba *auth.HBA) *auth.HBA {
	if hba == nil || !hba.NeedsHost() {
		return hba
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		k.fail("auth.hba_file", complaint{what: fmt.Sprintf("list this machine's addresses: %v", err), mend: "write addresses instead of samehost and samenet"})
		return hba
	}
	own := make([]netip.Prefix, 0, len(addresses))
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p)
		}
	}
	return hba.WithHost(own)
}
