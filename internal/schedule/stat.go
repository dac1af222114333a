package schedule

import "time"

// HostStat is a value snapshot of a Host.
type HostStat struct {
	Configured int // HostConfig.Usable
	Usable     int // less while the server said 53300
	Total      int // servers in shared slots
	Active     int
	Operator   int // operator slots
	OperatorUp int // servers filling them
	Waiting    int
	Opened     uint64 // logins started
	Paced      uint64 // times a login waited for the pace
	Calm       bool   // no outage of late: every slot may be filled as fast as logins go
	Logins     int    // logins that may begin now, one after the other, before the rate holds them
	Breaker    BreakerStat
	Pools      []PoolStat
	Workloads  []WorkloadStat
}

// BreakerStat says how logins to the host fare.
type BreakerStat struct {
	Open      bool
	Class     FailClass // what opened it
	Failures  int       // in a row
	For       time.Duration
	NextProbe time.Duration // from now
	SlowStart int           // logins allowed at once; 0 is no bound
	Trips     uint64
}

// PoolStat is a value snapshot of a Pool. Idle counts Used too.
type PoolStat struct {
	Pool      *Pool
	Name      string
	Max       int
	Active    int // Tested and Cancelled included
	Idle      int
	Used      int // idle longer than CheckAfter
	Tested    int
	Cancelled int
	Opening   int
	Closing   int
	Waiting   int
	Oldest    time.Duration // longest wait now
	Paused    bool
	Disabled  bool
	Failing   FailClass // why logins of this pool alone are held back; 0 they are not
	Failures  int
	NextLogin time.Duration // from now
}

// WorkloadStat is a value snapshot of a Workload.
type WorkloadStat struct {
	Name      string
	Class     Class
	Mode      Mode
	Nominal   int
	Limit     int // 0 is none
	InUse     int
	Lent      int // nominal slots others use now, its share of what is borrowed
	Borrowed  int // in use beyond nominal
	Waiting   int
	Oldest    time.Duration
	Shed      uint64 // refused at Acquire
	WouldShed uint64 // would have been, in mode Warn
	WouldWait uint64 // would have waited for the limit, in mode Warn
}

// Snapshot returns what the host looks like now.
func (h *Host) Snapshot(now int64) HostStat {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	h.refill()
	st := HostStat{
		Configured: h.cfg.Usable, Usable: h.shared.size, Total: h.shared.total, Active: h.shared.active,
		Operator: h.reserved.size, OperatorUp: h.reserved.total, Waiting: h.waiting,
		Opened: h.pace.opened, Paced: h.pace.paced, Calm: h.calm(), Logins: int(h.pace.tokens), Breaker: h.breakerStat(),
		Pools: make([]PoolStat, 0, len(h.pools)), Workloads: make([]WorkloadStat, 0, len(h.workloads)),
	}
	for _, p := range h.pools {
		st.Pools = append(st.Pools, h.poolStat(p))
	}
	for _, w := range h.workloads {
		st.Workloads = append(st.Workloads, h.workloadStat(w))
	}
	h.lend(st.Workloads)
	return st
}

// Busy is how many servers clients hold now, operators' included.
func (h *Host) Busy() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shared.active + h.reserved.active
}

// Breaker returns how logins fare now.
func (h *Host) Breaker(now int64) BreakerStat {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	return h.breakerStat()
}

func (h *Host) breakerStat() BreakerStat {
	b := &h.breaker
	st := BreakerStat{Open: b.open, Failures: b.failures, SlowStart: b.ramp, Trips: b.trips}
	if b.open {
		st.Class = b.class
		st.For = time.Duration(h.now - b.since)
		st.NextProbe = time.Duration(max(0, b.until-h.now))
	}
	return st
}

func (h *Host) poolStat(p *Pool) PoolStat {
	st := PoolStat{
		Pool: p, Name: p.cfg.Name, Max: p.cfg.Max, Active: p.active, Idle: p.idle.n,
		Tested: p.marks[Tested], Cancelled: p.marks[Cancelled], Opening: p.opening, Closing: p.closing,
		Waiting: p.waiting, Paused: p.paused, Disabled: p.disabled, Failing: p.failing, Failures: p.failures,
		NextLogin: time.Duration(max(0, p.retryAt-h.now)),
	}
	for _, l := range p.busy {
		st.Oldest = max(st.Oldest, time.Duration(h.now-l.head.since))
	}
	if after := int64(p.cfg.CheckAfter); after > 0 {
		for s := p.idle.old; s != nil && h.now-s.since > after; s = s.next {
			st.Used++
		}
	}
	return st
}

func (h *Host) workloadStat(w *Workload) WorkloadStat {
	st := WorkloadStat{
		Name: w.cfg.Name, Class: w.cfg.Class, Mode: w.cfg.Mode, Nominal: w.nominal, Limit: w.cfg.Limit, InUse: w.inUse,
		Borrowed: max(0, w.inUse-w.nominal), Waiting: w.waiting,
		Shed: w.shed, WouldShed: w.wouldShed, WouldWait: w.wouldWait,
	}
	for _, p := range h.queues {
		for _, l := range p.busy {
			if l.work == w {
				st.Oldest = max(st.Oldest, time.Duration(h.now-l.head.since))
			}
		}
	}
	return st
}

// lend attributes what is borrowed to those whose nominal slots are idle, in proportion.
func (h *Host) lend(stats []WorkloadStat) {
	borrowed, idle := 0, 0
	for i := range stats {
		borrowed += stats[i].Borrowed
		idle += max(0, stats[i].Nominal-stats[i].InUse)
	}
	if idle == 0 {
		return
	}
	for i := range stats {
		stats[i].Lent = min(borrowed, idle) * max(0, stats[i].Nominal-stats[i].InUse) / idle
	}
}
