package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// writePidfile puts this process's id into path, whole or not at all. A file
// left by a process that died, or by the one being taken over, is replaced.
func writePidfile(path string) error {
	content := []byte(strconv.Itoa(os.Getpid()) + "\n")
	temporary := path + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return fmt.Errorf("write pidfile: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(fmt.Errorf("write pidfile: %w", err), os.Remove(temporary))
	}
	return nil
}

// removePidfile removes path if it still names this process: the process that
// took over has written its own.
func removePidfile(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read pidfile: %w", err)
	}
	if strings.TrimSpace(string(content)) != strconv.Itoa(os.Getpid()) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove pidfile: %w", err)
	}
	return nil
}
