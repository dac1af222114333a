package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/brake"
)

// loop runs until the work is done (nil) or something ends it.
func (r *runner) loop(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return errStop
		}
		if d := r.sweep.Job.Options.Deadline; d > 0 && time.Since(r.started) > d {
			return fmt.Errorf("its deadline of %s has passed: %w", d, errPause)
		}
		verdict, fresh := r.watch.Verdict()
		if wait := r.pace.Obey(verdict, time.Now()); wait > 0 || r.closed() {
			if err := r.hold(ctx, verdict, wait, fresh); err != nil {
				return err
			}
			continue
		}
		r.braked(verdict)
		done, rest, err := r.step(ctx)
		if err == nil && done {
			return nil
		}
		if err == nil {
			err = r.rest(ctx, rest)
		} else {
			err = r.mend(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// closed says whether the window is shut now.
func (r *runner) closed() bool {
	r.shut = !r.window.Open(time.Now())
	return r.shut
}

// deadNetwork is how much longer than the server allows itself an answer may take.
const deadNetwork = 30 * time.Second

// poll is how often a sweep that waits asks what is wanted of it.
// A window may be shut for most of the day: no need to write so often then.
const poll, shutPoll = 250 * time.Millisecond, 2 * time.Second

// hold waits for a brake or the window.
func (r *runner) hold(ctx context.Context, v brake.Verdict, wait time.Duration, fresh <-chan struct{}) error {
	if r.shut {
		v = brake.Verdict{Level: brake.Hard, Readings: []brake.Reading{{Name: "window", Level: brake.Hard, Text: "opens at " + r.window.Opens(time.Now()).Format("15:04 MST")}}}
		wait, fresh = shutPoll, nil
	} else {
		wait = min(max(wait, time.Millisecond), poll)
	}
	r.braked(v)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-fresh:
	case <-ctx.Done():
		return errStop
	}
	return r.wanted(ctx)
}

// rest waits between batches. A long rest is one in which to listen.
func (r *runner) rest(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(left, poll)); err != nil {
			return errStop
		}
		if left > poll {
			if err := r.wanted(ctx); err != nil {
				return err
			}
			if v, _ := r.watch.Verdict(); v.Level == brake.Hard {
				return nil // the loop holds
			}
		}
	}
}

// wanted reads what a person wants while no batch does, and says that the
// runner lives.
func (r *runner) wanted(ctx context.Context) error {
	if time.Since(r.saved) < poll {
		return nil
	}
	var want Want
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadNetwork)
	defer cancel()
	err := r.session.conn.QueryRow(asking, `UPDATE spillway.sweep SET beat = clock_timestamp(), brake = $3 WHERE id = $1 AND fence = $2 RETURNING want`,
		r.sweep.ID, r.sweep.Fence, r.sweep.Brake).Scan(&want)
	r.saved = time.Now()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrFenced
	case err != nil:
		return r.mend(ctx, err)
	}
	r.tell(false)
	return obey(want)
}

func obey(want Want) error {
	switch want {
	case WantPause:
		return errPause
	case WantCancel:
		return errCancel
	case WantRun:
	}
	return nil
}

// braked takes note of what holds the sweep.
func (r *runner) braked(v brake.Verdict) {
	r.sweep.Brake = v.String()
	if v.Level != r.level {
		r.level = v.Level
		r.note("sweep.braked", map[string]any{"level": v.Level.String(), "brakes": v.Readings})
		r.tell(true)
	}
}

// step runs one batch. done is true when nothing is left.
func (r *runner) step(ctx context.Context) (done bool, rest time.Duration, err error) {
	// What is under way is finished even when the run is told to stop: a query
	// that is given up costs the connection. A network that is dead ends it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.session.timeout+deadNetwork)
	defer cancel()
	b, err := r.next(ctx)
	if err != nil || b == nil {
		return b == nil && err == nil, 0, err
	}
	r.watch.Working(r.session.conn.PgConn().PID())
	begun := time.Now()
	deleted, err := r.attempt(b.bound(ctx), b)
	took := time.Since(begun)
	r.watch.Worked()
	if err != nil {
		return false, 0, err
	}
	r.tried, r.skip = 0, false
	r.sweep.Cursor, r.saved = b.after, time.Now()
	r.sweep.Deleted += deleted
	r.sweep.Batches++
	r.sweep.Active += took.Seconds()
	r.meter.count(time.Now(), deleted)
	r.tell(false)
	rest = r.pace.Done(brake.Spent{Took: took, Trip: b.trip, Looked: b.looked, Deleted: deleted}, time.Now())
	return false, rest, b.want
}
