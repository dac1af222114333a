package drill

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/internal/drill/rig"
)

// ownTemp gives drills of this test a folder of its own that PostgreSQL's
// account can enter.
func ownTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sdt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return dir
}

// stopper acts in a phase of a drill.
type stopper struct {
	deaf
	side, what string
	act        func()
}

func (s stopper) Phase(p Phase) {
	if p.Side == s.side && p.What == s.what {
		s.act()
	}
}

// nothingLeft fails when a folder has files, or a process of a drill in it runs.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left: %s", entry.Name())
	}
	titles, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range titles {
		if text, err := os.ReadFile(title); err == nil && strings.Contains(string(text), dir) {
			t.Errorf("still runs: %s", strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
}

// TestInterrupted: wherever a drill is stopped, nothing of it stays.
func TestInterrupted(t *testing.T) {
	dir := ownTemp(t)
	d, _ := Find("leak")
	for _, at := range []stopper{{side: "", what: "making a PostgreSQL and its tables"}, {side: "guarded", what: "fault"}} {
		ctx, stop := context.WithCancel(t.Context())
		at.act = stop
		_, err := Run(ctx, d, Options{Scale: LeastScale, Binary: binary(t), Watch: at})
		stop()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped at %s %s: %v", at.side, at.what, err)
		}
		nothingLeft(t, dir)
	}
}

// victimEnv makes a process of this test binary run a drill and say so.
const victimEnv = "SPILLWAY_DRILL_VICTIM"

// TestVictim is not a test by itself: TestKilled kills the process it runs in.
func TestVictim(t *testing.T) {
	ready := os.Getenv(victimEnv)
	if ready == "" {
		return // only TestKilled means it
	}
	d, _ := Find("leak")
	tell := func() {
		if err := os.WriteFile(ready, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	_, _ = Run(t.Context(), d, Options{Scale: 1, Watch: stopper{side: "bare", what: "fault", act: tell}})
}

// TestKilled: what a killed drill leaves is found and removed by the next one;
// that of a living one is not touched.
func TestKilled(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	dir := ownTemp(t)
	victim := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	victim.Env = append(os.Environ(), victimEnv+"="+ready)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = victim.Process.Kill(), victim.Wait() }) // no harm when it is dead
	deadline := time.Now().Add(5 * time.Minute)
	for {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the drill did not begin")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n, err := rig.Sweep(); n != 0 || err != nil {
		t.Errorf("a living drill was swept up: %d, %v", n, err)
	}
	if err := victim.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if n, err := rig.Sweep(); n != 1 || err != nil {
		t.Errorf("swept up %d, %v; want 1", n, err)
	}
	for _, entry := range []string{"spillway-drills-"} { // the known folder itself may stay, empty
		found, _ := filepath.Glob(filepath.Join(dir, entry+"*"))
		for _, path := range found {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
	nothingLeft(t, dir)
}
