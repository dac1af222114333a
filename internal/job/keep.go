package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Why a lease ended under its holder.
var (
	errFenced   = errors.New("another holder has the job's lease")
	errUnwanted = errors.New("another run asked for this one's place")
	errAway     = errors.New("PostgreSQL is away for longer than the lease is trusted")
)

// lease is one run's way to the lease, and the lease when it has it. It belongs
// to one goroutine at a time.
type lease struct {
	order  *Order
	holder string
	conn   *pgx.Conn // nil: none, or broken
	token  int64     // 0: another has it
	began  time.Time // when the attempt that got it, or renewed it last, began
	lost   error     // why it is lost, nil while it is not
	told   string    // by fence, last
}

// trusted is until when the lease may be believed in.
func (l *lease) trusted() time.Time { return l.began.Add(trust) }

// keep renews the lease until stop, which is no error, or until it is lost.
func (l *lease) keep(ctx context.Context, stop <-chan struct{}) error {
	for {
		timer := time.NewTimer(min(renewal, time.Until(l.trusted())))
		select {
		case <-stop:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		if err := l.renew(ctx); err != nil {
			return err
		}
		l.fence(ctx)
	}
}

// renew tries until it has renewed the lease or lost it. A try that fails
// otherwise is followed by another until the lease can be trusted no more.
func (l *lease) renew(ctx context.Context) error {
	for {
		attempt, until := time.Now(), l.trusted()
		if !attempt.Before(until) {
			return errAway
		}
		err := l.attempt(ctx, until)
		switch {
		case err == nil:
			l.began = attempt
			return nil
		case errors.Is(err, errFenced), errors.Is(err, errUnwanted):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		sleep(ctx, min(look, time.Until(until)))
	}
}

// attempt is one try, over before until.
func (l *lease) attempt(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if l.conn == nil {
		var err error
		if l.conn, err = dial(ctx, l.order.Server, l.order.Name); err != nil {
			return err
		}
	}
	var unwanted int64
	err := l.conn.QueryRow(ctx, `UPDATE spillway.job_lease SET until = clock_timestamp() + $3::interval
		WHERE name = $1 AND token = $2 RETURNING unwanted`, l.order.Name, l.token, ttl).Scan(&unwanted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errFenced
	case err != nil:
		l.hangUp()
	case unwanted >= l.token:
		return errUnwanted
	}
	return err
}

func (l *lease) hangUp() {
	hangUp(l.conn)
	l.conn = nil
}

// fence ends statements of earlier tokens, once each renewal: a runner that was
// stopped for a while, or died and left a process behind, may start new ones.
// That it could not is no reason to end this run.
func (l *lease) fence(ctx context.Context) {
	if l.token == 1 {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, l.trusted())
	defer cancel()
	text := ""
	w, err := l.order.cancelWork(ctx, l.conn, l.token, true)
	switch {
	case err != nil && ctx.Err() == nil:
		text = "end statements of earlier runs: " + err.Error() + mend(err, mendRights)
	case len(w.ended) > 0:
		text = fmt.Sprintf("ended %d statements of an earlier run that is not to work any more", len(w.ended))
	}
	if text != "" && text != l.told {
		l.told = text
		l.order.Tell(text)
	}
	if l.conn.IsClosed() {
		l.hangUp()
	}
}

// finish writes the run's end down and gives the lease back, each only while
// it is still this token's.
func (l *lease) finish(ctx context.Context, out *Outcome) error {
	return pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		var rows *int64
		if out.Rows >= 0 {
			rows = &out.Rows
		}
		if _, err := tx.Exec(ctx, `UPDATE spillway.job_run SET ended = clock_timestamp(), how = $3, exit = $4, rows = $5, note = $6
			WHERE name = $1 AND token = $2`, l.order.Name, l.token, string(out.How), out.Exit, rows, shorten(out.Note)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE spillway.job_lease SET until = clock_timestamp() WHERE name = $1 AND token = $2", l.order.Name, l.token)
		return err
	})
}
