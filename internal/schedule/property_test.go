package schedule

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// machine drives a Host and its model with the same random steps.
type machine struct {
	*world
	rt    *rapid.T
	m     *model
	pools []*Pool
	fits  int
}

// TestAgainstModel holds the Host against the naive model: every grant, every bound, nobody forgotten.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mc := newMachine(rt)
		mc.after(false)
		rt.Repeat(map[string]func(*rapid.T){
			"acquire":    mc.stepAcquire,
			"acquire2":   mc.stepAcquire,
			"leave":      mc.stepLeave,
			"release":    mc.stepRelease,
			"release2":   mc.stepRelease,
			"gone":       mc.stepGone,
			"opened":     mc.stepOpened,
			"opened2":    mc.stepOpened,
			"openFailed": mc.stepOpenFailed,
			"closed":     mc.stepClosed,
			"tick":       mc.stepTick,
			"configure":  mc.stepConfigure,
			"verb":       mc.stepVerb,
			"pool":       mc.stepPool,
		})
	})
}

// pick draws one of list by its index, which is what a failure then prints.
func pick[T any](rt *rapid.T, what string, list []T) T {
	return list[rapid.IntRange(0, len(list)-1).Draw(rt, what)]
}

func drawWorkload(rt *rapid.T, name string) WorkloadConfig {
	return WorkloadConfig{
		Name:     name,
		Class:    rapid.SampledFrom([]Class{Normal, Critical, Batch}).Draw(rt, "class"),
		Mode:     rapid.SampledFrom([]Mode{Off, Warn, Enforce, Enforce, Enforce}).Draw(rt, "mode"),
		Share:    rapid.IntRange(0, 5).Draw(rt, "share"),
		Lendable: rapid.SampledFrom([]float64{0, 0.3, 0.5, 1}).Draw(rt, "lendable"),
		Borrow:   rapid.SampledFrom([]float64{-1, 0, 0.5, 1}).Draw(rt, "borrow"),
		Limit:    rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(rt, "limit"),
		QueueMax: rapid.SampledFrom([]int{0, 0, 0, 3}).Draw(rt, "queueMax"),
		Pause:    rapid.SampledFrom([]Pausing{NotPaused, NotPaused, NotPaused, NotPaused, PauseQueue, PauseRefuse}).Draw(rt, "pause"),
	}
}

func drawHost(rt *rapid.T) HostConfig {
	cfg := HostConfig{
		Usable:     rapid.IntRange(0, 9).Draw(rt, "usable"),
		Operator:   rapid.IntRange(0, 2).Draw(rt, "operator"),
		Connect:    rapid.SampledFrom([]Pace{{}, quick, {Parallel: 1, PerSecond: 5, Burst: 2}}).Draw(rt, "pace"),
		EvictGrace: rapid.SampledFrom([]time.Duration{-1, 0, 5 * time.Millisecond}).Draw(rt, "grace"),
		FailFast:   rapid.Bool().Draw(rt, "failFast"),
		LoopReach:  rapid.SampledFrom([]int{0, 0, 4}).Draw(rt, "loopReach"),
		Seed:       1,
	}
	for i := range rapid.IntRange(0, 3).Draw(rt, "workloads") {
		name := fmt.Sprintf("w%d", i)
		if i == 2 {
			name = DefaultWorkload
		}
		cfg.Workloads = append(cfg.Workloads, drawWorkload(rt, name))
	}
	return cfg
}

func drawPool(rt *rapid.T, name string) PoolConfig {
	return PoolConfig{
		Name:         name,
		Max:          rapid.SampledFrom([]int{0, 1, 2, 5}).Draw(rt, "max"),
		Min:          rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(rt, "min"),
		Reserve:      rapid.SampledFrom([]int{0, 0, 1}).Draw(rt, "reserve"),
		ReserveAfter: 20 * time.Millisecond,
		IdleTimeout:  rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(rt, "idleTimeout"),
		Lifetime:     rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(rt, "lifetime"),
		Jitter:       0.2,
		RoundRobin:   rapid.Bool().Draw(rt, "roundRobin"),
	}
}

