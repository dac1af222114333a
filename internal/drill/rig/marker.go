package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// root is the known folder of all drills of this account.
func root() string {
	return filepath.Join(os.TempDir(), "spillway-drills-"+strconv.Itoa(os.Geteuid()))
}

// markerName is the file that says what a drill has started.
const markerName = "marker.json"

// marker is a drill's own process, and those it started, the last one last.
type marker struct {
	Drill   stamp   `json:"drill"`
	Started []stamp `json:"started"`
}

// folder is a drill's place for files. Its marker is written before anything
// can be left behind.
type folder struct {
	path string

	mu   sync.Mutex
	mark marker // guarded by mu
}

func newFolder() (*folder, error) {
	if err := ownRoot(); err != nil {
		return nil, err
	}
	self, err := stampOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(root(), "")
	if err != nil {
		return nil, fmt.Errorf("make folder for the drill: %w", err)
	}
	// PostgreSQL's account enters its folder below, and reads nothing here.
	if err := os.Chmod(path, 0o711); err != nil {
		return nil, fmt.Errorf("open folder for the drill: %w", err)
	}
	f := &folder{path: path, mark: marker{Drill: self}}
	return f, f.write()
}

// ownRoot makes the known folder, or holds that it is ours: another account
// could have made it to have us end or remove what we should not.
func ownRoot() error {
	if err := os.Mkdir(root(), 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder for drills: %w", err)
	}
	if !ours(root(), true) {
		return fmt.Errorf("folder %s is not this account's alone: remove it", root())
	}
	return nil
}

// ours tells whether path is what it should be, belongs to this account and
// nobody else may write it.
func ours(path string, dir bool) bool {
	st, err := os.Lstat(path)
	if err != nil || st.IsDir() != dir || !dir && !st.Mode().IsRegular() || st.Mode()&0o022 != 0 {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Geteuid()
}

// add notes a process that must not outlive the drill.
func (f *folder) add(pid int) error {
	s, err := stampOf(pid)
	if err != nil {
		return fmt.Errorf("note process %d: %w", pid, err)
	}
	f.mu.Lock()
	f.mark.Started = append(f.mark.Started, s)
	f.mu.Unlock()
	return f.write()
}

func (f *folder) write() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := json.Marshal(f.mark)
	if err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	part := filepath.Join(f.path, "marker.part")
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	if err := os.Rename(part, filepath.Join(f.path, markerName)); err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	return nil
}

// Sweep ends and removes what drills that died have left, and returns how many
// those were. Drills that run are left alone.
func Sweep() (int, error) {
	if _, err := os.Lstat(root()); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err := ownRoot(); err != nil {
		return 0, err
	}
	left, err := os.ReadDir(root())
	if err != nil {
		return 0, fmt.Errorf("list %s: %w", root(), err)
	}
	n := 0
	var failed error
	for _, entry := range left {
		swept, err := sweepOne(filepath.Join(root(), entry.Name()))
		failed = errors.Join(failed, err)
		if swept {
			n++
		}
	}
	return n, failed
}

// freshFor is how long a folder without a marker may be one that is being made.
const freshFor = time.Minute

func sweepOne(path string) (bool, error) {
	if !ours(path, true) {
		return false, fmt.Errorf("%s is not this account's: remove it", path)
	}
	var mark marker
	file := filepath.Join(path, markerName)
	if ours(file, false) {
		text, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(text, &mark) != nil {
			return false, fmt.Errorf("%s cannot be read: end what runs from %s, then remove it", file, path)
		}
	} else if st, err := os.Stat(path); err != nil || time.Since(st.ModTime()) < freshFor {
		return false, nil
	}
	if mark.Drill.alive() {
		return false, nil
	}
	if err := mark.end(); err != nil {
		return false, err
	}
	if err := os.RemoveAll(path); err != nil {
		return false, fmt.Errorf("remove what a drill left: %w", err)
	}
	return true, nil
}

// leftLimit bounds the wait for the end of what was left.
const leftLimit = 10 * time.Second

// end ends what still runs, the last started first. QUIT makes a postmaster end its children
// too; what does not obey is killed.
func (m *marker) end() error {
	for i := len(m.Started) - 1; i >= 0; i-- {
		s := m.Started[i]
		for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
			if !s.alive() {
				break
			}
			if err := syscall.Kill(s.PID, sig); err != nil {
				return fmt.Errorf("end process %d, left by a drill: %w", s.PID, err)
			}
			for deadline := time.Now().Add(leftLimit / 2); s.alive() && time.Now().Before(deadline); {
				time.Sleep(pollEvery)
			}
		}
		if s.alive() {
			return fmt.Errorf("end process %d, left by a drill: it does not end", s.PID)
		}
	}
	return nil
}

// pollEvery is how often the state of another process is asked for; there is
// no event to wait for.
const pollEvery = 20 * time.Millisecond
