package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// processes is how many compete in TestProcesses; SPILLWAY_JOB_PROCESSES=1000
// is the full size.
func processes(t *testing.T) int {
	n, err := strconv.Atoi(cmpOr(os.Getenv("SPILLWAY_JOB_PROCESSES"), "60"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func cmpOr(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// command is `spillway job run` as its own process.
func command(t *testing.T, s *pgtest.Server, args ...string) *exec.Cmd {
	t.Helper()
	path, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), path, append([]string{"job", "run", "--url", s.URL(pgtest.Login{}), "--patience", "5m"}, args...)...)
}

// TestProcesses: of many processes that start at once one runs.
func TestProcesses(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}})
	dir := t.TempDir()
	// A second one beside the first would find its folder.
	script := fmt.Sprintf("mkdir %[1]s/alone || : >%[1]s/two; trap 'rmdir %[1]s/alone; exit 1' TERM; echo $$ >>%[1]s/ran; while [ ! -e %[1]s/gate ]; do sleep 0.05; done; rmdir %[1]s/alone", dir)
	n := processes(t)
	codes := make(chan int, n)
	var all sync.WaitGroup
	for range n {
		cmd := command(t, s, "--name", "crowd", "--", "sh", "-c", script)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			code := exitOf(cmd.Wait())
			if code != 0 && code != ExitSkipped {
				t.Logf("one said %s", errs.String())
			}
			codes <- code
		})
	}
	for range n - 1 {
		if code := <-codes; code != ExitSkipped {
			t.Errorf("a loser's exit code is %d", code)
		}
	}
	write(t, filepath.Join(dir, "gate"))
	all.Wait()
	if code := <-codes; code != 0 {
		t.Errorf("the winner's exit code is %d", code)
	}
	if ran, err := os.ReadFile(filepath.Join(dir, "ran")); err != nil || strings.Count(string(ran), "\n") != 1 {
		t.Errorf("ran %q, %v", ran, err)
	}
	if there(filepath.Join(dir, "two"))() {
		t.Error("two ran at once")
	}
}

func exitOf(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// TestHolderKilled: another takes over from a holder that was killed, after
// the lease; the dead one's processes and statements are gone by then.
func TestHolderKilled(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	first := command(t, s, "--name", "heir", "--", "sh", "-c", "echo $$ >"+pid+".new; mv "+pid+".new "+pid+"; "+psql(s, "SELECT pg_sleep(1000)")+" & "+psql(s, "SELECT pg_sleep(1000)")+" & sleep 1000 & wait")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its statement runs", func() bool { return there(pid)() && running(t, s, "heir") == "2" })
	second := command(t, s, "--name", "heir", "--overlap", "queue", "--", "sh", "-c", ": >"+dir+"/heir")
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second waits", func() bool { return s.Value(t, "SELECT count(*) FROM spillway.job_wait") == "1" })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := first.Wait(); err == nil {
		t.Error("the first ended well")
	}
	eventually(t, "the second runs", there(filepath.Join(dir, "heir")))
	t.Logf("taken over %v after the kill", time.Since(killed).Round(10*time.Millisecond))
	if err := second.Wait(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if left := alive(t, child); len(left) > 0 {
		t.Errorf("of the dead holder's processes there are %v", left)
	}
	if n := running(t, s, "heir"); n != "0" {
		t.Errorf("%s statements left", n)
	}
	if how := s.Value(t, "SELECT how FROM spillway.job_run WHERE name = 'heir' AND token = 1"); how != string(Lost) {
		t.Errorf("the first ended as %s", how)
	}
}

// alive are the processes of a group that are not zombies: those are dead and
// only wait for a parent, and who inherits them may be slow.
func alive(t *testing.T, group int) (left []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state parent group …
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if fields[2] == strconv.Itoa(group) && fields[0] != "Z" {
			left = append(left, string(stat))
		}
	}
	return left
}