func newMachine(rt *rapid.T) *machine {
	mc := &machine{world: newWorld(rt, drawHost(rt)), rt: rt}
	mc.m = newModel(rt, mc.h, mc.now)
	mc.m.pace.born = mc.now
	mc.fits = rapid.SampledFrom([]int{1, 1, 2}).Draw(rt, "fits")
	mc.watch = mc.m.see
	n := rapid.IntRange(0, 3).Draw(rt, "cap")
	databases, users := []*Cap{nil, nil, NewCap(n), NewCap(2)}, []*Cap{nil, nil, NewCap(n), NewCap(2)}
	for i := range rapid.IntRange(1, 4).Draw(rt, "pools") {
		cfg := drawPool(rt, fmt.Sprintf("p%d", i))
		cfg.Database = pick(rt, "database", databases)
		cfg.User = pick(rt, "user", users)
		cfg.Operator = i == 3
		mc.pools = append(mc.pools, mc.pool(cfg))
	}
	return mc
}

// before lets the model's clock follow, with s about to be free.
func (mc *machine) before(s *Server) {
	mc.m.advance(mc.now)
	mc.m.grace = max(0, int64(mc.h.cfg.EvictGrace))
	mc.m.loose = s
	if s == nil {
		return
	}
	if x := mc.m.find(s); x.state == Opening {
		x.opened = mc.now
	}
	x := mc.m.find(s)
	x.state, x.work, x.claim, x.since = Idle, nil, nil, mc.now
}

func (mc *machine) after(acted bool) {
	mc.m.loose = nil
	mc.m.rest(acted)
}

func (mc *machine) stepAcquire(rt *rapid.T) {
	mc.t = rt
	p := pick(rt, "pool", mc.pools)
	c := &Waiter{Fit: uint64(rapid.IntRange(0, mc.fits-1).Draw(rt, "fit")), Loop: rapid.IntRange(0, 1).Draw(rt, "loop")}
	if len(mc.h.workloads) > 0 {
		c.Workload = pick(rt, "workload", append([]*Workload{nil}, mc.h.workloads...))
	}
	mc.before(nil)
	work := mc.h.workOf(p, c)
	free := false
	for _, x := range mc.m.servers {
		free = free || x.state == Idle && x.s.Pool == p && x.s.Fit == c.Fit
	}
	free = free && mc.m.admits(work) && !p.disabled && !p.removed && !mc.m.paused[p]
	for _, o := range mc.m.waiters {
		free = free && o.p != p // nobody of the pool is passed
	}
	s, v, out := mc.h.Acquire(mc.now, p, c, nil)
	if free && v == Waiting && len(out) > 0 && out[0].Kind == Grant && out[0].Waiter == c {
		s, v, out = out[0].Server, Granted, out[1:] // a server of the other loop
	}
	switch v {
	case Granted:
		if !free {
			rt.Fatalf("granted at once against the model")
		}
		x := mc.m.find(s)
		if x.state != Idle || s.Fit != c.Fit || s.Pool != p || s.Loop != c.Loop {
			rt.Fatalf("granted a server that is not free or does not fit")
		}
		x.state, x.work, x.since = Active, work, mc.now
		mc.hold(s, c)
	case Waiting:
		if free {
			rt.Fatalf("waits beside a free server")
		}
		mc.m.queue(p, c, work)
		mc.waiting = append(mc.waiting, c)
	case Refused:
		if free || c.Refusal == NoReason {
			rt.Fatalf("refused beside a free server or without a reason: %v", c.Refusal)
		}
	}
	mc.obey(out)
	mc.after(v == Waiting)
}

func (mc *machine) stepLeave(rt *rapid.T) {
	if len(mc.waiting) == 0 {
		rt.Skip()
	}
	mc.before(nil)
	c := pick(rt, "waiter", mc.waiting)
	mc.m.waiters = without(mc.m.waiters, mc.m.waiter(c))
	if !mc.leave(c) {
		rt.Fatalf("a waiter was lost")
	}
	mc.after(true)
}

func (mc *machine) stepRelease(rt *rapid.T) {
	if len(mc.order) == 0 {
		rt.Skip()
	}
	s := pick(rt, "server", mc.order)
	mc.before(s)
	mc.release(s)
	mc.after(true)
}

