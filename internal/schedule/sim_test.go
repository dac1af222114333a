package schedule

import (
	"container/heap"
	"slices"
	"testing"
	"time"
)

// sim runs a world in simulated time: logins, closes and transactions take as long as they are said to.
type sim struct {
	*world
	queue   events
	login   time.Duration
	grants  map[*Waiter]func(*Server)
	refused int
}

type event struct {
	at  int64
	seq int
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func newSim(t failer, cfg HostConfig) *sim {
	s := &sim{world: newWorld(t, cfg), login: 5 * time.Millisecond, grants: map[*Waiter]func(*Server){}}
	s.watch = s.carry
	s.after(0, s.ticking)
	return s
}

func (s *sim) ticking() {
	s.obey(s.h.Tick(s.now, nil))
	s.at(max(s.now+ms, min(s.h.NextTick(), s.now+250*ms)), s.ticking)
}

func (s *sim) at(at int64, do func()) { heap.Push(&s.queue, event{at, len(s.queue), do}) }

func (s *sim) after(d time.Duration, do func()) { s.at(s.now+int64(d), do) }

// carry plays the network for each directive.
func (s *sim) carry(d Directive) {
	switch d.Kind {
	case Open:
		s.after(s.login, func() { s.opened(d.Server) })
	case Close:
		s.after(time.Millisecond, func() { s.gone(d.Server) })
	case Grant:
		s.after(0, func() { s.begin(d.Waiter, d.Server) })
	case Reclaim: // the cancelled transaction ends
		lease := d.Lease
		s.after(time.Millisecond, func() {
			if c := s.held[d.Server]; c != nil && d.Server.Lease == lease {
				s.grants[c](nil)
			}
		})
	}
}

func (s *sim) begin(c *Waiter, srv *Server) {
	if do := s.grants[c]; do != nil && s.held[srv] == c {
		do(srv)
	}
}

// until runs events up to at.
func (s *sim) until(d time.Duration) {
	end := s.now + int64(d)
	for len(s.queue) > 0 && s.queue[0].at <= end {
		e := heap.Pop(&s.queue).(event)
		s.now = max(s.now, e.at)
		e.do()
	}
	s.now = end
}

// load is a group of clients that each run transactions one after another, thinking in between.
type load struct {
	pool          *Pool
	workload      string
	clients       int
	takes, thinks time.Duration
	done          int
	busy          int64 // slot-time
	waits         []int64
	stop          bool
}

// start lets the clients of l begin.
func (s *sim) start(l *load) {
	for range l.clients {
		s.cycle(l, &Waiter{Workload: s.h.Workload(l.workload)})
	}
}

// cycle is one transaction of c after another.
func (s *sim) cycle(l *load, c *Waiter) {
	if l.stop {
		return
	}
	asked := s.now
	s.grants[c] = func(srv *Server) {
		got, lease := s.now, srv.Lease
		l.waits = append(l.waits, got-asked)
		end := func(*Server) {
			if s.held[srv] != c || srv.Lease != lease {
				return
			}
			l.busy += s.now - got
			l.done++
			s.release(srv)
			s.after(l.thinks, func() { s.cycle(l, c) })
		}
		s.grants[c] = end // a Reclaim ends it early
		s.after(l.takes, func() { end(srv) })
	}
	srv, v := s.acquire(l.pool, c)
	switch v {
	case Granted:
		s.begin(c, srv)
	case Refused:
		s.refused++
		s.after(100*time.Millisecond, func() { s.cycle(l, c) })
	}
}

// jain is Jain's fairness index: 1 is equal.
func jain(xs ...int64) float64 {
	var sum, squares float64
	for _, x := range xs {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(xs)) * squares)
}

func percentile(xs []int64, p float64) time.Duration {
	if len(xs) == 0 {
		return 0
	}
	xs = slices.Clone(xs)
	slices.Sort(xs)
	return time.Duration(xs[int(float64(len(xs)-1)*p)])
}

