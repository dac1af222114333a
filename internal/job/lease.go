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

// take gets the lease if it is free and writes the run down; token 0 when
// another has it, who is then named.
func (o *Order) take(ctx context.Context, conn *pgx.Conn, holder string) (token int64, other string, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO spillway.job_lease AS l (name, token, holder, until, every, deadline)
			VALUES ($1, 1, $2, clock_timestamp() + $3::interval, $4, $5)
			ON CONFLICT (name) DO UPDATE SET token = l.token + 1, holder = excluded.holder,
				until = clock_timestamp() + $3::interval, every = excluded.every, deadline = excluded.deadline
			WHERE l.until <= clock_timestamp()
			RETURNING token`, o.Name, holder, ttl, o.Every, o.Deadline).Scan(&token)
		if errors.Is(err, pgx.ErrNoRows) {
			return tx.QueryRow(ctx, "SELECT holder FROM spillway.job_lease WHERE name = $1", o.Name).Scan(&other)
		}
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `UPDATE spillway.job_run SET ended = clock_timestamp(), how = 'lost', note = 'its holder was not heard of any more'
			WHERE name = $1 AND ended IS NULL`, o.Name); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO spillway.job_run (name, token, holder, command) VALUES ($1, $2, $3, $4)",
			o.Name, token, holder, shorten(strings.Join(o.Command, " ")))
		return err
	})
	if err != nil {
		return 0, "", fmt.Errorf("take the job's lease: %w", err)
	}
	return token, other, nil
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

// Why a lease ended under its holder.
var (
	errFenced   = errors.New("another holder has the job's lease")
	errUnwanted = errors.New("another run asked for this one's place")
	errAway     = errors.New("PostgreSQL is away for longer than the lease is trusted")
)

// keep renews the lease until ctx ends (nil), or it is lost (why). The first
// attempt, which took it, began at began. It owns conn and closes it.
func (o *Order) keep(ctx context.Context, conn *pgx.Conn, token int64, began time.Time) error {
	defer func() { hangUp(conn) }()
	trusted := began.Add(trust)
	for sleep(ctx, min(renewal, time.Until(trusted))) {
		attempt := time.Now()
		if !attempt.Before(trusted) {
			return errAway
		}
		var err error
		if conn, err = o.renew(ctx, conn, token, trusted); err == nil {
			trusted = attempt.Add(trust)
			continue
		}
		if errors.Is(err, errFenced) || errors.Is(err, errUnwanted) {
			return err
		}
		if ctx.Err() == nil && !time.Now().Before(trusted) {
			return errAway
		}
	}
	return nil
}

// renew is one attempt; it returns the connection to go on with, nil when it
// is broken.
func (o *Order) renew(ctx context.Context, conn *pgx.Conn, token int64, trusted time.Time) (*pgx.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, trusted)
	defer cancel()
	if conn == nil {
		var err error
		if conn, err = dial(ctx, o.Server, o.Name); err != nil {
			return nil, err
		}
	}
	var unwanted int64
	err := conn.QueryRow(ctx, `UPDATE spillway.job_lease SET until = clock_timestamp() + $3::interval
		WHERE name = $1 AND token = $2 RETURNING unwanted`, o.Name, token, ttl).Scan(&unwanted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return conn, errFenced
	case err != nil:
		hangUp(conn)
		return nil, err
	case unwanted >= token:
		return conn, errUnwanted
	}
	return conn, nil
}

// finish writes the run's end down and gives the lease back, each only while
// it is still this token's.
func (o *Order) finish(ctx context.Context, token int64, out *Outcome) error {
	conn, err := o.reach(ctx)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var rows *int64
		if out.Rows >= 0 {
			rows = &out.Rows
		}
		if _, err := tx.Exec(ctx, `UPDATE spillway.job_run SET ended = clock_timestamp(), how = $3, exit = $4, rows = $5, note = $6
			WHERE name = $1 AND token = $2`, o.Name, token, string(out.How), out.Exit, rows, shorten(out.Note)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE spillway.job_lease SET until = clock_timestamp() WHERE name = $1 AND token = $2", o.Name, token)
		return err
	})
}
