package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Run runs an order to its end. The error is what kept the command from
// running, or its end from being written down; the outcome holds all the same
// when its How is set.
func Run(ctx context.Context, o Order) (Outcome, error) {
	if err := o.Check(); err != nil {
		return Outcome{}, err
	}
	o.defaults()
	waiting, stop := o.untilSignal(ctx)
	t := try{order: &o, holder: holder()}
	why, err := t.acquire(waiting)
	if sig := stop(); sig != nil {
		return t.unrun(Outcome{How: Stopped, Exit: 128 + int(number(sig)), Rows: -1, Note: "a signal came before it began"})
	}
	switch {
	case err != nil:
		hangUp(t.conn)
		return Outcome{}, err
	case t.token == 0:
		hangUp(t.conn)
		return Outcome{How: Skipped, Rows: -1, Note: why, Began: time.Now()}, nil
	}
	return o.hold(ctx, &t)
}

// try is one run's way to the lease.
type try struct {
	order  *Order
	holder string
	conn   *pgx.Conn // nil: none
	token  int64     // 0: it has not the lease
	began  time.Time // when the attempt that got or renewed it began
}

// acquire gets the lease as the order says, or tells why it is not to run. A
// connection that breaks meanwhile is made anew.
func (t *try) acquire(ctx context.Context) (why string, err error) {
	o := t.order
	for {
		if t.conn, err = o.reach(ctx); err != nil {
			return "", err
		}
		if err = prepare(ctx, t.conn); err == nil {
			t.token, why, err = o.acquire(ctx, t.conn, t.holder)
		}
		if err == nil && t.token > 0 {
			// How long the winning attempt took is not known: renew before trusting it.
			t.began = time.Now()
			t.conn, err = o.renew(ctx, t.conn, t.token, t.began.Add(trust))
		}
		if err == nil || ctx.Err() != nil || t.conn != nil && !t.conn.IsClosed() {
			return why, err
		}
		o.Tell("the connection to PostgreSQL is lost: " + err.Error() + "; trying again")
		hangUp(t.conn)
		t.token = 0 // taken anew by the same holder, if it was
	}
}

// unrun gives back what was taken by a run that does not begin.
func (t *try) unrun(out Outcome) (Outcome, error) {
	hangUp(t.conn)
	if t.token == 0 {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	conn, err := t.order.reach(ctx)
	if err != nil {
		return out, err
	}
	defer hangUp(conn)
	return out, t.order.finish(ctx, conn, t.token, &out)
}

// holder names this run in the lease and the history. The number tells apart
// what has the same process id in containers of the same name.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s pid %d run %04x", host, os.Getpid(), rand.N(1<<16))
}

