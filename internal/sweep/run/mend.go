package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

// Bounds on trying again.
const (
	// mostTries is how often one batch is tried.
	mostTries = 10
	// mostRest is the longest wait between two tries for a lock on a whole table.
	mostRest = 10 * time.Second
	// connectPatience bounds the last words of a run.
	connectPatience = 10 * time.Second
	// mostAgain bounds the places that are visited again; beyond that a sweep
	// meets locks everywhere and had better wait.
	mostAgain = 10_000
)

// mend decides what to do about a failed batch: nil to go on, or the error that
// ends the run. The transaction was rolled back; the cursor is where it was.
func (r *runner) mend(ctx context.Context, err error) error {
	var file *fileError
	if errors.Is(err, errStop) || errors.Is(err, errPause) || errors.Is(err, errCancel) || errors.Is(err, ErrFenced) || errors.As(err, &file) {
		return err
	}
	if errors.Is(err, errMoved) {
		r.sweep.Cursor.Begun = false
		r.config.Log.Warn("the table was rewritten; its pages are gone through from the first", "table", r.sweep.Table)
		return nil
	}
	code := target.Code(err)
	if lost(code, err) || r.session.conn.IsClosed() {
		return r.reconnect(ctx, err)
	}
	r.tried++
	if code == "55P03" && !r.rowwise() {
		// A partition that somebody reads is dropped when they are gone.
		r.sweep.Brake = "lock: " + r.sweep.Job.Legs[r.sweep.Cursor.Leg].Ident() + " is in use"
		r.tell(true)
		return r.rest(ctx, time.Duration((0.5+rand.Float64()/2)*float64(min(time.Second<<min(r.tried, 4), mostRest))))
	}
	if r.tried > mostTries {
		return fmt.Errorf("given up after %d tries: %w", mostTries, err)
	}
	r.config.Log.Debug("batch failed", "table", r.sweep.Table, "try", r.tried, "error", err)
	switch {
	case code == "55P03" || code == "40P01": // locked, deadlock
		// Waited once. Now the rest of the batch goes, and the locked rows later.
		r.skip = r.rowwise() && len(r.sweep.Cursor.Again) < mostAgain
		r.pace.Failed()
	case code == "57014": // statement_timeout
		r.pace.Failed()
		r.pace.Failed()
		if r.tried > 3 {
			r.session.timeout = min(2*r.session.timeout, mostTimeout)
			r.closeSecond() // its next one has this timeout too
			if err := r.session.allow(ctx, r.session.timeout); err != nil {
				return r.reconnect(ctx, err)
			}
		}
	case code == "40001":
	case strings.HasPrefix(code, "53"): // disk full, out of memory, …
		return r.rest(ctx, 5*time.Second)
	default:
		return err
	}
	return r.rest(ctx, time.Duration(rand.Float64()*float64(50*time.Millisecond<<min(r.tried, 6))))
}

// rowwise says whether the present leg goes by rows, and is not at its second
// visit of locked ones.
func (r *runner) rowwise() bool {
	c := &r.sweep.Cursor
	if c.Leg >= len(r.sweep.Job.Legs) {
		return true
	}
	s := r.sweep.Job.Legs[c.Leg].Strategy
	return s != plan.Drop && s != plan.Copy
}

// lost says whether the error means that the connection, or the server, is gone.
func lost(code string, err error) bool {
	switch {
	case code == "":
		var refusal *target.Refusal
		return !errors.As(err, &refusal)
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"), code == "25P03":
		return true
	}
	return false
}

// reconnect makes a new session and reads where the sweep is: whether the batch
// under way was committed is known to the database alone.
func (r *runner) reconnect(ctx context.Context, cause error) error {
	since := time.Now()
	r.sweep.Brake = "connection: " + cause.Error()
	r.tell(true)
	r.config.Log.Warn("sweep lost its connection", "table", r.sweep.Table, "error", cause)
	r.closeSecond()
	target.Close(r.session.conn)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		if ctx.Err() != nil {
			return errStop
		}
		err := r.rejoin(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrFenced), errors.Is(err, errCancel), errors.Is(err, errPause), errors.Is(err, ErrNone):
			return err
		case strings.HasPrefix(target.Code(err), "28"), target.Code(err) == "3D000":
			return err // the role or the database is gone; waiting brings neither back
		case r.config.Patience > 0 && time.Since(since) > r.config.Patience:
			return fmt.Errorf("the server was away for %s: %w", r.config.Patience, err)
		}
		if sleep(ctx, time.Duration(float64(wait)*(0.5+rand.Float64()/2))) != nil {
			return errStop
		}
	}
}

// rejoin opens a session and takes up the sweep as the database has it.
func (r *runner) rejoin(ctx context.Context) error {
	one, err := open(ctx, r.config.Dial, r.sweep)
	if err != nil {
		return err
	}
	// A commit of the lost connections that is still on its way comes before this
	// and is read, or comes after it and fails: the fence is raised.
	var fence int64
	err = one.conn.QueryRow(ctx, "UPDATE spillway.sweep SET fence = fence + 1 WHERE id = $1 AND fence = $2 RETURNING fence", r.sweep.ID, r.sweep.Fence).Scan(&fence)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil // Read says why
	}
	var s *Sweep
	if err == nil {
		s, err = Read(ctx, one.conn, r.sweep.ID)
	}
	if err == nil && s.Fence != fence {
		err = ErrFenced
	}
	if err == nil && r.keep != nil {
		err = r.keep.cut(s.Kept)
	}
	if err != nil {
		target.Close(one.conn)
		return err
	}
	r.session, r.sweep, r.skip = one, s, false
	r.meter.start(time.Now(), s)
	return obey(s.Want)
}

// againRounds is how often each place with locked rows is visited again; before
// the second round the runner rests for a second, and twice as long before each
// one after it.
const againRounds = 5

// again is the next batch among the places where rows were locked; nil when
// there is none left, or they stay locked. Places wait in a queue: the first was
// visited no more often than any other.
func (r *runner) again(ctx context.Context) (*batch, error) {
	c := &r.sweep.Cursor
	if len(c.Again) == 0 || c.Again[0].Tries >= againRounds {
		return nil, nil
	}
	span := c.Again[0]
	if span.Tries > r.round {
		if err := r.rest(ctx, time.Second<<(span.Tries-1)); err != nil {
			return nil, err
		}
		r.round = span.Tries
	}
	span.Tries++
	leg := &r.sweep.Job.Legs[span.Leg]
	b := &batch{leg: leg, span: span, after: *c, looked: int64(r.pace.Size())}
	b.after.Again = append([]Range(nil), c.Again[1:]...)
	if span.To > 0 {
		// A rewrite since: the rows are anywhere, and the next sweep's.
		filenode, pages, _, err := r.extent(ctx, leg)
		if err != nil {
			return nil, err
		}
		if span.To > pages+1 || filenode == 0 {
			span.To = pages + 1
		}
		b.within = r.pages(span)
	} else {
		b.within = r.keys(leg, span)
	}
	return b, nil
}
