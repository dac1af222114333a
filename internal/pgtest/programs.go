package pgtest

import (
	"fmt"
	"os"

	"spillway/internal/machine"
)

// Binary returns the full path of a PostgreSQL program such as initdb or
// pgbench. The newest installed major version wins, then PATH.
func Binary(name string) (string, error) { return machine.Postgres(name) }

// Program returns the full path of any program, looking in PATH and the
// system folders that PATH may lack. The error names the apt package.
func Program(name, aptPackage string) (string, error) { return machine.Program(name, aptPackage) }

// tempDir makes a short folder (unix socket paths end at 107 bytes) that the
// owner may write and everyone may enter.
func tempDir(o machine.Owner, prefix string) (string, error) {
	dir, err := os.MkdirTemp("/tmp", prefix)
	if err != nil {
		return "", fmt.Errorf("make folder for %s: %w", prefix, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open folder %s: %w", dir, err)
	}
	return dir, o.Give(dir)
}
