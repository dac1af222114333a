package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/pgtest"
)

// patience bounds one action: longer than any wait for a server.
const patience = 60 * time.Second

// errLeak marks what must never be seen.
var errLeak = errors.New("saw another's state")

// client is one session with its model.
type client struct {
	number int
	conn   *pgconn.PgConn
	r      *rand.Rand
	model  model
	begin  *model // the model at BEGIN; nil outside a transaction
	failed bool   // the transaction has failed
	rows   []int  // written in this transaction
	kept   []int  // committed for certain
	maybe  []int  // rows of a commit whose answer never came
	trail  []string
}

// open logs in as user.
func open(ctx context.Context, p *pgtest.Pooler, user string, number int, r *rand.Rand) (*client, error) {
	application := "isolation"
	if p.Kind.Program == "pgbouncer" {
		application = "" // DISCARD ALL through PgBouncer forgets the startup packet's
	}
	url := p.URL(pgtest.Login{User: user, Database: "iso", Params: map[string]string{"application_name": application}})
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	return &client{number: number, conn: conn, r: r, model: newModel(user, application)}, nil
}

// run is one life: actions, a look at the end of most, and then a death or a
// goodbye.
func (c *client) run(ctx context.Context) error {
	if err := c.look(ctx); err != nil {
		return c.leave(err)
	}
	for range 3 + c.r.IntN(20) {
		if err := c.act(ctx); err != nil {
			return c.leave(err)
		}
		if c.r.IntN(3) > 0 {
			if err := c.look(ctx); err != nil {
				return c.leave(err)
			}
		}
	}
	return c.die(ctx)
}

// leave closes after an error, and says what led to it.
func (c *client) leave(err error) error {
	c.hangUp(false)
	return fmt.Errorf("client %d (%s): %w; it did:\n  %s", c.number, c.model.user, err, strings.Join(c.trail, "\n  "))
}

// do runs SQL; the error is the server's, if it sent one.
func (c *client) do(ctx context.Context, sql string) ([][]string, error) {
	if sql == lookQuery() {
		c.trail = append(c.trail, "look")
	} else {
		c.trail = append(c.trail, sql)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		if c.begin != nil {
			c.failed = true
		}
		return nil, err
	}
	var rows [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			text := make([]string, len(row))
			for i, v := range row {
				text[i] = string(v)
			}
			rows = append(rows, text)
		}
	}
	return rows, nil
}

// look compares the session with the model.
func (c *client) look(ctx context.Context) error {
	if c.failed {
		return nil // nothing can be asked
	}
	rows, err := c.do(ctx, lookQuery())
	if err != nil {
		return fmt.Errorf("look: %w", err)
	}
	for i, want := range c.model.want() {
		if rows[0][i] != want {
			return fmt.Errorf("%w: %s is %q, should be %q", errLeak, lookNames()[i], rows[0][i], want)
		}
	}
	if !c.model.scratch {
		return nil
	}
	rows, err = c.do(ctx, "SELECT id FROM pg_temp.scratch")
	if err != nil {
		return fmt.Errorf("look at the temporary table: %w", err)
	}
	if len(rows) != 1 || rows[0][0] != fmt.Sprint(c.number) {
		return fmt.Errorf("%w: temporary table holds %v, should hold %d", errLeak, rows, c.number)
	}
	return nil
}

// code is the SQLSTATE of an error, "" if the server did not send it.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// hangUp closes the socket without a word; reset makes it an RST.
func (c *client) hangUp(reset bool) {
	if tcp, ok := c.conn.Conn().(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.Conn().Close()
}
