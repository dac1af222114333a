package machine

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// serverDirs matches the folders where distributions put the server programs.
const serverDirs = "/usr/lib/postgresql/*/bin"

// Postgres returns the full path of a PostgreSQL program such as initdb or
// pgbench. The newest installed major version wins, then PATH.
func Postgres(name string) (string, error) {
	dirs, err := filepath.Glob(serverDirs)
	if err != nil {
		return "", fmt.Errorf("list %s: %w", serverDirs, err)
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return Program(name, "postgresql")
}

// Program returns the full path of any program, looking in PATH and the
// system folders that PATH may lack. The error names the apt package.
func Program(name, aptPackage string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: not installed; run: apt-get install -y %s", name, aptPackage)
}

// major reads the version from /usr/lib/postgresql/15/bin; 0 if there is none.
func major(binDir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(binDir)))
	if err != nil {
		return 0
	}
	return n
}