// Equal workloads get equal slot-time, however different their transactions and their numbers of clients are.
func TestEqualWorkloadsShareEqually(t *testing.T) {
	equal := func(name string) WorkloadConfig {
		return WorkloadConfig{Name: name, Mode: Enforce, Share: 10, Lendable: 1, Borrow: -1}
	}
	for _, tt := range []struct {
		name   string
		usable int
		apart  bool
		idle   bool // a third workload lends everything
	}{
		{"one pool", 8, false, false},
		{"one pool, lent slots", 9, false, true},
		{"a pool each", 8, true, false},
		{"a pool each, lent slots", 9, true, true},
		{"one slot", 1, false, false},
		{"one slot, two pools", 1, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := HostConfig{Usable: tt.usable, Workloads: []WorkloadConfig{equal("a"), equal("b")}}
			if tt.idle {
				cfg.Workloads = append(cfg.Workloads, equal("idle"))
			}
			s := newSim(t, cfg)
			p := s.pool(PoolConfig{})
			q := p
			if tt.apart {
				q = s.pool(PoolConfig{})
			}
			a := &load{pool: p, workload: "a", clients: 100, takes: time.Millisecond}
			b := &load{pool: q, workload: "b", clients: 12, takes: 40 * time.Millisecond}
			s.start(a)
			s.start(b)
			s.until(3 * time.Second)
			a.busy, b.busy = 0, 0
			s.until(30 * time.Second)
			t.Logf("Jain %.4f, slot-time %v and %v, %d and %d transactions", jain(a.busy, b.busy), time.Duration(a.busy), time.Duration(b.busy), a.done, b.done)
			if j := jain(a.busy, b.busy); j < 0.95 {
				t.Fatalf("Jain's index %.3f: %v and %v of slot-time", j, time.Duration(a.busy), time.Duration(b.busy))
			}
			if used := a.busy + b.busy; used < int64(0.9*30e9)*int64(tt.usable) {
				t.Fatalf("only %v of slot-time used of %d slots in 30 s", time.Duration(used), tt.usable)
			}
		})
	}
}

// Slot-time used while nobody competed does not have to be paid back by waiting.
func TestTimeAloneIsForgiven(t *testing.T) {
	equal := func(name string, share, limit int) WorkloadConfig {
		return WorkloadConfig{Name: name, Mode: Enforce, Share: share, Limit: limit, Lendable: 1, Borrow: -1}
	}
	s := newSim(t, HostConfig{Usable: 10, Workloads: []WorkloadConfig{
		equal("a", 1, 0), equal("b", 1, 0), equal("pin", 1, 1), equal("idle", 1000, 0),
	}})
	p := s.pool(PoolConfig{})
	s.start(&load{pool: s.pool(PoolConfig{}), workload: "pin", clients: 3, takes: 10 * time.Second}) // somebody waits all the time
	a := &load{pool: p, workload: "a", clients: 9, takes: 50 * time.Millisecond}
	s.start(a)
	s.until(10 * time.Minute)
	b := &load{pool: p, workload: "b", clients: 20, takes: 50 * time.Millisecond}
	more := &load{pool: p, workload: "a", clients: 20, takes: 50 * time.Millisecond}
	s.start(b)
	s.start(more)
	a.busy = 0
	s.until(30 * time.Second)
	if j := jain(a.busy+more.busy, b.busy); j < 0.95 {
		t.Fatalf("Jain's index %.3f: %v and %v", j, time.Duration(a.busy+more.busy), time.Duration(b.busy))
	}
}

