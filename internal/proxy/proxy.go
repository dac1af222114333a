package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/auth"
)

// Proxy is the pooler: loops, the pools they share and the policy they obey.
type Proxy struct {
	cfg     Config
	log     *slog.Logger
	policy  atomic.Pointer[ruling]
	start   time.Time
	loops   []*loop
	pools   *registry
	cancel  *auth.CancelTable[*client]
	mock    auth.Mock
	secret  secretCache
	gate    gate
	denials denials
	groups  groups
	counts  tallies

	disables disables

	running    atomic.Bool // the loops run
	ids        atomic.Uint64
	state      atomic.Int32
	logins     atomic.Uint64
	driver     string
	unlistened atomic.Int32 // loops that have closed their listeners for a drain
	background context.Context
	stop       context.CancelFunc
	workers    sync.WaitGroup
	ended      sync.WaitGroup
	listeners  []*listener
	period     statsPeriods
}

// States of the whole proxy.
const (
	stateActive int32 = iota
	statePaused
	stateSuspended
	stateDraining
	stateClosed
)

// New opens the listeners; nobody is served before Start.
func New(cfg Config) (*Proxy, error) {
	if cfg.Policy == nil {
		return nil, errors.New("make proxy: no policy")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Loops <= 0 {
		cfg.Loops = 1
		if n := runtime.NumCPU(); n > 4 {
			cfg.Loops = n / 4
		}
	}
	p := &Proxy{cfg: cfg, log: cfg.Log, start: time.Now()}
	p.background, p.stop = context.WithCancel(context.Background())
	var err error
	if p.cancel, err = auth.NewCancelTable[*client](nil); err != nil {
		return nil, fmt.Errorf("make cancel keys: %w", err)
	}
	if p.mock, err = auth.NewMock(rand.Reader, 0); err != nil {
		return nil, fmt.Errorf("make mock secrets: %w", err)
	}
	p.pools = newRegistry(p)
	p.gate.init()
	if err := p.Apply(cfg.Policy); err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// open makes loops and listeners.
func (p *Proxy) open() error {
	for i := range p.cfg.Loops {
		l, err := newLoop(p, i)
		if err != nil {
			return err
		}
		p.loops = append(p.loops, l)
	}
	for _, at := range p.cfg.Listen {
		ln, err := p.listen(at)
		if err != nil {
			return err
		}
		p.listeners = append(p.listeners, ln...)
	}
	return nil
}

// now is nanoseconds since the proxy was made: every loop's clock.
func (p *Proxy) now() int64 { return int64(time.Since(p.start)) }

func (p *Proxy) at(now int64) time.Time {
	if now == 0 {
		return time.Time{}
	}
	return p.start.Add(time.Duration(now))
}

// Start runs the loops.
func (p *Proxy) Start() error {
	ready := make(chan error, len(p.loops))
	for _, l := range p.loops {
		p.ended.Add(1)
		go func() {
			defer p.ended.Done()
			if err := l.serve(ready); err != nil {
				p.log.Error("event loop ended", "loop", l.id, "error", err)
			}
		}()
	}
	var failed error
	for range p.loops {
		if err := <-ready; err != nil {
			failed = err
		}
	}
	if failed != nil {
		_ = p.Close()
		return fmt.Errorf("start loops: %w", failed)
	}
	p.driver = p.loops[0].drv.name()
	p.workers.Add(2)
	go p.housekeeping()
	go p.keepLedgers()
	p.running.Store(true)
	p.warmOperators(p.policy.Load())
	return nil
}

// housekeeping does what needs a clock but no loop: averages of the statistics
// and fresh addresses of the servers' hosts.
func (p *Proxy) housekeeping() {
	defer p.workers.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.background.Done():
			return
		case <-tick.C:
			p.period.step(p)
			p.pools.resolve()
		}
	}
}

// Apply publishes a policy; loops and pools see it at their next message.
func (p *Proxy) Apply(policy *Policy) error {
	r := p.publish(policy)
	p.pools.apply(r)
	if p.running.Load() {
		p.warmOperators(r)
	}
	return nil
}

// publish makes a policy what the loops read.
func (p *Proxy) publish(policy *Policy) *ruling {
	r := newRuling(p.disables.over(policy))
	r.bans = p.counts.barriers(policy.Bans)
	p.policy.Store(r)
	return r
}

// Alive reports whether every loop turned within the last seconds. A loop
// without work turns at least once a second.
func (p *Proxy) Alive() bool {
	now := p.now()
	for _, l := range p.loops {
		if now-l.turned.Load() > int64(5*time.Second) {
			return false
		}
	}
	return len(p.loops) > 0 && p.state.Load() != stateClosed
}

// Serving reports whether clients are accepted.
func (p *Proxy) Serving() bool {
	s := p.state.Load()
	return s != stateDraining && s != stateClosed
}

// Drain stops accepting, lets transactions end and ends idle clients.
func (p *Proxy) Drain(ctx context.Context) error {
	p.state.Store(stateDraining)
	for _, l := range p.loops {
		l.post(l.drain)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// While a loop accepts, nobody being there is a moment between two clients.
		if int(p.unlistened.Load()) >= len(p.loops) && p.gate.clients.Load() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain clients: %d left: %w", p.gate.clients.Load(), ctx.Err())
		case <-tick.C:
		}
	}
}

// Close ends everything at once.
func (p *Proxy) Close() error {
	if p.state.Swap(stateClosed) == stateClosed {
		return nil
	}
	p.stop()
	for _, l := range p.loops {
		l.post(l.shut)
	}
	p.ended.Wait()
	p.workers.Wait()
	p.secret.closeLinks()
	for _, ln := range p.listeners {
		ln.close()
	}
	return nil
}
