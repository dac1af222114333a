package schedule

import (
	"testing"
	"time"
)

// idle opens n servers of p and leaves them idle.
func (w *world) idle(p *Pool, n int) {
	w.t.Helper()
	var list []*Server
	for range n {
		list = append(list, w.openOne(p))
	}
	for _, s := range list {
		w.release(s)
		w.now++
	}
}

func TestFullHostEvictsForAnotherPool(t *testing.T) {
	for _, tt := range []struct {
		name         string
		idleA, idleB int
		minA, minB   int
		from         string // whose server is closed; "" nobody's
	}{
		{"most above min", 3, 1, 0, 0, "a"},
		{"min counts", 3, 1, 3, 0, "b"},
		{"longest idle of equals", 2, 2, 0, 0, "a"},
		{"min holds", 2, 2, 2, 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, HostConfig{Usable: 4, Connect: quick})
			a := w.pool(PoolConfig{Name: "a", Min: tt.minA})
			b := w.pool(PoolConfig{Name: "b", Min: tt.minB})
			c := w.pool(PoolConfig{Name: "c"})
			w.idle(a, tt.idleA)
			w.idle(b, tt.idleB)
			w.now += 200 * ms
			x := w.client(c)
			if tt.from == "" {
				eq(t, "directives", len(w.last), 0)
				return
			}
			eq(t, "directives", len(w.last), 1)
			eq(t, "kind", w.last[0].Kind, Close)
			eq(t, "reason", w.last[0].Reason, Yielded)
			eq(t, "pool", w.last[0].Pool.cfg.Name, tt.from)
			w.settle()
			if w.server(x) == nil {
				t.Fatal("the slot did not reach the waiter")
			}
		})
	}
}

func TestGuaranteeBreaksMin(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2, Connect: quick, Workloads: []WorkloadConfig{
		{Name: "api", Mode: Enforce, Share: 1, Lendable: 1, Borrow: -1}, {Name: "other", Mode: Enforce, Share: 1, Lendable: 1, Borrow: -1},
	}})
	a, b := w.pool(PoolConfig{Min: 2}), w.pool(PoolConfig{})
	w.idle(a, 2)
	w.now += 200 * ms
	x := w.clientOf(b, "api")
	w.settle()
	if w.server(x) == nil {
		t.Fatal("min of an idle pool stood above a guarantee")
	}
}

func TestEvictionGrace(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Connect: quick, EvictGrace: 100 * time.Millisecond})
	a, b := w.pool(PoolConfig{}), w.pool(PoolConfig{})
	w.idle(a, 1)
	x := w.client(b)
	eq(t, "a fresh server", len(w.last), 0)
	w.run(90 * time.Millisecond)
	eq(t, "still there", w.server(x) == nil, true)
	w.run(30 * time.Millisecond)
	eq(t, "after the grace", w.server(x) != nil, true)
}

// Two pools that both always want the only slot change it at the pace of the grace, not of their transactions.
func TestPoolsDoNotFight(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Connect: quick, EvictGrace: 100 * time.Millisecond})
	pools := []*Pool{w.pool(PoolConfig{Name: "a"}), w.pool(PoolConfig{Name: "b"})}
	served := map[*Pool]int{}
	for range 3 {
		w.client(pools[0])
		w.client(pools[1])
	}
	end := w.now + 10e9
	for w.now < end {
		w.now += ms
		w.obey(w.h.Tick(w.now, nil))
		w.settle()
		for _, s := range append([]*Server(nil), w.order...) {
			served[s.Pool]++
			w.client(s.Pool)
			w.release(s)
		}
		w.settle()
	}
	if n := w.stat().Opened; n > 101 {
		t.Fatalf("%d logins in 10 s for one slot", n)
	}
	for p, n := range served {
		if n < 3000 {
			t.Fatalf("pool %s was served %d times of 10000", p.cfg.Name, n)
		}
	}
}

// Between equal workloads in different pools a slot moves once one is ahead by more than the grace.
func TestFairnessMovesSlotsBeyondTheGrace(t *testing.T) {
	for _, tt := range []struct {
		used  time.Duration
		moves bool
	}{{150 * time.Millisecond, false}, {250 * time.Millisecond, true}} {
		equal := func(name string) WorkloadConfig {
			return WorkloadConfig{Name: name, Mode: Enforce, Class: Normal, Share: 1, Lendable: 1, Borrow: -1}
		}
		idle := equal("idle")
		idle.Share = 1000 // guarantees of the others: one slot each
		w := newWorld(t, HostConfig{
			Usable: 3, Connect: quick, EvictGrace: 200 * time.Millisecond,
			Workloads: []WorkloadConfig{equal("a"), equal("b"), idle},
		})
		p, q := w.pool(PoolConfig{}), w.pool(PoolConfig{})
		for _, c := range []struct {
			p    *Pool
			work string
		}{{p, "a"}, {p, "a"}, {q, "b"}} {
			w.clientOf(c.p, c.work)
			w.settle()
		}
		w.now += 1000 * ms
		w.clientOf(p, "a")
		w.clientOf(q, "b") // contention begins: a holds two slots, b one
		w.now += int64(tt.used)
		s := w.order[0]
		w.release(s)
		eq(t, tt.used.String(), w.held[s] == nil, tt.moves)
	}
}

func TestNoSlotYieldsWhileLoginsArePaced(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Connect: Pace{Parallel: 1, PerSecond: 0.1, Burst: 1}})
	p, q := w.pool(PoolConfig{}), w.pool(PoolConfig{})
	s := w.openOne(p)
	x := w.client(q)
	w.now += 1000 * ms
	y := w.client(p)
	w.now += 1000 * ms
	w.release(s)
	eq(t, "served meanwhile", w.held[s], y)
	w.now += 10000 * ms
	w.client(p)
	w.release(s)
	w.settle()
	eq(t, "served after", w.server(x) != nil, true)
}