// A guarantee comes back within a second plus one transaction, whatever the borrower runs.
func TestGuaranteeIsRestored(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration // one transaction of the borrower
		apart bool
		class Class
	}{
		{"short", 50 * time.Millisecond, false, Normal},
		{"short, other pool", 50 * time.Millisecond, true, Normal},
		{"longer than the grace", 10 * time.Minute, false, Batch},
		{"longer than the grace, other pool", 10 * time.Minute, true, Batch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim(t, HostConfig{Usable: 20, Workloads: []WorkloadConfig{
				{Name: "api", Class: Critical, Mode: Enforce, Share: 10, Lendable: 1, Borrow: 0},
				{Name: "job", Class: tt.class, Mode: Enforce, Share: 10, Lendable: 1, Borrow: -1},
			}})
			p := s.pool(PoolConfig{})
			q := p
			if tt.apart {
				q = s.pool(PoolConfig{})
			}
			job := &load{pool: p, workload: "job", clients: 200, takes: tt.takes}
			s.start(job)
			s.until(5 * time.Second)
			if n := s.workload("job").InUse; n < 20 {
				t.Fatalf("only %d of 20 lent within seconds", n)
			}
			api := &load{pool: q, workload: "api", clients: 30, takes: 20 * time.Millisecond}
			s.start(api)
			bound := time.Second + 100*time.Millisecond // the grace, and the cancelled or the short transaction
			s.until(bound)
			t.Logf("api holds %d, %d done, waits up to %v", s.workload("api").InUse, api.done, percentile(api.waits, 1))
			if s.workload("api").InUse < 10 {
				t.Fatalf("api has %d of 10 after %v", s.workload("api").InUse, bound)
			}
		})
	}
}

// What is idle is lent: 90 % within a second.
func TestIdleSlotsAreLent(t *testing.T) {
	s := newSim(t, HostConfig{Usable: 20, Connect: Pace{Parallel: 4, PerSecond: 20, Burst: 10}, Workloads: []WorkloadConfig{
		{Name: "api", Class: Critical, Mode: Enforce, Share: 15, Lendable: 0.6, Borrow: 0},
		{Name: "job", Class: Batch, Mode: Enforce, Share: 5, Lendable: 1, Borrow: -1},
	}})
	p := s.pool(PoolConfig{})
	s.start(&load{pool: p, workload: "job", clients: 200, takes: 30 * time.Millisecond})
	s.until(time.Second)
	if n := s.workload("job").InUse; n < 5+8 { // its own 5 and 90 % of 9
		t.Fatalf("job uses %d slots of 5 + 9", n)
	}
}

// A batch workload at ten times its capacity: no critical transaction is refused, nor waits longer than one batch transaction.
func TestBatchOverloadSparesCritical(t *testing.T) {
	s := newSim(t, HostConfig{Usable: 20, Workloads: []WorkloadConfig{
		{Name: "api", Class: Critical, Mode: Enforce, Share: 15, Lendable: 0.3, Borrow: 1},
		{Name: "job", Class: Batch, Mode: Enforce, Share: 5, Lendable: 0.9, Borrow: 1, QueueMax: 100},
	}})
	p := s.pool(PoolConfig{})
	api := &load{pool: p, workload: "api", clients: 14, takes: 2 * time.Millisecond, thinks: 3 * time.Millisecond}
	s.start(api)
	s.until(2 * time.Second)
	api.waits = nil
	job := &load{pool: p, workload: "job", clients: 200, takes: 50 * time.Millisecond}
	s.start(job)
	s.until(20 * time.Second)
	if shed := s.workload("api").Shed; shed != 0 {
		t.Fatalf("%d critical transactions refused", shed)
	}
	if shed := s.workload("job").Shed; shed == 0 {
		t.Fatal("the overload was none")
	}
	if p99 := percentile(api.waits, 0.99); p99 > time.Millisecond {
		t.Fatalf("critical clients wait %v at the 99th percentile", p99)
	}
}

// 5,000 clients come back after a restart.
func TestStormAfterARestart(t *testing.T) {
	s := newSim(t, HostConfig{Usable: 85, Operator: 3})
	p := s.pool(PoolConfig{})
	l := &load{pool: p, clients: 5000, takes: 5 * time.Millisecond, thinks: time.Hour}
	s.start(l)
	s.until(time.Second)
	if n := s.stat().Opened; n > 30 {
		t.Fatalf("%d logins in the first second", n)
	}
	s.until(14 * time.Second)
	t.Logf("all served after at most %v; %d logins", percentile(l.waits, 1), s.stat().Opened)
	if l.done != 5000 {
		t.Fatalf("%d of 5000 served in 15 s", l.done)
	}
}
