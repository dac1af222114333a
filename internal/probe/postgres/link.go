package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// link is one kept connection. It is opened when it is needed and closed after
// an error; attempts to open it are spaced.
type link struct {
	login func() (*pgx.ConnConfig, error)
	turn  chan struct{} // holds one token: who has it may use what follows

	conn    *pgx.Conn
	after   time.Time // no attempt to connect before
	failed  int
	lastErr error
}

// Pauses between attempts to connect: full jitter below a bound that doubles.
const (
	firstPause = time.Second
	maxPause   = 15 * time.Second
)

func newLink(login func() (*pgx.ConnConfig, error)) *link {
	l := &link{login: login, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// with runs do on the connection. After an error the connection is closed: what
// is left on it is not known.
func (l *link) with(ctx context.Context, do func(*pgx.Conn) error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return fmt.Errorf("the probe's connection is busy with another probe: %w", ctx.Err())
	}
	defer func() { l.turn <- struct{}{} }()
	if l.conn != nil && l.conn.IsClosed() {
		l.conn = nil
	}
	if err := l.open(ctx); err != nil {
		return err
	}
	if err := do(l.conn); err != nil {
		l.drop()
		return err
	}
	return nil
}

func (l *link) open(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	if time.Now().Before(l.after) {
		return l.lastErr
	}
	config, err := l.login()
	if err != nil {
		return err
	}
	params := config.RuntimeParams
	params["application_name"] = "spillway probe"
	params["default_transaction_read_only"] = "on"
	params["lock_timeout"] = "500"
	params["statement_timeout"] = "10000"
	params["jit"] = "off"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		bound := min(maxPause, firstPause<<min(l.failed, 5))
		l.failed++
		l.after, l.lastErr = time.Now().Add(bound/2+rand.N(bound/2)), err
		return err
	}
	l.conn, l.failed, l.lastErr = conn, 0, nil
	return nil
}

func (l *link) drop() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx)
	l.conn = nil
}

// close ends the connection; nobody may use the link any more.
func (l *link) close() {
	<-l.turn
	l.drop()
}
