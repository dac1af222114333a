package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// link is one kept connection. It is opened when it is needed and closed after
// an error; attempts to open it are spaced.
type link struct {
	login func() (*pgx.ConnConfig, error)
	turn  chan struct{} // holds one token: who has it may use what follows

	conn *pgx.Conn
	door *door
}

// door spaces the attempts to connect to one server, whatever number of links
// it has: with the pooler's own an absent server is knocked at once a second at
// most.
type door struct {
	mu      sync.Mutex // guards what follows
	after   time.Time  // no attempt to connect before
	failed  int
	lastErr error
}

// Pauses between attempts to connect: between a half and the whole of a bound
// that doubles.
const (
	firstPause = 8 * time.Second
	maxPause   = 30 * time.Second
)

// knock tells why there is to be no attempt now; nil lets one through, and the
// next after a pause.
func (d *door) knock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed > 0 && time.Now().Before(d.after) {
		return d.lastErr
	}
	if d.failed > 0 {
		d.pause()
	}
	return nil
}

func (d *door) pause() {
	bound := min(maxPause, firstPause<<min(d.failed-1, 5))
	d.after = time.Now().Add(bound/2 + rand.N(bound/2))
}

// answer takes the outcome of an attempt.
func (d *door) answer(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lastErr = err; err == nil {
		d.failed = 0
		return
	}
	d.failed++
	d.pause()
}

func newLink(login func() (*pgx.ConnConfig, error), d *door) *link {
	l := &link{login: login, turn: make(chan struct{}, 1), door: d}
	l.turn <- struct{}{}
	return l
}

// with runs do on the connection. After an error the connection is closed: what
// is left on it is not known. A connection that was kept may have ended since it
// was used last, with a server that restarted long ago: that says nothing about
// the server now, and do runs once more on a new one, from the beginning.
func (l *link) with(ctx context.Context, do func(*pgx.Conn) error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return fmt.Errorf("the probe's connection is busy with another probe: %w", ctx.Err())
	}
	defer func() { l.turn <- struct{}{} }()
	if l.conn != nil {
		err := do(l.conn)
		if err == nil {
			return nil
		}
		ended := l.conn.IsClosed()
		l.drop()
		if !ended || ctx.Err() != nil {
			return err
		}
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
	if err := l.door.knock(); err != nil {
		return err
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
	l.door.answer(err)
	if err != nil {
		return err
	}
	l.conn = conn
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