func (mc *machine) stepGone(rt *rapid.T) {
	if len(mc.m.servers) == 0 {
		rt.Skip()
	}
	x := pick(rt, "server", mc.m.servers)
	mc.before(nil)
	mc.m.lose(x)
	mc.gone(x.s)
	mc.after(true)
}

func (mc *machine) stepOpened(rt *rapid.T) {
	if len(mc.opens) == 0 {
		rt.Skip()
	}
	s := pick(rt, "server", mc.opens)
	mc.before(s)
	if mc.h.breaker.open {
		mc.m.upset()
	}
	mc.opened(s)
	mc.after(true)
}

func (mc *machine) stepOpenFailed(rt *rapid.T) {
	if len(mc.opens) == 0 {
		rt.Skip()
	}
	s := pick(rt, "server", mc.opens)
	class := rapid.SampledFrom([]FailClass{FailNetwork, FailStarting, FailAuth, FailFull, FailPool, FailCancelled}).Draw(rt, "class")
	mc.before(nil)
	mc.m.servers = without(mc.m.servers, mc.m.find(s))
	if class == FailNetwork || class == FailStarting {
		mc.m.upset()
	}
	mc.openFailed(s, class)
	mc.after(true)
}

func (mc *machine) stepClosed(rt *rapid.T) {
	if len(mc.closes) == 0 {
		rt.Skip()
	}
	s := pick(rt, "server", mc.closes)
	mc.before(nil)
	mc.m.servers = without(mc.m.servers, mc.m.find(s))
	mc.gone(s)
	mc.after(true)
}

func (mc *machine) stepTick(rt *rapid.T) {
	d := rapid.SampledFrom([]int{1, 7, 50, 300, 1500, 12000}).Draw(rt, "ms")
	mc.m.advance(mc.now + int64(d)*ms)
	mc.m.loose = nil
	mc.tick(time.Duration(d) * time.Millisecond)
	mc.after(true)
}

func (mc *machine) stepConfigure(rt *rapid.T) {
	mc.before(nil)
	mc.m.pace.logins = nil // another pace may hold from now on
	cfg := drawHost(rt)
	mc.m.grace = max(0, int64(cfg.withDefaults().EvictGrace))
	mc.obey(mc.h.Configure(mc.now, cfg, nil))
	mc.after(true)
}

func (mc *machine) stepVerb(rt *rapid.T) {
	p := pick(rt, "pool", mc.pools)
	mc.before(nil)
	switch rapid.SampledFrom([]string{"pause", "resume", "resume", "reconnect", "kill", "disable", "enable", "enable"}).Draw(rt, "verb") {
	case "pause":
		mc.m.paused[p] = true
		mc.obey(mc.h.Pause(mc.now, p, nil))
	case "resume":
		if mc.m.paused[p] {
			mc.m.upset()
		}
		mc.m.paused[p] = false
		mc.obey(mc.h.Resume(mc.now, p, nil))
	case "reconnect":
		mc.m.upset()
		mc.obey(mc.h.Reconnect(mc.now, p, nil))
	case "kill":
		mc.m.paused[p] = true
		mc.obey(mc.h.Kill(mc.now, p, nil))
	case "disable":
		mc.h.Disable(p)
	case "enable":
		mc.h.Enable(p)
	}
	mc.after(true)
}

func (mc *machine) stepPool(rt *rapid.T) {
	i := rapid.IntRange(0, len(mc.pools)-1).Draw(rt, "pool")
	p := mc.pools[i]
	mc.before(nil)
	cfg := drawPool(rt, p.cfg.Name)
	if rapid.IntRange(0, 4).Draw(rt, "remove") > 0 {
		mc.obey(mc.h.ConfigurePool(mc.now, p, cfg, nil))
		mc.after(true)
		return
	}
	old := p.cfg
	mc.obey(mc.h.RemovePool(mc.now, p, nil))
	cfg.Database, cfg.User, cfg.Operator = old.Database, old.User, old.Operator
	mc.pools[i] = mc.pool(cfg)
	mc.after(true)
}
