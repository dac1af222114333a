package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// meter reads the CPU time of PostgreSQL, all its processes past and present
// together, from a control group of their own.
type meter struct {
	dir string // the control group
}

// newMeter puts the postmaster and its children into a new control group;
// backends to come inherit it.
func newMeter(postmaster int) (*meter, error) {
	root, err := cgroupRoot()
	if err != nil {
		return nil, err
	}
	m := &meter{dir: filepath.Join(root, fmt.Sprintf("spillway-bench-%d", os.Getpid()))}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make control group (run as root): %w", err)
	}
	for _, pid := range append(children(postmaster), postmaster) {
		if err := os.WriteFile(filepath.Join(m.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return nil, errors.Join(fmt.Errorf("move process into control group: %w", err), m.close())
		}
	}
	_, err = m.cpu()
	return m, err
}

// cgroupRoot finds where version 2 of control groups is mounted.
func cgroupRoot() (string, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "", fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) > 2 && w[2] == "cgroup2" {
			return w[1], nil
		}
	}
	return "", errors.New("find cgroup2: not mounted")
}

// children returns the processes whose parent is pid.
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var all []int
	for _, w := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(w); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// cpu returns what PostgreSQL has used since the meter began.
func (m *meter) cpu() (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(m.dir, "cpu.stat"))
	if err != nil {
		return 0, fmt.Errorf("read control group: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("parse control group's usage: %w", err)
			}
			return time.Duration(n) * time.Microsecond, nil
		}
	}
	return 0, errors.New("read control group: no usage_usec")
}

// close removes the control group; its processes must be gone. The kernel
// takes a moment to reap them.
func (m *meter) close() error {
	var err error
	for range 100 {
		if err = os.Remove(m.dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove control group: %w", err)
}

// processCPU returns the CPU time of a process over all its threads, those
// that ended too, from the kernel's per-process clock (nanoseconds).
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED; the rest of the id is the inverted pid
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// usage is the CPU used by the pooler and by PostgreSQL up to a moment.
type usage struct {
	at               time.Time
	pooler, database time.Duration
}

func (r *rig) usage(p *contender) (usage, error) {
	u := usage{at: time.Now()}
	var err error
	if p.Proxy != nil {
		if u.pooler, err = processCPU(p.PID()); err != nil {
			return u, err
		}
	}
	u.database, err = r.meter.cpu()
	return u, err
}

// perTransaction fills in the CPU figures of n transactions between two moments.
func (s *Sample) perTransaction(from, to usage, n float64) {
	if n <= 0 {
		return
	}
	pooler := to.pooler - from.pooler
	s.PoolerUS = float64(pooler.Nanoseconds()) / 1e3 / n
	s.TotalUS = float64((pooler + to.database - from.database).Nanoseconds()) / 1e3 / n
}
