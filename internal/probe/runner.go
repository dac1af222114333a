package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"spillway/internal/sample"
)

// Probe is one thing to be looked at again and again.
type Probe struct {
	Name    string
	Server  string        // the PostgreSQL it asks; "" for none
	Every   time.Duration // from begin to begin
	Timeout time.Duration // of one run
	// Run looks once and keeps what it saw. It must end with its context.
	Run func(ctx context.Context) error
	// Withdraw forgets what was seen; called after a run that failed. May be nil.
	Withdraw func()
}

// Runner runs probes, each on a goroutine of its own.
type Runner struct {
	probes []*running
	cancel context.CancelFunc
	done   sync.WaitGroup
}

type running struct {
	Probe
	mu   sync.Mutex // guards stat
	stat sample.Probe
}

// NewRunner makes a runner of probes; it is started once.
func NewRunner(probes []Probe) *Runner {
	r := &Runner{}
	for _, p := range probes {
		r.probes = append(r.probes, &running{Probe: p, stat: sample.Probe{Name: p.Name, Server: p.Server}})
	}
	return r
}

// Start begins to look.
func (r *Runner) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	for _, p := range r.probes {
		r.done.Go(func() { p.loop(ctx) })
	}
}

// Stop ends all probes and waits for them.
func (r *Runner) Stop() {
	if r.cancel != nil {
		r.cancel()
	}
	r.done.Wait()
}

// Stats tells how the probes do at a moment. One that has not come back in
// twice its time is not up, whatever it said last.
func (r *Runner) Stats(at time.Time) []sample.Probe {
	list := make([]sample.Probe, 0, len(r.probes))
	for _, p := range r.probes {
		p.mu.Lock()
		s := p.stat
		p.mu.Unlock()
		if s.Up && at.Sub(s.GoodAt) > Stale(p.Every, p.Timeout) {
			s.Up, s.Error = false, fmt.Sprintf("no answer since %s", s.GoodAt.UTC().Format(time.TimeOnly))
		}
		list = append(list, s)
	}
	return list
}

// Stale is the age from which a value of a probe no longer holds: it should
// have come again, and has not.
func Stale(every, timeout time.Duration) time.Duration { return 2*every + timeout }

func (p *running) loop(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		began := time.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			return
		}
		p.note(began, err)
		next.Reset(max(p.Every-time.Since(began), p.Every/10))
	}
}

func (p *running) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	err := p.Run(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("not done within %s: %w", p.Timeout, err)
	}
	return err
}

func (p *running) note(began time.Time, err error) {
	if err != nil && p.Withdraw != nil {
		p.Withdraw()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.stat
	s.Tried = time.Now()
	s.Took = s.Tried.Sub(began)
	if err == nil {
		s.Up, s.GoodAt, s.Failed, s.Error = true, s.Tried, 0, ""
		return
	}
	s.Up, s.Error = false, err.Error()
	s.Failed++
}

// Slot holds the last value of a probe. Safe from any goroutine.
type Slot[T any] struct {
	mu    sync.Mutex // guards what follows
	value *T
	at    time.Time
}

// Set keeps a value; it is not changed any more.
func (s *Slot[T]) Set(v *T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.at = v, time.Now()
}

// Withdraw forgets the value.
func (s *Slot[T]) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = nil
}

// Get returns the value, nil when there is none or it is older than stale.
func (s *Slot[T]) Get(at time.Time, stale time.Duration) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == nil || at.Sub(s.at) > stale {
		return nil
	}
	return s.value
}