func TestReservePoolOpensAfterTheWait(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 10, Connect: quick})
	p := w.pool(PoolConfig{Max: 1, Reserve: 1, ReserveAfter: 5 * time.Second})
	w.openOne(p)
	b, c := w.client(p), w.client(p)
	w.run(4900 * time.Millisecond)
	eq(t, "before", w.server(b) == nil, true)
	w.run(200 * time.Millisecond)
	eq(t, "after", w.server(b) != nil, true)
	w.run(10 * time.Second)
	eq(t, "beyond the reserve", w.server(c) == nil, true)
	eq(t, "servers", w.stat().Total, 2)
}

func TestCapsBindPoolsTogether(t *testing.T) {
	for _, which := range []string{"database", "user"} {
		w := newWorld(t, HostConfig{Usable: 10, Connect: quick})
		limit := NewCap(1)
		cfg := PoolConfig{Database: limit}
		if which == "user" {
			cfg = PoolConfig{User: limit}
		}
		a, b := w.pool(cfg), w.pool(cfg)
		s := w.openOne(a)
		x := w.client(b)
		w.settle()
		eq(t, which+": at the cap", w.server(x) == nil, true)
		w.now += 200 * ms
		w.release(s)
		w.settle()
		eq(t, which+": evicted under the cap", w.server(x) != nil, true)
		eq(t, which+": used", limit.Used(), 1)
		w.gone(w.server(x))
		eq(t, which+": given back", limit.Used(), 0)
	}
}

func TestCapSharedByHosts(t *testing.T) {
	limit := NewCap(1)
	w, v := newWorld(t, HostConfig{Usable: 5}), newWorld(t, HostConfig{Usable: 5})
	s := w.openOne(w.pool(PoolConfig{User: limit}))
	x := v.client(v.pool(PoolConfig{User: limit}))
	eq(t, "other host", len(v.opens), 0)
	w.gone(s)
	v.run(20 * time.Millisecond)
	eq(t, "found at the next tick", v.server(x) != nil, true)
}

func TestLoweredLimitsShrink(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 6, Connect: quick})
	p := w.pool(PoolConfig{})
	w.idle(p, 4)
	held := w.openOne(p)
	w.openOne(p)
	w.openOne(p)
	w.obey(w.h.Configure(w.now, HostConfig{Usable: 2, Connect: quick}, nil))
	w.settle()
	eq(t, "idle ones close at once", w.stat().Total, 3)
	w.release(held)
	w.settle()
	eq(t, "the others as released", w.stat().Total, 2)
	w.obey(w.h.ConfigurePool(w.now, p, PoolConfig{Max: 1}, nil))
	w.release(w.order[0])
	w.settle()
	eq(t, "pool size", w.stat().Total, 1)
}

func TestTimeouts(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 20, Connect: quick})
	p := w.pool(PoolConfig{Min: 1, IdleTimeout: 10 * time.Second, Jitter: 0.2})
	w.idle(p, 5)
	w.run(7 * time.Second)
	eq(t, "before the timeout", w.stat().Total, 5)
	w.run(4 * time.Second)
	eq(t, "down to min", w.stat().Total, 1)
	w.obey(w.h.ConfigurePool(w.now, p, PoolConfig{Lifetime: 10 * time.Second, Jitter: 0.5}, nil))
	w.idle(p, 0)
	var list []*Server
	for range 10 {
		list = append(list, w.openOne(p))
	}
	w.run(4 * time.Second)
	for _, s := range list {
		w.release(s)
	}
	eq(t, "young", w.stat().Total >= 10, true)
	w.run(3 * time.Second)
	some := w.stat().Total
	if some < 2 || some > 10 {
		t.Fatalf("lifetimes do not spread: %d of 10 left at 7 s of 5–10 s", some)
	}
	w.run(4 * time.Second)
	eq(t, "all over", w.stat().Total <= 1, true)
}

func TestLifetimeEndsAtRelease(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Connect: quick})
	p := w.pool(PoolConfig{Lifetime: time.Second})
	s := w.openOne(p)
	w.run(2 * time.Second)
	x := w.client(p)
	w.release(s)
	eq(t, "reason", w.last[0].Reason, LifetimeOver)
	w.settle()
	eq(t, "replaced for the waiter", w.server(x) != nil, true)
}

func TestMinIsKept(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 5, Operator: 2, Connect: quick})
	w.pool(PoolConfig{Min: 2})
	w.pool(PoolConfig{Min: 1, Operator: true})
	w.run(20 * time.Millisecond)
	st := w.stat()
	eq(t, "shared", st.Total, 2)
	eq(t, "operator", st.OperatorUp, 1)
}

func TestMinAboveTheHostDoesNotChurn(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 3, Connect: quick})
	w.pool(PoolConfig{Min: 3})
	w.pool(PoolConfig{Min: 3})
	w.run(5 * time.Second)
	eq(t, "servers", w.stat().Total, 3)
	eq(t, "logins", w.stat().Opened, 3)
}

func TestMinServersSpreadOverLoops(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 4, Loops: 2, Connect: quick})
	p := w.pool(PoolConfig{Min: 4})
	w.run(10 * time.Millisecond)
	n := [2]int{}
	for _, s := range p.servers {
		n[s.Loop]++
	}
	eq(t, "spread", n, [2]int{2, 2})
}
