package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The lease's times. A holder believes in it for trust and needs at most
// lastGrace more to end its child; others wait for ttl.
const (
	ttl       = 8 * time.Second
	trust     = 4 * time.Second
	lastGrace = 2 * time.Second
	renewal   = time.Second
	look      = 500 * time.Millisecond // how often those who wait look
)

// rival is who has the lease.
type rival struct {
	holder string
	token  int64
	until  time.Time
	held   bool // until is to come
	// ahead: the lease lasts for longer than anybody may ask for, so the server's
	// clock went back since it was given.
	ahead bool
}

// take gets the lease if it is free and writes the run down; token 0 when
// another has it. A holder takes its own anew: it did not hear that it had it.
func (o *Order) take(ctx context.Context, conn *pgx.Conn, holder string) (token int64, other rival, err error) {
	err = within(ctx, func(ctx context.Context) error {
		token, other, err = o.takeNow(ctx, conn, holder)
		return err
	})
	return token, other, err
}

func (o *Order) takeNow(ctx context.Context, conn *pgx.Conn, holder string) (token int64, other rival, err error) {
	// A look first: those who come in vain lock nothing, so that a thousand of them
	// do not hold up the holder's renewal.
	err = o.meet(ctx, conn, &other)
	if err == nil && other.held && other.holder != holder {
		return 0, other, nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, rival{}, fmt.Errorf("take the job's lease: %w%s", err, mend(err, mendSchema))
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO spillway.job_lease AS l (name, token, holder, until, every, deadline)
			VALUES ($1, 1, $2, clock_timestamp() + $3::interval, $4, $5)
			ON CONFLICT (name) DO UPDATE SET token = l.token + 1, holder = excluded.holder,
				until = clock_timestamp() + $3::interval, every = excluded.every, deadline = excluded.deadline
			WHERE l.until <= clock_timestamp() OR l.holder = excluded.holder
			RETURNING token`, o.Name, holder, ttl, o.Every, o.Deadline).Scan(&token)
		if errors.Is(err, pgx.ErrNoRows) {
			return o.meet(ctx, tx, &other)
		}
		if err != nil {
			return err
		}
		return o.open(ctx, tx, token, holder)
	})
	if err != nil {
		return 0, rival{}, fmt.Errorf("take the job's lease: %w%s", err, mend(err, mendSchema))
	}
	return token, other, nil
}

// meet finds out who has the lease.
func (o *Order) meet(ctx context.Context, db querier, other *rival) error {
	return db.QueryRow(ctx, `SELECT holder, token, until, until > clock_timestamp(), until > clock_timestamp() + $2::interval
		FROM spillway.job_lease WHERE name = $1`, o.Name, ttl+time.Second).Scan(&other.holder, &other.token, &other.until, &other.held, &other.ahead)
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// collide marks the run that another start came into.
func (o *Order) collide(ctx context.Context, conn *pgx.Conn, other rival) error {
	err := within(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "UPDATE spillway.job_run SET overlapped = overlapped + 1 WHERE name = $1 AND token = $2 AND ended IS NULL", o.Name, other.token)
		return err
	})
	if err != nil {
		return fmt.Errorf("write down that runs overlap: %w", err)
	}
	return nil
}

// kept is how many runs of each job stay in the history.
const kept = 1000

// open writes a run's beginning down, closes what a dead holder left open, and
// drops the oldest runs.
func (o *Order) open(ctx context.Context, tx pgx.Tx, token int64, holder string) error {
	if _, err := tx.Exec(ctx, `UPDATE spillway.job_run SET ended = clock_timestamp(), how = 'lost', note = 'its holder was not heard of any more'
		WHERE name = $1 AND ended IS NULL`, o.Name); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM spillway.job_run WHERE name = $1 AND token <= $2", o.Name, token-kept); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO spillway.job_run (name, token, holder, command) VALUES ($1, $2, $3, $4)",
		o.Name, token, holder, shorten(strings.Join(o.Command, " ")))
	return err
}

// outwait frees a lease that lasts too long because the server's clock went
// back, after a lease's whole length by this clock in which nobody renewed it.
func (o *Order) outwait(ctx context.Context, conn *pgx.Conn, other rival) error {
	o.Tell("the lease lasts for longer than any may: PostgreSQL's clock went back; watching whether its holder is alive")
	if !sleep(ctx, ttl) {
		return ctx.Err()
	}
	err := within(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "UPDATE spillway.job_lease SET until = clock_timestamp() WHERE name = $1 AND token = $2 AND until = $3", o.Name, other.token, other.until)
		return err
	})
	if err != nil {
		return fmt.Errorf("free the job's lease: %w", err)
	}
	return nil
}

// shorten bounds what a command line puts into the history.
func shorten(text string) string {
	const most = 500
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
