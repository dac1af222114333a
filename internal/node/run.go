package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// request is what signals, console and API ask of Run.
type request int

// Requests.
const (
	askReload request = iota
	askDrain          // let transactions finish, then stop
	askStop           // stop at once
	askPause
	askResume
)

// Times of Run.
const (
	// stopWithin bounds the stop of the rooms beside the hot path.
	stopWithin = 5 * time.Second
	// statusEvery is how often systemd's status line is refreshed.
	statusEvery = 10 * time.Second
)

// Run starts the node, obeys signals until one ends it, and stops it. A nil
// error means an orderly end.
func (n *Node) Run(signals <-chan os.Signal) error {
	if err := n.Start(); err != nil {
		return err
	}
	if n.announce != nil {
		n.announce()
	}
	n.tell(n.system.Ready("serving"))
	beat, end := context.WithCancel(context.Background())
	var beating sync.WaitGroup
	beating.Go(func() { n.beat(beat) })
	err := n.obey(signals)
	end()
	beating.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return errors.Join(err, n.Stop(ctx))
}

// ask hands a request to Run and returns at once.
func (n *Node) ask(r request) error {
	if phase(n.phase.Load()) != phaseRunning && phase(n.phase.Load()) != phaseDraining {
		return errNotRunning
	}
	select {
	case n.asked <- r:
		return nil
	default:
		return errors.New("the node is busy with another request")
	}
}

// control is the state of the obeying loop.
type control struct {
	drain     *errand // nil while no drain runs
	pause     *errand // the last pause; nil when none was asked or it was resumed
	interrupt bool    // an INT has been seen
}

// errand is something slow that Run waits for without stopping to obey.
type errand struct {
	cancel context.CancelFunc
	done   chan error // receives one answer
}

// begin runs do in its own goroutine, for at most limit (0 = for ever).
func begin(limit time.Duration, do func(ctx context.Context) error) *errand {
	ctx, cancel := context.WithCancel(context.Background())
	if limit > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), limit)
	}
	e := &errand{cancel: cancel, done: make(chan error, 1)}
	go func() { e.done <- do(ctx) }()
	return e
}

// abandon ends the errand and waits for its goroutine. Nil is fine.
func (e *errand) abandon() {
	if e == nil {
		return
	}
	e.cancel()
	<-e.done //nolint:errcheck // what an abandoned errand answers is of no interest
}

// ended is the channel to wait on; nil, which never answers, for no errand.
func (e *errand) ended() <-chan error {
	if e == nil {
		return nil
	}
	return e.done
}

// obey handles signals and requests until the node shall stop.
func (n *Node) obey(signals <-chan os.Signal) error {
	var c control
	defer func() { c.pause.abandon(); c.drain.abandon() }()
	for {
		select {
		case sig := <-signals:
			if n.act(&c, c.translate(sig), sig.String()) {
				return nil
			}
		case r := <-n.asked:
			if n.act(&c, r, "request") {
				return nil
			}
		case <-n.stopped:
			return nil
		case err := <-c.pause.ended():
			c.pause.cancel()
			c.pause = nil
			n.pauseEnded(err)
		case err := <-c.drain.ended():
			c.drain.cancel()
			c.drain = nil
			return n.drainEnded(err)
		}
	}
}

// translate says what a signal asks for. The second INT means a person in a
// hurry; a second TERM may come from a supervisor that repeats itself.
func (c *control) translate(sig os.Signal) request {
	switch sig {
	case unix.SIGHUP:
		return askReload
	case unix.SIGUSR1:
		return askPause
	case unix.SIGUSR2:
		return askResume
	case unix.SIGQUIT:
		return askStop
	case unix.SIGINT:
		if c.interrupt {
			return askStop
		}
		c.interrupt = true
	}
	return askDrain
}

// act obeys one request and reports whether the node shall stop now.
func (n *Node) act(c *control, r request, by string) (stop bool) {
	switch r {
	case askReload:
		_, _ = n.Reload() // it has logged what happened
	case askPause:
		n.beginPause(c)
	case askResume:
		n.resumeAll(c)
	case askStop:
		n.log.Warn("stopping at once", "by", by)
		n.tell(n.system.Stopping("stopping at once"))
		return true
	case askDrain:
		n.beginDrain(c, by)
	}
	return false
}

func (n *Node) beginDrain(c *control, by string) {
	if c.drain != nil {
		n.log.Warn("already draining; INT or QUIT ends at once", "by", by)
		return
	}
	limit := n.setupNow().Shutdown
	n.log.Info("draining: no new clients, transactions finish", "by", by, "limit", limit.String())
	n.tell(n.system.Stopping("draining"))
	c.drain = begin(limit, n.Drain)
}

func (n *Node) drainEnded(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		n.log.Warn("drain deadline passed, clients are cut off", "limit", n.setupNow().Shutdown.String())
		return nil
	}
	if err == nil {
		n.log.Info("drained: no client is left")
	}
	return err
}

// beginPause pauses all databases; the wait for active servers ends with a
// resume at the latest.
func (n *Node) beginPause(c *control) {
	if c.pause != nil {
		n.log.Warn("already pausing; USR2 resumes")
		return
	}
	n.log.Info("pausing all databases")
	c.pause = begin(0, func(ctx context.Context) error { return n.pooler.Pause(ctx, "") })
}

func (n *Node) pauseEnded(err error) {
	if err != nil {
		n.log.Warn("not paused", "error", err)
		return
	}
	n.log.Info("paused all databases")
}

// resumeAll withdraws a pause that still waits, then resumes.
func (n *Node) resumeAll(c *control) {
	c.pause.abandon()
	c.pause = nil
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := n.pooler.Resume(ctx, ""); err != nil {
		n.log.Warn("not resumed", "error", err)
		return
	}
	n.log.Info("resumed all databases")
}

// beat feeds systemd's watchdog while the loops turn, refreshes its status line
// and asks for more time while a drain goes on.
func (n *Node) beat(ctx context.Context) {
	every := statusEvery
	if n.system.watchdog > 0 {
		every = min(every, n.system.watchdog/2)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if n.pooler.Alive() {
			n.tell(n.system.Alive())
		}
		if phase(n.phase.Load()) == phaseDraining {
			n.tell(n.system.MoreTime(3 * every))
		}
		n.tell(n.system.Status(n.statusLine(ctx)))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// statusLine is the verdict in a line: "main 20/97 servers, 3 waiting".
func (n *Node) statusLine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	upstreams, err := n.pooler.Upstreams(ctx)
	if err != nil {
		return "no answer from the event loops"
	}
	line := ""
	if phase(n.phase.Load()) == phaseDraining {
		line = "draining: "
	}
	for i, u := range upstreams {
		if i > 0 {
			line += ", "
		}
		line += fmt.Sprintf("%s %d/%d servers, %d waiting", u.Name, u.Used, u.Usable, u.Waiting)
	}
	return line
}

// tell logs that systemd could not be told; nothing depends on it.
func (n *Node) tell(err error) {
	if err != nil {
		n.log.Debug("systemd does not listen", "error", err)
	}
}
