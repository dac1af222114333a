package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// clientLimit bounds one step of a client.
const clientLimit = 2 * time.Minute

// crowd is clients that work until they are told to stop.
type crowd struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	served int               // guarded by mu; transactions that went well
	errs   map[string]int    // guarded by mu; by SQLSTATE, or "no connection"
	texts  map[string]string // guarded by mu; one text of each
}

// gather starts n clients that do one thing over and over.
func gather(n int, do func(ctx context.Context) error) *crowd {
	ctx, stop := context.WithCancel(context.Background())
	c := &crowd{stop: stop, errs: map[string]int{}, texts: map[string]string{}}
	for range n {
		c.done.Go(func() {
			for ctx.Err() == nil {
				limited, end := context.WithTimeout(context.Background(), clientLimit)
				c.note(do(limited))
				end()
			}
		})
	}
	return c
}

func (c *crowd) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.served++
		return
	}
	kind := "no connection"
	var told *pgconn.PgError
	if errors.As(err, &told) {
		kind = told.Code
	}
	c.errs[kind]++
	c.texts[kind] = err.Error()
}

func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.served
}

// await waits until n more transactions went well.
func (c *crowd) await(t *testing.T, n int) {
	t.Helper()
	from := c.count()
	deadline := time.Now().Add(clientLimit)
	for c.count() < from+n {
		if time.Now().After(deadline) {
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Fatalf("only %d of %d transactions went well in %v; errors %v %v", c.served-from, n, clientLimit, c.errs, c.texts)
		}
		time.Sleep(5 * time.Millisecond) // the clients' progress is no event
	}
}

// leave stops the clients; errors other than those that are due fail the test.
func (c *crowd) leave(t *testing.T, due ...string) {
	t.Helper()
	c.stop()
	c.done.Wait()
	t.Logf("%d transactions went well; errors %v", c.served, c.errs)
	for _, kind := range due {
		delete(c.errs, kind)
	}
	for kind, n := range c.errs {
		t.Errorf("%d × %s: %s", n, kind, c.texts[kind])
	}
	if c.served == 0 {
		t.Error("nobody was served")
	}
}

// visit connects, asks once, and leaves.
func visit(url string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer conn.Close(ctx)
		return ask(ctx, conn)
	}
}

func ask(ctx context.Context, conn *pgx.Conn) error {
	var n int
	if err := conn.QueryRow(ctx, "SELECT $1::int * 2", 21).Scan(&n); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	if n != 42 {
		return fmt.Errorf("query: got %d", n)
	}
	return nil
}
