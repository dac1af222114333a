package schedule

import (
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// failer is what world needs of *testing.T and *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a proxy without sockets: it carries out directives by noting them, and logs in when told to.
type world struct {
	t       failer
	h       *Host
	now     int64
	opens   []*Server           // logins under way
	closes  []*Server           // asked to close, not yet gone
	held    map[*Server]*Waiter // servers with clients
	order   []*Server           // keys of held, oldest grant first
	waiting []*Waiter
	reclaim []*Server
	last    []Directive // of the last call
	failed  map[*Waiter]Reason
	watch   func(Directive) // sees each directive before it is noted
}

func newWorld(t failer, cfg HostConfig) *world {
	if cfg.Seed == 0 {
		cfg.Seed = 7
	}
	return &world{t: t, h: NewHost(cfg), now: 1, held: map[*Server]*Waiter{}, failed: map[*Waiter]Reason{}}
}

func (w *world) pool(cfg PoolConfig) *Pool { return w.h.AddPool(w.now, cfg) }

// obey notes what the directives ask for.
func (w *world) obey(out []Directive) {
	w.t.Helper()
	w.last = append(w.last[:0], out...)
	for _, d := range out {
		if w.watch != nil {
			w.watch(d)
		}
		switch d.Kind {
		case Grant:
			w.hold(d.Server, d.Waiter)
			w.waiting = without(w.waiting, d.Waiter)
		case Open:
			w.opens = append(w.opens, d.Server)
		case Close:
			w.opens = without(w.opens, d.Server)
			w.lose(d.Server)
			w.closes = append(w.closes, d.Server)
		case Fail:
			w.waiting = without(w.waiting, d.Waiter)
			w.failed[d.Waiter] = d.Reason
		case Reclaim:
			w.reclaim = append(w.reclaim, d.Server)
		}
	}
}

func (w *world) hold(s *Server, c *Waiter) {
	w.t.Helper()
	if w.held[s] != nil {
		w.t.Fatalf("server granted to two clients")
	}
	w.held[s] = c
	w.order = append(w.order, s)
}

func (w *world) lose(s *Server) {
	delete(w.held, s)
	w.order = without(w.order, s)
}

func (w *world) acquire(p *Pool, c *Waiter) (*Server, Verdict) {
	w.t.Helper()
	s, v, out := w.h.Acquire(w.now, p, c, nil)
	switch v {
	case Granted:
		w.hold(s, c)
	case Waiting:
		w.waiting = append(without(w.waiting, c), c)
	}
	w.obey(out)
	return s, v
}

// client acquires from p for a new client.
func (w *world) client(p *Pool) *Waiter {
	w.t.Helper()
	c := &Waiter{}
	w.acquire(p, c)
	return c
}

func (w *world) clientOf(p *Pool, name string) *Waiter {
	w.t.Helper()
	c := &Waiter{Workload: w.h.Workload(name)}
	w.acquire(p, c)
	return c
}

func (w *world) leave(c *Waiter) bool {
	w.t.Helper()
	left, out := w.h.Leave(w.now, c, nil)
	if left {
		w.waiting = without(w.waiting, c)
	}
	w.obey(out)
	return left
}

func (w *world) release(s *Server) {
	w.t.Helper()
	w.lose(s)
	w.obey(w.h.Release(w.now, s, nil))
}

func (w *world) gone(s *Server) {
	w.t.Helper()
	w.lose(s)
	w.opens, w.closes = without(w.opens, s), without(w.closes, s)
	w.obey(w.h.Gone(w.now, s, nil))
}

func (w *world) opened(s *Server) {
	w.t.Helper()
	w.opens = without(w.opens, s)
	w.obey(w.h.Opened(w.now, s, nil))
}

func (w *world) openFailed(s *Server, class FailClass) {
	w.t.Helper()
	w.opens, w.closes = without(w.opens, s), without(w.closes, s)
	w.obey(w.h.OpenFailed(w.now, s, class, nil))
}

func (w *world) tick(d time.Duration) {
	w.t.Helper()
	w.now += int64(d)
	w.obey(w.h.Tick(w.now, nil))
}

// settle ends every login and every close under way, until there are none; time stands still.
func (w *world) settle() {
	w.t.Helper()
	for len(w.opens)+len(w.closes) > 0 {
		for len(w.closes) > 0 {
			w.gone(w.closes[0])
		}
		for len(w.opens) > 0 {
			w.opened(w.opens[0])
		}
	}
}

// run lets time pass in ticks, settling after each.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	for end := w.now + int64(d); w.now < end; {
		w.tick(10 * time.Millisecond)
		w.settle()
	}
}

// server returns what c holds, or nil.
func (w *world) server(c *Waiter) *Server {
	for s, o := range w.held {
		if o == c {
			return s
		}
	}
	return nil
}

func (w *world) stat() HostStat { return w.h.Snapshot(w.now) }

func (w *world) workload(name string) WorkloadStat {
	w.t.Helper()
	for _, s := range w.stat().Workloads {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no workload %q", name)
	return WorkloadStat{}
}

func (w *world) count(k Kind) (n int) {
	for _, d := range w.last {
		if d.Kind == k {
			n++
		}
	}
	return n
}

func without[T comparable](list []T, x T) []T {
	for i, y := range list {
		if x == y {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// quick is a pace that never stands in the way.
var quick = Pace{Parallel: 1000, PerSecond: 1e6, Burst: 1000000}

func eq[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
