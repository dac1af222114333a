package pgtest

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the account that servers run as. PostgreSQL and PgBouncer refuse
// to run as root, so under root it is the distribution's postgres account.
type owner struct {
	cred *syscall.Credential // nil: the account of this process
	name string
}

func serverOwner() (owner, error) {
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return owner{}, fmt.Errorf("look up current user: %w", err)
		}
		return owner{name: u.Username}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return owner{}, fmt.Errorf("look up user postgres (apt-get install -y postgresql creates it): %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return owner{}, fmt.Errorf("parse uid %q: %w", u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return owner{}, fmt.Errorf("parse gid %q: %w", u.Gid, err)
	}
	return owner{cred: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, name: "postgres"}, nil
}

// give makes the owner the owner of path and, for a folder, of all below it.
func (o owner) give(path string) error {
	if o.cred == nil {
		return nil
	}
	return filepath.Walk(path, func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(o.cred.Uid), int(o.cred.Gid))
	})
}

// writeFile writes a file that the owner can read.
func (o owner) writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.WriteFile(path, content, mode); err != nil {
		return err
	}
	return o.give(path)
}

// tempDir makes a short folder (unix socket paths end at 107 bytes) that the
// owner may write and everyone may enter.
func (o owner) tempDir(prefix string) (string, error) {
	dir, err := os.MkdirTemp("/tmp", prefix)
	if err != nil {
		return "", fmt.Errorf("make folder for %s: %w", prefix, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open folder %s: %w", dir, err)
	}
	return dir, o.give(dir)
}
