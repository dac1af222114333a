package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spillway/internal/record/event"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir, Region: "us-east-1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// fill appends n events after the log's end; every third is of an incident.
func fill(t *testing.T, s *Store, n int) event.Place {
	t.Helper()
	place, err := s.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := event.Event{ID: fmt.Sprint("e", place.N), Kind: "test.event", At: time.Now(), Body: event.Body(map[string]int{"i": i})}
		if i%3 == 0 {
			e.Incident = "inc/1"
		}
		if place, err = s.Append(t.Context(), e, place); err != nil {
			t.Fatal(err)
		}
	}
	return place
}

func count(t *testing.T, s *Store, w Which) int {
	t.Helper()
	n := 0
	if err := s.Read(t.Context(), w, func(Stored) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func valid(t *testing.T, s *Store) event.Verdict {
	t.Helper()
	v, err := s.Verify(t.Context(), "")
	if err != nil || !v.Valid() {
		t.Fatalf("chain: %+v, %v", v, err)
	}
	return v
}

func TestAppendReadAndOpenAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	place := fill(t, s, 700)
	if got := count(t, s, Which{}); got != 700 {
		t.Errorf("%d events are there", got)
	}
	if got := count(t, s, Which{Incident: "inc/1"}); got != 234 {
		t.Errorf("%d events of the incident are there", got)
	}
	s.Close()
	s = open(t, dir)
	if end, err := s.End(t.Context()); err != nil || end != place {
		t.Errorf("the log ends at %v, not %v: %v", end, place, err)
	}
	fill(t, s, 3)
	if v := valid(t, s); v.Events != 703 || v.Last != 703 {
		t.Errorf("walked %+v", v)
	}
}

func TestSecondOpenIsLocked(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(t.Context(), Config{Dir: dir, Region: "x", Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("a second open answers %v", err)
	}
}

func TestRepeatIsConflict(t *testing.T) {
	s := open(t, t.TempDir())
	e := event.Event{ID: "same", Kind: "test.event", At: time.Now()}
	place, err := s.Append(t.Context(), e, event.Place{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), e, place); !errors.Is(err, ErrConflict) {
		t.Errorf("the same event again answers %v", err)
	}
	if v := valid(t, s); v.Events != 1 {
		t.Errorf("walked %+v", v)
	}
}

func TestUnfitEvent(t *testing.T) {
	s := open(t, t.TempDir())
	var unfit *Unfit
	if _, err := s.Append(t.Context(), event.Event{Kind: "Not a kind"}, event.Place{}); !errors.As(err, &unfit) {
		t.Errorf("an event without a kind answers %v", err)
	}
}

func TestTrim(t *testing.T) {
	s := open(t, t.TempDir())
	fill(t, s, 30)
	between := time.Now()
	place := fill(t, s, 30)
	cut, ok, err := s.PlanTrim(t.Context(), between, 0)
	if err != nil || !ok || cut.Trim.Before != 31 || cut.Trim.Kept != 10 {
		t.Fatalf("plan %+v %v %v", cut, ok, err)
	}
	note := event.Event{ID: "trim", Kind: event.Trimmed, At: time.Now(), Body: event.Body(cut.Trim)}
	if _, err := s.Append(t.Context(), note, place); err != nil {
		t.Fatal(err)
	}
	valid(t, s) // a crash here leaves a valid chain
	if err := s.Trim(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if v := valid(t, s); v.Events != 41 || v.Missing != 20 {
		t.Errorf("walked %+v", v)
	}
	if _, ok, err := s.PlanTrim(t.Context(), between, 0); ok || err != nil {
		t.Errorf("trimming again: %v %v", ok, err)
	}
	if _, ok, err = s.PlanTrim(t.Context(), time.Now().Add(-time.Hour), 1000); !ok || err != nil {
		t.Errorf("a log that is too large is not trimmed: %v %v", ok, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	s, err := Open(context.Background(), Config{Dir: t.TempDir(), Region: "x", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestEditOnDiskIsNoticed: somebody changes a letter of the file. NATS leaves
// out what does not fit its checksums; the chain says that it is missing.
func TestEditOnDiskIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s, 50)
	valid(t, s)
	s.Close()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("blocks: %v %v", blocks, err)
	}
	text, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(text, []byte(`{"i":20}`), []byte(`{"i":99}`), 1)
	if bytes.Equal(edited, text) {
		t.Fatal("the event is not in the file as text")
	}
	if err := os.WriteFile(blocks[0], edited, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	v, err := s.Verify(t.Context(), "")
	if err != nil || v.Valid() {
		t.Errorf("an edit on disk is not noticed: %+v %v", v, err)
	}
}
