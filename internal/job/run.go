package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"
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
	l := lease{order: &o, holder: holder()}
	defer l.hangUp()
	why, err := l.acquire(waiting)
	if sig := stop(); sig != nil {
		return l.unrun(Outcome{How: Stopped, Exit: 128 + int(number(sig)), Rows: -1, Note: "a signal came before it began"})
	}
	switch {
	case err != nil:
		return Outcome{}, err
	case l.token == 0:
		return Outcome{How: Skipped, Rows: -1, Note: why, Began: time.Now()}, nil
	}
	return l.hold(ctx)
}

// acquire gets the lease as the order says, or tells why it is not to run. A
// connection that breaks meanwhile is made anew.
func (l *lease) acquire(ctx context.Context) (why string, err error) {
	var failing time.Time // since when; zero while nothing failed
	for {
		began := time.Now()
		l.hangUp()
		if l.conn, err = l.order.reach(ctx); err != nil {
			return "", err
		}
		if err = within(ctx, func(ctx context.Context) error { return prepare(ctx, l.conn) }); err == nil {
			l.token, why, err = l.order.acquire(ctx, l.conn, l.holder)
		}
		if err == nil && l.token > 0 {
			// How long the winning attempt took is not known: renew before trusting it.
			l.began = time.Now()
			err = l.attempt(ctx, l.trusted())
		}
		if err == nil || ctx.Err() != nil || l.conn != nil && !l.conn.IsClosed() {
			return why, err
		}
		if failing.IsZero() || time.Since(began) > 2*l.order.Patience+stepLimit {
			failing = began // it had waited for its turn in peace before
		}
		if time.Since(failing) > l.order.Patience {
			return "", err
		}
		l.order.Tell("the connection to PostgreSQL is lost: " + err.Error() + "; trying again")
		l.token = 0 // taken anew by the same holder, if it was
	}
}

// unrun gives back what was taken by a run that does not begin.
func (l *lease) unrun(out Outcome) (Outcome, error) {
	if l.token == 0 {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	return out, l.settle(ctx, &out)
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
func (l *lease) hold(ctx context.Context) (Outcome, error) {
	out := Outcome{Token: l.token, Rows: -1, Began: time.Now()}
	err := l.clear(ctx, &out)
	if out.How == "" && err == nil {
		err = l.under(ctx, &out)
	}
	out.Lasted = time.Since(out.Began)
	if err != nil && out.How == "" {
		out.How, out.Exit, out.Note = Failed, ExitNotStarted, err.Error()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	return out, errors.Join(err, l.settle(end, &out))
}

// clear ends what runs of earlier tokens left in the database: the one before
// may have died without a word.
func (l *lease) clear(ctx context.Context, out *Outcome) error {
	if l.token == 1 {
		return nil
	}
	_, err := l.endWork(ctx, l.token)
	if l.lost != nil {
		out.lose(l.lost)
		return nil
	}
	return err
}

// under runs the child while another goroutine keeps the lease.
func (l *lease) under(ctx context.Context, out *Outcome) error {
	stop, kept := make(chan struct{}), make(chan struct{})
	lost := make(chan error, 1)
	go func() {
		defer close(kept)
		if l.lost = l.keep(ctx, stop); l.lost != nil {
			lost <- l.lost
		}
	}()
	err := l.order.work(ctx, l.token, lost, out)
	close(stop)
	<-kept
	return err
}

// settle ends what the run left in the database, writes its end down and gives
// the lease back; on a new connection where the one of the lease is broken.
func (l *lease) settle(ctx context.Context, out *Outcome) error {
	for {
		if l.conn == nil {
			var err error
			if l.conn, err = l.order.reach(ctx); err != nil {
				return fmt.Errorf("write the job's end down: %w", err)
			}
		}
		err := l.settleOn(ctx, *out)
		if err == nil || l.conn != nil && !l.conn.IsClosed() || !sleep(ctx, workLook) {
			return err
		}
		l.hangUp()
	}
}

func (l *lease) settleOn(ctx context.Context, out Outcome) error {
	ended, err := l.endWork(ctx, l.token+1)
	if ended > 0 {
		out.Note = join(out.Note, fmt.Sprintf("%d of its statements were ended", ended))
	}
	if err != nil {
		out.Note = join(out.Note, err.Error())
	}
	if l.conn == nil || l.conn.IsClosed() {
		return err
	}
	if wrote := l.finish(ctx, &out); wrote != nil {
		err = errors.Join(err, fmt.Errorf("write the job's end down: %w", wrote))
	}
	return err
}

// work starts the child and sees it to its end.
func (o *Order) work(ctx context.Context, token int64, lost <-chan error, out *Outcome) error {
	report, err := os.CreateTemp("", "spillway-job-")
	if err != nil {
		return fmt.Errorf("make the file for the job's report: %w", err)
	}
	defer func() { _ = os.Remove(report.Name()) }() // in the system's folder for what may be left
	defer report.Close()
	c, err := o.launch(token, report.Name())
	if err != nil {
		return err
	}
	defer c.tied.letGo()
	err = o.watch(ctx, c, lost, out)
	out.Rows = countRows(report.Name())
	return err
}

// watch passes signals on until the child ends, or must.
func (o *Order) watch(ctx context.Context, c *child, lost <-chan error, out *Outcome) error {
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
			o.Tell(why.Error() + "; ending the job")
			out.lose(why)
			return out.ended(c, out.How, out.Note, lastGrace)
		}
	}
}

// lose says that the lease was lost, and why.
func (out *Outcome) lose(why error) {
	out.How, out.Note = Lost, why.Error()
	if errors.Is(why, errUnwanted) {
		out.How = Replaced
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

func join(note, more string) string {
	if note == "" {
		return more
	}
	return note + "; " + more
}
