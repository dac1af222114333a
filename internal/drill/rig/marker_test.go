package rig

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// markedFolder is what a dead drill could have left, with the marker given.
func markedFolder(t *testing.T, m marker) string {
	t.Helper()
	if err := ownRoot(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root(), "left")
	if err := os.Mkdir(path, 0o711); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, markerName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func self(t *testing.T) stamp {
	t.Helper()
	s, err := stampOf(os.Getpid())
	if err != nil || !s.alive() {
		t.Fatalf("own stamp %v, %v", s, err)
	}
	return s
}

// TestSweepEndsOnlyTheSameProcess: a process that has got an id of old is
// another one, and lives on.
func TestSweepEndsOnlyTheSameProcess(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left, other := exec.Command("sleep", "60"), exec.Command("sleep", "60")
	for _, c := range []*exec.Cmd{left, other} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = left.Wait() }()
	meant, err := stampOf(left.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	reused, err := stampOf(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	reused.Start--
	dead := self(t)
	dead.Start--
	path := markedFolder(t, marker{Drill: dead, Started: []stamp{meant, reused}})
	if n, err := Sweep(); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	<-ended
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the folder stays: %v", err)
	}
	if s, err := stampOf(other.Process.Pid); err != nil || !s.alive() {
		t.Error("a process that only has the id was ended")
	}
	_ = other.Process.Kill()
	_ = other.Wait()
}

func TestSweepLeavesTheLivingAlone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := markedFolder(t, marker{Drill: self(t)})
	if n, err := Sweep(); n != 0 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestSweepTrustsOnlyItsOwn: what others could have written is not obeyed.
func TestSweepTrustsOnlyItsOwn(t *testing.T) {
	dead := self(t)
	dead.Start--
	for name, spoil := range map[string]func(folder string) error{
		"others may write the root":   func(string) error { return os.Chmod(root(), 0o777) },
		"others may write the folder": func(folder string) error { return os.Chmod(folder, 0o777) },
		"others may write the marker": func(folder string) error { return os.Chmod(filepath.Join(folder, markerName), 0o666) },
		"no JSON": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, markerName), []byte("{"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			path := markedFolder(t, marker{Drill: dead})
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			if n, _ := Sweep(); n != 0 {
				t.Errorf("swept %d", n)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLinesAreCutAndBounded(t *testing.T) {
	var told []string
	l := &lines{tell: func(line string) { told = append(told, line) }}
	for _, part := range []string{"one\ntw", "o\n", "\n", string(make([]byte, 2*maxLine)), "\nlast"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.end()
	if len(told) != 5 || told[0] != "one" || told[1] != "two" || told[2] != "" || len(told[3]) > maxLine || told[4] != "last" {
		t.Errorf("told %d lines: %.40q", len(told), told)
	}
}
