package schedule

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// idleHost returns a host with one pool of n idle servers.
func idleHost(tb testing.TB, cfg HostConfig, n int) (*world, *Pool) {
	w := newWorld(tb, cfg)
	p := w.pool(PoolConfig{Max: n})
	w.idle(p, n)
	return w, p
}

func TestAcquireAndReleaseDoNotAllocate(t *testing.T) {
	w, p := idleHost(t, HostConfig{Usable: 20, Connect: quick}, 4)
	c := &Waiter{}
	out := make([]Directive, 0, 8)
	idle := testing.AllocsPerRun(1000, func() {
		w.now++
		s, _, _ := w.h.Acquire(w.now, p, c, out[:0])
		w.h.Release(w.now, s, out[:0])
	})
	eq(t, "idle path", idle, 0)

	var held []*Server
	for range 4 {
		s, _, _ := w.h.Acquire(w.now, p, &Waiter{}, nil)
		held = append(held, s)
	}
	w.h.Acquire(w.now, p, c, nil)
	contended := testing.AllocsPerRun(1000, func() {
		w.now++
		d := w.h.Release(w.now, held[0], out[:0])
		w.h.Acquire(w.now, p, d[0].Waiter, out[:0])
	})
	eq(t, "contended path", contended, 0)

	leave := testing.AllocsPerRun(1000, func() {
		w.h.Leave(w.now, c, out[:0])
		w.h.Acquire(w.now, p, c, out[:0])
	})
	eq(t, "leaving", leave, 0)
	eq(t, "tick", testing.AllocsPerRun(1000, func() { w.now++; w.h.Tick(w.now, out[:0]) }), 0)
}

// Loops on their own goroutines: nobody is lost, no server is held twice. Meant for the race detector.
func TestLoopsTogether(t *testing.T) {
	const loops, clients, rounds = 3, 8, 2000
	h := NewHost(HostConfig{Usable: 5, Loops: loops, LoopReach: 4, Connect: quick, Seed: 1})
	p := h.AddPool(0, PoolConfig{Max: 4})
	var clock atomic.Int64
	var done sync.WaitGroup
	inbox := make([]chan Directive, loops)
	for i := range inbox {
		inbox[i] = make(chan Directive, 1<<16)
	}
	send := func(out []Directive) {
		for _, d := range out {
			at := d.From
			if d.Kind == Grant {
				at = d.Waiter.Loop
			}
			inbox[at] <- d
		}
	}
	done.Add(loops * clients)
	stop := make(chan struct{})
	var users [64]atomic.Int32 // by server number
	var made atomic.Int32
	loop := func(me int) {
		left := map[*Waiter]int{}
		use := func(c *Waiter, s *Server) {
			n := s.Data.(int32)
			if users[n].Add(1) != 1 {
				t.Error("server held twice")
			}
			users[n].Add(-1)
			send(h.Release(clock.Add(1), s, nil))
			if left[c]--; left[c] == 0 {
				done.Done()
			}
		}
		ask := func(c *Waiter) {
			for left[c] > 0 {
				s, v, out := h.Acquire(clock.Add(1), p, c, nil)
				send(out)
				if v == Waiting {
					return
				}
				use(c, s)
			}
		}
		for range clients {
			c := &Waiter{Loop: me}
			left[c] = rounds
			ask(c)
		}
		for {
			select {
			case <-stop:
				return
			case d := <-inbox[me]:
				switch d.Kind {
				case Open:
					d.Server.Data = made.Add(1)
					send(h.Opened(clock.Add(1), d.Server, nil))
				case Close:
					send(h.Gone(clock.Add(1), d.Server, nil))
				case Grant:
					use(d.Waiter, d.Server)
					ask(d.Waiter)
				}
			}
		}
	}
	var running sync.WaitGroup
	for i := range loops {
		running.Go(func() { loop(i) })
	}
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				send(h.Tick(clock.Add(1), nil))
				h.Snapshot(clock.Load())
				runtime.Gosched()
			}
		}
	})
	done.Wait()
	close(stop)
	running.Wait()
	if st := h.Snapshot(clock.Load()); st.Active != 0 || st.Waiting != 0 {
		t.Fatalf("%d held and %d waiting at the end", st.Active, st.Waiting)
	}
}

func BenchmarkIdle(b *testing.B) {
	w, p := idleHost(b, HostConfig{Usable: 20, Connect: quick}, 20)
	c := &Waiter{}
	out := make([]Directive, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		w.now += 1000
		s, _, _ := w.h.Acquire(w.now, p, c, out)
		w.h.Release(w.now, s, out)
	}
}

// BenchmarkContended releases a server to the first of 100 waiters, who queues again at the end.
func BenchmarkContended(b *testing.B) {
	w, p := idleHost(b, HostConfig{Usable: 20, Connect: quick}, 20)
	benchContended(b, w, []*Pool{p}, []string{DefaultWorkload})
}

func BenchmarkContendedWorkloads(b *testing.B) {
	w, p := idleHost(b, three(Enforce), 6) // default may hold that many
	benchContended(b, w, []*Pool{p}, []string{"api", "batch", DefaultWorkload})
}

func BenchmarkContendedPools(b *testing.B) {
	cfg := three(Enforce)
	cfg.EvictGrace = time.Hour
	w := newWorld(b, cfg)
	var pools []*Pool
	for range 10 {
		pools = append(pools, w.pool(PoolConfig{}))
		w.idle(pools[len(pools)-1], 1)
	}
	benchContended(b, w, pools, []string{"api", "batch", DefaultWorkload})
}

func benchContended(b *testing.B, w *world, pools []*Pool, workloads []string) {
	out := make([]Directive, 0, 8)
	var held []*Server
	for i := range 100 {
		s, v, _ := w.h.Acquire(w.now, pools[i%len(pools)], &Waiter{Workload: w.h.Workload(workloads[i%len(workloads)])}, out[:0])
		if v == Granted {
			held = append(held, s)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.now += 1000
		s := held[i%len(held)]
		i++
		for _, d := range w.h.Release(w.now, s, out[:0]) {
			if d.Kind == Grant {
				w.h.Acquire(w.now, d.Pool, d.Waiter, out[:0])
			}
		}
	}
}
