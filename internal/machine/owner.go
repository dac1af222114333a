package machine

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Owner is the account that servers run as. PostgreSQL and PgBouncer refuse
// to run as root, so under root it is the distribution's postgres account.
type Owner struct {
	Credential *syscall.Credential // nil: the account of this process
	Name       string
}

// ServerOwner finds the account.
func ServerOwner() (Owner, error) {
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return Owner{}, fmt.Errorf("look up current user: %w", err)
		}
		return Owner{Name: u.Username}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return Owner{}, fmt.Errorf("look up user postgres (apt-get install -y postgresql creates it): %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return Owner{}, fmt.Errorf("parse uid %q: %w", u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return Owner{}, fmt.Errorf("parse gid %q: %w", u.Gid, err)
	}
	return Owner{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Name: "postgres"}, nil
}

// Give makes the owner the owner of path and, for a folder, of all below it.
func (o Owner) Give(path string) error {
	if o.Credential == nil {
		return nil
	}
	return filepath.Walk(path, func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(o.Credential.Uid), int(o.Credential.Gid))
	})
}

// WriteFile writes a file that the owner can read.
func (o Owner) WriteFile(path string, content []byte, mode os.FileMode) error {
	if err := os.WriteFile(path, content, mode); err != nil {
		return err
	}
	return o.Give(path)
}
