package act

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDiskHangs: a pause is in force, and lists can be read, while the disk does
// not answer.
func TestDiskHangs(t *testing.T) {
	folder := t.TempDir()
	b := newBench(t, filepath.Join(folder, "actions.json"))
	// A pipe that nobody reads: opening it for writing waits.
	pipe := filepath.Join(folder, "actions.json.new")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a := b.must(t, Order{Kind: Pause, Workload: "batch"})
	if a.State != Stands || len(b.Standing().Pauses) != 1 || !strings.Contains(strings.Join(a.Notes, ""), "not kept on disk") {
		t.Errorf("got %+v", a)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if len(b.List()) != 1 || len(b.Counts()) != 1 {
		t.Error("lists cannot be read")
	}
	reader, err := os.Open(pipe) // the disk answers again
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b.end(t)
}

// TestAfterStop: nothing begins any more, and a second Stop is as the first.
func TestAfterStop(t *testing.T) {
	b := newBench(t, "")
	b.end(t)
	b.refused(t, boss, Order{Kind: Pause, Workload: "batch"}, Conflict)
	b.Hear(Finding{Detector: "storm"})
	b.end(t)
}

// TestCommandsLeaveRoom: hanging commands of the runbook do not keep anybody from a kill.
func TestCommandsLeaveRoom(t *testing.T) {
	b := open(t)
	b.rules.Commands["hang"] = &Command{Argv: []string{"sleep", "60"}, Timeout: time.Minute, Role: Operator}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, maxUnderway)
	for range maxUnderway {
		go func() {
			_, err := b.Do(ctx, boss, Order{Kind: Run, Command: "hang"})
			done <- err
		}()
	}
	for range maxUnderway - maxRuns {
		var refusal *Refusal
		if err := <-done; !errors.As(err, &refusal) || refusal.Why != Conflict {
			t.Errorf("one too many: %v", err)
		}
	}
	b.must(t, Order{Kind: Kill, Select: Selection{Workload: "batch"}})
	b.stop() // ends the commands
	for range maxRuns {
		if err := <-done; err == nil {
			t.Error("a command went on to its end")
		}
	}
}
