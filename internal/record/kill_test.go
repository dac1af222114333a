package record

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/store"
)

// writerFolder makes this test binary a writer that is going to be killed.
const writerFolder = "SPILLWAY_RECORD_WRITER"

// writeUntilKilled writes events from eight goroutines and prints the number of
// each once it is acknowledged.
func writeUntilKilled(dir string) {
	r := New(configOf(dir))
	_ = r.Start()
	out := make(chan string)
	for g := range 8 {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d.%d.%d", os.Getpid(), g, n)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if r.Note(ctx, time.Now(), "test.load", map[string]string{"text": name}) == nil {
					out <- name
				}
				cancel()
			}
		}()
	}
	for name := range out {
		fmt.Println(name)
	}
}

// TestKillLosesNothing: kill -9 in the middle of a write load, again and again:
// every event that was acknowledged is there, and the chain holds.
// SPILLWAY_RECORD=long runs 200 rounds.
func TestKillLosesNothing(t *testing.T) {
	rounds := 10
	if os.Getenv("SPILLWAY_RECORD") == "long" {
		rounds = 200
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range rounds {
		for _, name := range killedWriter(t, dir, time.Duration(rand.Int64N(int64(150*time.Millisecond)))) {
			acknowledged[name] = true
		}
		if round%10 == 9 {
			checkKilled(t, dir, acknowledged)
		}
	}
	t.Logf("%d rounds, %d events acknowledged", rounds, len(acknowledged))
}

// killedWriter runs a writer, kills it some time after its first event, and
// returns what it said was acknowledged.
func killedWriter(t *testing.T, dir string, after time.Duration) []string {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), writerFolder+"="+dir)
	command.Stderr = os.Stderr
	pipe, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var names []string
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if len(names) == 0 {
			time.AfterFunc(after, func() { _ = command.Process.Kill() })
		}
		names = append(names, lines.Text())
	}
	if command.Wait() == nil {
		t.Fatal("the writer ended by itself")
	}
	if n := len(names); n > 0 && strings.Count(names[n-1], ".") != 2 {
		names = names[:n-1] // cut in the middle of a line
	}
	if len(names) == 0 {
		t.Fatal("the writer wrote nothing")
	}
	return names
}

func checkKilled(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Region: "us-east-1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := s.Verify(t.Context(), "")
	if err != nil || !v.Valid() {
		t.Fatalf("chain: %+v %v", v, err)
	}
	there := map[string]int{}
	err = s.Read(t.Context(), store.Which{}, func(m store.Stored) error {
		e, err := event.Decode(m.Bytes)
		var b struct{ Text string }
		if err == nil {
			err = e.Read(&b)
		}
		there[b.Text]++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range acknowledged {
		if there[name] != 1 {
			t.Errorf("event %s is there %d times", name, there[name])
		}
	}
}
