package schedule

import "fmt"

// String shows the model at a failure.
func (m *model) String() string {
	out := fmt.Sprintf("usable %d reserved %+v shared %+v held %d breaker %+v squeeze %+v pace %+v\n", m.h.shared.size, m.h.reserved, m.h.shared, m.h.held, m.h.breaker, m.h.squeeze, m.h.pace)
	for _, w := range m.h.workloads {
		out += fmt.Sprintf("  work %s gone %v inUse %d waiting %d coming %d quota %d ceiling %d hold %d tier %d\n", w.cfg.Name, w.gone, w.inUse, w.waiting, w.coming, w.quota, w.ceiling, w.hold, w.tier())
	}
	for _, p := range m.h.pools {
		out += fmt.Sprintf("  pool %s max %d min %d idle %d active %d opening %d closing %d waiting %d ready %v\n", p.cfg.Name, p.cfg.Max, p.cfg.Min, p.idle.n, p.active, p.opening, p.closing, p.waiting, m.h.ready(p))
	}
	for _, c := range m.waiters {
		out += fmt.Sprintf("  waiter pool %s work %s fit %d since %d needs %v coming %d room %d comingTo %d\n", c.p.cfg.Name, c.work.cfg.Name, c.w.Fit, c.since, m.needs(c), m.coming(c), m.room(c.work), m.comingTo(c.work))
	}
	for _, x := range m.servers {
		out += fmt.Sprintf("  server pool %s state %d (host %d) lane %v opened %d since %d\n", x.s.Pool.cfg.Name, x.state, x.s.state, x.s.lane != nil, x.opened, x.since)
	}
	return out
}