// untilSignal is ctx that ends when INT, TERM or HUP comes; stop ends the
// watch and returns that signal.
func (o *Order) untilSignal(ctx context.Context) (context.Context, func() os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	got := make(chan os.Signal, 1)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for {
			select {
			case s := <-o.Signals:
				if slices.Contains([]os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}, s) {
					got <- s
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() os.Signal {
		cancel()
		<-watching
		select {
		case s := <-got:
			return s
		default:
			return nil
		}
	}
}

func number(s os.Signal) syscall.Signal {
	if n, ok := s.(syscall.Signal); ok {
		return n
	}
	return syscall.SIGTERM
}

// endWithin bounds what is done after the child has ended.
const endWithin = 30 * time.Second

// hold runs the child under the lease. The lease is kept until the work in the
// database has ended.
func (o *Order) hold(ctx context.Context, t *try) (Outcome, error) {
	out := Outcome{Token: t.token, Rows: -1, Began: time.Now()}
	keeping, release := context.WithCancel(ctx)
	defer release()
	lost, kept := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(kept)
		lost <- o.keep(keeping, t.conn, t.token, t.began)
	}()
	err := o.work(ctx, t.token, lost, &out)
	out.Lasted = time.Since(out.Began)
	if err != nil && out.How == "" {
		out.How, out.Exit, out.Note = Failed, ExitNotStarted, err.Error()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	err = errors.Join(err, o.settle(end, t.token, &out))
	release()
	<-kept
	return out, err
}

// settle ends what the run left in the database, writes its end down and gives
// the lease back.
func (o *Order) settle(ctx context.Context, token int64, out *Outcome) error {
	conn, err := o.reach(ctx)
	if err != nil {
		return fmt.Errorf("write the job's end down: %w", err)
	}
	defer hangUp(conn)
	ended, err := o.endWork(ctx, conn, token+1)
	if ended > 0 {
		out.Note = join(out.Note, fmt.Sprintf("%d of its statements were ended", ended))
	}
	if err != nil {
		out.Note = join(out.Note, err.Error())
	}
	return errors.Join(err, o.finish(ctx, conn, token, out))
}

// work starts the child and sees it to its end.
func (o *Order) work(ctx context.Context, token int64, lost chan error, out *Outcome) error {
	if token > 1 {
		// The one before may have died without a word.
		if err := o.clear(ctx, token); err != nil {
			return err
		}
	}
	report, err := os.CreateTemp("", "spillway-job-")
	if err != nil {
		return fmt.Errorf("make the file for the job's report: %w", err)
	}
	defer os.Remove(report.Name())
	defer report.Close()
	c, err := o.launch(token, report.Name())
	if err != nil {
		return err
	}
	err = o.watch(ctx, c, lost, out)
	out.Rows = countRows(report.Name())
	return err
}

// clear ends what runs of earlier tokens left in the database.
func (o *Order) clear(ctx context.Context, token int64) error {
	conn, err := o.reach(ctx)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	_, err = o.endWork(ctx, conn, token)
	return err
}

// watch passes signals on until the child ends, or must.
func (o *Order) watch(ctx context.Context, c *child, lost chan error, out *Outcome) error {
	var deadline <-chan time.Time
	if o.Deadline > 0 {
		timer := time.NewTimer(o.Deadline)
		defer timer.Stop()
		deadline = timer.C
	}
	var passed []syscall.Signal
	for {
		select {
		case <-c.done:
			out.judge(c, passed)
			if c.gone() {
				return nil
			}
			return c.end(o.Grace) // what it left behind must not outlive it
		case s := <-o.Signals:
			passed = append(passed, number(s))
			if err := c.signal(number(s)); err != nil {
				return err
			}
		case <-deadline:
			o.Tell(fmt.Sprintf("its deadline of %v has passed; ending it", o.Deadline))
			return out.ended(c, Deadline, fmt.Sprintf("ran into its deadline of %v", o.Deadline), o.Grace)
		case why := <-lost:
			how := Lost
			if errors.Is(why, errUnwanted) {
				how = Replaced
			}
			if why == nil {
				why = context.Cause(ctx)
			}
			o.Tell(why.Error() + "; ending the job")
			return out.ended(c, how, why.Error(), lastGrace)
		}
	}
}

// ended ends the child and says how.
func (out *Outcome) ended(c *child, how How, note string, grace time.Duration) error {
	err := c.end(grace)
	out.How, out.Note = how, note
	out.Exit, _ = c.exit()
	return err
}

// judge tells from the child's own end how the run went.
func (out *Outcome) judge(c *child, passed []syscall.Signal) {
	code, by := c.exit()
	out.Exit, out.How = code, Failed
	switch {
	case code == 0:
		out.How = Done
	case by != 0 && slices.Contains(passed, by), len(passed) > 0 && (slices.Contains(passed, syscall.SIGTERM) || slices.Contains(passed, syscall.SIGINT)):
		out.How, out.Note = Stopped, fmt.Sprintf("%v was passed on", passed[len(passed)-1])
	case by != 0:
		out.Note = fmt.Sprintf("ended by signal: %v", by)
	}
}

// maxReport bounds what is read of a report.
const maxReport = 1 << 20

// countRows adds up the numbers of a report, one a line; -1 when there is none.
func countRows(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxReport)) // what cannot be read is no report
	total := int64(-1)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "rows "))
		rows, err := strconv.ParseInt(line, 10, 64)
		if err != nil || rows < 0 {
			continue
		}
		if total = max(total, 0); rows > math.MaxInt64-total {
			return math.MaxInt64
		}
		total += rows
	}
	return total
}

func join(note, more string) string {
	if note == "" {
		return more
	}
	return note + "; " + more
}
