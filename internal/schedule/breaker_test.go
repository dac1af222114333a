package schedule

import (
	"math/rand/v2"
	"testing"
	"time"
)

// outage fails every login under way with class until the breaker opens.
func (w *world) outage(p *Pool, class FailClass) {
	w.t.Helper()
	for !w.stat().Breaker.Open {
		if len(w.opens) == 0 {
			w.tick(10 * time.Millisecond)
			continue
		}
		w.openFailed(w.opens[0], class)
	}
}

func TestBreakerOpensAfterThree(t *testing.T) {
	for _, tt := range []struct {
		class FailClass
		trips bool
	}{{FailNetwork, true}, {FailStarting, true}, {FailAuth, false}, {FailPool, false}, {FailFull, false}, {FailCancelled, false}} {
		w := newWorld(t, HostConfig{Usable: 10, Connect: quick})
		p := w.pool(PoolConfig{})
		for range 5 {
			w.client(p)
		}
		for n := 0; n < 3; n++ {
			for len(w.opens) == 0 {
				w.tick(time.Second)
			}
			eq(t, tt.class.String()+": open too early", w.stat().Breaker.Open, false)
			w.openFailed(w.opens[0], tt.class)
		}
		eq(t, tt.class.String(), w.stat().Breaker.Open, tt.trips)
	}
}

func TestSuccessBetweenFailuresKeepsItClosed(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 10, Connect: quick})
	p := w.pool(PoolConfig{})
	for range 9 {
		w.client(p)
	}
	for len(w.opens) > 3 {
		w.openFailed(w.opens[0], FailNetwork)
		w.openFailed(w.opens[0], FailNetwork)
		w.opened(w.opens[0])
	}
	eq(t, "trips", w.stat().Breaker.Trips, 0)
}

// Logins that began before the breaker opened say nothing about the outage going on.
func TestStragglersDoNotLengthenTheOutage(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 50, Connect: quick})
	p := w.pool(PoolConfig{})
	for range 20 {
		w.client(p)
	}
	for len(w.opens) > 0 {
		w.openFailed(w.opens[0], FailNetwork)
	}
	if next := w.stat().Breaker.NextProbe; next > time.Duration(probeEvery+backoffBase) {
		t.Fatalf("first probe only after %v", next)
	}
}

// During an outage there is one prober and less than one login a second, whoever waits.
func TestOutageIsProbedSlowly(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 50})
	pools := []*Pool{w.pool(PoolConfig{}), w.pool(PoolConfig{Min: 2}), w.pool(PoolConfig{Operator: true, Min: 1})}
	for range 100 {
		w.client(pools[0])
		w.client(pools[1])
	}
	w.outage(pools[0], FailNetwork)
	for len(w.opens) > 0 {
		w.openFailed(w.opens[0], FailNetwork)
	}
	before := w.stat().Opened
	for end := w.now + int64(10*time.Minute); w.now < end; {
		w.tick(10 * time.Millisecond)
		if len(w.opens) > 1 {
			t.Fatal("two probes at once")
		}
		for len(w.opens) > 0 {
			w.openFailed(w.opens[0], FailNetwork)
		}
	}
	probes := w.stat().Opened - before
	if probes > 600 || probes < 60 {
		t.Fatalf("%d logins in 10 minutes of outage", probes)
	}
}

func TestSlowStartAfterAnOutage(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 50, Connect: Pace{Parallel: 8, PerSecond: 1e6, Burst: 1000}})
	p := w.pool(PoolConfig{})
	for range 50 {
		w.client(p)
	}
	w.outage(p, FailNetwork)
	for len(w.opens) > 0 {
		w.openFailed(w.opens[0], FailNetwork)
	}
	w.tick(10 * time.Second)
	for _, want := range []int{1, 2, 4, 8} {
		eq(t, "logins at once", len(w.opens), want)
		for _, s := range append([]*Server(nil), w.opens...) {
			w.opens = without(w.opens, s)
			w.h.Opened(w.now, s, nil) // the directives repeat below
		}
		w.opens = nil
		for _, s := range p.servers {
			if s.state == Opening {
				w.opens = append(w.opens, s)
			}
		}
	}
	eq(t, "over", w.stat().Breaker.SlowStart, 0)
}

