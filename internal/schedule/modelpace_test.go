package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

// modelPace is the naive twin of the pace: every login and every trouble, looked through each time.
type modelPace struct {
	born   int64
	losses []int64
	upset  []int64 // when something happened that ends the calm
	logins []modelLogin
}

// modelLogin is a login that the pace held; most is how many might have been saved up when it began.
type modelLogin struct {
	at   int64
	most int
}

// upset notes trouble of the host.
func (m *model) upset() { m.pace.upset = append(m.pace.upset, m.now) }

// lose takes a server away that went by itself, or was closed before.
func (m *model) lose(x *modelServer) {
	m.servers = without(m.servers, x)
	if x.state != Idle && x.state != Active {
		return
	}
	m.pace.losses = append(m.pace.losses, m.now)
	lately := 0
	for _, at := range m.pace.losses {
		if m.now-at < 1e9 {
			lately++
		}
	}
	if lately >= 3 || m.count(func(y *modelServer) bool { return y.state == Idle || y.state == Active }) == 0 {
		m.upset()
	}
}

// calm says whether nothing has happened to the host for half a minute.
func (m *model) calm() bool {
	for _, at := range m.pace.upset {
		if m.now-at < 30e9 {
			return false
		}
	}
	return m.now-m.pace.born >= 5e9 && !m.h.breaker.open && m.h.breaker.ramp == 0
}

// seePace checks a login against every stretch of time that ends with it.
func (m *model) seePace(d Directive) {
	m.t.Helper()
	if d.Pool.cfg.Operator {
		return
	}
	calm, c := m.calm(), m.h.cfg.Connect
	if l := d.Server.lane; calm && l != nil && l.work.cfg.Class == Critical && m.inUse(l.work) < m.quota(l.work) {
		return // the guarantee of a critical workload
	}
	most := c.Burst
	if calm {
		most = max(most, m.h.shared.size)
	}
	p := &m.pace
	p.logins = append(p.logins, modelLogin{m.now, most})
	for i, first := range p.logins {
		n, allowed := len(p.logins)-i, float64(first.most)+float64(m.now-first.at)*c.PerSecond/1e9
		if float64(n) > allowed+1e-6 {
			m.t.Fatalf("%d logins in %d ms, at most %.1f are allowed (calm %v)", n, (m.now-first.at)/ms, allowed, calm)
		}
	}
}

// TestPaceAgainstModel holds the pace of logins against the naive one: little at once in unrest, a login for every slot
// when calm, and never more than the rate over time.
func TestPaceAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mc := &machine{world: newWorld(rt, HostConfig{Usable: 20, Connect: Pace{Parallel: 4, PerSecond: 2, Burst: 2}, Workloads: []WorkloadConfig{
			{Name: "w0", Class: Critical, Mode: Enforce, Share: 1, Lendable: 1, Borrow: -1},
			{Name: "w1", Class: Batch, Mode: Enforce, Share: 3, Lendable: 1, Borrow: -1}}}), rt: rt, fits: 1}
		mc.m = newModel(rt, mc.h, mc.now)
		mc.m.pace.born = mc.now
		mc.watch = mc.m.see
		mc.pools = []*Pool{mc.pool(PoolConfig{Name: "p0"}), mc.pool(PoolConfig{Name: "p1"})}
		many := func(step func(*rapid.T), has func() bool) func(*rapid.T) {
			return func(rt *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(rt, "times") {
					if has == nil || has() {
						step(rt)
					}
				}
			}
		}
		opens := func() bool { return len(mc.opens) > 0 }
		rt.Repeat(map[string]func(*rapid.T){
			"acquire":    many(mc.stepAcquire, nil),
			"acquire2":   many(mc.stepAcquire, nil),
			"leave":      many(mc.stepLeave, func() bool { return len(mc.waiting) > 0 }),
			"release":    many(mc.stepRelease, func() bool { return len(mc.order) > 0 }),
			"gone":       many(mc.stepGone, func() bool { return len(mc.m.servers) > 0 }),
			"opened":     many(mc.stepOpened, opens),
			"opened2":    many(mc.stepOpened, opens),
			"openFailed": mc.stepOpenFailed,
			"closed":     many(mc.stepClosed, func() bool { return len(mc.closes) > 0 }),
			"tick":       mc.stepTick,
			"tick2":      mc.stepTick,
			"reconnect": func(*rapid.T) {
				mc.before(nil)
				mc.m.upset()
				mc.obey(mc.h.Reconnect(mc.now, mc.pools[0], nil))
				mc.after(true)
			},
		})
	})
}
