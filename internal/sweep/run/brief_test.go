package run

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/brake"
	"spillway/internal/sweep/plan"
)

// TestBrief: a batch of one statement counts what it deletes, reads what is
// wanted in this moment, and takes everything back where the fence has been
// raised, the table was rewritten or a row is locked, be it while it runs.
func TestBrief(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	for _, test := range []struct {
		name, before string
		during       string // committed while the batch waits for it
		want, err    error
	}{
		{name: "nothing happens"},
		{name: "pause", during: "UPDATE spillway.sweep SET want = 'pause'", want: errPause},
		{name: "another runner before", before: "UPDATE spillway.sweep SET fence = fence + 1", err: ErrFenced},
		{name: "another runner meanwhile", during: "UPDATE spillway.sweep SET fence = fence + 1", err: ErrFenced},
		{name: "rewritten", before: "VACUUM FULL sessions", err: errMoved},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.Exec(t, "DROP SCHEMA IF EXISTS spillway CASCADE")
			seed(t, s, 2000, 90)
			c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed, Strategy: plan.TID}, Options{})
			r := &runner{config: c, started: time.Now()}
			defer r.close()
			b := firstPage(t, r, id)
			before, doomedBefore := survivors(t, s, "true"), s.Value(t, "SELECT count(*) FROM sessions WHERE ctid < '(1,0)' AND "+doomed)
			if test.before != "" {
				s.Exec(t, test.before)
			}
			commit := func() {}
			if test.during != "" {
				commit = meanwhile(t, s, test.during)
			}
			type result struct {
				deleted int64
				err     error
			}
			ended := make(chan result, 1)
			go func() {
				n, err := r.attempt(context.Background(), b)
				ended <- result{n, err}
			}()
			commit()
			got := <-ended
			if r.briefs != 1 && test.err == nil {
				t.Error("not in one statement")
			}
			if !errors.Is(got.err, test.err) || !errors.Is(b.want, test.want) {
				t.Fatalf("ended %v, wanted %v", got.err, b.want)
			}
			if test.err != nil {
				if after := survivors(t, s, "true"); after != before {
					t.Errorf("%s rows before, %s after an error", before, after)
				}
				return
			}
			row, err := Read(t.Context(), r.session.conn, id)
			if err != nil || row.Deleted != got.deleted || row.Batches != 1 || row.Cursor.Page != 1 || strconv.FormatInt(got.deleted, 10) != doomedBefore {
				t.Errorf("%d deleted of %s, row %+v, %v", got.deleted, doomedBefore, row, err)
			}
			if n := s.Value(t, "SELECT count(*) FROM sessions WHERE ctid < '(1,0)' AND "+doomed); n != "0" {
				t.Errorf("%s doomed rows left in the page", n)
			}
		})
	}
}

// firstPage takes a sweep up and returns its first page as a batch.
func firstPage(t *testing.T, r *runner, id int64) *batch {
	t.Helper()
	err := r.begin(t.Context(), id)
	if err == nil {
		err = r.outfit()
	}
	if err == nil {
		_, err = r.session.conn.Exec(t.Context(), "SET lock_timeout = 0") // the test decides how long it waits
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.span.To, b.after.Page, b.looked = 1, 1, 60
	r.trip = time.Millisecond
	return b
}

// meanwhile runs sql; the function returned commits it when somebody waits for it.
func meanwhile(t *testing.T, s *pgtest.Server, sql string) func() {
	t.Helper()
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := conn.Exec(t.Context(), "BEGIN; "+sql); err != nil {
		t.Fatal(err)
	}
	return func() {
		for end := time.Now().Add(time.Minute); s.Value(t, "SELECT count(*) FROM pg_locks WHERE NOT granted") == "0"; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nobody waits")
			}
		}
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
	}
}

// busyProxy is a proxy whose clients hold two servers, one, none, and again.
type busyProxy struct {
	asked, gaps atomic.Int64
}

func (p *busyProxy) Sight(context.Context) (brake.Sight, error) {
	return brake.Sight{Bounds: []float64{1}, Counts: make([]uint64, 2)}, nil
}

func (p *busyProxy) Held() int {
	held := int(2 - (p.asked.Add(1)-1)%3)
	if held == 0 {
		p.gaps.Add(1)
	}
	return held
}

// TestBatchesInGaps: beside others batches begin where clients hold no server,
// and alone nobody is asked.
func TestBatchesInGaps(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	for _, others := range []int{0, 1} {
		s.Exec(t, "DROP SCHEMA IF EXISTS spillway CASCADE")
		seed(t, s, 20_000, 90)
		left := survivors(t, s, "NOT ("+doomed+")")
		c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed, Strategy: plan.TID}, Options{Share: 0.5})
		proxy := new(busyProxy)
		c.Traffic = proxy
		leave := func() {}
		if others > 0 {
			leave = newCrowd(t, s, others).leave
		}
		done, err := Run(t.Context(), c, id)
		leave()
		if err != nil || done.Phase != Done {
			t.Fatalf("%d others: ended %+v, %v", others, done, err)
		}
		if after := survivors(t, s, "true"); after != left {
			t.Errorf("%d others: %s rows left, %s were to be", others, after, left)
		}
		if gaps := proxy.gaps.Load(); gaps > 0 != (others > 0) {
			t.Errorf("%d others: %d gaps were found for %d batches", others, gaps, done.Batches)
		}
	}
}