func TestHealthyServersServeDuringAnOutage(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 50, FailFast: true, Connect: quick})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	x := w.client(p)
	w.client(p)
	w.client(p)
	for len(w.opens) > 0 {
		w.openFailed(w.opens[0], FailNetwork)
	}
	eq(t, "open", w.stat().Breaker.Open, true)
	eq(t, "waiters kept", len(w.waiting), 3)
	w.release(s)
	eq(t, "served", w.held[s], x)
}

func TestFailFast(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fast  bool
		class FailClass
		fails bool
	}{
		{"network", true, FailNetwork, true},
		{"starting keeps waiters", true, FailStarting, false},
		{"off", false, FailNetwork, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, HostConfig{Usable: 5, FailFast: tt.fast, Connect: quick})
			p := w.pool(PoolConfig{})
			x := w.client(p)
			w.client(p)
			w.client(p)
			w.outage(p, tt.class)
			eq(t, "failed", w.failed[x] == LoginFailing, tt.fails)
			if !tt.fails {
				return
			}
			c := &Waiter{}
			_, v := w.acquire(p, c)
			eq(t, "verdict", v, Refused)
			eq(t, "why", c.Refusal, LoginFailing)
			// What was refused still makes somebody look whether it is over.
			w.run(6 * time.Second)
			eq(t, "closed again", w.stat().Breaker.Open, false)
			_, v = w.acquire(p, c)
			eq(t, "after", v, Granted)
		})
	}
}

func TestWrongPasswordBlocksItsUserOnly(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 20, FailFast: true, Connect: quick})
	user := NewCap(0)
	a, b, c := w.pool(PoolConfig{User: user}), w.pool(PoolConfig{User: user}), w.pool(PoolConfig{User: NewCap(0)})
	x := w.client(a)
	w.openFailed(w.opens[0], FailAuth)
	eq(t, "failed", w.failed[x], LoginFailing)
	_, v := w.acquire(b, &Waiter{})
	eq(t, "same user, other database", v, Refused)
	w.openOne(c)
	attempts := w.stat().Opened
	for end := w.now + int64(10*time.Minute); w.now < end; {
		w.tick(10 * time.Millisecond)
		w.acquire(a, &Waiter{})
		for len(w.opens) > 0 {
			w.openFailed(w.opens[0], FailAuth)
		}
		if next := w.stat().Pools[0].NextLogin; next > 30*time.Second {
			t.Fatalf("blocked for %v", next)
		}
	}
	if n := w.stat().Opened - attempts; n < 20 || n > 200 {
		t.Fatalf("%d logins in 10 minutes with a wrong password", n)
	}
	eq(t, "breaker", w.stat().Breaker.Open, false)
	// The password is mended: one login heals both pools.
	for len(w.opens) == 0 {
		w.tick(10 * time.Millisecond)
		w.acquire(a, &Waiter{})
	}
	w.settle()
	eq(t, "healed", w.stat().Pools[1].Failing, 0)
}

func TestTooManyConnectionsShrinksAndGrowsBack(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 10, Connect: quick})
	p := w.pool(PoolConfig{})
	for range 4 {
		w.openOne(p)
	}
	for range 6 {
		w.client(p)
	}
	for len(w.opens) > 0 {
		w.openFailed(w.opens[0], FailFull)
	}
	eq(t, "usable", w.stat().Usable, 4)
	eq(t, "breaker", w.stat().Breaker.Open, false)
	attempts := w.stat().Opened
	for end := w.now + int64(time.Minute); w.now < end; {
		w.tick(10 * time.Millisecond)
		for len(w.opens) > 0 {
			w.openFailed(w.opens[0], FailFull)
		}
	}
	if n := w.stat().Opened - attempts; n < 1 || n > 60 {
		t.Fatalf("%d logins in a minute of 53300", n)
	}
	w.run(5 * time.Minute)
	eq(t, "grown back", w.stat().Usable, 10)
	eq(t, "all served", len(w.waiting), 0)
}

