package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spillway/internal/record/incident"
)

// fullFolder makes this test binary a process whose files may not grow.
const fullFolder = "SPILLWAY_RECORD_FULL"

// TestFullDisk: a log that cannot grow is a finding, costs nobody who tells
// something any time, and is written on by itself when it can be. The process is
// one of its own, for its limit on files holds for all of it.
func TestFullDisk(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), fullFolder+"="+t.TempDir())
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all is well") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// limitFiles bounds how large files of this process may be.
func limitFiles(bytes uint64) error {
	var have unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &have); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: have.Max})
}

// fillDisk is what the process of TestFullDisk does.
func fillDisk(dir string) error {
	signal.Ignore(unix.SIGXFSZ)
	var mu sync.Mutex
	var told []incident.Finding
	c := configOf(dir)
	c.Found = func(f incident.Finding) { mu.Lock(); told = append(told, f); mu.Unlock() }
	last := func() incident.Finding {
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			return incident.Finding{}
		}
		return told[len(told)-1]
	}
	r := New(c)
	_ = r.Start()
	if err := limitFiles(256 << 10); err != nil {
		return err
	}
	written, slowest, err := noteUntilFull(r)
	if err != nil {
		return err
	}
	if err := wait("the finding", func() bool { return last().Key == logKey && !last().Cleared }); err != nil {
		return err
	}
	fmt.Printf("%d events written, then: %s\n", written, last().Summary)
	// The region goes on: an incident opens although it cannot be recorded.
	r.Told(leak(incident.Page))
	if len(r.List()) != 1 {
		return errors.New("no incident while the log is away")
	}
	if err := limitFiles(unix.RLIM_INFINITY); err != nil {
		return err
	}
	if err := wait("the log is written again", func() bool { return r.State().Waiting == 0 && last().Cleared }); err != nil {
		return err
	}
	v, err := r.Verify(context.Background(), "")
	if err != nil || !v.Valid() || v.Events < uint64(written) {
		return fmt.Errorf("chain: %+v %w", v, err)
	}
	if i, err := r.Show(context.Background(), "last"); err != nil || len(i.Timeline) == 0 {
		return fmt.Errorf("the incident: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Printf("%d events in the chain, slowest note that did not wait %v\nall is well\n", v.Events, slowest)
	return r.Stop(ctx)
}

// noteUntilFull writes until an event that was waited for is refused, then some
// without waiting, and returns how long the slowest of those took.
func noteUntilFull(r *Record) (written int, slowest time.Duration, err error) {
	body := strings.Repeat("x", 8000)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := r.Note(ctx, time.Now(), "test.load", body)
		cancel()
		if errors.Is(err, ErrUnwritten) {
			break
		}
		if err != nil || written > 1000 {
			return written, 0, fmt.Errorf("event %d: %w", written, err)
		}
		written++
	}
	for range 100 {
		began := time.Now()
		if err := r.Note(context.Background(), time.Now(), "test.load", body); err != nil {
			return written, 0, err
		}
		slowest = max(slowest, time.Since(began))
	}
	return written, slowest, nil
}

func wait(what string, holds func() bool) error {
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within 2 min", what)
		}
	}
	return nil
}
