package pgtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"spillway/internal/machine"
)

// template returns a data folder made by initdb, to be copied. It is made once
// per PostgreSQL version and account and kept for later test binaries: initdb
// costs a second or more, a copy some 50 ms.
func template(as machine.Owner) (string, error) {
	initdb, err := Binary("initdb")
	if err != nil {
		return "", err
	}
	version, err := run(command{path: initdb, args: []string{"--version"}})
	if err != nil {
		return "", err
	}
	root := filepath.Join("/tmp", fmt.Sprintf("spillway-pgtest-%s-%s", as.Name, versionWord(version)))
	return makeOnce(root, func(dir string) error {
		if err := as.Give(filepath.Dir(dir)); err != nil {
			return err
		}
		_, err := run(command{path: initdb, as: as, args: []string{
			"-D", dir, "-U", "postgres", "-A", "trust", "-E", "UTF8",
			"--locale=C.UTF-8", "--no-sync",
		}})
		return err
	})
}

// makeOnce makes root/ready by fill, once among all processes: a file lock
// holds off the others, a rename publishes the result whole or not at all.
func makeOnce(root string, fill func(dir string) error) (string, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("make template folder: %w", err)
	}
	lock, err := lockFolder(root)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	ready := filepath.Join(root, "ready")
	if _, err := os.Stat(ready); err == nil {
		return ready, nil
	}
	making := filepath.Join(root, "making")
	if err := os.RemoveAll(making); err != nil {
		return "", fmt.Errorf("clear template: %w", err)
	}
	if err := fill(making); err != nil {
		return "", errors.Join(fmt.Errorf("make template: %w", err), os.RemoveAll(making))
	}
	if err := os.Rename(making, ready); err != nil {
		return "", fmt.Errorf("publish template: %w", err)
	}
	return ready, nil
}

// lockFolder holds off all other processes that lock the folder until the
// caller closes what it returns.
func lockFolder(dir string) (io.Closer, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder to lock it: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock folder %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// versionWord turns "initdb (PostgreSQL) 15.18 (Debian ...)" into "15.18".
func versionWord(s string) string {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			end := i
			for end < len(s) && (s[end] == '.' || s[end] >= '0' && s[end] <= '9') {
				end++
			}
			return s[i:end]
		}
	}
	return "unknown"
}
