package schedule

import (
	"testing"
	"time"
)

func TestFirstClientOpensThenReuses(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2})
	p := w.pool(PoolConfig{Max: 2})
	a := w.client(p)
	eq(t, "opens", w.count(Open), 1)
	w.settle()
	s := w.server(a)
	if s == nil {
		t.Fatal("client was not granted the opened server")
	}
	w.release(s)
	b := &Waiter{}
	got, v := w.acquire(p, b)
	eq(t, "verdict", v, Granted)
	eq(t, "server", got, s)
}

func TestQueueIsFIFOAndLeaveIsIdempotent(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1})
	p := w.pool(PoolConfig{})
	first := w.client(p)
	w.settle()
	b, c, d := w.client(p), w.client(p), w.client(p)
	eq(t, "left", w.leave(c), true)
	eq(t, "left again", w.leave(c), false)
	s := w.server(first)
	w.release(s)
	eq(t, "next", w.held[s], b)
	eq(t, "leave of the granted", w.leave(b), false)
	w.release(s)
	eq(t, "after the one that left", w.held[s], d)
}

func TestIdleOrder(t *testing.T) {
	for _, robin := range []bool{false, true} {
		w := newWorld(t, HostConfig{Usable: 2})
		p := w.pool(PoolConfig{RoundRobin: robin})
		a, b := w.client(p), w.client(p)
		w.settle()
		sa, sb := w.server(a), w.server(b)
		w.release(sa)
		w.now++
		w.release(sb)
		want := sb
		if robin {
			want = sa
		}
		got, _ := w.acquire(p, &Waiter{})
		eq(t, "server", got, want)
	}
}

func TestServerOfAnotherLoopIsGrantedByDirective(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2, LoopReach: 8})
	p := w.pool(PoolConfig{})
	a := w.client(p)
	w.settle()
	w.release(w.server(a))
	far := &Waiter{Loop: 1}
	_, v := w.acquire(p, far)
	eq(t, "verdict", v, Waiting)
	d := w.last[0]
	eq(t, "kind", d.Kind, Grant)
	eq(t, "from", d.From, 0)
	eq(t, "to", d.Server.Loop, 1)
}

func TestLoopPreferenceIsBounded(t *testing.T) {
	const reach = 3
	w := newWorld(t, HostConfig{Usable: 1, LoopReach: reach})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	far := &Waiter{Loop: 1}
	w.acquire(p, far)
	passed := 0
	for w.held[s] != far {
		w.acquire(p, &Waiter{})
		w.release(s)
		if passed++; passed > reach+1 {
			t.Fatalf("waiter of another loop passed more than %d times", reach)
		}
	}
	eq(t, "passed", passed, reach+1)
}

// openOne opens a server of p and leaves it held by a client of loop 0.
func (w *world) openOne(p *Pool) *Server {
	w.t.Helper()
	c := w.client(p)
	w.settle()
	s := w.server(c)
	if s == nil {
		w.t.Fatalf("no server opened")
	}
	return s
}

func TestFitDecidesReuse(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2, Connect: quick})
	p := w.pool(PoolConfig{})
	a := &Waiter{Fit: 1}
	w.acquire(p, a)
	w.settle()
	w.release(w.server(a))
	b := &Waiter{Fit: 2}
	_, v := w.acquire(p, b)
	eq(t, "unfit idle server", v, Waiting)
	eq(t, "opens", w.count(Open), 1)
	w.settle()
	eq(t, "fit", w.server(b).Fit, 2)
	// The host is full now: a third identity closes the idle unfit server at once.
	c := &Waiter{Fit: 3}
	w.acquire(p, c)
	eq(t, "close", w.last[0].Kind, Close)
	eq(t, "reason", w.last[0].Reason, Yielded)
	w.settle()
	eq(t, "fit", w.server(c).Fit, 3)
}

func TestUnfitHeadIsNotStarvedAtTheLimit(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Connect: quick})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	head := &Waiter{Fit: 9}
	w.acquire(p, head)
	w.client(p)
	w.release(s)
	eq(t, "closed for the head", w.last[0].Kind, Close)
	w.settle()
	if w.server(head) == nil {
		t.Fatal("head of the queue was passed for good")
	}
}

func TestUnfitHeadWithRoomLetsOthersReuse(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 3, Connect: quick})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	head, next := &Waiter{Fit: 9}, &Waiter{}
	w.acquire(p, head) // opens one for itself
	w.acquire(p, next)
	w.release(s)
	eq(t, "reused", w.held[s], next)
}

func TestLeavingHeadLetsTheNextReuse(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Connect: Pace{Parallel: 1, PerSecond: 0.001, Burst: 1}})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	head, next := &Waiter{Fit: 9}, &Waiter{}
	w.acquire(p, head)
	w.acquire(p, next)
	w.release(s) // kept for the head, which may not log in yet
	eq(t, "next waits", w.held[s] == nil, true)
	w.leave(head)
	eq(t, "next", w.held[s], next)
}

func TestStaleServerIsMarked(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1})
	p := w.pool(PoolConfig{CheckAfter: time.Second})
	s := w.openOne(p)
	w.release(s)
	w.client(p)
	eq(t, "fresh", s.Stale, false)
	w.release(s)
	w.tick(2 * time.Second)
	eq(t, "used", w.stat().Pools[0].Used, 1)
	w.client(p)
	eq(t, "stale", s.Stale, true)
}

func TestReportsInAnyStateAreHarmless(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	w.release(s)
	w.release(s)
	w.opened(s)
	w.openFailed(s, FailNetwork)
	w.gone(s)
	w.gone(s)
	w.release(s)
	w.opened(s)
	w.h.SetMark(s, Tested)
	eq(t, "total", w.stat().Total, 0)
	eq(t, "failures", w.stat().Breaker.Failures, 0)
}

func TestMarksShowAndClear(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	w.h.SetMark(s, Tested)
	w.h.SetMark(s, Cancelled)
	eq(t, "tested", w.stat().Pools[0].Tested, 0)
	eq(t, "cancelled", w.stat().Pools[0].Cancelled, 1)
	w.release(s)
	eq(t, "cancelled after release", w.stat().Pools[0].Cancelled, 0)
}
