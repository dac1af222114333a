package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/config"
	"spillway/internal/proxy"
)

// pooler is what a node asks of the hot path.
type pooler interface {
	proxy.Lifecycle
	Pause(ctx context.Context, db string) error
	Resume(ctx context.Context, db string) error
	Upstreams(ctx context.Context) ([]proxy.UpstreamStat, error)
}

// service is a room that starts and stops beside the hot path.
type service struct {
	name  string
	start func() error
	stop  func(ctx context.Context) error
}

// Setup is one reading of the config file in the form a node obeys.
type Setup struct {
	Policy   *proxy.Policy
	Log      LogConfig
	Shutdown time.Duration // drain deadline; 0 = wait for ever

	Changed []string // paths of keys that differ from the setup before it
	Restart []string // those of them that hold only after a restart

	config *config.Config // nil in tests of the process alone
}

// parts is what a node runs; serve.go makes the real ones, tests fakes.
type parts struct {
	log      *slog.Logger
	applyLog func(LogConfig) error
	load     func(before *Setup) (*Setup, error)
	setup    *Setup // what the node starts with
	pooler   pooler
	services []service // started after the pooler, in order
	system   *supervisor
	// drainDelay is how long readiness fails before clients are turned away.
	drainDelay time.Duration
	announce   func() // says in the log what serves now; may be nil
	// applied tells the control rooms what holds from now on; may be nil.
	applied func(*config.Config)
	// overlay lays what stands of actions over a policy; may be nil.
	overlay func(*proxy.Policy) *proxy.Policy
}

// phase is where a node is in its life.
type phase int32

// Phases, in their order.
const (
	phaseNew      phase = iota // nothing runs
	phaseRunning               // serves
	phaseDraining              // readiness fails, transactions finish
	phaseStopped               // nothing runs any more
)

// Node is one running Spillway. All methods are safe from any goroutine.
type Node struct {
	parts
	phase   atomic.Int32
	stopped chan struct{} // closed when everything has stopped
	asked   chan request  // what console and API ask of Run

	reloading sync.Mutex // held over one reload; taken before mu

	mu      sync.Mutex
	running stack      // guarded by mu
	reload  reloadFact // guarded by mu

	current atomic.Pointer[Setup] // written under reloading
}

// reloadFact is how the last reload went.
type reloadFact struct {
	at  time.Time
	err error
}

// errNotRunning answers what only a running node can do.
var errNotRunning = errors.New("the node is not running")

func newNode(p parts) *Node {
	n := &Node{parts: p, stopped: make(chan struct{}), asked: make(chan request, 1)}
	n.current.Store(p.setup)
	return n
}

// Start starts the hot path, then the rooms beside it. On an error nothing is
// left running and the node is over.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.phase.CompareAndSwap(int32(phaseNew), int32(phaseRunning)) {
		return fmt.Errorf("start node: it has been started or stopped before")
	}
	n.reload = reloadFact{at: time.Now()}
	steps := []step{
		// New has opened the listeners: they are closed even if Start fails.
		{"listeners", nil, func(context.Context) error { return n.pooler.Close() }},
		{"event loops", n.pooler.Start, nil},
	}
	for _, s := range n.services {
		steps = append(steps, step(s))
	}
	if err := n.running.start(context.Background(), steps); err != nil {
		n.end()
		return err
	}
	return nil
}

// Ready says whether the node takes clients, and why not. It fails as soon as
// a drain begins, before any client notices one.
func (n *Node) Ready() error {
	switch phase(n.phase.Load()) {
	case phaseNew:
		return errors.New("starting")
	case phaseDraining:
		return errors.New("draining")
	case phaseStopped:
		return errors.New("stopped")
	case phaseRunning:
	}
	if !n.pooler.Serving() {
		return errors.New("listeners do not accept")
	}
	return nil
}

// Live reports whether the event loops turn.
func (n *Node) Live() bool { return n.pooler.Alive() }

// Drain lets readiness fail, waits for the drain delay, turns new clients away
// and waits for the last one. It returns early when ctx ends. A node that does
// not run has nothing to drain.
func (n *Node) Drain(ctx context.Context) error {
	if !n.phase.CompareAndSwap(int32(phaseRunning), int32(phaseDraining)) &&
		phase(n.phase.Load()) != phaseDraining {
		return nil
	}
	delay := time.NewTimer(n.drainDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := n.pooler.Drain(ctx); err != nil {
		return fmt.Errorf("drain clients: %w", err)
	}
	return nil
}

// Stop ends everything at once, in reverse order of the start, and returns when
// it has ended. It may be called at any time and any number of times; calls
// after the first answer nil.
func (n *Node) Stop(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if phase(n.phase.Load()) == phaseStopped {
		return nil
	}
	var err error
	if phase(n.phase.Load()) == phaseNew {
		// New has opened the listeners; nobody else will close them.
		err = n.pooler.Close()
	}
	err = errors.Join(err, n.running.stop(ctx))
	n.end()
	return err
}

// end marks the node as over; the caller holds mu.
func (n *Node) end() {
	n.phase.Store(int32(phaseStopped))
	close(n.stopped)
}

// setupNow waits for nobody: rooms ask while the node starts and stops.
func (n *Node) setupNow() *Setup { return n.current.Load() }
