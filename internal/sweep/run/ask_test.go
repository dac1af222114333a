package run

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

// TestPauseResumeCancel: what is wanted holds after the batch under way, from
// another session, and a resumed sweep goes on where it was.
func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 60_000, 96)
	want := survivors(t, s, "NOT "+doomed)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{Rate: 6000})
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })
	if _, err := Ask(t.Context(), conn, id, WantPause); err != nil {
		t.Fatal(err)
	}
	<-a.done
	if a.err != nil || a.got.Phase != Paused {
		t.Fatalf("ended %+v, %v", a.got, a.err)
	}
	row, err := Read(t.Context(), conn, id)
	if err != nil || row.Phase != Paused || row.Deleted != a.got.Deleted || row.Alive || row.Cursor.Page == 0 {
		t.Errorf("paused row %+v, %v", row, err)
	}
	if _, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{}), plan.Order{Table: "sessions", Where: doomed}, Options{}); err == nil || !strings.Contains(err.Error(), "is paused") {
		t.Errorf("a second sweep of a table with a paused one: %v", err)
	}
	b := launch(t, c, id)
	b.until("rows go on", func(p Progress) bool { return p.Deleted > row.Deleted })
	<-b.done
	if b.err != nil || b.got.Phase != Done {
		t.Fatalf("ended %+v, %v", b.got, b.err)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
	if _, err := Ask(t.Context(), conn, id, WantPause); !errors.Is(err, ErrOver) {
		t.Errorf("pause of what is done: %v", err)
	}
	seed(t, s, 60_000, 96)
	c, id = begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{Rate: 6000})
	a = launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })
	if _, err := Ask(t.Context(), conn, id, WantCancel); err != nil {
		t.Fatal(err)
	}
	<-a.done
	if a.err != nil || a.got.Phase != Cancelled {
		t.Errorf("ended %+v, %v", a.got, a.err)
	}
	if _, err := Run(t.Context(), c, id); !errors.Is(err, ErrOver) {
		t.Errorf("run of what is cancelled: %v", err)
	}
}

// TestTwoRunners: of two, one works and the other is told who does.
func TestTwoRunners(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 80_000, 96)
	want := survivors(t, s, "NOT "+doomed)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{Rate: 10_000})
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })
	if _, err := Run(t.Context(), c, id); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "spillway sweep") {
		t.Errorf("a second runner: %v", err)
	}
	// Its lock lost without its noticing, the first one must not commit again.
	s.Exec(t, "UPDATE spillway.sweep SET fence = fence + 1")
	<-a.done
	if !errors.Is(a.err, ErrFenced) {
		t.Errorf("fenced runner: %v", a.err)
	}
	b := launch(t, c, id)
	<-b.done
	if b.err != nil {
		t.Fatal(b.err)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
}

// TestBeginTogether: of many who begin at once one is let.
func TestBeginTogether(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 1000, 50)
	var all sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		all.Go(func() {
			_, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{}), plan.Order{Table: "sessions", Where: doomed}, Options{})
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	begun := 0
	for err := range errs {
		var refusal *target.Refusal
		switch {
		case err == nil:
			begun++
		case !errors.As(err, &refusal):
			t.Error(err)
		}
	}
	if begun != 1 {
		t.Errorf("%d sweeps of one table begun", begun)
	}
}

// TestLockedRows: rows that others hold are left out, and visited again.
func TestLockedRows(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 5000, 100)
	other := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := other.Exec(t.Context(), "BEGIN; SELECT 1 FROM sessions WHERE id IN (10, 2000, 4999) FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{})
	a := launch(t, c, id)
	a.until("all others are gone", func(p Progress) bool { return p.Deleted == 4997 })
	if _, err := other.Exec(t.Context(), "UPDATE sessions SET expires_at = now() + interval '1 day' WHERE id = 2000; COMMIT"); err != nil {
		t.Fatal(err)
	}
	<-a.done
	if a.err != nil || a.got.Deleted != 4999 {
		t.Errorf("%+v, %v", a.got, a.err)
	}
	if left := s.Value(t, "SELECT string_agg(id::text, ',') FROM sessions"); left != "2000" {
		t.Errorf("left: %s", left)
	}
}

// TestRewrittenMeanwhile: a VACUUM FULL moves every row; none is missed.
func TestRewrittenMeanwhile(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 60_000, 50)
	want := survivors(t, s, "NOT "+doomed)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed, Strategy: plan.TID}, Options{Rate: 8000})
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Cursor.Page > 50 })
	s.Exec(t, "VACUUM FULL sessions")
	<-a.done
	if a.err != nil || a.got.Phase != Done {
		t.Fatalf("%+v, %v", a.got, a.err)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
}

// TestHours: outside its window a sweep waits, and says when it opens; after its
// deadline it pauses, to be taken up again.
func TestHours(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 20_000, 96)
	now := time.Now().UTC()
	shut := now.Add(2*time.Hour).Format("15:04") + "-" + now.Add(3*time.Hour).Format("15:04")
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{Window: shut})
	a := launch(t, c, id)
	a.until("it waits", func(p Progress) bool { return strings.Contains(p.Brake, "window: opens at "+shut[:5]+" UTC") })
	a.stands(s, id)
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := Ask(t.Context(), conn, id, WantCancel); err != nil {
		t.Fatal(err)
	}
	<-a.done
	if a.err != nil || a.got.Phase != Cancelled || a.got.Deleted != 0 {
		t.Errorf("%+v, %v", a.got, a.err)
	}
	c, id = begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{Deadline: 5 * time.Second, Rate: 1000})
	got, err := Run(t.Context(), c, id)
	if err != nil || got.Phase != Paused || !strings.Contains(got.Reason, "deadline of 5s") || got.Deleted == 0 || got.Deleted > 15_000 {
		t.Errorf("%+v, %v", got, err)
	}
}