func TestFirstLoginRefusedAsFullIsRetried(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 10})
	x := w.client(w.pool(PoolConfig{}))
	w.openFailed(w.opens[0], FailFull)
	eq(t, "usable", w.stat().Usable, 0)
	w.run(2 * time.Second)
	eq(t, "served", w.server(x) != nil, true)
}

func TestPaceOfLogins(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 100})
	p := w.pool(PoolConfig{})
	for range 100 {
		w.client(p)
	}
	start := w.now
	parallel := 0
	for w.now < start+int64(time.Second) {
		parallel = max(parallel, len(w.opens))
		for len(w.opens) > 0 { // logins take no time: the bucket alone decides
			w.opened(w.opens[0])
		}
		w.tick(10 * time.Millisecond)
	}
	st := w.stat()
	if st.Opened > 30 || st.Opened < 28 {
		t.Fatalf("%d logins in the first second", st.Opened)
	}
	if parallel > 4 {
		t.Fatalf("%d logins at once", parallel)
	}
	eq(t, "paced", st.Paced > 0, true)
}

func TestFullJitterStaysInBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		top := min(int64(backoffBase)<<min(n, 6), backoffCap)
		for range 100 {
			if d := fullJitter(rng, n, backoffCap); d < 1 || d > top {
				t.Fatalf("attempt %d waits %d of at most %d", n, d, top)
			}
		}
	}
}

// Operators wait for a host that is away, the next login is theirs, and it counts as the probe it is.
func TestOperatorsWaitForAHostThatIsAway(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 5, Operator: 2, FailFast: true, Connect: quick})
	p, op := w.pool(PoolConfig{}), w.pool(PoolConfig{Operator: true})
	w.client(p)
	w.client(p)
	w.client(p)
	w.outage(p, FailNetwork)
	for len(w.opens) > 0 { // those that had begun
		w.openFailed(w.opens[0], FailNetwork)
	}
	_, v := w.acquire(p, &Waiter{})
	eq(t, "a client", v, Refused)
	c := &Waiter{}
	_, v = w.acquire(op, c)
	eq(t, "an operator", v, Waiting)
	for len(w.opens) == 0 {
		w.tick(10 * time.Millisecond)
	}
	eq(t, "the next login is the operator's", w.opens[0].Pool, op)
	w.openFailed(w.opens[0], FailNetwork)
	eq(t, "still waiting", len(w.waiting), 1)
	before := w.stat().Opened
	for end := w.now + int64(time.Minute); w.now < end; {
		w.tick(10 * time.Millisecond)
		for len(w.opens) > 0 {
			w.openFailed(w.opens[0], FailNetwork)
		}
	}
	if n := w.stat().Opened - before; n > 60 {
		t.Fatalf("%d logins in a minute of outage", n)
	}
	w.run(6 * time.Second)
	eq(t, "served", w.server(c) != nil, true)
}

// An operator whose login is refused with 53300 is tried again, but not without a pause.
func TestOperatorsKnockAtAFullHostWithPauses(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 5, Operator: 2, FailFast: true})
	op := w.pool(PoolConfig{Operator: true})
	c := w.client(op)
	for end := w.now + int64(time.Second); w.now < end; w.tick(10 * time.Millisecond) {
		if len(w.opens) > 0 {
			w.openFailed(w.opens[0], FailFull)
		}
	}
	if n := w.stat().Opened; n < 3 || n > 6 {
		t.Fatalf("%d logins in a second of 53300", n)
	}
	w.run(time.Second)
	eq(t, "served", w.server(c) != nil, true)
}
