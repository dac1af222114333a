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
	defer r.closeSecond()
	for {
		// A batch that runs ahead is finished before anything is obeyed.
		stop := r.stop(ctx)
		if stop != nil && r.pair.ahead == nil {
			return stop
		}
		verdict, fresh := r.watch.Verdict()
		wait := r.pace.Obey(verdict, time.Now())
		held := r.closed() || wait > 0
		if held && r.pair.ahead == nil {
			if err := r.hold(ctx, verdict, wait, fresh); err != nil {
				return err
			}
			continue
		}
		r.braked(verdict)
		r.company(verdict, stop == nil && !held)
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

// stop is why the run is to end now, nil if it is not.
func (r *runner) stop(ctx context.Context) error {
	if ctx.Err() != nil {
		return errStop
	}
	if d := r.sweep.Job.Options.Deadline; d > 0 && time.Since(r.started) > d {
		return fmt.Errorf("its deadline of %s has passed: %w", d, errPause)
	}
	return nil
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
	r.closeSecond()
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
	end := time.Now().Add(r.gap.Rest(d))
	for {
		left := time.Until(end)
		if left <= 0 {
			return r.between(ctx)
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

// between waits for a gap in the others' transactions.
func (r *runner) between(ctx context.Context) error {
	if v, _ := r.watch.Verdict(); r.config.Traffic == nil || !v.Shared {
		return nil
	}
	begun, waited := time.Now(), time.Duration(0)
	for !r.gap.Open(r.config.Traffic.Held(), waited) {
		if err := sleep(ctx, brake.GapEvery); err != nil {
			return errStop
		}
		waited = time.Since(begun)
	}
	return nil
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

// step finishes one batch. done is true when nothing is left.
func (r *runner) step(ctx context.Context) (done bool, rest time.Duration, err error) {
	// What is under way is finished even when the run is told to stop: a query
	// that is given up costs the connection. A network that is dead ends it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.session.timeout+deadNetwork)
	defer cancel()
	f := r.pair.ahead
	if f == nil {
		b, err := r.next(ctx)
		if err != nil || b == nil {
			return b == nil && err == nil, 0, err
		}
		if !r.pairs(ctx, b) {
			rest, err = r.single(ctx, b)
			return false, rest, err
		}
		if f, err = r.launch(ctx, b, r.session); err != nil {
			return false, 0, err
		}
	}
	r.goAhead(ctx, f)
	rest, err = r.land(ctx, f)
	return false, rest, err
}

// single runs one batch with none beside it.
func (r *runner) single(ctx context.Context, b *batch) (rest time.Duration, err error) {
	r.watch.Working(r.session.conn.PgConn().PID())
	begun := time.Now()
	deleted, err := r.attempt(b.bound(ctx), b)
	took := time.Since(begun)
	r.watch.Worked()
	if err != nil {
		return 0, err
	}
	r.pair.apart = max(r.pair.apart-1, 0)
	return r.book(b, begun, brake.Spent{Took: took, Trip: time.Duration(b.trips) * b.trip, Looked: b.looked, Deleted: deleted}), b.want
}

// book counts a batch that is committed and returns the rest after it.
func (r *runner) book(b *batch, begun time.Time, s brake.Spent) time.Duration {
	now := time.Now()
	if begun.Before(r.pair.landed) {
		begun = r.pair.landed // two at once are active for as long as one
	}
	r.pair.landed = now
	r.tried, r.skip = 0, false
	r.sweep.Cursor, r.saved = b.after, now
	r.sweep.Deleted += s.Deleted
	r.sweep.Batches++
	r.sweep.Active += now.Sub(begun).Seconds()
	r.meter.count(now, s.Deleted)
	r.tell(false)
	return r.pace.Done(s, now)
}
