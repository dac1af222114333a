package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// work runs the loop to its end and writes down that it is done. A server that
// dies just then may have lost the last batches: what it still knows of the
// cursor decides where it goes on.
func (r *runner) work(ctx context.Context) error {
	for {
		err := r.loop(ctx)
		if err != nil {
			return err
		}
		reason := ""
		if n := len(r.sweep.Cursor.Again); n > 0 {
			reason = fmt.Sprintf("%d places hold doomed rows that others kept locked; the next sweep takes them", n)
		}
		if err = r.last(ctx, Done, reason); err == nil {
			return nil
		}
		if err = r.mend(ctx, err); err != nil {
			return err
		}
	}
}

// end writes down how the run ended, unless it is done, and tells.
func (r *runner) end(ctx context.Context, err error) (*Sweep, error) {
	if errors.Is(err, ErrFenced) {
		return nil, err
	}
	var failed error
	phase, reason := Done, r.sweep.Reason
	switch {
	case err == nil:
	case errors.Is(err, errCancel):
		phase, reason = Cancelled, ""
	case errors.Is(err, errStop) && r.config.Adoptable:
		phase, reason = Running, ""
	case errors.Is(err, errStop):
		phase, reason = Paused, err.Error()
	case err == errPause: //nolint:errorlint // only the bare one has no reason
		phase, reason = Paused, ""
	case errors.Is(err, errPause):
		phase, reason = Paused, err.Error()
	default:
		phase, reason = Failed, err.Error()
	}
	if phase == Done {
		r.vacuum(ctx)
	} else if failed = r.last(ctx, phase, reason); errors.Is(failed, ErrFenced) {
		return nil, failed
	}
	r.sweep.Phase, r.sweep.Reason, r.sweep.Brake = phase, reason, ""
	kind := string(phase)
	if phase == Running {
		kind = "left" // to be adopted
	}
	r.note("sweep."+kind, map[string]any{"reason": reason})
	r.tell(true)
	if phase == Failed {
		return r.sweep, fmt.Errorf("sweep %d of %s: %w", r.sweep.ID, r.sweep.Table, err)
	}
	if failed != nil {
		return r.sweep, fmt.Errorf("write down the end of sweep %d: %w", r.sweep.ID, failed)
	}
	return r.sweep, nil
}

// last writes down the phase in which a run leaves the sweep. What is told to be
// over is over: this commit, and so those of all batches before it, waits for
// the disk.
func (r *runner) last(ctx context.Context, phase Phase, reason string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectPatience)
	defer cancel()
	var ended *time.Time
	_, err := r.session.conn.Exec(ctx, "SET synchronous_commit = local")
	if err == nil {
		err = r.session.conn.QueryRow(ctx, `UPDATE spillway.sweep SET phase = $3, want = 'run', reason = $4, brake = '', beat = clock_timestamp(), active = $5,
			ended = CASE WHEN $3 IN ('paused', 'running') THEN NULL ELSE clock_timestamp() END WHERE id = $1 AND fence = $2 RETURNING ended`,
			r.sweep.ID, r.sweep.Fence, phase, reason, r.sweep.Active).Scan(&ended)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	if err == nil {
		r.sweep.Phase, r.sweep.Reason, r.sweep.Brake, r.sweep.Ended = phase, reason, "", ended
	}
	return err
}
