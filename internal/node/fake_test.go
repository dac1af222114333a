package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"spillway/internal/proxy"
)

// fakePooler records what is asked of it. Drain and Pause wait until the
// channels are closed, or their context ends.
type fakePooler struct {
	failStart, failApply error
	drained, paused      chan struct{}

	mu     sync.Mutex
	calls  []string      // guarded by mu
	policy *proxy.Policy // guarded by mu
	state  string        // guarded by mu: "", running, closed
	marks  chan string   // every call, for those who wait for one
}

func newFakePooler() *fakePooler {
	return &fakePooler{drained: make(chan struct{}), paused: make(chan struct{}), marks: make(chan string, 100_000)}
}

func (f *fakePooler) note(call string) {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	f.marks <- call
}

// await returns when call has been asked.
func (f *fakePooler) await(call string) {
	for mark := range f.marks {
		if mark == call {
			return
		}
	}
}

func (f *fakePooler) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fakePooler) Start() error {
	f.note("start")
	if f.failStart != nil {
		return f.failStart
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != "" {
		return errors.New("started in state " + f.state)
	}
	f.state = "running"
	return nil
}

func (f *fakePooler) Close() error {
	f.note("close")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == "closed" {
		return errors.New("closed twice")
	}
	f.state = "closed"
	return nil
}

func (f *fakePooler) Apply(p *proxy.Policy) error {
	f.note("apply")
	if f.failApply != nil {
		return f.failApply
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.policy = p
	return nil
}

func (f *fakePooler) Drain(ctx context.Context) error {
	f.note("drain")
	select {
	case <-f.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakePooler) Pause(ctx context.Context, _ string) error {
	f.note("pause")
	select {
	case <-f.paused:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakePooler) Resume(context.Context, string) error { f.note("resume"); return nil }
func (f *fakePooler) Alive() bool                          { return true }

func (f *fakePooler) Serving() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state == "running"
}

func (f *fakePooler) Upstreams(context.Context) ([]proxy.UpstreamStat, error) {
	return []proxy.UpstreamStat{{Name: "main", Usable: 97, Used: 20, Waiting: 3}}, nil
}

func (f *fakePooler) Held(string) int { return 0 }

// fakeSystem records what systemd is told.
type fakeSystem struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (f *fakeSystem) send(state string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, state)
	return nil
}

func (f *fakeSystem) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines)
}

// testNode is a node over a fake pooler.
func testNode(t *testing.T, change func(*parts)) (*Node, *fakePooler, *fakeSystem) {
	t.Helper()
	pooler, system := newFakePooler(), new(fakeSystem)
	setup := &Setup{Policy: new(proxy.Policy)}
	p := parts{
		log:      slog.New(slog.DiscardHandler),
		applyLog: func(LogConfig) error { return nil },
		load:     func(*Setup) (*Setup, error) { return &Setup{Policy: new(proxy.Policy)}, nil },
		setup:    setup,
		pooler:   pooler,
		system:   &supervisor{send: system.send, clock: func() int64 { return 42 }},
	}
	if change != nil {
		change(&p)
	}
	return newNode(p), pooler, system
}
