package job

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// enqueue takes a place in the queue; 0 when it is full. Places whose holders
// were not heard of for a lease's length are free.
func (o *Order) enqueue(ctx context.Context, conn *pgx.Conn, holder string) (place int64, err error) {
	err = within(ctx, func(ctx context.Context) error {
		place, err = o.enqueueNow(ctx, conn, holder)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("queue for the job: %w", err)
	}
	return place, nil
}

func (o *Order) enqueueNow(ctx context.Context, conn *pgx.Conn, holder string) (place int64, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The lease's row is there: somebody has it. It orders those who come at once.
		if _, err := tx.Exec(ctx, "SELECT 1 FROM spillway.job_lease WHERE name = $1 FOR UPDATE", o.Name); err != nil {
			return err
		}
		// A place of this very process is one that it lost with its connection.
		if _, err := tx.Exec(ctx, `DELETE FROM spillway.job_wait WHERE name = $1
			AND (holder = $3 OR beat NOT BETWEEN clock_timestamp() - $2::interval AND clock_timestamp() + $2::interval)`, o.Name, ttl, holder); err != nil {
			return err
		}
		var waiting int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM spillway.job_wait WHERE name = $1", o.Name).Scan(&waiting); err != nil || waiting >= o.Limit {
			return err
		}
		return tx.QueryRow(ctx, "INSERT INTO spillway.job_wait (name, holder) VALUES ($1, $2) RETURNING id", o.Name, holder).Scan(&place)
	})
	return place, err
}

// dequeue gives the place back.
func dequeue(ctx context.Context, conn *pgx.Conn, place int64) error {
	_, err := conn.Exec(ctx, "DELETE FROM spillway.job_wait WHERE id = $1", place)
	return err
}

// beat says that the one who waits is alive; first tells whether it is its turn.
func (o *Order) beat(ctx context.Context, conn *pgx.Conn, place int64) (first bool, err error) {
	if _, err = conn.Exec(ctx, "UPDATE spillway.job_wait SET beat = clock_timestamp() WHERE id = $1", place); err != nil {
		return false, err
	}
	err = conn.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM spillway.job_wait WHERE name = $1 AND id < $2
		AND beat BETWEEN clock_timestamp() - $3::interval AND clock_timestamp() + $3::interval)`,
		o.Name, place, ttl).Scan(&first)
	return first, err
}

// unwant asks whoever holds the lease now to end its run.
func (o *Order) unwant(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "UPDATE spillway.job_lease SET unwanted = token WHERE name = $1 AND until > clock_timestamp()", o.Name)
	return err
}

// acquire gets the lease as the order's overlap says; token 0 and why when it
// is not to run.
func (o *Order) acquire(ctx context.Context, conn *pgx.Conn, holder string) (token int64, why string, err error) {
	token, other, err := o.take(ctx, conn, holder)
	if err == nil && token == 0 && other.ahead {
		if err = o.outwait(ctx, conn, other); err == nil {
			token, other, err = o.take(ctx, conn, holder)
		}
	}
	if err != nil || token > 0 {
		return token, "", err
	}
	busy := "it runs already: " + other.holder
	switch o.Overlap {
	case Queue:
		place, err := o.enqueue(ctx, conn, holder)
		if err != nil {
			return 0, "", err
		}
		if place == 0 {
			return 0, fmt.Sprintf("%s, and %d wait already", busy, o.Limit), o.collide(ctx, conn, other)
		}
		o.Tell(busy + "; waiting for its end")
		token, err := o.await(ctx, conn, holder, func(ctx context.Context) (bool, error) { return o.beat(ctx, conn, place) })
		free, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectWithin)
		defer cancel()
		if left := dequeue(free, conn, place); err == nil && left != nil {
			o.Tell("give the place in the queue back: " + left.Error()) // it falls free by itself
		}
		return token, "", err
	case Replace:
		o.Tell(busy + "; asking it to end")
		token, err := o.await(ctx, conn, holder, func(ctx context.Context) (bool, error) { return true, o.unwant(ctx, conn) })
		return token, "", err
	case Skip:
	}
	return 0, busy, o.collide(ctx, conn, other)
}

// await looks for a free lease until it has it; turn tells before each look
// whether it may.
func (o *Order) await(ctx context.Context, conn *pgx.Conn, holder string, turn func(context.Context) (bool, error)) (int64, error) {
	for {
		var may bool
		err := within(ctx, func(ctx context.Context) (err error) {
			may, err = turn(ctx)
			return err
		})
		if err != nil {
			return 0, err
		}
		if may {
			token, other, err := o.take(ctx, conn, holder)
			if err == nil && token == 0 && other.ahead {
				err = o.outwait(ctx, conn, other)
			}
			if err != nil || token > 0 {
				return token, err
			}
		}
		if !sleep(ctx, look) {
			return 0, ctx.Err()
		}
	}
}
