package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// API is a service at a steady rate, over pgx's own pool. Requests come when
// they come, whether earlier ones are answered or not.
type API struct {
	URL      string
	Name     string        // application_name
	Rate     float64       // requests a second
	Deadline time.Duration // of one request
	Conns    int32         // most of its pool
	Lifetime time.Duration // of a connection in its pool
	SQL      []string      // in turns; $1 is a row's number
	Rows     int
	Retry    bool // tries again within the deadline when a connection fails, as a service around a restart must
}

// Shot is one request: when it was due, how long it took from then, and how it
// ended.
type Shot struct {
	Due  time.Time
	Took time.Duration
	Err  error
}

// connectTimeout is the API's own: without one a connection that the server's
// full backlog does not take holds a place in the pool for a quarter of a minute.
const connectTimeout = 3 * time.Second

// errBusy is the API's own answer when too many requests wait already.
var errBusy = errors.New("the API has no room: too many requests wait for an answer")

// Run asks until ctx ends, waits for what is under way, and tells note of each
// request, from many goroutines.
func (a API) Run(ctx context.Context, note func(Shot)) error {
	config, err := pgxpool.ParseConfig(a.URL)
	if err != nil {
		return fmt.Errorf("read the API's url: %w", err)
	}
	config.MaxConns, config.MaxConnLifetime = a.Conns, a.Lifetime
	config.ConnConfig.RuntimeParams["application_name"] = a.Name
	config.ConnConfig.ConnectTimeout = connectTimeout
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("make the API's pool: %w", err)
	}
	defer pool.Close()
	var under sync.WaitGroup
	var open atomic.Int64
	room := int64(a.Rate*a.Deadline.Seconds()) + 50
	every := time.Duration(float64(time.Second) / a.Rate)
	next, due := time.NewTimer(0), time.Now()
	defer next.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			under.Wait()
			return nil
		case <-next.C:
		}
		shot := Shot{Due: due}
		if open.Add(1) > room {
			shot.Err = errBusy
			open.Add(-1)
			note(shot)
		} else {
			sql := a.SQL[n%len(a.SQL)]
			under.Go(func() {
				defer open.Add(-1)
				shot.Err = a.request(pool, sql, shot.Due)
				shot.Took = time.Since(shot.Due)
				note(shot)
			})
		}
		due = due.Add(every)
		next.Reset(time.Until(due))
	}
}

// request is one user's request; its deadline counts from when it was due.
func (a API) request(pool *pgxpool.Pool, sql string, due time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), due.Add(a.Deadline))
	defer cancel()
	pause := 50 * time.Millisecond
	for {
		_, err := pool.Exec(ctx, sql, rand.IntN(a.Rows)+1)
		if err == nil || !a.Retry || !connectionFailed(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err // says more than the deadline
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, 800*time.Millisecond)
	}
}

// connectionFailed tells whether it was the connection and not the statement.
func connectionFailed(err error) bool {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return strings.HasPrefix(told.Code, "08") || strings.HasPrefix(told.Code, "57P") || told.Code == "53300"
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// Code is the SQLSTATE of an error, or a word for what else it is.
func Code(err error) string {
	var told *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &told):
		return told.Code
	case errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err):
		return "timeout"
	case errors.Is(err, errBusy):
		return "busy"
	case connectionFailed(err):
		return "connection"
	}
	return "other"
}

// Text is everything a client was told, without the address of its login.
func Text(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		text := told.Severity + ": " + told.Message
		for _, more := range []string{told.Detail, told.Hint} {
			if more != "" {
				text += "; " + more
			}
		}
		return text
	}
	return err.Error()
}
